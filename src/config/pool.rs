//! Which nodes, in which groups, for which requests, under which strategy?

use super::address::Address;
use super::application::PoolKind;
use super::discover::Discover;
use super::expects::Expects;
use super::hash::{HashBy, RingRules};
use crate::model::{Class, NodeId, Role, Secret};
use std::time::Duration;

/// Nodes that serve the same routes under one strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name; unique.
    pub name: String,
    /// What its nodes are.
    pub kind: PoolKind,
    /// The route that says whether a node is well; none = that of the kind, or `health.path`.
    pub health_path: Option<String>,
    /// What its nodes want to be sent where an application is known, unless they have their own.
    pub upstream_key: Option<Secret>,
    /// The name of the pool that takes over when none of its nodes may serve.
    pub fallback: Option<String>,
    /// A word of `select::TABLE`.
    pub strategy: String,
    /// A strategy that is asked beside it and whose choice is only counted.
    pub shadow: Option<String>,
    /// True: when every node is unhealthy, one is tried all the same.
    pub fail_open: bool,
    /// False: of the backups only the first in the file that can serve does. True: all of them.
    pub use_all_backups: bool,
    /// By what its requests are hashed, where its strategy looks at that.
    pub hash: HashBy,
    /// What a node may have in flight, and how the other requests wait.
    pub waiting: Waiting,
    /// The nodes that the file lists: at least one unless `discover` finds some; at most one
    /// primary, not only backups.
    pub nodes: Vec<NodeEntry>,
    /// Where more nodes come from; none = nowhere.
    pub discover: Option<Discover>,
    /// Plugins that every node should run; none = nobody looks.
    pub expects: Option<Expects>,
}

/// How many requests may be on one node, and how long the others wait for it. Nothing is limited
/// unless the operator says so: a wrong limit costs more than it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// On each node of the pool that does not say it for itself.
    pub max_in_flight: Option<MaxInFlight>,
    /// Of one plugin on each node; the first that matches holds.
    pub plugin_caps: Vec<PluginCap>,
    /// A request that waited for so long goes to the least loaded node whatever the caps: it may be
    /// one that a running request waits for.
    pub max_hold: Duration,
    /// When so many wait, the next one is refused.
    pub max_queue: usize,
}

/// How many requests a node may have in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxInFlight {
    /// So many in all. Calls of every plugin wait for it.
    Node(u32),
    /// So many of a class. What waits for a model or a service rather than for the node
    /// (`dify::Asked::io_bound`) is neither counted nor held.
    Classes {
        /// Short ones, if they are limited.
        short: Option<u32>,
        /// Long ones, if they are limited.
        long: Option<u32>,
    },
}

/// How many requests of a plugin may be on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginCap {
    /// `author/name`; with `*` for anything. A pattern does not hold what is IO-bound, a name does.
    pub plugin: String,
    /// So many.
    pub most: u32,
}

impl Waiting {
    /// Whether the pool itself limits anything.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.max_in_flight.is_some() || !self.plugin_caps.is_empty()
    }
}

impl Pool {
    /// Whether anything of it is limited, so that requests may have to wait. A list of nodes in a
    /// file of its own may bring limits at any time.
    #[must_use]
    pub fn has_caps(&self) -> bool {
        let limited = |node: &NodeEntry| node.max_in_flight.is_some();
        let listed = self.discover.as_ref().is_some_and(Discover::lists_nodes);
        self.waiting.is_on() || self.nodes.iter().any(limited) || listed
    }

    /// Its nodes, each with the limit that holds for it.
    #[must_use]
    pub fn limited_nodes(&self) -> Vec<NodeEntry> {
        let limited = |node: &NodeEntry| NodeEntry {
            max_in_flight: node.max_in_flight.or(self.waiting.max_in_flight),
            ..node.clone()
        };
        self.nodes.iter().map(limited).collect()
    }
}

