//! What holds for a request that comes in now? Everything compiled from one configuration.

use super::Checks;
use super::discovery::{PoolSource, Sources};
use super::idle::Connections;
use super::limits::Limiters;
use super::own::Own;
use super::pool::{Choosers, Pool};
use super::secure::Trust;
use super::waiting::Rooms;
use crate::admit::Limit;
use crate::admit::Quota;
use crate::config::{self, AccessLog, Config, LogTarget};
use crate::learn::Classifier;
use crate::model::{NodeId, Owner};
use crate::nodes::{Node, Roster};
use crate::observe::Metrics;
use crate::observe::access::{Place, Sink, Sinks};
use crate::route::{Applications, OwnerTable, Owners, Rule, Rules, Table, Treatments, Users};
use crate::select::{self, Strategy, Why};
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;

/// Immutable, and pinned by each request from its first hook on: a reload never changes the rules
/// of a running request.
pub struct Snapshot {
    /// The configuration it was compiled from.
    pub config: Config,
    /// How kinds of requests are treated.
    pub treatments: Treatments,
    /// 1 for the first snapshot of the process, one more for each reload.
    pub version: u64,
    fingerprint: String,
    /// What the operator decides for single requests.
    pub rules: Rules,
    /// Whose keys are whose; none where there are no applications.
    pub applications: Option<Applications>,
    /// Where users' ids are looked for.
    pub users: Users,
    /// How often requests may come.
    pub limits: Box<[Arc<Limit>]>,
    /// The places of each rule that has a limit.
    quotas: Vec<Option<Arc<Quota>>>,
    /// Where requests are written down; none = nowhere.
    pub access: Option<Arc<Sink>>,
    /// Who says what is long, when not what was learned.
    pub(super) classifier: Option<Arc<dyn Classifier>>,
    routes: Table,
    owners: OwnerTable,
    pools: Vec<Arc<Pool>>,
    /// Tells its pools to stop looking for members.
    stop: tokio::sync::watch::Sender<bool>,
}

/// What snapshots are compiled from besides the configuration; it outlives them all.
#[derive(Debug)]
pub struct Parts {
    /// The nodes, across reloads.
    pub roster: Arc<Roster>,
    /// Their checks.
    pub checks: Checks,
    /// Connections to them that nobody uses now, across reloads too.
    pub connections: Arc<Connections>,
    /// Where they come from.
    pub sources: Sources,
    /// Where requests wait, across reloads too.
    pub rooms: Rooms,
    /// How often requests came, likewise.
    pub limiters: Limiters,
    /// What is counted.
    pub metrics: Metrics,
    /// Where requests are written down.
    pub sinks: Sinks,
    /// What the embedding program brings.
    pub own: Own,
}

impl Parts {
    /// Where each pool's nodes come from, in the order of the pools.
    fn sources(&self, config: &Config) -> Result<Vec<Arc<PoolSource>>, String> {
        let of = |pool| self.sources.of(pool, config, (&self.roster, &self.own));
        (config.pools.iter())
            .map(|pool| of(pool).map(Arc::new))
            .collect()
    }
}

impl Snapshot {
    /// Compiles a checked configuration. Nodes that were known before keep all that is known of
    /// them.
    ///
    /// # Errors
    /// When a word is unknown: a configuration that was not checked against this program. When the
    /// access log cannot be opened, or a certificate for nodes cannot be used.
    pub async fn compile(config: Config, version: u64, parts: &Parts) -> Result<Arc<Self>, String> {
        // Everything that can be refused comes before anything that is applied.
        let strategies = config
            .pools
            .iter()
            .map(|pool| chooser(pool, &config.strategies, &parts.own))
            .collect::<Result<Vec<_>, _>>()?;
        let classifier = classifier(&config, &parts.own)?;
        let sources = parts.sources(&config)?;
        let access = access(&config.access_log, &parts.sinks)?;
        let trust = Arc::new(Trust::read(&config.node_tls)?);
        parts.checks.trust(&trust);
        let made = strategies.into_iter().zip(sources);
        let mut pools = Vec::with_capacity(config.pools.len());
        let mut changing = Vec::new();
        for (settings, (strategy, source)) in config.pools.iter().zip(made) {
            let changes = source.refresh().is_some();
            let whys = Why::ALL.iter().map(|why| why.word());
            let metrics = parts.metrics.pool(&settings.name, whys);
            let shared = (&parts.roster, &parts.checks, &parts.connections, metrics);
            let mut pool = Pool::open(settings, strategy, source, &config, shared).await;
            // The nodes know their limits by now; who waits is told of them here.
            pool.waiting = (parts.rooms).of(settings, &config.rules, &parts.metrics);
            let pool = Arc::new(pool);
            if changes {
                changing.push(Arc::clone(&pool));
            }
            pools.push(pool);
        }
        let position = |name: &str| pools.iter().position(|pool| pool.name() == name);
        let routes = Table::new(&config.routes, position);
        let rules = Rules::new(&config.rules, position);
        let quotas = parts.rooms.quotas(&config.rules);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        for pool in changing {
            let stopped = stopped.clone();
            tokio::spawn(async move { pool.refresh(stopped).await });
        }
        Ok(Arc::new(Self {
            owners: OwnerTable::configured(&config.debug_plugins),
            treatments: Treatments::new(&config),
            users: Users::new(&config.users),
            applications: Applications::new(&config.applications, position),
            limits: parts.limiters.muster(&config.limits),
            fingerprint: config::fingerprint(&config),
            config,
            version,
            rules,
            quotas,
            access,
            classifier,
            routes,
            pools,
            stop,
        }))
    }

