//! Which strategies are there, and what are they called?

use super::{
    Strategy, adaptive, consistent_hash, first, least_in_flight, peak_ewma, random, round_robin,
    seed, two_choices, weighted_round_robin,
};
use crate::config::Strategies;
use std::sync::Arc;

/// One strategy an operator can name.
#[derive(Debug)]
pub struct Row {
    /// The word after `strategy:`.
    pub word: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Makes one for a pool.
    pub build: fn(&Strategies) -> Arc<dyn Strategy>,
}

/// Every strategy, in the order in which documentation lists them.
pub const TABLE: &[Row] = &[
    Row {
        word: "adaptive",
        about: "least load, where requests of the same plugin and long requests count more",
        build: |rules| Arc::new(adaptive::Adaptive::new(rules)),
    },
    Row {
        word: "consistent_hash",
        about: "requests of one key to one node, as long as that has not too much",
        build: |rules| Arc::new(consistent_hash::ConsistentHash::new(rules)),
    },
    Row {
        word: "first",
        about: "all to one node: the primary, else the first that may serve",
        build: |_| Arc::new(first::First),
    },
    Row {
        word: "least_in_flight",
        about: "fewest requests in flight for its weight",
        build: |_| Arc::new(least_in_flight::LeastInFlight),
    },
    Row {
        word: "peak_ewma",
        about: "shortest expected wait: the latest worst duration times requests in flight",
        build: |_| Arc::new(peak_ewma::PeakEwma),
    },
    Row {
        word: "random",
        about: "by chance, in proportion to weight",
        build: |_| Arc::new(random::Random),
    },
    Row {
        word: "round_robin",
        about: "each in turn, short and long in turns of their own",
        build: |_| Arc::new(round_robin::RoundRobin::default()),
    },
    Row {
        word: "seed",
        about: "seed 000 to the letter: short to the main node, long in turn over the others",
        build: |rules| Arc::new(seed::Seed::new(rules.two_nodes)),
    },
    Row {
        word: "two_choices",
        about: "the less loaded of two random ones",
        build: |_| Arc::new(two_choices::TwoChoices),
    },
    Row {
        word: "weighted_round_robin",
        about: "each in turn, as often as its weight says, evenly spread",
        build: |_| Arc::new(weighted_round_robin::WeightedRoundRobin),
    },
];

/// The words of [`TABLE`], for the configuration's check.
pub const WORDS: &[&str] = &[
    "adaptive",
    "consistent_hash",
    "first",
    "least_in_flight",
    "peak_ewma",
    "random",
    "round_robin",
    "seed",
    "two_choices",
    "weighted_round_robin",
];

/// For requests that have waited long enough: least load, whatever the pool's strategy.
#[must_use]
pub fn least_loaded() -> Arc<dyn Strategy> {
    Arc::new(least_in_flight::LeastInFlight)
}

/// Makes the strategy of that name; `None` for a word that is not in [`TABLE`].
#[must_use]
pub fn build(word: &str, rules: &Strategies) -> Option<Arc<dyn Strategy>> {
    TABLE
        .iter()
        .find(|row| row.word == word)
        .map(|row| (row.build)(rules))
}
