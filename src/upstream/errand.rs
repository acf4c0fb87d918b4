//! How do we ask somebody something small, for ourselves? A node for its health or its plugins, a
//! running gateway for what its operator types.

use super::secure::{Trust, plain_or_secure};
use crate::nodes::Node;
use arc_swap::ArcSwap;
use bytes::Bytes;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{Error, ErrorType, Result};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Runs errands over connections of its own, apart from those of requests. Clones share them.
#[derive(Clone)]
pub struct Errands {
    connector: Arc<Connector>,
    /// For nodes with TLS.
    trust: Arc<ArcSwap<Trust>>,
}

/// How long an errand may take, how much it may bring back, and how long its connection is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For the whole errand.
    pub timeout: Duration,
    /// Of the answer, in bytes.
    pub longest: usize,
    /// The connection is kept for so long.
    pub idle: Duration,
}

impl Errands {
    /// Without any connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            connector: Arc::new(Connector::new(None)),
            trust: Arc::default(),
        }
    }

    /// Whom to believe to be a node, from the next errand on.
    pub(super) fn trust(&self, trust: &Arc<Trust>) {
        self.trust.store(Arc::clone(trust));
    }

    /// Whom they believe to be a node.
    pub(super) fn trusted(&self) -> Arc<Trust> {
        self.trust.load_full()
    }

    /// Sends a request and reads the whole answer: status and body.
    ///
    /// # Errors
    /// When it does not come in time, or is too long. The timeout is a total one: one per read
    /// would let a dripping node hold a whole round.
    pub async fn run(
        &self,
        address: SocketAddr,
        request: RequestHeader,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<(u16, Vec<u8>)> {
        let peer = HttpPeer::new(address, false, String::new());
        self.within(peer, request, body, bounds).await
    }

    /// The same to a node, by TLS where it is reached so.
    ///
    /// # Errors
    /// When it does not come in time, or is too long.
    pub(super) async fn visit(
        &self,
        node: &Node,
        request: RequestHeader,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<(u16, Vec<u8>)> {
        let trust = self.trust.load();
        let mut peer = plain_or_secure(node.address(), node.server_name(), &trust);
        peer.options.total_connection_timeout = Some(bounds.timeout);
        self.within(peer, request, body, bounds).await
    }

    pub(super) async fn within(
        &self,
        peer: HttpPeer,
        request: RequestHeader,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<(u16, Vec<u8>)> {
        let fetch = self.fetch(peer, request, body, bounds);
        match tokio::time::timeout(bounds.timeout, fetch).await {
            Ok(answer) => answer,
            Err(_elapsed) => Error::e_explain(ErrorType::ReadTimedout, "no answer in time"),
        }
    }

    /// Fetches a path.
    ///
    /// # Errors
    /// As [`Errands::run`].
    pub async fn get(
        &self,
        address: SocketAddr,
        path: &str,
        bounds: Bounds,
    ) -> Result<(u16, Vec<u8>)> {
        let request = RequestHeader::build("GET", path.as_bytes(), None)?;
        self.run(address, request, Bytes::new(), bounds).await
    }

    async fn fetch(
        &self,
        mut peer: HttpPeer,
        mut request: RequestHeader,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<(u16, Vec<u8>)> {
        peer.options.connection_timeout = Some(bounds.timeout);
        peer.options.read_timeout = Some(bounds.timeout);
        let (mut session, _reused) = self.connector.get_http_session(&peer).await?;
        request.insert_header("Host", peer.address().to_string())?;
        if !body.is_empty() {
            request.insert_header("Content-Length", body.len())?;
        }
        session.write_request_header(Box::new(request)).await?;
        if !body.is_empty() {
            session.write_request_body(body, true).await?;
        }
        session.finish_request_body().await?;
        session.read_response_header().await?;
        let status = session
            .response_header()
            .map_or(0, |header| header.status.as_u16());
        let mut answer = Vec::new();
        while let Some(chunk) = session.read_response_body().await? {
            answer.extend_from_slice(&chunk);
            if answer.len() > bounds.longest {
                return Error::e_explain(ErrorType::InvalidHTTPHeader, "the answer is too long");
            }
        }
        let idle = Some(bounds.idle);
        self.connector
            .release_http_session(session, &peer, idle)
            .await;
        Ok((status, answer))
    }
}

impl Default for Errands {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").finish_non_exhaustive()
    }
}
