//! How does the production code see it? One gateway: its nodes, its learner, its strategy.

use super::policy::Policy;
use super::time::instant;
use super::workload::Operation;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use twolane::admit::{Again, Blame, Budget, End, Facts, may_go_again};
use twolane::config;
use twolane::dify::{Names, describe};
use twolane::learn::{Classifier, Learner, Running};
use twolane::model::{self, Class, Dice, Outcome, Role};
use twolane::nodes::{
    ComebackRules, CooldownRules, Lease, Node, Plugin, Plugins, Screening, Tried, screen,
};
use twolane::select::{Strategy, settle};

/// One gateway.
pub(crate) struct Gateway {
    base: Instant,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) plugins: Vec<Arc<Plugin>>,
    keys: Vec<Key>,
    learner: Learner,
    strategy: Arc<dyn Strategy>,
    dice: Dice,
    cooldown: CooldownRules,
    budget: Budget,
    attempts: u8,
}

/// An operation as the gateway reads it off a request.
struct Key {
    operation: model::Operation,
    prior: Class,
    plugin: Arc<Plugin>,
}

/// A request that runs.
pub(crate) struct Attempt {
    lease: Lease,
    running: Running,
}

impl Attempt {
    /// Its node was reached.
    pub(crate) fn reached(&mut self) {
        self.lease.note_reached();
    }
}

/// What a request remembers between its attempts.
#[derive(Default)]
pub(crate) struct Past {
    pub(crate) tried: Tried,
    pub(crate) failures: u8,
}

impl Gateway {
    /// A gateway that has just started. `base` is the beginning of the run.
    pub(crate) fn new(
        policy: &Policy,
        operations: &[Operation],
        (nodes, seed): (usize, u64),
        base: Instant,
    ) -> Self {
        let table = Plugins::new();
        let nodes = (1..=nodes).map(|n| node(n, base)).collect();
        let keys: Vec<_> = operations.iter().map(|it| Key::of(it, &table)).collect();
        let count = operations.iter().map(|it| it.plugin + 1).max();
        let plugins = (0..count.unwrap_or(0))
            .map(|plugin| table.find(Some(&name(plugin))))
            .collect();
        let rules = config::Cooldown::default();
        let retry = config::Retry::default();
        Self {
            base,
            nodes,
            plugins,
            keys,
            learner: Learner::new(policy.learn.clone()),
            strategy: policy.build(),
            dice: Dice::with_seed(seed),
            cooldown: CooldownRules {
                max_fails: if policy.resting { rules.max_fails } else { 0 },
                fail_timeout: rules.fail_timeout,
                base: rules.base,
                longest: rules.longest,
            },
            budget: Budget::new(retry.budget_ratio, retry.budget_floor, base),
            attempts: retry.attempts,
        }
    }

    /// A request came.
    pub(crate) fn note_request(&self) {
        self.budget.deposit();
    }

    /// Classifies, screens, prefers and takes the lease, as `proxy` and `upstream` do. The place of
    /// the node; `None` when nobody may serve.
    pub(crate) fn choose(
        &mut self,
        operation: u16,
        past: &Past,
        now: f64,
    ) -> Option<(usize, Attempt)> {
        let now = instant(self.base, now);
        let key = &self.keys[usize::from(operation)];
        let verdict = self.learner.classify(&key.operation, key.prior, now);
        let request = model::Request::new(verdict.class, key.plugin.place());
        let screening = Screening {
            tried: &past.tried,
            plugin: request.plugin,
            now,
            fail_open: true,
            all_backups: false,
            once: false,
            comeback: ComebackRules {
                warmup: config::Health::default().warmup,
                slow_start: config::Health::default().slow_start,
            },
            limits: None,
        };
        let among = screen(&self.nodes, &screening).ok()?;
        let choice = self.strategy.choose(&request, &among, &mut self.dice);
        let at = among.pool_position(choice.at);
        let lease = Lease::take(&self.nodes[at], &key.plugin, verdict.class, now).reaching();
        let running = self.learner.begin(&key.operation, now);
        Some((at, Attempt { lease, running }))
    }

    /// The node answered to the end.
    pub(crate) fn answered(&self, attempt: Attempt, operation: u16, now: f64) {
        self.end(attempt, operation, Outcome::Answered, now);
    }

    /// The attempt came to nothing, as `proxy/again.rs` has it. True: ask another node.
    pub(crate) fn failed(
        &self,
        attempt: Attempt,
        (operation, end): (u16, End),
        past: &mut Past,
        now: f64,
    ) -> bool {
        let then = instant(self.base, now);
        let node = Arc::clone(attempt.lease.node());
        if matches!(Blame::of(end), Blame::Node | Blame::Busy) {
            let _rest = node.strike(then, &self.cooldown);
        }
        past.failures += 1;
        past.tried.push(node.id().clone());
        let outcome = match end {
            End::Unreached => Outcome::Unreached,
            End::Refused(_) => Outcome::Refused,
            End::Broke | End::Silent => Outcome::Failed,
        };
        self.end(attempt, operation, outcome, now);
        let facts = Facts {
            read: false,
            versioned: true,
            answered: false,
            body_kept: true,
            late: false,
            failures: past.failures,
            attempts: self.attempts,
            misses: 0,
        };
        match may_go_again(end, &facts) {
            Again::No => false,
            Again::Free => true,
            Again::Charged => self.budget.withdraw(then),
        }
    }

    fn end(&self, attempt: Attempt, operation: u16, outcome: Outcome, now: f64) {
        drop(attempt.running);
        settle(
            attempt.lease,
            &*self.strategy,
            &self.learner,
            Some(&self.keys[usize::from(operation)].operation),
            outcome,
            instant(self.base, now),
        );
    }
}

impl Key {
    fn of(operation: &Operation, table: &Plugins) -> Self {
        let path = format!("/plugin/tenant/dispatch/{}", operation.action);
        let plugin = name(operation.plugin);
        let names = Names {
            plugin_id: Some(&plugin),
            unique_identifier: None,
        };
        let asked = describe("POST", &path, names);
        Self {
            operation: asked.operation(&config::Learn::default().key, None, &path),
            prior: asked.prior(),
            plugin: table.find(asked.plugin),
        }
    }
}

fn name(plugin: u16) -> String {
    format!("author/plugin-{plugin}")
}

/// The node at place `n` from 1; the first is the main node, as seed 000 has it.
fn node(n: usize, base: Instant) -> Arc<Node> {
    let port = u16::try_from(n).expect("few nodes");
    let role = if n == 1 {
        Role::Primary
    } else {
        Role::Secondary
    };
    let address = SocketAddr::from(([10, 0, 0, 1], port));
    Arc::new(Node::new(format!("n{n}").into(), address, (role, 1), base))
}
