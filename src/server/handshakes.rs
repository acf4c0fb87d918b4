//! What happens to a connection before anybody reads from it? TLS begins, where the address is one with TLS.

use super::tls::Credentials;
use crate::upstream::Live;
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Plain;
use pingora::server::ShutdownWatch;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// For the whole handshake. A client on the other side of the world needs a second; whoever takes
/// longer holds a socket for nothing.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Stands before the application of the data listeners. Pingora's own TLS listener takes its settings once for its whole life, and
/// tells of every port scan as an error; so it listens plainly, and TLS begins here.
pub(super) struct Handshakes<A> {
    behind: Arc<A>,
    live: Arc<Live>,
    credentials: Arc<Credentials>,
    /// The addresses where clients speak TLS.
    tls: Vec<SocketAddr>,
}

impl<A> Handshakes<A> {
    pub(super) fn new(
        behind: A,
        live: Arc<Live>,
        credentials: Arc<Credentials>,
        tls: Vec<SocketAddr>,
    ) -> Self {
        Self {
            behind: Arc::new(behind),
            live,
            credentials,
            tls,
        }
    }

    /// Whether a connection came to an address with TLS.
    fn is_secret(&self, stream: &Stream) -> bool {
        if self.tls.is_empty() {
            return false;
        }
        let digest = stream.get_socket_digest();
        let came_to = digest
            .as_ref()
            .and_then(|digest| digest.local_addr()?.as_inet());
        came_to.is_none_or(|came_to| self.tls.iter().any(|own| is_at(*own, *came_to)))
    }

    async fn handshake(&self, stream: Stream) -> Option<Stream> {
        let config = self.credentials.current()?;
        // It is what Pingora's listener made; no other kind comes here.
        let plain = stream.into_any().downcast::<Plain>().ok()?;
        let acceptor = Acceptor::from_server_config(config);
        match tokio::time::timeout(HANDSHAKE, acceptor.tls_handshake(*plain)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                self.refuse(&error);
                None
            }
            Err(_elapsed) => {
                self.refuse(&"it took too long");
                None
            }
        }
    }

    /// Clients that give up, and what knocks at every port of a network, are no error of ours.
    fn refuse(&self, why: &dyn fmt::Display) {
        self.live.parts.metrics.handshake_failed();
        log::debug!("tls handshake failed why={why}");
    }
}

/// Whether a listener at `own` takes connections to `came_to`.
fn is_at(own: SocketAddr, came_to: SocketAddr) -> bool {
    let address = came_to.ip().to_canonical();
    own.port() == came_to.port()
        && (own.ip().is_unspecified() || own.ip().to_canonical() == address)
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Handshakes<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let stream = if self.is_secret(&stream) {
            // Boxed: a handshake is rare and large as a future.
            Box::pin(self.handshake(stream)).await?
        } else {
            stream
        };
        // HTTP keeps the connection until its end: nothing comes back to be opened twice.
        self.behind.process_new(stream, shutdown).await
    }

    async fn cleanup(&self) {
        self.behind.cleanup().await;
    }
}

impl<A> fmt::Debug for Handshakes<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
