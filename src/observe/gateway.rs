//! What is counted of the gateway itself?

use super::families::{counter, gauge, gauges};
use crate::model::clock;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Registry, Result};
use std::time::UNIX_EPOCH;

/// How the gateway is.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) operations: IntGauge,
    pub(super) reloads: IntCounterVec,
    pub(super) reload_successful: IntGauge,
    pub(super) threshold: Gauge,
    pub(super) classifier_failures: IntCounter,
    pub(super) handshake_failures: IntCounter,
    pub(super) reload_success_time: Gauge,
}

impl Gateway {
    /// A configuration was taken, or refused.
    pub(super) fn taken(&self, taken: bool) {
        self.reload_successful.set(i64::from(taken));
        if taken {
            let since = clock::wall().duration_since(UNIX_EPOCH);
            // Before 1970 nobody serves.
            self.reload_success_time
                .set(since.unwrap_or_default().as_secs_f64());
        }
    }

    pub(super) fn register(into: &Registry) -> Result<Self> {
        let threshold = Gauge::new(
            "twolane_long_threshold_seconds",
            "From here on a duration is long.",
        )?;
        into.register(Box::new(threshold.clone()))?;
        let classifier_failures = IntCounter::new(
            "twolane_classifier_failures_total",
            "Times that a classifier from outside failed, and what was learned decided.",
        )?;
        into.register(Box::new(classifier_failures.clone()))?;
        let handshake_failures = IntCounter::new(
            "twolane_tls_handshake_failures_total",
            "Connections of clients that ended before TLS was agreed on: port scans, wrong or \
             missing client certificates, clients that do not trust ours.",
        )?;
        into.register(Box::new(handshake_failures.clone()))?;
        let build = gauges(
            into,
            "twolane_build_info",
            "1; which build this is.",
            &["version", "revision"],
        )?;
        let revision = option_env!("TWOLANE_REVISION").unwrap_or("unknown");
        let build = build.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]);
        build.set(1);
        let reload_success_time = Gauge::new(
            "twolane_config_last_reload_success_timestamp_seconds",
            "When a configuration was last taken, in seconds since 1970.",
        )?;
        into.register(Box::new(reload_success_time.clone()))?;
        Ok(Self {
            reload_success_time,
            classifier_failures,
            handshake_failures,
            operations: gauge(
                into,
                "twolane_operations",
                "Operations whose durations are remembered.",
            )?,
            reloads: counter(
                into,
                "twolane_config_reloads_total",
                "Reloads of the configuration by result.",
                &["result"],
            )?,
            reload_successful: gauge(
                into,
                "twolane_config_last_reload_successful",
                "1 when the last reload was taken, 0 when it was refused.",
            )?,
            threshold,
        })
    }
}
