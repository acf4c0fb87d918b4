//! Nodes as the configuration lists them; host names are resolved here, in the background.

use super::{Discovery, DiscoveryError};
use crate::config::NodeEntry;
use crate::nodes::{Entry, Hand};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long one look-up may take. The last addresses stay when it fails.
const LOOKUP: Duration = Duration::from_secs(2);

/// The last good addresses of each host name. Outlives reloads: a reload in a moment without DNS
/// must not lose the nodes that were known.
#[derive(Debug, Default)]
pub struct Names {
    last_good: Mutex<HashMap<String, Vec<IpAddr>>>,
}

impl Names {
    async fn look_up(&self, host: &str) -> Vec<IpAddr> {
        let answer = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 0))).await;
        let found = match answer {
            Ok(Ok(found)) => distinct(found.map(|address| address.ip())),
            Ok(Err(error)) => {
                log::warn!("host name not resolved host={host} error={error}");
                Vec::new()
            }
            Err(_late) => {
                log::warn!("host name not resolved in time host={host}");
                Vec::new()
            }
        };
        let mut last_good = self.last_good.lock();
        if found.is_empty() {
            return last_good.get(host).cloned().unwrap_or_default();
        }
        last_good.insert(host.to_owned(), found.clone());
        found
    }
}

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
                max_in_flight: node.max_in_flight,
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
            max_in_flight: None,
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
        let names = Arc::new(Names::default());
        let fixed = Fixed::new(vec![node("no-such-host.invalid")], Arc::clone(&names));
        assert!(fixed.discover().await.is_err());
        let known = vec![IpAddr::from([127, 0, 0, 3])];
        let host = "no-such-host.invalid".to_owned();
        names.last_good.lock().insert(host, known);
        let entries = fixed.discover().await.expect("the last good address stays");
        assert_eq!(entries[0].address, "127.0.0.3:5002".parse().unwrap());
    }
}
