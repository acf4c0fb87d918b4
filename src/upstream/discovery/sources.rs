//! Who is in a pool? What the file lists, and what each source brings, added up.

use super::damper::Damper;
use super::dns::Dns;
use super::fence::Fence;
use super::file::File;
use super::kept::Kept;
use super::register::Registered;
use super::registry::{Mirror, Registry};
use super::{Discovery, DiscoveryError, Fixed, Names, Registrations};
use crate::config::{self, Config, Discover, MaxInFlight};
use crate::model::{NodeId, Owner, Role, clock};
use crate::nodes::{Entry, Roster};
use crate::route::Owners;
use crate::upstream::own::Own;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often host names are resolved again where nothing else is said.
const REFRESH: Duration = Duration::from_secs(5);

/// What all pools share of their sources, across reloads.
#[derive(Debug, Default)]
pub struct Sources {
    /// Where host names lead.
    names: Arc<Names>,
    /// Who registered.
    pub registrations: Arc<Registrations>,
    /// The sources that are in use. One that did not change is the same after a reload, with its
    /// connection and all it knows.
    known: Mutex<Vec<Weak<Found>>>,
}

/// The sources of one pool but the list and the registrations.
#[derive(Debug)]
struct Found {
    pool: String,
    settings: Discover,
    listeners: Vec<SocketAddr>,
    fence: Arc<Fence>,
    kept: Vec<Kept>,
    owners: Option<Arc<Mirror>>,
    damper: Mutex<Damper>,
}

/// Where one pool's nodes come from, as one snapshot sees it.
#[derive(Debug)]
pub struct PoolSource {
    fixed: Option<Fixed>,
    found: Option<Arc<Found>>,
    registered: Option<Registered>,
    /// Nodes that other pools list.
    taken: HashSet<NodeId>,
    /// How much each node may have in flight that is found and does not say it for itself.
    max_in_flight: Option<MaxInFlight>,
    /// The last look brought an answer from everybody.
    up: AtomicBool,
}

impl Sources {
    /// Sources that look names up there.
    #[must_use]
    pub fn with(names: Names) -> Self {
        Self {
            names: Arc::new(names),
            ..Self::default()
        }
    }

    /// The source of one pool of a configuration. `around` is the nodes, and what the embedding
    /// program brings; a word that it does not bring is an error.
    pub(in crate::upstream) fn of(
        &self,
        pool: &config::Pool,
        config: &Config,
        around: (&Arc<Roster>, &Own),
    ) -> Result<PoolSource, String> {
        let nodes = pool.limited_nodes();
        let others = config.pools.iter().filter(|other| other.name != pool.name);
        let registers = pool.discover.as_ref().is_some_and(|found| found.register);
        let found = pool
            .discover
            .as_ref()
            .map(|settings| self.found(&pool.name, settings, listeners(config), around))
            .transpose()?;
        Ok(PoolSource {
            fixed: (!nodes.is_empty()).then(|| Fixed::new(nodes, Arc::clone(&self.names))),
            found,
            registered: registers.then(|| Registered::new(&pool.name, &self.registrations)),
            taken: others
                .flat_map(|other| &other.nodes)
                .map(|node| node.id.clone())
                .collect(),
            max_in_flight: pool.waiting.max_in_flight,
            up: AtomicBool::new(true),
        })
    }

    fn found(
        &self,
        pool: &str,
        settings: &Discover,
        listeners: Vec<SocketAddr>,
        around: (&Arc<Roster>, &Own),
    ) -> Result<Arc<Found>, String> {
        let mut known = self.known.lock();
        known.retain(|found| found.strong_count() > 0);
        let mut here = known.iter().filter_map(Weak::upgrade);
        let same = |found: &Arc<Found>| {
            found.pool == pool && found.settings == *settings && found.listeners == listeners
        };
        if let Some(found) = here.find(same) {
            return Ok(found);
        }
        let found = Found::new(pool, settings, listeners, (&self.names, around))?;
        for kept in &found.kept {
            let before = known.iter().rev().filter_map(Weak::upgrade);
            let mut before = before.filter(|before| before.pool == pool);
            before.any(|before| {
                let same = before.kept.iter().find(|other| other.label == kept.label);
                same.is_some_and(|same| {
                    kept.inherit(same);
                    true
                })
            });
        }
        let found = Arc::new(found);
        known.push(Arc::downgrade(&found));
        Ok(found)
    }
}

/// Where we listen ourselves.
fn listeners(config: &Config) -> Vec<SocketAddr> {
    let listen = config.listen.iter().copied();
    listen
        .chain([config.admin.listen])
        .chain(config.tcp.listen)
        .collect()
}

