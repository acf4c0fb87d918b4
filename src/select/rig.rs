//! What do the tests of this module hold in their hands?

use super::*;
use crate::config::{Strategies, TwoNodes};
use crate::learn::Running;
use crate::model::{Basis, Class, Operation, Outcome, PluginPlace, Role, Sample, Verdict, clock};
use crate::nodes::{ComebackRules, CooldownRules, Lease, Node, Plugins, Screening, Tried, screen};
use crate::observe::{Metrics, StrategyFailures};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const COOLDOWN: CooldownRules = CooldownRules {
    max_fails: 3,
    fail_timeout: Duration::from_secs(30),
    base: Duration::from_secs(10),
    longest: Duration::from_secs(300),
};

/// A pool of nodes `n1`, `n2` and so on, luck, and a hand on the clock.
pub(super) struct Rig {
    pub(super) pool: Vec<Arc<Node>>,
    pub(super) plugins: Plugins,
    pub(super) dice: Dice,
    /// Virtual time.
    pub(super) now: Instant,
    pub(super) comeback: ComebackRules,
}

impl Rig {
    pub(super) fn new(nodes: u16) -> Self {
        Self::weighing(&vec![1; usize::from(nodes)])
    }

    pub(super) fn weighing(weights: &[u16]) -> Self {
        let now = clock::now();
        let node = |(n, &weight): (u16, &u16)| {
            let address = std::net::SocketAddr::from(([10, 0, 0, 1], n));
            let place = (Role::Secondary, weight);
            Arc::new(Node::new(format!("n{n}").into(), address, place, now))
        };
        Self {
            pool: (1..).zip(weights).map(node).collect(),
            plugins: Plugins::new(),
            dice: Dice::with_seed(7),
            now,
            comeback: ComebackRules::default(),
        }
    }

    /// Asked for a plugin, with nothing else to consider.
    pub(super) fn screening<'a>(&self, tried: &'a Tried, plugin: PluginPlace) -> Screening<'a> {
        Screening {
            tried,
            plugin,
            now: self.now,
            fail_open: true,
            all_backups: false,
            limits: None,
            once: false,
            comeback: self.comeback,
        }
    }

    /// A lease on the node of that number, from 1.
    pub(super) fn lease(&self, node: usize, plugin: &str, class: Class) -> Lease {
        let plugin = self.plugins.find(Some(plugin));
        Lease::take(&self.pool[node - 1], &plugin, class, self.now)
    }

    /// The number of the node that a strategy chooses, from 1, and why; none when nobody may serve.
    pub(super) fn pick(
        &mut self,
        strategy: &dyn Strategy,
        (plugin, class): (&str, Class),
        tried: &Tried,
    ) -> Option<(usize, Why)> {
        let request = Request::new(class, self.plugins.find(Some(plugin)).place());
        let among = screen(&self.pool, &self.screening(tried, request.plugin)).ok()?;
        let choice = strategy.choose(&request, &among, &mut self.dice);
        let id = among.get(choice.at).expect("one of the candidates").id();
        Some((id.as_str()[1..].parse().expect("a number"), choice.why))
    }

    /// The node that a strategy chooses, and why.
    pub(super) fn ask(
        &mut self,
        strategy: &dyn Strategy,
        plugin: &str,
        class: Class,
    ) -> (String, Why) {
        let picked = self.pick(strategy, (plugin, class), &Tried::new());
        let (node, why) = picked.expect("somebody may serve");
        (format!("n{node}"), why)
    }

    /// How often each node is chosen in so many choices.
    pub(super) fn spread(
        &mut self,
        strategy: &dyn Strategy,
        request: (&str, Class),
        times: u32,
    ) -> Vec<u32> {
        let mut counts = vec![0; self.pool.len()];
        for _ in 0..times {
            let (node, _) = self
                .pick(strategy, request, &Tried::new())
                .expect("somebody may serve");
            counts[node - 1] += 1;
        }
        counts
    }

    /// Ends a lease that was held for so long.
    pub(super) fn end(&self, strategy: &dyn Strategy, lease: Lease, held: Duration) {
        let operation = Operation::new("tool/invoke");
        let now = self.now + held;
        let answered = Outcome::Answered;
        settle(lease, strategy, &OneSecond, Some(&operation), answered, now);
    }

    /// Shows a strategy that short requests are so many times slower beside long ones.
    pub(super) fn show_neighbours(&self, strategy: &dyn Strategy, slower: f64) {
        for _ in 0..50 {
            let short = self.lease(1, "x/y", Class::Short);
            self.end(strategy, short, Duration::from_secs(1));
            let long = self.lease(1, "x/y", Class::Long);
            let short = self.lease(1, "x/y", Class::Short);
            drop(long);
            self.end(strategy, short, Duration::from_secs_f64(slower));
        }
        // It is the lanes that are shown, not a slow node.
        self.pool[0].set_healthy(false);
        self.pool[0].set_healthy(true);
    }
}

/// A classifier for which everything usually takes a second.
#[derive(Debug)]
pub(super) struct OneSecond;

impl crate::learn::Classifier for OneSecond {
    fn classify(&self, _: &Operation, class: Class, _: Instant) -> Verdict {
        let basis = Basis::Prior;
        Verdict { class, basis }
    }

    fn begin(&self, _: &Operation, _: Instant) -> Running {
        Running::unwatched()
    }

    fn expected(&self, _: &Operation) -> Option<f64> {
        Some(0.0)
    }

    fn learn(&self, _: &Operation, _: Sample, _: Instant) {}
}

/// Pearson's sum over counts that should be in proportion to `shares`.
pub(super) fn chi_square(counts: &[u32], shares: &[f64]) -> f64 {
    let all: u32 = counts.iter().sum();
    let whole: f64 = shares.iter().sum();
    let terms = counts.iter().zip(shares).map(|(&count, share)| {
        let expected = f64::from(all) * share / whole;
        (f64::from(count) - expected).powi(2) / expected
    });
    terms.sum()
}

pub(super) fn guarded(inner: Arc<dyn Strategy>) -> (Guarded, StrategyFailures) {
    let metrics = Metrics::new().expect("every family has a name of its own");
    let failures = metrics.pool("main", std::iter::empty()).strategy_failures;
    (Guarded::new(inner, failures.clone()), failures)
}

pub(super) fn rules(two_nodes: TwoNodes) -> Strategies {
    Strategies {
        plugin_weight: 2.0,
        long_weight: 1.0,
        plugin_long_weight: 0.0,
        two_nodes,
        ..Strategies::default()
    }
}

pub(super) fn strategy(word: &str) -> Arc<dyn Strategy> {
    build(word, &rules(TwoNodes::Prose)).expect("a word of the table")
}
