//! How do discovered nodes become members of a pool? The bridge to Pingora's service discovery.

use super::discovery::Discovery;
use crate::model::clock;
use crate::nodes::{Node, Roster};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::Result;
use pingora_load_balancing::Backend;
use pingora_load_balancing::discovery::ServiceDiscovery;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The nodes of one pool in the order in which they were configured. Pingora's own set is ordered
/// by address; "the first node" must mean what the operator wrote.
pub(super) type Crew = Arc<ArcSwap<Vec<Arc<Node>>>>;

/// Discovery as Pingora asks for it.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) source: Box<dyn Discovery>,
    pub(super) roster: Arc<Roster>,
    pub(super) crew: Crew,
}

#[async_trait]
impl ServiceDiscovery for Membership {
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut entries = self.source.discover().await.map_err(|error| {
            // Pingora drops discovery errors in silence.
            log::warn!("discovery failed, keeping the last known nodes error={error}");
            pingora::Error::because(pingora::InternalError, "discovery", error)
        })?;
        let mut addresses = HashSet::new();
        entries.retain(|entry| addresses.insert(entry.address));
        let nodes = self.roster.muster(&entries, clock::now());
        let members = nodes.iter().map(|node| Backend {
            addr: pingora::protocols::l4::socket::SocketAddr::Inet(node.address()),
            // Weights are the strategies' business; in Pingora a changed weight is a new member
            // whose health starts anew.
            weight: 1,
            ext: Default::default(),
        });
        let members = members.collect();
        self.crew.store(Arc::new(nodes));
        Ok((members, HashMap::new()))
    }
}
