//! What is counted, and how is it shown to Prometheus?

use super::access::AccessMetrics;
use super::families::{Discovery, Gateway, Nodes, Pools, Requests, Share, Waits};
use super::shown::{Looking, NodeState, PoolState};
use super::waits::WaitMetrics;
use super::{Ending, OwnMetrics};
use crate::model::rejection::Reason;
use crate::model::{Class, NodeId, Outcome, Verdict};
use prometheus::core::Collector;
use prometheus::{Encoder, Gauge, Histogram, IntCounter, Registry, TextEncoder};
use std::time::Duration;

/// Counts how often one pool's strategy failed. A copy counts for the same pool.
#[derive(Clone, Debug)]
pub struct StrategyFailures(IntCounter);

impl StrategyFailures {
    /// Once more.
    pub fn count(&self) {
        self.0.inc();
    }

    /// How often.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// The counters of one pool, looked up once when the pool is made: a request only adds.
#[derive(Debug)]
pub struct PoolMetrics {
    requests: [[IntCounter; Ending::WORDS.len()]; Class::ALL.len()],
    duration: [Histogram; Class::ALL.len()],
    first_byte: [Histogram; Class::ALL.len()],
    choices: Vec<(&'static str, IntCounter)>,
    /// The shadow would have chosen another node, and the same.
    shadow: [IntCounter; 2],
    /// How often its strategy failed.
    pub strategy_failures: StrategyFailures,
    inflation: Gauge,
}

impl PoolMetrics {
    /// A request ended.
    pub fn ended(&self, class: Class, ending: Ending, took: Duration) {
        self.requests[class.index()][ending.index()].inc();
        self.duration[class.index()].observe(took.as_secs_f64());
    }

    /// The first byte of an answer arrived.
    pub fn first_byte(&self, class: Class, after: Duration) {
        self.first_byte[class.index()].observe(after.as_secs_f64());
    }

    /// Requests among others of their plugin take so many times as long as alone.
    pub fn inflation(&self, times: f64) {
        self.inflation.set(times);
    }

    /// A node was chosen.
    pub fn chosen(&self, why: &'static str) {
        if let Some((_, counter)) = self.choices.iter().find(|(word, _)| *word == why) {
            counter.inc();
        }
    }

    /// The shadow would have chosen the same node, or another.
    pub fn shadowed(&self, agrees: bool) {
        self.shadow[usize::from(agrees)].inc();
    }
}

/// All metrics of one gateway, in a registry of their own: several gateways can live in one
/// process (tests, the demo).
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    own: Option<OwnMetrics>,
    requests: Requests,
    nodes: Nodes,
    discovery: Discovery,
    pools: Pools,
    gateway: Gateway,
    share: Share,
    waits: Waits,
    access: AccessMetrics,
    verdicts: Vec<(Class, &'static str, IntCounter)>,
}

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// When two families have one name: a fault of ours, found by any test.
    pub fn new() -> prometheus::Result<Self> {
        Self::with(None)
    }

    /// Registers every family, and shows those of the embedding program beside them.
    ///
    /// # Errors
    /// When two families have one name: a fault of ours, found by any test.
    pub fn with(own: Option<OwnMetrics>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = Requests::register(&registry)?;
        let nodes = Nodes::register(&registry)?;
        let discovery = Discovery::register(&registry)?;
        let pools = Pools::register(&registry)?;
        let gateway = Gateway::register(&registry)?;
        let share = Share::register(&registry)?;
        share.up.set(1);
        let waits = Waits::register(&registry)?;
        let access = AccessMetrics::register(&registry)?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        gateway.reload_successful.set(1);
        let verdicts = Class::ALL
            .into_iter()
            .flat_map(|class| BASES.map(|basis| (class, basis)))
            .map(|(class, basis)| {
                let counter = requests.verdicts.with_label_values(&[class.word(), basis]);
                (class, basis, counter)
            })
            .collect();
        Ok(Self {
            registry,
            own,
            requests,
            nodes,
            discovery,
            pools,
            gateway,
            share,
            waits,
            access,
            verdicts,
        })
    }

