//! From whom does a request get its connection to a node? From those that are kept, or a new one.
//!
//! Pingora asks for a connection right after the hook that chose the node, and its own way to a new
//! one moves twelve kilobytes of a future about, makes records of a socket and wraps the connection
//! three times: for each request, since the connection is kept here and lent anew. A connector of
//! another protocol is asked before all that, and may answer with a connection for HTTP/1.

use super::idle::{Home, Idle, Link};
use super::peer::reach;
use super::wire::{Asked, Wire};
use crate::model::clock;
use async_trait::async_trait;
use pingora::connectors::http::custom::{Connection, Connector};
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::tls::CustomALPN;
use pingora::protocols::{ALPN, TcpKeepalive};
use pingora::upstreams::peer::{HttpPeer, Peer};
use pingora::{Error, ErrorType, OrErr, Result};
use std::cell::Cell;
use std::fmt;
use std::ptr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::timeout;

/// Has Pingora ask [`Lending`]. No node is told it: it is for peers without TLS.
static LENT: LazyLock<ALPN> = LazyLock::new(|| ALPN::Custom(CustomALPN::new(b"lent".to_vec())));

thread_local! {
    /// Who lends to the request whose node was chosen last in this thread. Between the hook and the
    /// connector Pingora only looks for a connection of its own, and has none for such a peer: nothing
    /// is waited for. `of` says whether it was so.
    static NEXT: Cell<Option<Lender>> = const { Cell::new(None) };
}

/// Gives one request a connection.
pub(super) struct Lender {
    /// Where its peer lies.
    of: usize,
    by: Option<Arc<dyn Connect + Send + Sync>>,
    within: Duration,
    /// For so long a node may say nothing,
    silence: Option<Duration>,
    /// and take nothing of a request.
    taking: Option<Duration>,
    keepalive: Option<TcpKeepalive>,
    home: Home,
    asked: Asked,
}

impl Lender {
    /// Has a peer's connection come from `idle` and go back there.
    pub(super) fn stand_in(peer: &mut HttpPeer, idle: &Arc<Idle>, asked: Asked) {
        let of = ptr::from_ref(peer).addr();
        let options = &mut peer.options;
        options.alpn = LENT.clone();
        NEXT.set(Some(Self {
            of,
            by: options.custom_l4.take(),
            within: options.total_connection_timeout.unwrap_or(Duration::MAX),
            silence: options.read_timeout.take(),
            taking: options.write_timeout.take(),
            keepalive: options.tcp_keepalive.take(),
            home: Home {
                idle: Arc::clone(idle),
                longest: options.idle_timeout.unwrap_or(Duration::ZERO),
                era: peer.group_key,
            },
            asked,
        }));
    }

    async fn lend(self, to: &SocketAddr) -> Result<Wire> {
        let mut link = match self.home.idle.take(self.home.era, clock::now()) {
            Some(link) => link,
            None => {
                // Boxed: it is rare, and large as a future.
                let dialled = Box::pin(timeout(self.within, self.dial(to))).await;
                Link::new(dialled.or_err(ErrorType::ConnectTimedout, "no connection in time")??)
            }
        };
        link.silence.begin(self.silence);
        link.taking.begin(self.taking);
        Ok(Wire::new(link, self.home, self.asked))
    }

    async fn dial(&self, to: &SocketAddr) -> Result<Stream> {
        let mut stream = match (&self.by, to.as_inet()) {
            (Some(by), _) => by.connect(to).await?,
            (None, Some(to)) => reach(to, self.within).await?,
            (None, None) => {
                return Error::e_explain(ErrorType::ConnectError, "not an IP address");
            }
        };
        if let Some(keepalive) = &self.keepalive {
            stream.set_keepalive(keepalive)?;
        }
        stream.set_nodelay()?;
        Ok(stream)
    }
}

/// Pingora's connector for peers whose connections are lent.
#[derive(Clone, Copy, Debug)]
pub struct Lending;

#[async_trait]
impl Connector for Lending {
    /// There is no other protocol.
    type Session = ();

    async fn get_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        peer: &P,
    ) -> Result<(Connection<()>, bool)> {
        let of = ptr::from_ref(peer).addr();
        let Some(lender) = NEXT.take().filter(|lender| lender.of == of) else {
            return Error::e_explain(ErrorType::InternalError, "nobody lends to this request");
        };
        let wire = lender.lend(peer.address()).await?;
        Ok((Connection::Stream(Box::new(wire)), false))
    }

    async fn reused_http_session<P: Peer + Send + Sync + 'static>(&self, _peer: &P) -> Option<()> {
        None
    }

    async fn release_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        _session: (),
        _peer: &P,
        _idle_timeout: Option<Duration>,
    ) {
    }
}

