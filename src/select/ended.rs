//! How does an attempt end, and who is told? One way for the gateway and for simulations.

use super::Strategy;
use crate::learn::{Classifier, ln_seconds};
use crate::model::{Class, Operation, Outcome, PluginPlace};
use crate::nodes::{Lease, Node};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One attempt that ended, as its strategy is told.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The node it ran on.
    pub node: &'a Node,
    /// The plugin whose runtime it occupied.
    pub plugin: PluginPlace,
    /// What it was taken for when the node was chosen.
    pub class: Class,
    /// How it ended. Only `Answered` says how long such a request takes.
    pub outcome: Outcome,
    /// From the choice of the node to its last byte.
    pub duration: Duration,
    /// What its operation usually took before: a mean of the logarithms of seconds. `None` while
    /// too little is known.
    pub expected: Option<f64>,
    /// A long request ran on the node when this one was sent there.
    pub beside_long: bool,
    /// How many of its plugin, and how many others, ran there then.
    pub met: (u32, u32),
    /// The time.
    pub now: Instant,
}

/// Ends an attempt: frees the node and notes its pace, teaches the learner, tells the strategy.
///
/// `operation` is the key under which it is learned; none for what is not learned. Whether a
/// failure sends the node to rest is decided before, where its meaning is known.
pub fn settle(
    lease: Lease,
    strategy: &dyn Strategy,
    learner: &dyn Classifier,
    operation: Option<&Operation>,
    outcome: Outcome,
    now: Instant,
) {
    if outcome == Outcome::Answered {
        lease.note_success();
    }
    let node = Arc::clone(lease.node());
    let ended = Ended {
        node: &node,
        plugin: lease.plugin(),
        class: lease.class(),
        outcome,
        duration: lease.age(now),
        expected: operation.and_then(|operation| learner.expected(operation)),
        beside_long: lease.beside_long(),
        met: lease.met(),
        now,
    };
    if let (Outcome::Answered, Some(expected)) = (outcome, ended.expected) {
        let residual = ln_seconds(ended.duration) - expected;
        node.note_pace(residual, now);
    }
    let sample = lease.settle(outcome, now);
    if let (Some(operation), Some(sample)) = (operation, sample) {
        learner.learn(operation, sample, now);
    }
    strategy.ended(&ended);
}