    /// The counters of one pool; `whys` are the words its strategies may say.
    #[must_use]
    pub fn pool(&self, name: &str, whys: impl Iterator<Item = &'static str>) -> PoolMetrics {
        let families = &self.requests;
        PoolMetrics {
            requests: Class::ALL.map(|class| {
                Ending::WORDS.map(|code| {
                    families
                        .ended
                        .with_label_values(&[name, class.word(), code])
                })
            }),
            duration: Class::ALL
                .map(|class| families.duration.with_label_values(&[name, class.word()])),
            first_byte: Class::ALL
                .map(|class| families.first_byte.with_label_values(&[name, class.word()])),
            inflation: families.inflation.with_label_values(&[name]),
            choices: whys
                .map(|why| (why, families.choices.with_label_values(&[name, why])))
                .collect(),
            shadow: ["false", "true"]
                .map(|agrees| self.pools.shadow.with_label_values(&[name, agrees])),
            strategy_failures: StrategyFailures(
                families.strategy_failures.with_label_values(&[name]),
            ),
        }
    }

    /// What is counted of the waiting room of one pool.
    #[must_use]
    pub fn waits(&self, pool: &str) -> WaitMetrics {
        WaitMetrics::new(&self.waits, pool)
    }

    /// What is counted of the access log.
    #[must_use]
    pub const fn access(&self) -> &AccessMetrics {
        &self.access
    }

    /// A request was classified.
    pub fn classified(&self, verdict: &Verdict) {
        let word = verdict.basis.word();
        let row = self
            .verdicts
            .iter()
            .find(|(class, basis, _)| *class == verdict.class && *basis == word);
        if let Some((_, _, counter)) = row {
            counter.inc();
        }
    }

    /// An attempt on a node ended.
    pub fn attempt(&self, node: &NodeId, outcome: Outcome) {
        let word = match outcome {
            Outcome::Answered => "answered",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Unreached => "unreached",
            Outcome::Abandoned => "abandoned",
        };
        let labels = [node.as_str(), word];
        self.requests.attempts.with_label_values(&labels).inc();
    }

    /// We answered in our own name.
    pub fn rejected(&self, reason: Reason) {
        let labels = [reason.row().word];
        self.requests.rejections.with_label_values(&labels).inc();
    }

    /// An exchange with the other gateways ended; one that failed, by a cause of a closed set.
    pub fn exchanged(&self, took: Duration, result: Result<(), &'static str>) {
        self.share.up.set(i64::from(result.is_ok()));
        self.share.exchange.observe(took.as_secs_f64());
        if let Err(cause) = result {
            self.share.errors.with_label_values(&[cause]).inc();
        }
    }

    /// A client and we did not agree on TLS.
    pub fn handshake_failed(&self) {
        self.gateway.handshake_failures.inc();
    }

    /// A reload was taken or refused.
    pub fn reloaded(&self, taken: bool) {
        let result = if taken { "success" } else { "failure" };
        self.gateway.reloads.with_label_values(&[result]).inc();
        self.gateway.reload_successful.set(i64::from(taken));
    }

    /// The page for Prometheus. What is counted elsewhere (nodes, open requests, keys) is handed
    /// in, so that nothing is counted twice.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn page(
        &self,
        nodes: &[NodeState],
        pools: &[PoolState],
        gauges: Gauges,
    ) -> prometheus::Result<Vec<u8>> {
        self.show_nodes(nodes);
        self.forget_attempts(nodes);
        self.show_pools(pools);
        self.requests.open.set(gauges.open_requests);
        self.gateway.operations.set(gauges.operations);
        self.share.others.set(gauges.other_gateways);
        self.gateway
            .threshold
            .set(gauges.long_threshold.as_secs_f64());
        let failures = &self.gateway.classifier_failures;
        failures.inc_by(gauges.classifier_failures.saturating_sub(failures.get()));
        let mut page = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        if let Some(own) = &self.own {
            own.show(&mut page);
        }
        Ok(page)
    }

