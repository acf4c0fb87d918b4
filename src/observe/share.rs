//! What is counted of the exchange with the other gateways?

use super::families::{counter, gauge};
use prometheus::{HistogramOpts, IntCounterVec, IntGauge, Registry, Result};

/// How the exchange with the other gateways is.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) up: IntGauge,
    pub(super) others: IntGauge,
    pub(super) leader: IntGauge,
    pub(super) exchange: prometheus::Histogram,
    pub(super) errors: IntCounterVec,
}

/// Upper bounds in seconds: an exchange takes a millisecond or two, or its timeout.
const EXCHANGE: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5,
];

impl Share {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        let opts = HistogramOpts::new(
            "twolane_share_exchange_seconds",
            "One exchange with the other gateways, successful or not.",
        );
        let exchange = prometheus::Histogram::with_opts(opts.buckets(EXCHANGE.to_vec()))?;
        into.register(Box::new(exchange.clone()))?;
        Ok(Self {
            up: gauge(
                into,
                "twolane_share_up",
                "1 when the last exchange with the other gateways succeeded, or there are none.",
            )?,
            others: gauge(
                into,
                "twolane_share_gateways",
                "Other gateways whose word still holds.",
            )?,
            leader: gauge(
                into,
                "twolane_leader",
                "1 on the gateway that does the fleet's chores; a gateway alone does its own.",
            )?,
            exchange,
            errors: counter(
                into,
                "twolane_share_errors_total",
                "Exchanges that failed, by cause.",
                &["cause"],
            )?,
        })
    }
}
