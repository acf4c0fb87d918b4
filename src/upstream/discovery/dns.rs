//! Every address of a name is a node: a headless service, or a compose service with replicas.

use super::fence::Fence;
use super::{Discovery, DiscoveryError, Names};
use crate::config::Address;
use crate::model::Role;
use crate::nodes::{Entry, Hand};
use async_trait::async_trait;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A name and its addresses. A node is called by its address: names of replicas are not told.
#[derive(Debug)]
pub(super) struct Dns {
    pub(super) name: Address,
    pub(super) names: Arc<Names>,
    pub(super) fence: Arc<Fence>,
}

#[async_trait]
impl Discovery for Dns {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let mut found = self
            .names
            .ask(&self.name.host)
            .await
            .map_err(DiscoveryError)?;
        // A daemon with an address of each family would count twice.
        if found
            .iter()
            .any(|ip| ip.is_ipv4() && self.fence.allows(*ip))
        {
            found.retain(IpAddr::is_ipv4);
        }
        let certified = self.name.tls.then(|| Arc::from(self.name.host.as_str()));
        let entry = |ip| Entry {
            server_name: certified.clone(),
            ..called_by_address(SocketAddr::new(ip, self.name.port))
        };
        Ok(found.into_iter().map(entry).collect())
    }
}

/// A node of which nothing is known but where it is.
pub(super) fn called_by_address(address: SocketAddr) -> Entry {
    Entry {
        // Without the brackets of IPv6: a name goes into logs, metrics and paths.
        id: format!("{}:{}", address.ip(), address.port()).into(),
        address,
        role: Role::Secondary,
        weight: 1,
        hand: Hand::Ready,
        boot: None,
        max_in_flight: None,
        server_name: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lookup;
    use super::*;

    fn dns(answer: &[&str], allow: &[&str]) -> Dns {
        let answer: Vec<IpAddr> = answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
        Dns {
            name: "daemon:5002".parse().expect("a name"),
            names: Arc::new(Names::with(Lookup::new(move |_host| {
                let answer = answer.clone();
                async move { Ok(answer) }
            }))),
            fence: Arc::new(Fence::new(Vec::new(), allow)),
        }
    }

    async fn names(dns: Dns) -> Vec<String> {
        let found = dns.discover().await.expect("an answer");
        found.iter().map(|entry| entry.id.to_string()).collect()
    }

    #[tokio::test]
    async fn every_address_is_a_node_and_a_daemon_with_two_families_is_one() {
        let both = ["10.0.0.2", "fd00::1", "10.0.0.1"];
        assert_eq!(
            names(dns(&both, &[])).await,
            ["10.0.0.1:5002", "10.0.0.2:5002"]
        );
        assert_eq!(names(dns(&["fd00::1"], &[])).await, ["fd00::1:5002"]);
        let six = names(dns(&both, &["fd00::/8"])).await;
        assert!(six.contains(&"fd00::1:5002".to_owned()), "{six:?}");
    }
}
