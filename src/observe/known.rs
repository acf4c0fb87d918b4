//! What is shown of what was learned? Operations by the daemon's own list, because clients invent
//! others.

use super::families::{counter, gauge, gauges, measures};
use super::shown::KnownState;
use crate::model::Class;
use prometheus::{GaugeVec, IntCounter, IntGauge, IntGaugeVec, Registry, Result};

#[derive(Debug)]
pub(super) struct Known {
    score: GaugeVec,
    long: IntGaugeVec,
    changes: [IntCounter; Class::ALL.len()],
    divergence: IntGauge,
    missing: IntGaugeVec,
}

impl Known {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        let changes = counter(
            into,
            "twolane_class_changes_total",
            "Operations that were found to be short or long and were not called so before.",
            &["to"],
        )?;
        Ok(Self {
            score: measures(
                into,
                "twolane_operation_score_seconds",
                "What is compared with the threshold, for an operation over all its plugins.",
                &["operation"],
            )?,
            long: gauges(
                into,
                "twolane_operation_long",
                "1 when the operation, over all its plugins, is called long.",
                &["operation"],
            )?,
            changes: Class::ALL.map(|class| changes.with_label_values(&[class.word()])),
            divergence: gauge(
                into,
                "twolane_plugin_set_divergence",
                "Plugins that run on one node and are known not to run on another of its pool.",
            )?,
            missing: gauges(
                into,
                "twolane_plugins_missing",
                "Plugins that are expected on the node and do not run there.",
                &["node"],
            )?,
        })
    }

    pub(super) fn show(&self, state: &KnownState) {
        self.score.reset();
        self.long.reset();
        for each in &state.operations {
            let labels = [each.name];
            self.score.with_label_values(&labels).set(each.score);
            let long = self.long.with_label_values(&labels);
            long.set(i64::from(each.long));
        }
        for (counter, now) in self.changes.iter().zip(state.changes) {
            counter.inc_by(now.saturating_sub(counter.get()));
        }
        let many = i64::try_from(state.divergence).unwrap_or(i64::MAX);
        self.divergence.set(many);
        self.missing.reset();
        for (node, missing) in &state.missing {
            let missing = i64::try_from(*missing).unwrap_or(i64::MAX);
            let gauge = self.missing.with_label_values(&[node.as_str()]);
            gauge.set(missing);
        }
    }
}
