//! What is counted, and how is it shown to Prometheus?

use super::access::AccessMetrics;
use super::checks::CheckMetrics;
use super::door::DoorMetrics;
use super::families::{Discovery, Nodes, Pools, Requests, Waits};
use super::gateway::Gateway;
use super::known::Known;
use super::share::Share;
use super::waits::WaitMetrics;
use super::{Ending, OwnMetrics, Recent};
use crate::model::rejection::Reason;
use crate::model::{Class, NodeId, Outcome, Verdict, clock};
use parking_lot::Mutex;
use prometheus::{Gauge, Histogram, IntCounter, Registry};
use std::time::{Duration, Instant};

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
    /// How long its requests took within the last minute, for the pages.
    pub recent: [Recent; Class::ALL.len()],
}

impl PoolMetrics {
    /// A request ended now, having taken so long.
    pub fn ended(&self, class: Class, ending: Ending, (took, now): (Duration, Instant)) {
        self.requests[class.index()][ending.index()].inc();
        self.duration[class.index()].observe(took.as_secs_f64());
        self.recent[class.index()].note(took, now);
    }

    /// How many requests of a class have ended.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        let counters = self.requests[class.index()].iter();
        counters.map(IntCounter::get).sum()
    }

    /// How many requests did not end well by our fault or a node's: a 5xx, an answer of our own,
    /// one that broke off.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let failures = [Ending::Answered(500), Ending::Rejected, Ending::Broken];
        let of = |counters: &[IntCounter; Ending::WORDS.len()]| -> u64 {
            failures
                .iter()
                .map(|ending| counters[ending.index()].get())
                .sum()
        };
        self.requests.iter().map(of).sum()
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
    pub(super) registry: Registry,
    pub(super) own: Option<OwnMetrics>,
    pub(super) requests: Requests,
    pub(super) nodes: Nodes,
    pub(super) discovery: Discovery,
    pub(super) pools: Pools,
    pub(super) gateway: Gateway,
    pub(super) share: Share,
    waits: Waits,
    /// Of the nodes' checks.
    pub checks: CheckMetrics,
    pub(super) known: Known,
    /// The nodes of the last page.
    pub(super) shown: Mutex<Vec<NodeId>>,
    access: AccessMetrics,
    /// How clients come in.
    pub door: DoorMetrics,
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
        let door = DoorMetrics::register(&registry)?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        gateway.taken(true);
        let checks = CheckMetrics::register(&registry)?;
        let known = Known::register(&registry)?;
        let verdicts = Class::ALL
            .into_iter()
            .flat_map(|class| BASES.map(|basis| (class, basis)))
            .map(|(class, basis)| {
                let counter = requests.verdicts.with_label_values(&[class.word(), basis]);
                (class, basis, counter)
            })
            .collect();
        requests.begin();
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
            checks,
            known,
            shown: Mutex::default(),
            access,
            door,
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
            recent: Class::ALL.map(|_| Recent::new(clock::now())),
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

    /// A request goes on to another node; `after` is a word of a closed set.
    pub fn retried(&self, after: &'static str) {
        self.requests.retries.with_label_values(&[after]).inc();
    }

    /// Plugins were to be installed or upgraded.
    pub fn install_asked(&self, ending: Ending) {
        let status = match ending {
            Ending::Answered(200..=299) => "success",
            _ => "failure",
        };
        self.requests.installs.with_label_values(&[status]).inc();
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
        self.gateway.taken(taken);
    }

    /// Those of the embedding program.
    pub const fn own(&self) -> Option<&OwnMetrics> {
        self.own.as_ref()
    }
}

const BASES: [&str; 5] = ["pinned", "learned", "promoted", "custom", "prior"];
