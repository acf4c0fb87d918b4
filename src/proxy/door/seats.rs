//! How many may be inside, and from one address?

use super::way::{Coming, Station};
use crate::admit::Seat;
use crate::upstream::Live;
use pingora::protocols::Stream;
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

impl<A: Station> Seats<A> {
    /// At most so many connections at once go on to what is behind.
    #[must_use]
    pub fn new(behind: A, live: Arc<Live>, most: usize) -> Self {
        let behind = Arc::new(behind);
        Self { behind, live, most }
    }

    /// Lets a connection in that finds a seat, which it has until its end.
    pub fn enter(&self, coming: Coming) {
        let Some(seat) = self.take(&coming.stream) else {
            return;
        };
        let behind = Arc::clone(&self.behind);
        // Pingora's own task has room for a handshake, 8 KiB that would stay with the connection for
        // its life; this one holds what it needs.
        tokio::spawn(async move {
            let _seat = seat;
            behind.enter(coming).await;
        });
    }

    /// A seat for a connection; none when there is none, which has been counted.
    fn take(&self, stream: &Stream) -> Option<Seat> {
        let snapshot = self.live.snapshot();
        let config = &snapshot.config;
        // A proxy that is trusted brings the connections of many, and so does a balancer.
        let of_many = |address: &IpAddr| config.trusts(*address) || config.announces(*address);
        let counted = address(stream).filter(|address| !of_many(address));
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

pub(super) fn address(stream: &Stream) -> Option<IpAddr> {
    let socket = stream.get_socket_digest()?;
    Some(socket.peer_addr()?.as_inet()?.ip())
}

impl<A> fmt::Debug for Seats<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seats")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}
