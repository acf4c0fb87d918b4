//! What do we tell the fleet, and what does it tell us?

use crate::model::{Class, NodeId, Operation};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What we tell the fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Our name, new with every start.
    pub gateway: String,
    /// What else describes us.
    pub profile: Profile,
    /// Our leases per node; nodes without any may be left out.
    pub leases: Vec<Held>,
    /// The nodes that rest because of what happened here; never what others told us.
    pub rests: Vec<Rest>,
    /// What we saw of plugins on nodes, never what others told us; so many at most as
    /// [`Report::SIGHTS`].
    pub seen: Vec<Seen>,
    /// The embedding program's metrics, by name.
    pub custom: Vec<(String, f64)>,
    /// What we learned since the last report.
    pub learned: Vec<Learned>,
    /// What our operator wished since the last report.
    pub wishes: Vec<Wish>,
    /// What operators wished before we started, as far as we remember it. It counts where the fleet
    /// knows nothing.
    pub remembered: Vec<Wish>,
    /// The turns we need.
    pub turns: Vec<Turns>,
    /// The operators' views; they are written by the leader only.
    pub views: Views,
}

impl Report {
    /// More sights are not told, and no more of them heard from one gateway.
    pub const SIGHTS: usize = 256;
}

/// What describes a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The program's version.
    pub version: String,
    /// A hash of the configuration: different ones are drift.
    pub config: String,
    /// Where its clients connect.
    pub address: String,
    /// When it started, in seconds of the wall clock, for people.
    pub started: u64,
}

/// The leases of one gateway on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The node.
    pub node: NodeId,
    /// Short requests in flight.
    pub short: u32,
    /// Long requests in flight.
    pub long: u32,
    /// Leases ever taken: who reads twice knows how fast they come.
    pub taken: u64,
    /// Requests in flight per plugin, those with any.
    pub plugins: Vec<(String, u32)>,
}

/// A node that rests after failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// The node.
    pub node: NodeId,
    /// How much longer, in milliseconds.
    pub ms: u64,
}

/// What a gateway saw of a plugin on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The node.
    pub node: NodeId,
    /// The plugin, `author/name`.
    pub plugin: String,
    /// It runs there; otherwise it does not.
    pub present: bool,
    /// Milliseconds since it was seen, or a moment more.
    pub age: u64,
    /// How much longer an absence is believed, in milliseconds.
    pub ms: u64,
}

/// Samples of one operation, in the order in which they were learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The operation.
    pub operation: Operation,
    /// Durations in nanoseconds.
    pub samples: Vec<u64>,
    /// Is it called long here, with them?
    pub long: bool,
}

/// What an operator decides while gateways run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matter {
    /// A node's state: `ready`, `drain` or `maint`.
    State,
    /// A node's weight, and the configured one that it takes the place of: `7/1`.
    Weight,
    /// An operation's class: `short`, `long`, `auto`, or `none` when the pin was taken away.
    Pin,
}

impl Matter {
    /// The matter that a letter calls so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "state" => Some(Self::State),
            "weight" => Some(Self::Weight),
            "pin" => Some(Self::Pin),
            _ => None,
        }
    }
}

/// What a wish is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct About {
    /// What is decided ...
    pub matter: Matter,
    /// ... of which node or operation.
    pub name: String,
}

/// The operator decides something for all gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What it is about.
    pub about: About,
    /// What is decided, in one word.
    pub word: String,
}

impl Wish {
    /// The word of a pin that was taken away.
    pub const NONE: &str = "none";

    /// A wish in the words of its matter.
    #[must_use]
    pub fn new(matter: Matter, name: &str, word: impl Into<String>) -> Self {
        let name = name.to_owned();
        Self {
            about: About { matter, name },
            word: word.into(),
        }
    }

    /// A node gets this weight in place of the configured one; where another is configured by now,
    /// that one holds.
    #[must_use]
    pub fn weight(node: &NodeId, weight: u16, configured: u16) -> Self {
        let word = format!("{weight}/{configured}");
        Self::new(Matter::Weight, node.as_str(), word)
    }

    /// An operation is pinned; `None` leaves it to learning whatever the configuration pins.
    #[must_use]
    pub fn pin(operation: &str, class: Option<Class>) -> Self {
        Self::new(Matter::Pin, operation, Self::pin_word(class))
    }

    /// The word of such a pin.
    #[must_use]
    pub const fn pin_word(class: Option<Class>) -> &'static str {
        match class {
            Some(class) => class.word(),
            None => "auto",
        }
    }
}

/// Turns wanted in a fleet-wide round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// The round: pool and class.
    pub name: String,
    /// So many turns.
    pub many: u64,
}

/// Turns that are ours alone: `first`, `first + 1`, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The round.
    pub name: String,
    /// The first turn.
    pub first: u64,
    /// So many of them.
    pub many: u64,
}

/// What operators read with `redis-cli`: fields and their JSON. Nobody decides by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Views {
    /// `node:status`, per node.
    pub nodes: Vec<(String, String)>,
    /// `cluster:status`, per node and per gateway.
    pub members: Vec<(String, String)>,
    /// `custom:stats`, per metric.
    pub custom: Vec<(String, String)>,
}

/// What the fleet tells us.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// The other gateways that told something lately.
    pub others: Vec<Neighbour>,
    /// Who does the fleet's chores.
    pub leader: Option<Leader>,
    /// What the others learned, as far as it is new to us.
    pub lessons: Vec<Lesson>,
    /// What operators wished, as far as it is new to us.
    pub wishes: Vec<Wish>,
    /// Turns that are ours now.
    pub turns: Vec<Granted>,
}

/// Another gateway, as it described itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Its name.
    pub gateway: String,
    /// How old its word was when we heard it, by the one clock of Redis.
    pub age: Duration,
    /// What describes it.
    pub profile: Profile,
    /// Its leases.
    pub leases: Vec<Held>,
    /// The nodes that rest because of what happened there.
    pub rests: Vec<Rest>,
    /// What it saw of plugins, to be counted from when we heard it.
    pub seen: Vec<Seen>,
    /// The metrics of the program that embeds it.
    pub custom: Vec<(String, f64)>,
}

/// Who does the fleet's chores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub gateway: String,
    /// How long its word holds without being renewed.
    pub lasting: Duration,
    /// Higher for each next term.
    pub fence: u64,
}

/// Samples that others took of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// The operation.
    pub operation: Operation,
    /// So many are new to us ...
    pub count: u64,
    /// ... and of these we know the durations of the latest, in nanoseconds, oldest first.
    pub samples: Vec<u64>,
    /// We have just joined: this is all that others ever took, and may be what we remember.
    pub whole: bool,
}
