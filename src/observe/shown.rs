//! What does the metrics page show of nodes and pools that is not counted but read when it is asked
//! for?

use crate::model::{Class, NodeId};

/// What the metrics page shows of one node.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// Its name.
    pub id: NodeId,
    /// The verdict of its checks.
    pub up: bool,
    /// Leases, short and long.
    pub in_flight: [u32; Class::ALL.len()],
    /// Load beyond ours.
    pub beyond: u32,
    /// Plain TCP connections that pass through to it.
    pub tcp: u32,
    /// The operator's hand, as a word.
    pub hand: &'static str,
    /// How many times slower than the fastest it provably is.
    pub slowness: f64,
    /// The share of requests that failed lately.
    pub failing: f64,
}

/// What the metrics page shows of one pool.
#[derive(Clone, Debug)]
pub struct PoolState {
    /// Its name.
    pub name: String,
    /// How many times slower short requests are beside a long one, once measured.
    pub lanes_ratio: Option<f64>,
    /// Long requests are kept off one node.
    pub lanes_apart: bool,
    /// Plugins do not matter there.
    pub plugins_alike: bool,
    /// How much what is known of others counts.
    pub damping: Option<f64>,
    /// Its search for nodes, if it searches.
    pub looking: Option<Looking>,
}

/// What the metrics page shows of a pool whose members may change.
#[derive(Clone, Copy, Debug)]
pub struct Looking {
    /// Whether every source answered when it was last asked.
    pub up: bool,
    /// Its nodes.
    pub members: usize,
}
