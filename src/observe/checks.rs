//! What is counted of the nodes' checks?

use super::families::{counter, measures};
use crate::model::NodeId;
use prometheus::{GaugeVec, IntCounterVec, Registry, Result};
use std::time::Duration;

/// How a check of a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckEnd {
    /// It is well.
    Passed,
    /// Nobody took the connection.
    Unreached,
    /// It did not answer in time.
    Silent,
    /// The connection broke, or what came is no answer.
    Broke,
    /// It answered, and is not well.
    Unwell,
}

impl CheckEnd {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Passed,
        Self::Unreached,
        Self::Silent,
        Self::Broke,
        Self::Unwell,
    ];

    /// The label.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unreached => "unreached",
            Self::Silent => "silent",
            Self::Broke => "broke",
            Self::Unwell => "unwell",
        }
    }
}

/// Counts checks. A copy counts for the same page.
#[derive(Clone, Debug)]
pub struct CheckMetrics {
    ended: IntCounterVec,
    took: GaugeVec,
}

impl CheckMetrics {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        Ok(Self {
            ended: counter(
                into,
                "twolane_health_checks_total",
                "Checks of nodes by how they ended.",
                &["node", "result"],
            )?,
            took: measures(
                into,
                "twolane_health_check_duration_seconds",
                "How long the node's latest check took.",
                &["node"],
            )?,
        })
    }

    /// A check of this node ended.
    pub fn checked(&self, node: &NodeId, end: CheckEnd, took: Duration) {
        let (node, word) = (node.as_str(), end.word());
        self.ended.with_label_values(&[node, word]).inc();
        self.took.with_label_values(&[node]).set(took.as_secs_f64());
    }

    pub(super) const fn ended(&self) -> &IntCounterVec {
        &self.ended
    }

    pub(super) const fn took(&self) -> &GaugeVec {
        &self.took
    }
}
