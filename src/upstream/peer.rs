//! Where does Pingora connect to, and how long does it wait?

use super::proven::Proven;
use super::secure::plain_or_secure;
use super::selector::SelectorConfig;
use crate::config::Timeouts;
use crate::nodes::Node;
use pingora::connectors::l4::Connect;
use pingora::protocols::TcpKeepalive;
use pingora::protocols::l4::ext;
use pingora::protocols::l4::stream::Stream;
use pingora::upstreams::peer::HttpPeer;
use pingora::{ErrorType, OrErr, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A peer without TLS; every timeout is set: Pingora's default is to wait for ever.
pub(super) fn peer(address: SocketAddr, timeouts: &Timeouts) -> HttpPeer {
    bounded(HttpPeer::new(address, false, String::new()), timeouts)
}

fn bounded(mut peer: HttpPeer, timeouts: &Timeouts) -> HttpPeer {
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

/// A peer for requests to a node, made once per snapshot and cloned per attempt. A connection to it
/// counts as made when the node has answered on it, if that is wanted; with TLS its handshake is an
/// answer.
pub(super) fn request_peer(node: &Node, rules: &SelectorConfig) -> HttpPeer {
    let (address, timeouts, health) = (node.address(), &rules.timeouts, &rules.health);
    let mut peer = bounded(
        plain_or_secure(address, node.server_name(), &rules.trust),
        timeouts,
    );
    if node.server_name().is_some() {
        return peer;
    }
    if let Some(proven) = Proven::new(address, timeouts.connect, health) {
        peer.options.total_connection_timeout = Some(timeouts.connect + health.timeout);
        peer.options.custom_l4 = Some(Arc::new(proven) as Arc<dyn Connect + Send + Sync>);
    }
    peer
}

/// A connection to this address.
pub(super) async fn reach(to: &SocketAddr, within: Duration) -> Result<Stream> {
    let made = tokio::time::timeout(within, ext::connect(to, None)).await;
    let socket = made.or_err(ErrorType::ConnectTimedout, "no connection in time")??;
    Ok(socket.into())
}
