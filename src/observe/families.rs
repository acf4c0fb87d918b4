//! Which metric families exist? Names, help and labels, read in one place.

use crate::model::rejection;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    Result,
};

/// Upper bounds in seconds: plugin calls last from milliseconds to 40 minutes, and a histogram
/// that ends at 10 s is blind to half of them.
const BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1200.0, 2400.0,
];

/// What happens to requests. Labels come from closed sets: nodes and pools are configured, the rest
/// are words of enums; never a path, a tenant or a plugin.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) ended: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) first_byte: HistogramVec,
    pub(super) rejections: IntCounterVec,
    pub(super) retries: IntCounterVec,
    pub(super) installs: IntCounterVec,
    pub(super) attempts: IntCounterVec,
    pub(super) choices: IntCounterVec,
    pub(super) verdicts: IntCounterVec,
    pub(super) strategy_failures: IntCounterVec,
    pub(super) open: IntGauge,
    pub(super) inflation: GaugeVec,
}

impl Requests {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        let counter = |name, help, labels| counter(into, name, help, labels);
        let histogram = |name, help, labels| histogram(into, name, help, labels);
        let [retries, installs] = Self::register_rare(into)?;
        Ok(Self {
            inflation: measures(
                into,
                "twolane_plugin_crowd_inflation",
                "How many times as long requests take among three or more of their plugin as \
                 alone; 0 while too little was seen. Well above 1, plugin_caps may pay.",
                &["pool"],
            )?,
            ended: counter(
                "twolane_requests_total",
                "Requests by how they ended: a status class, rejected, client_gone or broken.",
                &["pool", "class", "code"],
            )?,
            duration: histogram(
                "twolane_request_duration_seconds",
                "From the request's header to the end of the answer.",
                &["pool", "class"],
            )?,
            first_byte: histogram(
                "twolane_time_to_first_byte_seconds",
                "From the request's header to the first byte of the answer.",
                &["pool", "class"],
            )?,
            rejections: counter(
                "twolane_rejections_total",
                "Answers in the gateway's own name.",
                &["reason"],
            )?,
            retries,
            installs,
            attempts: counter(
                "twolane_attempts_total",
                "Attempts on a node by how they ended.",
                &["node", "outcome"],
            )?,
            choices: counter(
                "twolane_choices_total",
                "Nodes chosen, by the strategy's reason.",
                &["pool", "why"],
            )?,
            verdicts: counter(
                "twolane_verdicts_total",
                "Requests classified, by class and ground.",
                &["class", "basis"],
            )?,
            strategy_failures: counter(
                "twolane_strategy_failures_total",
                "Times a strategy, or its shadow, panicked or named no candidate; round robin took its place.",
                &["pool"],
            )?,
            open: gauge(
                into,
                "twolane_open_requests",
                "Requests between their header and the end of their answer.",
            )?,
        })
    }
}

impl Requests {
    fn register_rare(into: &Registry) -> Result<[IntCounterVec; 2]> {
        let retries = counter(
            into,
            "twolane_retries_total",
            "Requests that went on to another node, by what became of the attempt before.",
            &["after"],
        )?;
        let installs = counter(
            into,
            "twolane_install_requests_total",
            "Requests to install or upgrade plugins: success is a 2xx answer.",
            &["status"],
        )?;
        Ok([retries, installs])
    }

    /// Shows at 0 what has not happened yet: nobody can tell a rate from a series that is not there.
    pub(super) fn begin(&self) {
        for row in &rejection::TABLE {
            self.rejections.with_label_values(&[row.word]);
        }
        for after in ["unreached", "refused", "broke", "silent"] {
            self.retries.with_label_values(&[after]);
        }
        for status in ["success", "failure"] {
            self.installs.with_label_values(&[status]);
        }
    }
}

/// How the nodes are.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) up: IntGaugeVec,
    pub(super) daemon_healthy: IntGaugeVec,
    pub(super) in_flight: IntGaugeVec,
    pub(super) hand: IntGaugeVec,
    pub(super) beyond: IntGaugeVec,
    pub(super) tcp: IntGaugeVec,
    pub(super) slowness: GaugeVec,
    pub(super) failing: GaugeVec,
    pub(super) busy: IntGaugeVec,
    pub(super) resting: GaugeVec,
}

