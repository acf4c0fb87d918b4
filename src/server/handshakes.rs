//! What happens to a connection before anybody reads from it? TLS begins, where the address is one with TLS.

use super::tls::Credentials;
use crate::proxy::{Coming, Life, Station};
use crate::upstream::Live;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Plain;
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
    behind: A,
    live: Arc<Live>,
    credentials: Arc<Credentials>,
    /// The addresses where clients speak TLS.
    tls: Vec<SocketAddr>,
}

impl<A> Handshakes<A> {
    pub(super) const fn new(
        behind: A,
        live: Arc<Live>,
        credentials: Arc<Credentials>,
        tls: Vec<SocketAddr>,
    ) -> Self {
        Self {
            behind,
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

impl<A: Station> Station for Handshakes<A> {
    fn enter(&self, coming: Coming) -> Life<'_> {
        if !self.is_secret(&coming.stream) {
            return self.behind.enter(coming);
        }
        Box::pin(async move {
            // Boxed: it is large as a future, and over soon.
            if let Some(stream) = Box::pin(self.handshake(coming.stream)).await {
                self.behind.enter(Coming { stream, ..coming }).await;
            }
        })
    }
}

impl<A> fmt::Debug for Handshakes<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
