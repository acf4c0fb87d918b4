//! Nodes as the configuration lists them; host names are resolved here, in the background.

use super::{Discovery, DiscoveryError};
use crate::config::NodeEntry;
use crate::model::NodeId;
use crate::nodes::{Entry, Hand};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long one look-up may take. The last addresses stay when it fails.
const LOOKUP: Duration = Duration::from_secs(2);

/// The configured nodes. A name with several addresses (a service with replicas) becomes one node
/// for each, named `id@address`.
#[derive(Debug)]
pub struct Fixed {
    nodes: Vec<NodeEntry>,
    last_good: Mutex<HashMap<NodeId, Vec<IpAddr>>>,
}

impl Fixed {
    /// From the configuration's list.
    #[must_use]
    pub fn new(nodes: Vec<NodeEntry>) -> Self {
        Self {
            nodes,
            last_good: Mutex::default(),
        }
    }

    /// True when no name needs resolving: one look is enough.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| node.address.host.parse::<IpAddr>().is_ok())
    }

    async fn addresses(&self, node: &NodeEntry) -> Vec<IpAddr> {
        if let Ok(literal) = node.address.host.parse::<IpAddr>() {
            return vec![literal];
        }
        let query = (node.address.host.as_str(), node.address.port);
        let answer = tokio::time::timeout(LOOKUP, tokio::net::lookup_host(query)).await;
        let found: Vec<IpAddr> = match answer {
            Ok(Ok(found)) => distinct(found.map(|address| address.ip())),
            Ok(Err(error)) => {
                log::warn!("host name not resolved node={} error={error}", node.id);
                Vec::new()
            }
            Err(_late) => {
                log::warn!("host name not resolved in time node={}", node.id);
                Vec::new()
            }
        };
        let mut last_good = self.last_good.lock();
        if found.is_empty() {
            return last_good.get(&node.id).cloned().unwrap_or_default();
        }
        last_good.insert(node.id.clone(), found.clone());
        found
    }
}

fn distinct(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

#[async_trait]
impl Discovery for Fixed {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let mut entries = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let addresses = self.addresses(node).await;
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
            },
            role: Role::Primary,
            weight: 3,
            enabled: true,
            drain: true,
        }
    }

    #[tokio::test]
    async fn a_literal_address_needs_no_look_up() {
        let fixed = Fixed::new(vec![node("127.0.0.9")]);
        assert!(fixed.is_literal());
        let entries = fixed.discover().await.expect("an address");
        assert_eq!(entries[0].address, "127.0.0.9:5002".parse().unwrap());
        assert_eq!(entries[0].hand, Hand::Drain);
        assert_eq!(entries[0].weight, 3);
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_an_unknown_one_is_an_error() {
        let fixed = Fixed::new(vec![node("localhost")]);
        assert!(!fixed.is_literal());
        let entries = fixed.discover().await.expect("localhost resolves");
        assert!(entries.iter().all(|entry| entry.address.ip().is_loopback()));
        let fixed = Fixed::new(vec![node("no-such-host.invalid")]);
        assert!(fixed.discover().await.is_err());
    }
}