impl Found {
    fn new(
        pool: &str,
        settings: &Discover,
        listeners: Vec<SocketAddr>,
        around: (&Arc<Names>, (&Arc<Roster>, &Own)),
    ) -> Result<Self, String> {
        let (names, (roster, own)) = around;
        let fence = Arc::new(Fence::new(listeners.clone(), settings.allow.clone()));
        let mut kept = Vec::new();
        let mut owners = None;
        let mut keep = |label: String, source: Box<dyn Discovery>| {
            kept.push(Kept::new(label, source, &fence));
        };
        if let Some(name) = &settings.dns {
            let dns = Dns {
                name: name.clone(),
                names: Arc::clone(names),
                fence: Arc::clone(&fence),
            };
            keep(format!("dns {name}"), Box::new(dns));
        }
        if let Some(path) = &settings.file {
            let file = File::new(path.clone(), Arc::clone(names));
            keep(format!("file {}", path.display()), Box::new(file));
        }
        if let Some(redis) = &settings.dify_redis {
            let label = format!("dify_redis {} {}", redis.address, redis.prefix);
            let registry = Registry::new(redis.clone(), Arc::clone(&fence), Arc::clone(roster));
            owners = redis.owners.then(|| registry.owners());
            keep(label, Box::new(registry));
        }
        if let Some(word) = &settings.own {
            let source = own.discovery(word, pool);
            let source = source.ok_or_else(|| format!("pool {pool}: no discovery {word}"))?;
            keep(format!("own {word}"), source);
        }
        Ok(Self {
            pool: pool.to_owned(),
            settings: settings.clone(),
            listeners,
            fence,
            kept,
            owners,
            damper: Mutex::default(),
        })
    }
}

impl PoolSource {
    /// How often it is worth looking again; none = never.
    #[must_use]
    pub fn refresh(&self) -> Option<Duration> {
        if let Some(found) = &self.found {
            return Some(found.settings.refresh);
        }
        let changes = self.fixed.as_ref().is_some_and(|fixed| !fixed.is_literal());
        changes.then_some(REFRESH)
    }

    /// Returns when it is worth looking at once.
    pub async fn changed(&self) {
        match &self.registered {
            Some(registered) => registered.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Whether nodes are looked for at all.
    #[must_use]
    pub const fn is_dynamic(&self) -> bool {
        self.found.is_some()
    }

    /// Whether every source answered when it was last asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// The owner of a debug plugin, as the daemons' registry has it.
    #[must_use]
    pub fn owner(&self, plugin: &str) -> Option<Owner> {
        self.found.as_ref()?.owners.as_ref()?.owner(plugin)
    }

    /// Whether nodes may register here.
    #[must_use]
    pub const fn takes_registrations(&self) -> bool {
        self.registered.is_some()
    }

    /// Why a node at this address may not be one that is found; none = it may.
    #[must_use]
    pub fn refusal(&self, address: SocketAddr) -> Option<&'static str> {
        match &self.found {
            Some(found) => found.fence.refusal(address),
            None => Some("this pool looks for no nodes"),
        }
    }

    /// What the sources bring: who is there, and whether all of them answered. None when none of
    /// them ever has.
    async fn brought(&self, found: &Found) -> (Option<Vec<Entry>>, bool) {
        let mut brought = None;
        let mut up = true;
        for kept in &found.kept {
            if let Some(entries) = kept.look().await {
                brought.get_or_insert_with(Vec::new).extend(entries);
            }
            up &= kept.is_up();
        }
        if let (Some(registered), now) = (&self.registered, clock::now()) {
            let mut entries = registered.look(now);
            entries.retain(|entry| found.fence.admits(entry.address));
            brought.get_or_insert_with(Vec::new).extend(entries);
        }
        (brought, up)
    }

    /// Adds what the sources brought to what is listed: names, addresses and the primary are
    /// unique, and who was there first stays. The pool's limit holds for them too.
    fn join(&self, listed: Vec<Entry>, brought: Vec<Entry>) -> Vec<Entry> {
        let mut joined = listed;
        for mut entry in brought {
            let clash = |other: &Entry| other.id == entry.id || other.address == entry.address;
            if self.taken.contains(&entry.id) || joined.iter().any(clash) {
                continue;
            }
            let primary = |other: &Entry| other.role == Role::Primary;
            if primary(&entry) && joined.iter().any(primary) {
                entry.role = Role::Secondary;
            }
            entry.max_in_flight = entry.max_in_flight.or(self.max_in_flight);
            joined.push(entry);
        }
        joined
    }

    /// Holds back who comes and goes, unless nobody would be left.
    fn damp(found: &Found, listed: usize, mut joined: Vec<Entry>) -> Vec<Entry> {
        let Some(first) = found.settings.damping else {
            return joined;
        };
        let there: Vec<_> = joined[listed..]
            .iter()
            .map(|entry| entry.id.clone())
            .collect();
        let admitted = found.damper.lock().admit(&there, clock::now(), first);
        if listed > 0 || !admitted.is_empty() {
            let mut at = 0;
            joined.retain(|entry| {
                at += 1;
                at <= listed || admitted.contains(&entry.id)
            });
        }
        joined
    }
}

#[async_trait]
impl Discovery for PoolSource {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let listed = match &self.fixed {
            Some(fixed) => Some(fixed.discover().await),
            None => None,
        };
        let Some(found) = &self.found else {
            let up = matches!(listed, Some(Ok(_)));
            self.up.store(up, Ordering::Relaxed);
            return listed.unwrap_or_else(|| Ok(Vec::new()));
        };
        let (brought, up) = self.brought(found).await;
        self.up
            .store(up && !matches!(listed, Some(Err(_))), Ordering::Relaxed);
        let listed = match (listed, &brought) {
            (Some(Err(error)), None) => return Err(error),
            (None, None) => {
                let what = "no source has answered yet".to_owned();
                return Err(DiscoveryError(what));
            }
            (Some(Ok(listed)), _) => listed,
            (Some(Err(_)) | None, Some(_)) => Vec::new(),
        };
        let before = listed.len();
        let joined = self.join(listed, brought.unwrap_or_default());
        Ok(Self::damp(found, before, joined))
    }
}
