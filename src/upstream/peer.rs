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
use tokio::net::TcpSocket;

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
    peer.options.tcp_recv_buf = rules.buffer;
    if node.server_name().is_some() {
        return peer;
    }
    if let Some(proven) = Proven::new(address, timeouts.connect, health, rules.buffer) {
        peer.options.total_connection_timeout = Some(timeouts.connect + health.timeout);
        peer.options.custom_l4 = Some(Arc::new(proven) as Arc<dyn Connect + Send + Sync>);
    }
    peer
}

/// A connection to this address, whose kernel holds no more of what comes than `buffer`. That must be
/// said before it is made: what a node was allowed to send stays allowed.
pub(super) async fn reach(
    to: &SocketAddr,
    within: Duration,
    buffer: Option<usize>,
) -> Result<Stream> {
    let made = async {
        let Some(buffer) = buffer.and_then(|size| u32::try_from(size).ok()) else {
            return ext::connect(to, None).await;
        };
        let socket = match to {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.or_err(ErrorType::SocketError, "no socket")?;
        let set = socket.set_recv_buffer_size(buffer);
        set.or_err(ErrorType::SocketError, "limits.node_buffer")?;
        let made = socket.connect(*to).await;
        made.or_err(ErrorType::ConnectError, "not reached")
    };
    let made = tokio::time::timeout(within, made).await;
    let socket = made.or_err(ErrorType::ConnectTimedout, "no connection in time")??;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_is_reached_with_the_buffer_that_is_wanted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let held = async |buffer| {
            let made = reach(&to, Duration::from_secs(60), buffer).await;
            ext::get_recv_buf(made.unwrap().as_raw_fd()).unwrap()
        };
        // Linux doubles what is asked for, for what it keeps beside the bytes.
        assert_eq!(held(Some(8192)).await, 2 * 8192);
        assert!(held(None).await > 2 * 8192);
        drop(listener);
        let refused = reach(&to, Duration::from_secs(60), Some(8192)).await;
        assert_eq!(refused.err().unwrap().etype(), &ErrorType::ConnectError);
    }
}
