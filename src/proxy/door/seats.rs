//! How many may be inside, and from one address?

use crate::admit::Seat;
use crate::upstream::Live;
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Stands before everything else that happens to a connection, its handshake included.
pub struct Seats<A> {
    behind: Arc<A>,
    live: Arc<Live>,
    /// Connections for which there are file descriptors.
    most: usize,
}

impl<A> Seats<A> {
    /// At most so many connections at once go on to what is behind.
    #[must_use]
    pub fn new(behind: A, live: Arc<Live>, most: usize) -> Self {
        let behind = Arc::new(behind);
        Self { behind, live, most }
    }

    /// A seat for a connection; none when there is none, which has been counted.
    fn take(&self, stream: &Stream) -> Option<Seat> {
        let snapshot = self.live.snapshot();
        let config = &snapshot.config;
        // A proxy that is trusted brings the connections of many.
        let counted = address(stream).filter(|address| !config.trusts(*address));
        let most = self.most.min(config.limits.connections);
        let each = config.limits.connections_per_address;
        match self.live.crowd.enter(counted, most, each) {
            Ok(seat) => Some(seat),
            Err(full) => {
                self.live.parts.metrics.door.turned_away(full.word());
                None
            }
        }
    }
}

fn address(stream: &Stream) -> Option<IpAddr> {
    let socket = stream.get_socket_digest()?;
    Some(socket.peer_addr()?.as_inet()?.ip())
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Seats<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        closing: &ShutdownWatch,
    ) -> Option<Stream> {
        let seat = self.take(&stream)?;
        let (behind, closing) = (Arc::clone(&self.behind), closing.clone());
        // Pingora's own task has room for a handshake, 8 KiB that would stay with the connection for
        // its life; this one holds what it needs.
        tokio::spawn(async move {
            let _seat = seat;
            // HTTP keeps the connection until its end: nothing comes back to be seated twice.
            behind.process_new(stream, &closing).await;
        });
        None
    }

    async fn cleanup(&self) {
        self.behind.cleanup().await;
    }
}

impl<A> fmt::Debug for Seats<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seats")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
