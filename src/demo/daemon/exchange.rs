//! How does one request meet its answer? The only place that touches Pingora's session.
use super::answer::Answer;
use super::node::Node;
use super::power::Power;
use super::seen::{self, EMPTY, Seen, checksum_on};
use bytes::{Bytes, BytesMut};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;

/// What Go's server reads of a body that nobody asked for before it gives the connection up
/// (`net/http.maxPostHandlerReadBytes`), bytes.
const UNREAD_LIMIT: u64 = 256 * 1024;

/// How an exchange ended, and what becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Answered; the connection may serve the next request.
    Answered,
    /// Answered with a part of the body unread; the connection closes gently.
    Unread,
    /// The connection is closed (FIN).
    Close,
    /// The connection is reset (RST).
    Reset,
}

/// A request body.
#[derive(Debug)]
pub(super) struct Body {
    /// Its bytes, up to the limit that was asked for.
    pub(super) bytes: Bytes,
    /// Checksum of `bytes`.
    pub(super) sum: u64,
}

/// One request and the way to answer it.
pub(super) struct Exchange {
    pub(super) node: Arc<Node>,
    pub(super) power: Power,
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    session: ServerSession,
    seq: u64,
}

impl Exchange {
    /// Takes over a session whose head was read.
    pub(super) fn new(node: Arc<Node>, power: Power, session: ServerSession) -> Self {
        let request = session.req_header();
        let method = request.method.to_string();
        let target = String::from_utf8_lossy(request.raw_path()).into_owned();
        let head = session.to_h1_raw();
        let seq = node.log.push(Seen {
            seq: 0,
            method: method.clone(),
            target: target.clone(),
            headers: seen::header_lines(&head),
            head,
            body_len: 0,
            body_checksum: EMPTY,
            body: Bytes::new(),
        });
        Self {
            node,
            power,
            method,
            target,
            session,
            seq,
        }
    }

    pub(super) fn into_session(self) -> ServerSession {
        self.session
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.session
            .get_header(name)
            .and_then(|value| value.to_str().ok())
    }

    /// Whether `X-Api-Key` opens this daemon.
    pub(super) fn key_fits(&self) -> bool {
        let key = self.node.settings.api_key.as_deref();
        key.is_none_or(|key| self.header("X-Api-Key") == Some(key))
    }

    /// Reads the body to its end and keeps `limit` bytes of it; `None` if it broke off.
    pub(super) async fn read_body(&mut self, limit: usize) -> Option<Body> {
        let expects = self.header("Expect");
        if expects.is_some_and(|expects| expects.eq_ignore_ascii_case("100-continue")) {
            self.session.write_continue_response().await.ok()?;
        }
        let (mut kept, mut len, mut whole, mut sum) = (BytesMut::new(), 0_u64, EMPTY, EMPTY);
        while let Some(part) = self.session.read_request_body().await.ok()? {
            len += part.len() as u64;
            whole = checksum_on(whole, &part);
            let room = part.len().min(limit - kept.len());
            sum = checksum_on(sum, &part[..room]);
            kept.extend_from_slice(&part[..room]);
        }
        let bytes = kept.freeze();
        let sample = bytes.slice(..bytes.len().min(self.node.settings.keep_body_bytes));
        // Copied, so that the log does not hold a 100 MB body for its first 64 KiB.
        self.node
            .log
            .body(self.seq, len, whole, Bytes::copy_from_slice(&sample));
        Some(Body { bytes, sum })
    }

    /// Sends a whole answer.
    pub(super) async fn reply(&mut self, answer: Answer) -> End {
        let read = self.body_is_read().await;
        let sent = async {
            self.session
                .write_response_header(Box::new(answer.head()?))
                .await?;
            self.session.write_response_body(answer.body, true).await
        };
        match (sent.await, read) {
            (Err(_), _) => End::Close,
            (Ok(()), false) => End::Unread,
            (Ok(()), true) => End::Answered,
        }
    }

    /// What Go does when the handler answers without having read the body: it reads up to
    /// 256 KiB itself, and gives the connection up if there is more.
    async fn body_is_read(&mut self) -> bool {
        let announced = self
            .header("Content-Length")
            .and_then(|len| len.parse::<u64>().ok());
        if !self.session.is_body_done() && announced.is_some_and(|len| len > UNREAD_LIMIT) {
            return false;
        }
        let mut read = 0;
        while !self.session.is_body_done() {
            match self.session.read_request_body().await {
                Ok(Some(part)) => read += part.len() as u64,
                Ok(None) => return true,
                Err(_) => return false,
            }
            if read > UNREAD_LIMIT {
                return false;
            }
        }
        true
    }

    /// Sends the head of a chunked answer.
    pub(super) async fn begin(&mut self, status: u16, content_type: &str) -> pingora::Result<()> {
        let mut head = ResponseHeader::build(status, Some(4))?;
        head.insert_header("Content-Type", content_type.to_owned())?;
        head.insert_header("Transfer-Encoding", "chunked")?;
        self.session.write_response_header(Box::new(head)).await
    }

    /// Sends one chunk in one piece and flushes it.
    pub(super) async fn chunk(&mut self, data: Bytes) -> pingora::Result<()> {
        self.session.write_response_body(data, false).await
    }

    /// Returns when the client has left. The request's body must have been read.
    pub(super) async fn gone(&mut self) {
        // The idle read reports bytes only for a body, and there is none left.
        while let Ok(Some(_)) = self.session.read_body_or_idle(true).await {}
    }

    /// Waits for `work` as long as the client waits for it; `None` if the client left first.
    pub(super) async fn while_waited_for<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        if !self.body_is_read().await {
            return Some(work.await);
        }
        tokio::select! {
            done = work => Some(done),
            () = self.gone() => None,
        }
    }
}
