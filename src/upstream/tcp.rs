//! How does a plain TCP connection reach a node? The way of remote debugging: newline-delimited
//! JSON that we pass through unread.

use super::Live;
use super::peer::peer;
use super::relay::relay;
use crate::config::{Tcp as Settings, Timeouts};
use crate::model::Dice;
use crate::nodes::{NoTunnel, Tried, Tunnel};
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::connectors::TransportConnector;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The pass-through listener: what Pingora drives for each connection.
///
/// Connections do not hold up the end of the gateway, but they last until its last request has
/// left, because that may need the plugin behind one of them. A node that is lost closes its
/// connections; the SDK connects again, and then to another node.
pub struct Tcp {
    live: Arc<Live>,
    connector: TransportConnector,
}

impl Tcp {
    /// Passes connections to the nodes that are live.
    #[must_use]
    pub fn new(live: Arc<Live>) -> Self {
        Self {
            live,
            connector: TransportConnector::new(None),
        }
    }

    async fn pass(&self, client: Stream) {
        // The snapshot is let go before the connection is passed: one that lasts for days must not
        // keep old pools looking for their members.
        let (settings, timeouts) = {
            let config = &self.live.snapshot().config;
            (config.tcp.clone(), config.timeouts.clone())
        };
        let Some((tunnel, node)) = self.connect(&settings, &timeouts).await else {
            return;
        };
        let id = tunnel.node().id();
        log::info!("tcp connected node={id}");
        let ended = relay(client, node, settings.idle).await;
        log::info!("tcp closed node={id} why={}", ended.word());
    }

    /// Connects to the node with the fewest connections, or to the next one.
    async fn connect(&self, settings: &Settings, timeouts: &Timeouts) -> Option<(Tunnel, Stream)> {
        let mut tried = Tried::new();
        loop {
            let tunnel = self.claim(settings, &tried)?;
            let node = tunnel.node();
            let address = SocketAddr::new(node.address().ip(), settings.port);
            match self.connector.new_stream(&peer(address, timeouts)).await {
                Ok(stream) => return Some((tunnel, stream)),
                Err(error) => {
                    let id = node.id();
                    log::warn!("tcp not connected node={id} address={address} error={error}");
                    // Not a strike: a daemon without remote debugging serves its requests well.
                    tried.push(id.clone());
                }
            }
        }
    }

    fn claim(&self, settings: &Settings, tried: &Tried) -> Option<Tunnel> {
        let nodes = self.live.snapshot().plugin_pool().nodes();
        let mut dice = Dice::new();
        let most = settings.max_connections;
        match self.live.tunnels.open(&nodes, tried, most, &mut dice) {
            Ok(tunnel) => return Some(tunnel),
            Err(NoTunnel::Full { first: true }) => {
                log::warn!("tcp connections are turned away: there are {most} already");
            }
            Err(NoTunnel::Full { first: false }) => {}
            Err(NoTunnel::Nobody) => {
                log::warn!(
                    "tcp connection closed: no node takes it tried={}",
                    tried.len()
                );
            }
        }
        None
    }

    /// Returns when the listener is closed and the last request has left.
    async fn over(&self, mut closing: ShutdownWatch) {
        // A sender that is gone will not say anything more either.
        let _ = closing.wait_for(|closing| *closing).await;
        self.live.lifecycle.emptied().await;
    }
}

#[async_trait]
impl ServerApp for Tcp {
    async fn process_new(
        self: &Arc<Self>,
        client: Stream,
        closing: &ShutdownWatch,
    ) -> Option<Stream> {
        tokio::select! {
            () = self.pass(client) => {}
            () = self.over(closing.clone()) => {}
        }
        None
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").finish_non_exhaustive()
    }
}