    /// Another one is in service. Requests that have pinned this one keep its rules and the members it
    /// has; a stream of ten minutes is no reason to go on asking its sources.
    pub(super) fn retire(&self) {
        self.stop.send_replace(true);
    }

    /// Sixteen digits that gateways compare: different ones are drift.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The pool for a path.
    #[must_use]
    pub fn pool_for(&self, path: &str) -> &Arc<Pool> {
        &self.pools[self.routes.find(path)]
    }

    /// The position of the pool for a path.
    pub(super) fn position_for(&self, path: &str) -> usize {
        self.routes.find(path)
    }

    /// What probes of a plugin daemon are sent as its key.
    pub(super) fn upstream_key(&self, node: &NodeId) -> Option<HeaderValue> {
        let daemons = |pool: &&Arc<Pool>| pool.kind == config::PoolKind::PluginDaemon;
        let mut pools = self.pools.iter().filter(daemons);
        let pool = pools.find(|pool| pool.nodes().iter().any(|known| known.id() == node))?;
        pool.upstream_key(node).map(|(_, key)| key)
    }

    /// The pool that takes over for another.
    pub(super) fn fallback_of(&self, pool: &Pool) -> Option<Arc<Pool>> {
        let name = pool.fallback.as_deref()?;
        let found = self.pools.iter().find(|pool| pool.name() == name);
        found.cloned()
    }

    /// Whether users of a pool are counted.
    #[must_use]
    pub fn counts_users(&self, pool: &Pool) -> bool {
        self.limits.iter().any(|limit| {
            let entry = limit.entry();
            let here = entry.pool.as_deref().is_none_or(|name| name == pool.name());
            here && entry.by == config::RateBy::User
        })
    }

    /// The places of a rule, where it has a limit.
    #[must_use]
    pub fn quota_of(&self, rule: &Rule) -> Option<&Arc<Quota>> {
        self.quotas.get(rule.number - 1)?.as_ref()
    }

    /// The node that holds the connection of a debug plugin, where that is known.
    #[must_use]
    pub fn owner_of(&self, plugin: &str) -> Option<Owner> {
        let found = || {
            self.pools
                .iter()
                .find_map(|pool| pool.source().owner(plugin))
        };
        self.owners.owner(plugin).or_else(found)
    }

    /// The pool whose nodes run plugins: a developer must be connected where the calls go.
    #[must_use]
    pub fn plugin_pool(&self) -> &Arc<Pool> {
        self.pool_for("/plugin/")
    }

    /// Every pool, in the order in which they were configured.
    #[must_use]
    pub fn pools(&self) -> &[Arc<Pool>] {
        &self.pools
    }

    /// Every node once, in the order of the pools.
    #[must_use]
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.pools
            .iter()
            .flat_map(|pool| pool.nodes().iter().cloned().collect::<Vec<_>>())
            .collect()
    }
}

fn classifier(config: &Config, own: &Own) -> Result<Option<Arc<dyn Classifier>>, String> {
    let word = config.learn.classifier.as_deref();
    word.map(|word| {
        let found = own.classifier(word);
        found.ok_or_else(|| format!("no classifier {word}"))
    })
    .transpose()
}

fn access(settings: &AccessLog, sinks: &Sinks) -> Result<Option<Arc<Sink>>, String> {
    let place = match &settings.to {
        None => return Ok(None),
        Some(LogTarget::Stdout) => Place::Stdout,
        Some(LogTarget::File(file)) => Place::File(file.clone()),
    };
    let sink = sinks.open(&place, settings.queue).map_err(|error| {
        format!(
            "access_log.to: {place} cannot be opened: {error}; make its folder, and let this \
             user write there"
        )
    })?;
    Ok(Some(sink))
}

/// A pool's strategy and, as another one, its shadow.
fn chooser(pool: &config::Pool, rules: &config::Strategies, own: &Own) -> Result<Choosers, String> {
    let make = |word: &str| -> Result<Arc<dyn Strategy>, String> {
        own.strategy(word, rules)
            .or_else(|| select::build(word, rules))
            .ok_or_else(|| format!("pool {}: no strategy {word}", pool.name))
    };
    let shadow = pool.shadow.as_deref().map(make).transpose()?;
    Ok((make(&pool.strategy)?, shadow))
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.retire();
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("pools", &self.pools)
            .finish_non_exhaustive()
    }
}
