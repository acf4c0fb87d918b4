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
    // Minutes of silence before the first token are normal; address translation on the way
    // forgets silent connections.
    options.tcp_keepalive = Some(TcpKeepalive {
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: Duration::ZERO,
    });
    peer
}

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
