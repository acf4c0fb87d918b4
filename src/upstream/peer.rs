//! Where does Pingora connect to, and how long does it wait?

use super::proven::Proven;
use crate::config::{Health, Timeouts};
use pingora::connectors::l4::Connect;
use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::HttpPeer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A peer for one node, made once per snapshot and cloned per attempt. Every timeout is set:
/// Pingora's default is to wait for ever.
pub(super) fn peer(address: SocketAddr, timeouts: &Timeouts) -> HttpPeer {
    // A socket address is never looked up, so this cannot block or fail.
    let mut peer = HttpPeer::new(address, false, String::new());
    let options = &mut peer.options;
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(timeouts.read);
    options.write_timeout = Some(timeouts.write);
    options.idle_timeout = Some(timeouts.node_idle);
    options.tcp_keepalive = Some(KEEPALIVE);
    peer
}

/// Minutes of silence before the first token are normal; address translation on the way forgets
/// silent connections. A node whose network is gone is found out within a minute: by the probes where
/// all that was sent had been acknowledged, and by `user_timeout` where it had not, for no probe is
/// sent then and the kernel would go on for a quarter of an hour.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(30),
    interval: Duration::from_secs(10),
    count: 3,
    #[cfg(target_os = "linux")]
    user_timeout: Duration::from_secs(60),
};

/// A peer for requests: a connection to it counts as made when the node has answered on it, if that
/// is wanted.
pub(super) fn request_peer(address: SocketAddr, timeouts: &Timeouts, health: &Health) -> HttpPeer {
    let mut peer = peer(address, timeouts);
    if let Some(proven) = Proven::new(address, timeouts.connect, health) {
        peer.options.total_connection_timeout = Some(timeouts.connect + health.timeout);
        peer.options.custom_l4 = Some(Arc::new(proven) as Arc<dyn Connect + Send + Sync>);
    }
    peer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_vanished_is_found_out_as_soon_with_bytes_on_their_way_as_without() {
        let silent = KEEPALIVE.idle + KEEPALIVE.interval * u32::try_from(KEEPALIVE.count).unwrap();
        // Shorter, it would also cut the probes short; 0 would be the kernel's quarter of an hour.
        #[cfg(target_os = "linux")]
        assert_eq!(KEEPALIVE.user_timeout, silent);
        assert_eq!(silent, Duration::from_secs(60));
    }
}
