//! Nodes as the configuration lists them; host names are resolved here, in the background.

use super::{Discovery, DiscoveryError, Names};
use crate::config::NodeEntry;
use crate::nodes::{Entry, Hand};
use async_trait::async_trait;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The configured nodes. A name with several addresses (a service with replicas) becomes one node
/// for each, named `id@address`.
#[derive(Debug)]
pub struct Fixed {
    nodes: Vec<NodeEntry>,
    names: Arc<Names>,
}

impl Fixed {
    /// From the configuration's list.
    #[must_use]
    pub const fn new(nodes: Vec<NodeEntry>, names: Arc<Names>) -> Self {
        Self { nodes, names }
    }

    /// True when no name needs resolving: one look is enough.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        let mut hosts = self.nodes.iter().map(|node| &node.address.host);
        hosts.all(|host| host.parse::<IpAddr>().is_ok())
    }
}

#[async_trait]
impl Discovery for Fixed {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let mut entries = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let host = node.address.host.as_str();
            let addresses = match host.parse::<IpAddr>() {
                Ok(literal) => vec![literal],
                Err(_a_name) => self.names.look_up(host).await,
            };
            let single = addresses.len() == 1;
            entries.extend(addresses.into_iter().map(|ip| Entry {
                id: if single {
                    node.id.clone()
                } else {
                    format!("{}@{ip}", node.id).into()
                },
                address: SocketAddr::new(ip, node.address.port),
                role: node.role,
                weight: node.weight,
                hand: hand(node),
                boot: None,
                max_in_flight: node.max_in_flight,
                server_name: node.certified_as().map(Arc::from),
            }));
        }
        if entries.is_empty() {
            let error = "no node has an address: no host name could be resolved";
            return Err(DiscoveryError(error.to_owned()));
        }
        Ok(entries)
    }
}

fn hand(node: &NodeEntry) -> Hand {
    match (node.enabled, node.drain) {
        (false, _) => Hand::Maint,
        (true, true) => Hand::Drain,
        (true, false) => Hand::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;
    use crate::model::Role;

    fn node(host: &str) -> NodeEntry {
        NodeEntry {
            id: "n1".into(),
            address: Address {
                host: host.into(),
                port: 5002,
                tls: false,
            },
            role: Role::Primary,
            weight: 3,
            enabled: true,
            drain: true,
            max_in_flight: None,
            upstream_key: None,
            server_name: None,
        }
    }

    #[tokio::test]
    async fn a_literal_address_needs_no_look_up() {
        let fixed = Fixed::new(vec![node("127.0.0.9")], Arc::default());
        assert!(fixed.is_literal());
        let entries = fixed.discover().await.expect("an address");
        assert_eq!(entries[0].address, "127.0.0.9:5002".parse().unwrap());
        assert_eq!(entries[0].hand, Hand::Drain);
        assert_eq!(entries[0].weight, 3);
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_an_unknown_one_is_an_error() {
        let fixed = Fixed::new(vec![node("localhost")], Arc::default());
        assert!(!fixed.is_literal());
        let entries = fixed.discover().await.expect("localhost resolves");
        assert!(entries.iter().all(|entry| entry.address.ip().is_loopback()));
        let fixed = Fixed::new(vec![node("no-such-host.invalid")], Arc::default());
        assert!(fixed.discover().await.is_err());
    }
}
