//! When does a connection to a node count as made? When the node has answered on it.
//!
//! A kernel accepts connections for a process that hangs, is stopped, or is about to close them.
//! Whether a call that breaks off there was executed cannot be known once it was written, so it
//! must not be repeated, and its caller pays. Here the node's health route goes first: what fails
//! it is a connection that was not made, and the call goes to another node. A connection is kept
//! and serves many calls, so the price, one short exchange, is paid once for all of them.

use super::peer::reach;
use crate::config::Health;
use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::{Error, ErrorType, OrErr, Result};
use std::net;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Makes connections that have carried one answer.
#[derive(Debug)]
pub(super) struct Proven {
    question: RequestHeader,
    /// For the kernels.
    connect: Duration,
    /// For the process.
    answer: Duration,
    /// False once the node closed a connection after its answer, as some do after every one: then
    /// there is nothing to gain.
    keeps: AtomicBool,
}

impl Proven {
    /// Asks for `health.path` on each new connection; `None` when that is not wanted.
    pub(super) fn new(
        address: net::SocketAddr,
        connect: Duration,
        health: &Health,
    ) -> Option<Self> {
        if !health.enabled || !health.on_connect {
            return None;
        }
        let mut question = RequestHeader::build("GET", health.path.as_bytes(), Some(2)).ok()?;
        question.insert_header("Host", address.to_string()).ok()?;
        question
            .insert_header("User-Agent", "twolane-connect")
            .ok()?;
        Some(Self {
            question,
            connect,
            answer: health.timeout,
            keeps: AtomicBool::new(true),
        })
    }

    async fn dial(&self, to: &net::SocketAddr) -> Result<Stream> {
        reach(to, self.connect).await
    }

    /// The stream again, after one answer on it; `None` when the node closes it after that. Which
    /// answer does not matter here: verdicts are the health checks'.
    async fn ask(&self, stream: Stream) -> Result<Option<Stream>> {
        let mut session = HttpSession::new(Box::new(stream));
        session
            .write_request_header(Box::new(self.question.clone()))
            .await?;
        session.read_response().await?;
        session.respect_keepalive();
        while session.read_body_ref().await?.is_some() {}
        let stream = session.reuse().await;
        // It is the very stream that went in.
        Ok(stream.and_then(|stream| stream.into_any().downcast().ok().map(|stream| *stream)))
    }
}

#[async_trait]
impl Connect for Proven {
    async fn connect(&self, to: &SocketAddr) -> Result<Stream> {
        let Some(to) = to.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "not an IP address");
        };
        let stream = self.dial(to).await?;
        if !self.keeps.load(Ordering::Relaxed) {
            return Ok(stream);
        }
        let answered = tokio::time::timeout(self.answer, self.ask(stream))
            .await
            .or_err(ErrorType::ConnectTimedout, "accepted, and no answer on it")?
            .or_err(ErrorType::ConnectError, "accepted, and broken off")?;
        match answered {
            Some(stream) => Ok(stream),
            None => {
                self.keeps.store(false, Ordering::Relaxed);
                self.dial(to).await
            }
        }
    }
}