impl Nodes {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        let gauges = |name, help, labels| gauges(into, name, help, labels);
        Ok(Self {
            up: gauges(
                "twolane_node_up",
                "1 when the node's checks pass.",
                &["node"],
            )?,
            daemon_healthy: gauges(
                "plugin_daemon_healthy",
                "The same under the name that published alert rules use.",
                &["node"],
            )?,
            in_flight: gauges(
                "twolane_node_in_flight",
                "Requests of this gateway on the node.",
                &["node", "class"],
            )?,
            hand: gauges(
                "twolane_node_state",
                "1 for the state the operator put the node in.",
                &["node", "state"],
            )?,
            beyond: gauges(
                "twolane_node_beyond",
                "Requests the node reports beyond those of this gateway.",
                &["node"],
            )?,
            tcp: gauges(
                "twolane_tcp_connections",
                "Plain TCP connections that pass through to the node.",
                &["node"],
            )?,
            slowness: measures(
                into,
                "twolane_node_slowness",
                "How many times slower than its pool's fastest the node provably is, 1 to 10.",
                &["node"],
            )?,
            failing: measures(
                into,
                "twolane_node_failing_ratio",
                "Share of the node's latest requests that failed by its own fault.",
                &["node"],
            )?,
            busy: gauges(
                "twolane_node_busy",
                "1 while a long request runs on the node.",
                &["node"],
            )?,
            resting: measures(
                into,
                "twolane_node_resting_seconds",
                "How much longer the node rests after failures; 0 when it does not.",
                &["node"],
            )?,
        })
    }
}

/// What strategies have found out.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) shadow: IntCounterVec,
    pub(super) lanes_ratio: GaugeVec,
    pub(super) lanes_apart: IntGaugeVec,
    pub(super) plugins_alike: IntGaugeVec,
    pub(super) damping: GaugeVec,
}

impl Pools {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        Ok(Self {
            shadow: counter(
                into,
                "twolane_shadow_total",
                "Choices in pools with a shadow, by whether it would have chosen the same node.",
                &["pool", "agrees"],
            )?,
            lanes_ratio: measures(
                into,
                "twolane_lanes_ratio",
                "How many times slower short requests are beside a long one, once measured.",
                &["pool"],
            )?,
            lanes_apart: gauges(
                into,
                "twolane_lanes_apart",
                "1 while long requests are kept off one node for the short ones.",
                &["pool"],
            )?,
            plugins_alike: gauges(
                into,
                "twolane_plugins_alike",
                "1 while requests hinder each other alike, of the same plugin or not.",
                &["pool"],
            )?,
            damping: measures(
                into,
                "twolane_load_damping",
                "How much what is known of others counted in the latest choice, 0 to 1.",
                &["pool"],
            )?,
        })
    }
}

/// How requests wait. Only pools that have caps are shown.
#[derive(Debug)]
pub(super) struct Waits {
    pub(super) waiting: IntGaugeVec,
    pub(super) waited: HistogramVec,
    pub(super) overdue: IntCounterVec,
    pub(super) refused: IntCounterVec,
    pub(super) reserve: IntGaugeVec,
}

impl Waits {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        Ok(Self {
            waiting: gauges(
                into,
                "twolane_waiting_requests",
                "Requests that wait here for a place on a node.",
                &["pool", "class"],
            )?,
            waited: histogram(
                into,
                "twolane_wait_seconds",
                "How long requests waited for a place; 0 for those that had one at once.",
                &["pool", "class"],
            )?,
            overdue: counter(
                into,
                "twolane_wait_overdue_total",
                "Requests that waited for max_hold and went without a place.",
                &["pool"],
            )?,
            refused: counter(
                into,
                "twolane_wait_refused_total",
                "Requests that were refused because max_queue others waited.",
                &["pool"],
            )?,
            reserve: gauges(
                into,
                "twolane_short_reserve",
                "Places that long requests leave to short ones.",
                &["pool"],
            )?,
        })
    }
}

/// How nodes are found.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) up: IntGaugeVec,
    pub(super) members: IntGaugeVec,
}

impl Discovery {
    pub(super) fn register(into: &Registry) -> Result<Self> {
        let gauges = |name, help| gauges(into, name, help, &["pool"]);
        Ok(Self {
            up: gauges(
                "twolane_discovery_up",
                "1 when every source of the pool answered when it was last asked.",
            )?,
            members: gauges("twolane_discovery_members", "Nodes in the pool.")?,
        })
    }
}

pub(super) fn counter(
    into: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec> {
    let family = IntCounterVec::new(Opts::new(name, help), labels)?;
    into.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(super) fn gauges(
    into: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec> {
    let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
    into.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(super) fn measures(
    into: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec> {
    let family = GaugeVec::new(Opts::new(name, help), labels)?;
    into.register(Box::new(family.clone()))?;
    Ok(family)
}

pub(super) fn gauge(into: &Registry, name: &str, help: &str) -> Result<IntGauge> {
    let gauge = IntGauge::new(name, help)?;
    into.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

pub(super) fn histogram(
    into: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<HistogramVec> {
    let opts = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
    let family = HistogramVec::new(opts, labels)?;
    into.register(Box::new(family.clone()))?;
    Ok(family)
}
