//! Which node of this pool?

use super::discovery::PoolSource;
use super::health::Checks;
use super::idle::{Connections, Idle};
use super::keys::Keys;
use super::lend::Lender;
use super::membership::Membership;
use super::selector::{self, Ask, Selector, SelectorConfig};
use super::waiting::WaitingRoom;
use super::wire::Asked;
use crate::admit::{Advice, Budget};
use crate::config::{self, Config, PoolKind};
use crate::model::{NodeId, clock};
use crate::nodes::{ComebackRules, HealthRoute, NoCandidate, Node, Roster};
use crate::observe::PoolMetrics;
use crate::route::Hashing;
use crate::select::{self, Guarded, Shadowed, Strategy, Why};
use http::{HeaderName, HeaderValue};
use pingora::upstreams::peer::HttpPeer;
use pingora_load_balancing::{Backends, LoadBalancer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A pool's strategy, and its shadow.
pub(super) type Choosers = (Arc<dyn Strategy>, Option<Arc<dyn Strategy>>);

/// Nodes that serve the same routes under one strategy.
pub struct Pool {
    name: Arc<str>,
    strategy: String,
    rules: Arc<SelectorConfig>,
    /// How requests get their places on its ring; none when it has no ring.
    pub hashing: Option<Hashing>,
    /// What its nodes are.
    pub kind: PoolKind,
    /// The name of the pool that takes over for it.
    pub fallback: Option<String>,
    keys: Keys,
    balancer: LoadBalancer<Selector>,
    crew: super::membership::Crew,
    source: Arc<PoolSource>,
    /// What is counted for it.
    pub metrics: PoolMetrics,
    /// How much of it may be repeated.
    pub budget: Budget,
    /// What requests of one plugin cost each other.
    pub advice: Advice,
    /// Where its requests wait; none when it has no caps, and no rule limits what may come.
    pub waiting: Option<Arc<WaitingRoom>>,
    /// It has caps: every request asks its room for a place, and not only those that a rule limits.
    pub capped: bool,
}

/// A node that was chosen, and how to reach it.
#[derive(Debug)]
pub struct Pick {
    /// The node.
    pub node: Arc<Node>,
    /// Where Pingora connects.
    pub peer: Box<HttpPeer>,
    /// Its idle connections.
    idle: Arc<Idle>,
    /// The reason.
    pub why: Why,
    /// What the shadow would have chosen; none without one, or where nothing was to be chosen.
    pub shadow: Option<NodeId>,
}

impl Pick {
    /// Has the connection come from those that are kept for the node, and go back to them.
    /// Connections with TLS are left to Pingora: then it is false.
    pub fn lend(&mut self, asked: impl FnOnce() -> Asked) -> bool {
        let lends = self.node.server_name().is_none();
        if lends {
            Lender::stand_in(&mut self.peer, &self.idle, asked());
        }
        lends
    }
}

impl Pool {
    /// Opens a pool and finds its nodes for the first time.
    pub(super) async fn open(
        settings: &config::Pool,
        (strategy, shadow): Choosers,
        source: Arc<PoolSource>,
        config: &Config,
        shared: (&Arc<Roster>, &Checks, &Arc<Connections>, PoolMetrics),
    ) -> Self {
        let (roster, checks, connections, metrics) = shared;
        let crew = super::membership::Crew::default();
        let around = (roster, checks, &crew);
        let path = settings.health_path.as_deref();
        let path = path.or(settings.kind.health_path());
        let asks = path.map(|path| HealthRoute {
            path: path.into(),
            daemon: settings.kind == PoolKind::PluginDaemon,
        });
        let membership = Membership::new(&settings.name, Arc::clone(&source), around).asking(asks);
        let rules = Arc::new(SelectorConfig {
            crew: Arc::clone(&crew),
            strategy: Shadowed::new(strategy, shadow, &metrics.strategy_failures),
            least: Guarded::new(select::least_loaded(), metrics.strategy_failures.clone()),
            fail_open: settings.fail_open,
            all_backups: settings.use_all_backups,
            comeback: comeback(&config.health),
            timeouts: config.timeouts.clone(),
            health: config::Health {
                path: path.unwrap_or(&config.health.path).to_owned(),
                ..config.health.clone()
            },
            trust: checks.trusted(),
            connections: Arc::clone(connections),
        });
        let registry = Arc::clone(checks.registry());
        let view = Backends::new_with_health_registry(Box::new(membership), registry);
        let balancer = LoadBalancer::from_backends_with_config(view, Some(Arc::clone(&rules)));
        // A pool whose names cannot be resolved yet starts empty and fills later.
        let _logged_by_membership = balancer.update().await;
        let retry = &config.retry;
        let hashes =
            |word: &String| word == "consistent_hash" || !select::WORDS.contains(&word.as_str());
        let rings = hashes(&settings.strategy) || settings.shadow.as_ref().is_some_and(hashes);
        let budget = Budget::new(retry.budget_ratio, retry.budget_floor, clock::now());
        Self {
            name: settings.name.as_str().into(),
            strategy: settings.strategy.clone(),
            kind: settings.kind,
            fallback: settings.fallback.clone(),
            keys: Keys::new(settings),
            hashing: rings.then(|| Hashing::new(&settings.hash, config.strategies.ring.algorithm)),
            rules,
            balancer,
            crew,
            source,
            metrics,
            budget,
            advice: Advice::default(),
            waiting: None,
            capped: settings.has_caps(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header that a node wants to be sent where the application is known, if it wants any.
    #[must_use]
    pub fn upstream_key(&self, node: &NodeId) -> Option<(HeaderName, HeaderValue)> {
        self.keys.of(node)
    }

    /// Its name, to keep.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The word of its strategy.
    #[must_use]
    pub fn strategy(&self) -> &str {
        &self.strategy
    }

    /// Its strategy, which is told how attempts end.
    #[must_use]
    pub fn chooser(&self) -> &dyn Strategy {
        &self.rules.strategy
    }

    /// By which rules its selector decides.
    pub(super) fn rules(&self) -> &SelectorConfig {
        &self.rules
    }

    /// Its nodes, in the order in which they were configured.
    #[must_use]
    pub fn nodes(&self) -> Arc<Vec<Arc<Node>>> {
        self.crew.load_full()
    }

    /// Chooses a node for one attempt.
    ///
    /// # Errors
    /// When no node may serve: why, counted.
    pub fn choose(&self, ask: &Ask<'_>) -> Result<Pick, NoCandidate> {
        let said = selector::ask(ask, |key| {
            // Whether a node may serve was settled by the screen, with the health that the same
            // checks report. The hook has left its answer by the time it returns; allowed no
            // steps, Pingora neither hashes and copies the member nor looks up its health again.
            self.balancer.select_with(key, 0, |_member, _healthy| true);
        })?;
        self.metrics.chosen(said.why.word());
        let shadow = said.shadow.map(|at| {
            self.metrics.shadowed(at == said.at);
            said.members.nodes[at].id().clone()
        });
        let node = Arc::clone(&said.members.nodes[said.at]);
        let mut peer = said.members.peers[said.at].clone();
        // Connections are kept by group. Those from before the node was down may be dead without a
        // word: none of them is used again.
        peer.group_key ^= node.came_up().unwrap_or(0);
        Ok(Pick {
            idle: Arc::clone(&said.members.idle[said.at]),
            node,
            peer,
            why: said.why,
            shadow,
        })
    }

    /// A request ended well after so long, having met so many others of its plugin; what its
    /// operation usually takes is known.
    pub fn note_neighbours(&self, neighbours: u32, took: Duration, usual: Duration) {
        self.advice.note(neighbours, took, usual);
        if let Some(times) = self.advice.inflation() {
            self.metrics.inflation(times);
        }
    }

    /// Where its nodes come from.
    #[must_use]
    pub fn source(&self) -> &PoolSource {
        &self.source
    }

    /// Looks for changes of membership until `stop` says true. Rounds are a little apart from each
    /// other in time: gateways that were started together do not ask together.
    pub(super) async fn refresh(&self, mut stop: pingora::server::ShutdownWatch) {
        let Some(every) = self.source.refresh() else {
            return;
        };
        loop {
            let pause = every.mul_f64(0.9 + 0.2 * fastrand::f64());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.source.changed() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            // An error was logged by the membership, and changes nothing.
            let _ = self.balancer.update().await;
        }
    }
}

fn comeback(health: &config::Health) -> ComebackRules {
    ComebackRules {
        // Without checks there are no probes, and nobody would find out that a node is warm.
        warmup: if health.enabled {
            health.warmup
        } else {
            Duration::ZERO
        },
        slow_start: health.slow_start,
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}
