//! What does the metrics page show of nodes and pools that is not counted but read when it is asked
//! for?

use crate::model::{Class, NodeId};
use std::time::Duration;

/// What is read when the page is asked for.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Each node of each pool.
    pub nodes: Vec<NodeState>,
    /// Each pool.
    pub pools: Vec<PoolState>,
    /// What was learned.
    pub known: KnownState,
    /// What other rooms count.
    pub gauges: Gauges,
}

/// What other rooms count.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Requests between header and end.
    pub open_requests: i64,
    /// Connections of clients.
    pub connections: i64,
    /// Operations remembered.
    pub operations: i64,
    /// Other gateways whose word still holds.
    pub other_gateways: i64,
    /// Whether the fleet's chores are ours.
    pub leader: bool,
    /// The effective threshold.
    pub long_threshold: Duration,
    /// Times that classifiers from outside failed.
    pub classifier_failures: u64,
}

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
    /// How much longer it rests.
    pub resting: Duration,
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

/// What the metrics page shows of what was learned.
#[derive(Clone, Debug)]
pub struct KnownState {
    /// Operations of the daemon's own list that were seen.
    pub operations: Vec<OperationState>,
    /// How often an operation was found to be short, and long, that was not called so before.
    pub changes: [u64; Class::ALL.len()],
    /// Plugins that run on a node and are known not to run on another.
    pub divergence: usize,
    /// How many of the expected plugins do not run on a node, where some are expected.
    pub missing: Vec<(NodeId, usize)>,
}

/// One operation, all plugins together.
#[derive(Clone, Copy, Debug)]
pub struct OperationState {
    /// Its name, from a closed list.
    pub name: &'static str,
    /// Whether it is called long.
    pub long: bool,
    /// What is compared with the threshold, in seconds.
    pub score: f64,
}
