//! Which rule chooses in this run?

use super::peers;
use std::sync::Arc;
use twolane::config::{Strategies, TwoNodes};
use twolane::model::{LearnRules, Threshold};
use twolane::select::{self, Strategy};

/// A rule with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// A word of `select::TABLE`, or of `peers::TABLE`.
    pub(crate) word: &'static str,
    pub(crate) strategies: Strategies,
    pub(crate) learn: LearnRules,
    /// Nodes rest after failures, as they do by default.
    pub(crate) resting: bool,
}

impl Policy {
    pub(crate) fn of(word: &'static str) -> Self {
        Self {
            word,
            strategies: Strategies::default(),
            learn: LearnRules::default(),
            resting: true,
        }
    }

    pub(crate) fn threshold(mut self, threshold: Threshold) -> Self {
        self.learn.long_threshold = threshold;
        self
    }

    pub(crate) fn weights(mut self, plugin: f64, long: f64) -> Self {
        self.strategies.plugin_weight = plugin;
        self.strategies.long_weight = long;
        self
    }

    pub(crate) fn plugin_long(mut self, weight: f64) -> Self {
        self.strategies.plugin_long_weight = weight;
        self
    }

    pub(crate) fn two_nodes(mut self, rule: TwoNodes) -> Self {
        self.strategies.two_nodes = rule;
        self
    }

    /// Nodes never rest: what other proxies do unless told otherwise.
    pub(crate) fn restless(mut self) -> Self {
        self.resting = false;
        self
    }

    /// Makes one.
    pub(crate) fn build(&self) -> Arc<dyn Strategy> {
        let found = select::build(self.word, &self.strategies).or_else(|| peers::build(self.word));
        found.expect("a word of one of the two tables")
    }
}
