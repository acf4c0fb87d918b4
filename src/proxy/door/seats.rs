//! How many may be inside, and from one address?

use crate::admit::Seat;
use crate::upstream::Live;
use pingora::protocols::Stream;
use std::net::IpAddr;

/// A seat for a connection, of `most`; none when there is none, which has been counted.
pub(super) fn take(live: &Live, stream: &Stream, most: usize) -> Option<Seat> {
    let snapshot = live.snapshot();
    let config = &snapshot.config;
    // A proxy that is trusted brings the connections of many.
    let counted = address(stream).filter(|address| !config.trusts(*address));
    let most = most.min(config.limits.connections);
    let each = config.limits.connections_per_address;
    match live.crowd.enter(counted, most, each) {
        Ok(seat) => Some(seat),
        Err(full) => {
            live.parts.metrics.door.turned_away(full.word());
            None
        }
    }
}

fn address(stream: &Stream) -> Option<IpAddr> {
    let socket = stream.get_socket_digest()?;
    Some(socket.peer_addr()?.as_inet()?.ip())
}
