//! How do discovered nodes become members of a pool? The bridge to Pingora's service discovery.

use super::discovery::{Discovery, DiscoveryError, PoolSource};
use super::health::Checks;
use crate::model::clock;
use crate::nodes::{HealthRoute, Node, Roster};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::Result;
use pingora_load_balancing::Backend;
use pingora_load_balancing::discovery::ServiceDiscovery;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The nodes of one pool in the order in which they were configured. Pingora's own set is ordered
/// by address; "the first node" must mean what the operator wrote.
pub(super) type Crew = Arc<ArcSwap<Vec<Arc<Node>>>>;

/// Discovery as Pingora asks for it.
#[derive(Debug)]
pub(super) struct Membership {
    pool: String,
    source: Arc<PoolSource>,
    roster: Arc<Roster>,
    checks: Checks,
    crew: Crew,
    /// How its nodes are asked whether they are well, where not as daemons are.
    asks: Option<HealthRoute>,
    /// A first look was had, whatever it brought: from then on changes are news.
    began: AtomicBool,
    /// Why the last look failed; told once.
    trouble: Mutex<Option<DiscoveryError>>,
}

impl Membership {
    /// A membership of nobody yet. `around` is the roster, the checks, and where the nodes are kept.
    pub(super) fn new(
        pool: &str,
        source: Arc<PoolSource>,
        around: (&Arc<Roster>, &Checks, &Crew),
    ) -> Self {
        let (roster, checks, crew) = around;
        Self {
            pool: pool.to_owned(),
            source,
            roster: Arc::clone(roster),
            checks: checks.clone(),
            crew: Arc::clone(crew),
            asks: None,
            began: AtomicBool::new(false),
            trouble: Mutex::default(),
        }
    }

    /// Its nodes are asked at a route of their own.
    pub(super) fn asking(self, asks: Option<HealthRoute>) -> Self {
        Self { asks, ..self }
    }

    /// Puts nodes into the place of the old ones: those that stay are the same. Who is new in a pool
    /// that serves is checked before the first request can reach it.
    async fn take(&self, nodes: Vec<Arc<Node>>, first: bool) {
        let before = self.crew.load_full();
        let added = without(&nodes, &before);
        let removed = without(&before, &nodes);
        if self.source.is_dynamic() && self.roster.is_open() {
            self.checks.greet(&added).await;
        }
        let members = nodes.len();
        self.crew.store(Arc::new(nodes));
        let expected = first && (self.roster.is_open() || !self.source.is_dynamic());
        if expected || (added.is_empty() && removed.is_empty()) {
            return;
        }
        let signed = |sign, nodes: &[Arc<Node>]| {
            let names = nodes.iter().map(|node| format!(" {sign}{}", node.id()));
            names.collect::<String>()
        };
        let changes = signed('+', &added) + &signed('-', &removed);
        log::info!(
            "members changed pool={} members={members}{changes}",
            self.pool
        );
    }
}

/// Those of `nodes` that are not among the others.
fn without(nodes: &[Arc<Node>], others: &[Arc<Node>]) -> Vec<Arc<Node>> {
    let known: HashSet<_> = others.iter().map(Arc::as_ptr).collect();
    let new = nodes
        .iter()
        .filter(|node| !known.contains(&Arc::as_ptr(node)));
    new.cloned().collect()
}

/// Weights are the strategies' business, and Pingora has no other use for them here than to see
/// that another node took over an address, or has another weight, so that the selector is built
/// anew: it compares members by address and weight. Their health is kept by address alone.
fn mark(node: &Node) -> usize {
    let mut hasher = DefaultHasher::new();
    (node.id(), node.server_name(), node.weight()).hash(&mut hasher);
    1 + usize::from(u16::from_le_bytes([
        hasher.finish().to_le_bytes()[0],
        hasher.finish().to_le_bytes()[1],
    ]))
}

#[async_trait]
impl ServiceDiscovery for Membership {
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let first = !self.began.swap(true, Ordering::Relaxed);
        let found = self.source.discover().await;
        let told = std::mem::replace(&mut *self.trouble.lock(), found.as_ref().err().cloned());
        let mut entries = found.map_err(|error| {
            // Pingora drops discovery errors in silence.
            if told.as_ref() != Some(&error) {
                let pool = &self.pool;
                log::warn!("no nodes found, keeping the last known ones pool={pool} error={error}");
            }
            pingora::Error::because(pingora::InternalError, "discovery", error)
        })?;
        let mut addresses = HashSet::new();
        entries.retain(|entry| addresses.insert(entry.address));
        let nodes = self.roster.muster(&entries, clock::now());
        for node in &nodes {
            node.health_route().set(self.asks.clone());
        }
        let members = nodes.iter().map(|node| Backend {
            addr: pingora::protocols::l4::socket::SocketAddr::Inet(node.address()),
            weight: mark(node),
            ext: Default::default(),
        });
        let members = members.collect();
        self.take(nodes, first).await;
        Ok((members, HashMap::new()))
    }
}
