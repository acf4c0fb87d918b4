//! Where does Pingora connect to, and how long does it wait?

use crate::config::Timeouts;
use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::HttpPeer;
use std::net::SocketAddr;
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
