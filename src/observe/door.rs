//! How do clients come in? The metric families of connections and limits.

use super::families::{counter, gauge};
use prometheus::{IntCounterVec, IntGauge, Registry, Result};

/// What is counted of connections, and of requests over a limit. Labels are words of the program.
#[derive(Debug)]
pub struct DoorMetrics {
    open: IntGauge,
    turned_away: IntCounterVec,
    limited: IntCounterVec,
}

impl DoorMetrics {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        Ok(Self {
            open: gauge(
                into,
                "twolane_connections",
                "Connections of clients to the data port.",
            )?,
            turned_away: counter(
                into,
                "twolane_connections_turned_away_total",
                "Connections that were closed at once: too many of the gateway or of their address, or a balancer without a PROXY header.",
                &["why"],
            )?,
            limited: counter(
                into,
                "twolane_limited_requests_total",
                "Requests over an entry of limits.rates, by what the entry goes by.",
                &["by"],
            )?,
        })
    }

    pub(super) fn open(&self, connections: i64) {
        self.open.set(connections);
    }

    /// A connection was closed at once, for a reason of a closed set.
    pub fn turned_away(&self, why: &'static str) {
        self.turned_away.with_label_values(&[why]).inc();
    }

    /// A request was over a limit that goes by this, of a closed set.
    pub fn limited(&self, by: &'static str) {
        self.limited.with_label_values(&[by]).inc();
    }
}
