//! What does an explanation ask, and say?

use http::HeaderMap;
use serde::Serialize;

/// A request to explain.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// Its method.
    pub method: String,
    /// Its path; a query is not looked at.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The head of its body.
    pub body: String,
    /// How long the body is; the header's word where it is not said.
    pub body_length: Option<u64>,
}

/// What would happen, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// What is asked.
    pub request: Told,
    /// Why it would not be forwarded at all.
    pub refused: Option<String>,
    /// How its kind is treated.
    pub treatment: Care,
    /// Short or long, and why.
    pub class: Classed,
    /// The rule of the operator that decides something: its place in the file, from 1.
    pub rule: Option<usize>,
    /// Whose it is, where that is told by a key.
    pub application: Option<String>,
    /// What that rule lets be in flight, if it limits it.
    pub limit: Option<Limit>,
    /// The pool.
    pub pool: String,
    /// Whether a cap per plugin would pay there, by what was measured.
    pub advice: String,
    /// Its strategy.
    pub strategy: String,
    /// Each node of the pool.
    pub nodes: Vec<NodeTold>,
    /// The node it would go to.
    pub choice: Option<Chosen>,
    /// The node that `least_in_flight` would choose.
    pub least_in_flight: Option<Chosen>,
    /// The node that the pool's shadow would choose.
    pub shadow: Option<Chosen>,
    /// Why nobody may serve it, if so.
    pub nobody: Option<String>,
    /// What else is to be known of this answer.
    pub notes: Vec<String>,
}

/// What is asked.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    pub method: String,
    pub path: String,
    pub kind: &'static str,
    pub operation: Option<String>,
    pub plugin: Option<String>,
    pub tenant: Option<String>,
}

/// How its kind is treated.
#[derive(Clone, Debug, Serialize)]
pub struct Care {
    /// Patience between two bytes, in milliseconds.
    pub read_ms: u64,
    /// The largest body, in bytes.
    pub body_limit: u64,
    /// All of a tenant's requests of this kind go to one node.
    pub one_writer: bool,
    /// Its body is too large to be sent twice.
    pub once: bool,
}

/// Short or long, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Classed {
    /// The word of the class.
    pub class: &'static str,
    /// The word of its ground.
    pub basis: &'static str,
    /// What was compared with the threshold.
    pub score_ms: Option<f64>,
    /// How many samples the score rests on.
    pub samples: Option<u32>,
    /// From here on a duration is long.
    pub threshold_ms: f64,
    /// What each level of its key says, finest first.
    pub keys: Vec<LevelTold>,
}

/// What one level of its key says.
#[derive(Clone, Debug, Serialize)]
pub struct LevelTold {
    pub key: String,
    pub samples: u64,
    pub score_ms: f64,
    pub running: usize,
    pub says: Option<&'static str>,
}

/// The places of a rule.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limit {
    /// So many may be in flight in the whole fleet.
    pub most: u32,
    /// This gateway's part of that.
    pub here: u32,
    /// So many are here now.
    pub in_flight: u32,
}

/// One node, as this request would find it.
#[derive(Clone, Debug, Serialize)]
pub struct NodeTold {
    /// Its name.
    pub node: String,
    /// Why it may not serve; none: it may.
    pub against: Option<&'static str>,
    /// What the strategy compares, lowest first; none where it compares nothing.
    pub score: Option<f64>,
    /// Is the plugin there: present, unknown, absent.
    pub presence: &'static str,
    /// The operator's hand.
    pub state: &'static str,
    /// Its part in the pool.
    pub role: &'static str,
    /// The verdict of its checks.
    pub healthy: bool,
    /// How long it still rests after failures.
    pub resting_ms: f64,
    /// Its share of the work relative to others.
    pub weight: u16,
    /// What runs there.
    pub in_flight: Flight,
}

/// What runs on a node.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Flight {
    /// Short requests of ours.
    pub short: u32,
    /// Long ones.
    pub long: u32,
    /// Those of the same plugin.
    pub same_plugin: u32,
    /// What the node reports beyond ours.
    pub beyond: u32,
}

/// A node that would be chosen.
#[derive(Clone, Debug, Serialize)]
pub struct Chosen {
    /// Its name.
    pub node: String,
    /// The reason.
    pub why: &'static str,
    /// Where chance decided: all that were equal.
    pub equals: Vec<String>,
}