/// What it holds may be a key.
impl fmt::Debug for Lender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lender").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::peer;
    use super::*;
    use crate::config::Timeouts;
    use parking_lot::Mutex;
    use pingora::connectors::http::Connector;
    use pingora::http::RequestHeader;
    use pingora::protocols::http::client::HttpSession;
    use std::net;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers each request on each of its connections with `answer`; what it read, by connection.
    async fn node(answer: &'static str) -> (net::SocketAddr, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let read = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&read);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let number = all.lock().len();
                all.lock().push(String::new());
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    let mut part = [0; 4096];
                    while let Ok(bytes @ 1..) = stream.read(&mut part).await {
                        all.lock()[number] += std::str::from_utf8(&part[..bytes]).unwrap();
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        (at, read)
    }

    /// The way to a node, lent by `idle` to a request without a body.
    fn lent(at: net::SocketAddr, idle: &Arc<Idle>) -> Box<HttpPeer> {
        let mut peer = Box::new(peer(at, &Timeouts::default()));
        Lender::stand_in(&mut peer, idle, Asked::default());
        peer
    }

    /// One request without a body, as Pingora makes and ends it.
    async fn request(at: net::SocketAddr, idle: &Arc<Idle>) -> u16 {
        let connector = Connector::new_custom(None, Lending);
        let peer = lent(at, idle);
        let (session, reused) = connector.get_http_session(&*peer).await.unwrap();
        assert!(!reused, "Pingora keeps none of them");
        let HttpSession::H1(mut session) = session else {
            panic!("nodes speak HTTP/1");
        };
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.insert_header("Host", "node").unwrap();
        session
            .write_request_header(Box::new(request))
            .await
            .unwrap();
        session.read_response().await.unwrap();
        while session.read_body_ref().await.unwrap().is_some() {}
        let status = session.get_status().unwrap().as_u16();
        let longest = peer.options.idle_timeout;
        connector
            .release_http_session(HttpSession::H1(session), &*peer, longest)
            .await;
        status
    }

    #[tokio::test]
    async fn a_connection_serves_request_after_request() {
        let (at, read) = node("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let idle = Arc::default();
        for _ in 0..3 {
            assert_eq!(request(at, &idle).await, 200);
        }
        let read = read.lock();
        assert_eq!(read.len(), 1, "{read:?}");
        assert_eq!(read[0].matches("GET / HTTP/1.1").count(), 3);
    }

    #[tokio::test]
    async fn one_that_its_node_will_close_is_not_kept() {
        let closes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        let more = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more";
        for answer in [closes, more] {
            let (at, read) = node(answer).await;
            let idle = Arc::default();
            for _ in 0..2 {
                assert_eq!(request(at, &idle).await, 200);
            }
            assert_eq!(read.lock().len(), 2, "{answer}");
        }
    }

    #[tokio::test]
    async fn one_whose_answer_was_not_read_to_its_end_is_not_kept() {
        let (at, _read) = node("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let idle = Arc::default();
        let peer = lent(at, &idle);
        let connector = Connector::new_custom(None, Lending);
        let (session, _) = connector.get_http_session(&*peer).await.unwrap();
        let HttpSession::H1(mut session) = session else {
            panic!("nodes speak HTTP/1");
        };
        let request = RequestHeader::build("GET", b"/", None).unwrap();
        session
            .write_request_header(Box::new(request))
            .await
            .unwrap();
        session.read_response().await.unwrap();
        drop(session);
        assert!(idle.take(0, clock::now()).is_none());
    }

    #[tokio::test]
    async fn nobody_has_what_was_lent_to_another() {
        let (at, read) = node("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let (connector, idle) = (Connector::new_custom(None, Lending), Arc::default());
        let other = lent(at, &idle);
        let peer = lent(at, &idle);
        for nobody in [&other, &peer] {
            let refused = connector.get_http_session(&**nobody).await;
            let error = refused.err().expect("it was lent to the other, or is gone");
            assert_eq!(error.etype(), &ErrorType::InternalError);
        }
        assert!(read.lock().is_empty());
        assert_eq!(request(at, &idle).await, 200);
    }
}