/// One node as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its name; unique in the whole file. Defaults to the address.
    pub id: NodeId,
    /// Where it listens.
    pub address: Address,
    /// Its part in the pool.
    pub role: Role,
    /// Its share of the work relative to others; 1 to 1000.
    pub weight: u16,
    /// False: takes nothing (maintenance).
    pub enabled: bool,
    /// True: takes nothing new; what runs there ends in peace.
    pub drain: bool,
    /// What it may have in flight, where that is not what its pool says.
    pub max_in_flight: Option<MaxInFlight>,
    /// What it wants to be sent, where that is not what its pool says.
    pub upstream_key: Option<Secret>,
    /// The name in its certificate, where that is not its host; only with `https://`.
    pub server_name: Option<String>,
}

impl NodeEntry {
    /// The name that its certificate must be for; none = it is reached without TLS.
    #[must_use]
    pub fn certified_as(&self) -> Option<&str> {
        let name = self.server_name.as_ref().unwrap_or(&self.address.host);
        self.address.tls.then_some(name)
    }
}

/// Sends requests whose path begins with `path` to `pool`. The longest prefix wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// Begins with `/`.
    pub path: String,
    /// The name of a pool.
    pub pool: String,
}

/// What the operator decides for requests that look so. The first rule that matches decides; what
/// it leaves open is settled as if there were no rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleEntry {
    /// What a request must look like.
    pub when: When,
    /// Its class; `None` (`auto` in YAML) leaves it to `learn`.
    pub class: Option<Class>,
    /// The name of its pool; `None` leaves it to `routes`.
    pub pool: Option<String>,
    /// True: no application's key is wanted.
    pub open: bool,
    /// So many requests that this rule decides may be in flight, in the whole fleet; the others wait.
    pub limit: Option<u32>,
}

/// What a request must look like: everything that is written must fit. In each pattern `*` stands
/// for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Of the operation: `tool/invoke`, `e` for a hook, else the word of the kind.
    pub op: Option<String>,
    /// Of the plugin: `author/name`; under `/e/` the hook's id.
    pub plugin: Option<String>,
    /// Of the tenant in the path.
    pub tenant: Option<String>,
    /// Of the application whose key it carries.
    pub application: Option<String>,
    /// Of the host it was sent to, without a port, in small letters.
    pub host: Option<String>,
    /// Of its path, without the query.
    pub path: Option<String>,
    /// Of its method.
    pub method: Option<String>,
    /// Of headers' first values, by name in small letters.
    pub header: Vec<(String, String)>,
}

/// A debug plugin and the node that has its developer's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugPlugin {
    /// `<uuid>/name`: the author of a debug plugin is a tenant's id. Unique.
    pub plugin: String,
    /// The name of a node of any pool.
    pub node: NodeId,
}

/// The parameters of the strategies that have any.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategies {
    /// `adaptive`: how many times a request of the same plugin counts, beyond once.
    pub plugin_weight: f64,
    /// `adaptive`: how many times a long request counts, beyond once.
    pub long_weight: f64,
    /// `adaptive`: how many times a long request of the same plugin counts, beyond both.
    pub plugin_long_weight: f64,
    /// `seed`: which of seed 000's two contradicting rules for two nodes holds.
    pub two_nodes: TwoNodes,
    /// `consistent_hash`: its ring.
    pub ring: RingRules,
}

/// Seed 000 says two things about a long request when node 2 is busy with a long one and node 1
/// is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoNodes {
    /// Its prose: node 1.
    Prose,
    /// Its diagram: node 2 all the same.
    Diagram,
}

/// Requests of the same plugin contend for one process: each counts three times.
const PLUGIN_WEIGHT: f64 = 2.0;
/// It occupies its node for longer, but not a core of it: more costs daemons, less others.
const LONG_WEIGHT: f64 = 0.25;
const PLUGIN_LONG_WEIGHT: f64 = 0.0; // `benches/README.md`: more costs where plugins wait

impl Default for Strategies {
    fn default() -> Self {
        Self {
            plugin_weight: PLUGIN_WEIGHT,
            long_weight: LONG_WEIGHT,
            plugin_long_weight: PLUGIN_LONG_WEIGHT,
            two_nodes: TwoNodes::Prose,
            ring: RingRules::default(),
        }
    }
}