    /// Where nodes come and go, their counters would pile up.
    fn forget_attempts(&self, nodes: &[NodeState]) {
        let attempts = &self.requests.attempts;
        for family in attempts.collect() {
            for row in family.get_metric() {
                let label = |name: &str| {
                    let mut labels = row.get_label().iter();
                    let label = labels.find(|label| label.name() == name)?;
                    Some(label.value().to_owned())
                };
                let (Some(node), Some(outcome)) = (label("node"), label("outcome")) else {
                    continue;
                };
                if !nodes.iter().any(|known| known.id.as_str() == node) {
                    // Another page may have been quicker.
                    let _ = attempts.remove_label_values(&[&node, &outcome]);
                }
            }
        }
    }

    fn show_pools(&self, pools: &[PoolState]) {
        let family = &self.pools;
        family.lanes_apart.reset();
        family.plugins_alike.reset();
        for each in [&family.lanes_ratio, &family.damping] {
            each.reset();
        }
        for each in [&self.discovery.up, &self.discovery.members] {
            each.reset();
        }
        for pool in pools {
            let labels = [pool.name.as_str()];
            let measures = [
                (&family.lanes_ratio, pool.lanes_ratio),
                (&family.damping, pool.damping),
            ];
            for (family, found) in measures {
                if let Some(found) = found {
                    family.with_label_values(&labels).set(found);
                }
            }
            let apart = family.lanes_apart.with_label_values(&labels);
            apart.set(i64::from(pool.lanes_apart));
            let alike = family.plugins_alike.with_label_values(&labels);
            alike.set(i64::from(pool.plugins_alike));
            if let Some(Looking { up, members }) = pool.looking {
                let found = &self.discovery;
                found.up.with_label_values(&labels).set(i64::from(up));
                let members = i64::try_from(members).unwrap_or(i64::MAX);
                found.members.with_label_values(&labels).set(members);
            }
        }
    }

    fn show_nodes(&self, nodes: &[NodeState]) {
        let family = &self.nodes;
        for each in [
            &family.up,
            &family.daemon_healthy,
            &family.beyond,
            &family.in_flight,
            &family.hand,
            &family.tcp,
        ] {
            // A node that is gone must not go on being shown.
            each.reset();
        }
        for each in [&family.slowness, &family.failing] {
            each.reset();
        }
        for node in nodes {
            let id = node.id.as_str();
            for each in [&family.up, &family.daemon_healthy] {
                each.with_label_values(&[id]).set(i64::from(node.up));
            }
            family
                .beyond
                .with_label_values(&[id])
                .set(i64::from(node.beyond));
            family.hand.with_label_values(&[id, node.hand]).set(1);
            family.slowness.with_label_values(&[id]).set(node.slowness);
            family.failing.with_label_values(&[id]).set(node.failing);
            let tcp = family.tcp.with_label_values(&[id]);
            tcp.set(i64::from(node.tcp));
            for class in Class::ALL {
                let gauge = family.in_flight.with_label_values(&[id, class.word()]);
                gauge.set(i64::from(node.in_flight[class.index()]));
            }
        }
    }
}

/// What other rooms count.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Requests between header and end.
    pub open_requests: i64,
    /// Operations remembered.
    pub operations: i64,
    /// Other gateways whose word still holds.
    pub other_gateways: i64,
    /// The effective threshold.
    pub long_threshold: Duration,
    /// Times that classifiers from outside failed.
    pub classifier_failures: u64,
}

const BASES: [&str; 5] = ["pinned", "learned", "promoted", "custom", "prior"];
