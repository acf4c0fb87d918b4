//! Who is in the registry now, and at which address does each answer?

use super::Mirror;
use super::beats::Beats;
use super::link::Link;
use super::places::{Place, places};
use super::record::{NodeRecord, StateRecord};
use crate::config::DifyRedis;
use crate::dify::health::judge;
use crate::model::clock;
use crate::nodes::{Entry, Roster};
use crate::upstream::discovery::dns::called_by_address;
use crate::upstream::discovery::fence::Fence;
use crate::upstream::discovery::{Discovery, DiscoveryError};
use crate::upstream::errand::{Bounds, Errands};
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::RequestHeader;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// To find out which of several addresses is the right one.
const PROBE: Bounds = Bounds {
    timeout: Duration::from_secs(1),
    longest: 64 * 1024,
    idle: Duration::ZERO,
};

/// The daemons' registry.
#[derive(Debug)]
pub(in crate::upstream::discovery) struct Registry {
    settings: DifyRedis,
    fence: Arc<Fence>,
    roster: Arc<Roster>,
    errands: Errands,
    owners: Arc<Mirror>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    link: Link,
    nodes: Beats<NodeRecord>,
    states: Beats<StateRecord>,
    /// The address that was found to answer, by the name of the run.
    pins: HashMap<String, SocketAddr>,
}

impl Registry {
    pub(in crate::upstream::discovery) fn new(
        settings: DifyRedis,
        fence: Arc<Fence>,
        roster: Arc<Roster>,
    ) -> Self {
        let state = State {
            link: Link::new(settings.clone()),
            nodes: Beats::default(),
            states: Beats::default(),
            pins: HashMap::new(),
        };
        Self {
            settings,
            fence,
            roster,
            errands: Errands::new(),
            owners: Arc::default(),
            state: Mutex::new(state),
        }
    }

    /// Who owns which debug plugin.
    pub(in crate::upstream::discovery) fn owners(&self) -> Arc<Mirror> {
        Arc::clone(&self.owners)
    }

    /// Where each of these is: the address of it that answers.
    async fn locate<'p>(
        &self,
        places: &'p [Place],
        pins: &mut HashMap<String, SocketAddr>,
    ) -> Vec<(&'p Place, SocketAddr)> {
        pins.retain(|run, _| places.iter().any(|place| place.run == *run));
        let mut located = Vec::with_capacity(places.len());
        let mut asked = tokio::task::JoinSet::new();
        for place in places {
            let pinned = pins.get(&place.run).copied();
            let pinned = pinned.filter(|address| place.addresses.contains(address));
            match (place.addresses.as_slice(), pinned) {
                ([], _) => {}
                // The checks will tell how it is; there is nothing to choose.
                ([only], _) => located.push((place, *only)),
                (_, Some(address)) if !self.is_down(address) => located.push((place, address)),
                (all, _) => {
                    for (rank, address) in all.iter().copied().enumerate() {
                        let (errands, run) = (self.errands.clone(), place.run.clone());
                        asked.spawn(async move {
                            let well = is_well(&errands, address).await;
                            (run, rank, address, well)
                        });
                    }
                }
            }
        }
        let mut answers: HashMap<String, (usize, SocketAddr)> = HashMap::new();
        while let Some(answer) = asked.join_next().await {
            let Ok((run, rank, address, true)) = answer else {
                continue;
            };
            let best = answers.entry(run).or_insert((rank, address));
            if rank < best.0 {
                *best = (rank, address);
            }
        }
        for place in places.iter().filter(|place| place.addresses.len() > 1) {
            let settled = located.iter().any(|(known, _)| known.run == place.run);
            let answered = answers.get(&place.run).map(|(_, address)| *address);
            // Where none answers, the one that did before may do so again.
            let address = answered.or_else(|| pins.get(&place.run).copied());
            if let (false, Some(address)) = (settled, address) {
                pins.insert(place.run.clone(), address);
                located.push((place, address));
            }
        }
        located
    }

    fn is_down(&self, address: SocketAddr) -> bool {
        let nodes = self.roster.at(address);
        !nodes.is_empty() && nodes.iter().all(|node| !node.is_healthy())
    }
}

async fn is_well(errands: &Errands, address: SocketAddr) -> bool {
    let Ok(request) = RequestHeader::build("GET", b"/health/check", None) else {
        return false;
    };
    let answer = errands.run(address, request, Bytes::new(), PROBE).await;
    answer.is_ok_and(|(status, body)| judge(status, &body).is_ok())
}

/// Tells one run of a daemon from the next.
fn boot(run: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    hasher.finish()
}

impl State {
    /// Takes in what the registry says now.
    async fn read(&mut self, owners: bool, stale: Duration) -> Result<Instant, String> {
        let picture = self.link.read(owners).await;
        let now = clock::now();
        let picture = match picture {
            Ok(picture) => picture,
            Err(error) => {
                self.nodes.note_gap();
                self.states.note_gap();
                return Err(error);
            }
        };
        let at = picture.time;
        for (run, text) in picture.nodes {
            if let Some(record) = NodeRecord::read(&text) {
                let fresh = record.is_fresh(at, stale);
                self.nodes.hear(run, record.token(), record, fresh, now);
            }
        }
        self.nodes.end_round(now, stale);
        for (field, text) in picture.states {
            if let Some(record) = StateRecord::read(&field, &text) {
                let fresh = record.is_fresh(at, stale);
                self.states.hear(field, record.token(), record, fresh, now);
            }
        }
        self.states.end_round(now, stale);
        Ok(now)
    }
}

#[async_trait]
impl Discovery for Registry {
    async fn discover(&self) -> Result<Vec<Entry>, DiscoveryError> {
        let mut state = self.state.lock().await;
        let State {
            nodes,
            states,
            pins,
            ..
        } = {
            let read = state.read(self.settings.owners, self.settings.stale).await;
            read.map_err(DiscoveryError)?;
            &mut *state
        };
        let living: Vec<_> = nodes.living().collect();
        if living.is_empty() {
            // Redis was emptied, or cannot be written: the daemons may be well.
            let what = format!("no heartbeat moves under {}", self.settings.prefix);
            return Err(DiscoveryError(what));
        }
        let places = places(&living, |address| self.fence.admits(address));
        let located = self.locate(&places, pins).await;
        let entry = |(place, address): &(&Place, SocketAddr)| Entry {
            boot: Some(boot(&place.run)),
            ..called_by_address(*address)
        };
        let entries: Vec<_> = located.iter().map(entry).collect();
        if self.settings.owners {
            let at = located
                .iter()
                .map(|(place, address)| (place.run.as_str(), *address));
            let living = states.living().map(|(_, record)| record);
            self.owners.set(living, &at.collect());
        }
        if entries.is_empty() {
            let what = "no node of the registry has an address that may be used".to_owned();
            return Err(DiscoveryError(what));
        }
        Ok(entries)
    }
}
