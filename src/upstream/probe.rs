//! Does the plugin run there by now? Asked beside the requests, never on their way.
//!
//! A node without a plugin refuses and another one serves, which costs a request one more attempt
//! and the daemon a stack trace in its log. So what requests have missed, and what may be missing on
//! a node that came up, is asked for here; requests are sent there once it was found. The metrics
//! page answers for every plugin at once where the daemon has one; else each is asked for by a call
//! that no daemon lets through ([`readiness`]).

use super::errand::{Bounds, Errands};
use super::live::Live;
use super::sightings::{Sighting, Way};
use super::snapshot::Snapshot;
use super::watchlist::{Finding, Pace, Visit, Watchlist};
use crate::dify::readiness::{self, Reading, Runtime};
use crate::model::{NodeId, clock};
use crate::nodes::Node;
use bytes::Bytes;
use http::HeaderValue;
use pingora::Result;
use pingora::http::RequestHeader;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// So many nodes are asked at once, each one thing after another.
const AT_ONCE: usize = 4;
/// Only plugins that requests named this recently are asked for.
const RECENT: Duration = Duration::from_secs(3600);
/// Nodes and plugins are looked through this often.
const ROUND: Duration = Duration::from_secs(1);
const LONGEST_REFUSAL: usize = 64 * 1024;
/// With its histograms, a metrics page of a busy daemon has hundreds of kilobytes.
const LONGEST_PAGE: usize = 4 << 20;

/// Asks nodes for plugins.
#[derive(Debug)]
pub struct Prober {
    live: Arc<Live>,
    errands: Arc<Errands>,
    list: Watchlist,
    /// Nodes without a metrics page, by when they came up: they are asked again when they do.
    pageless: HashMap<NodeId, Option<u64>>,
    /// Nodes that did not take a key, likewise: said once.
    distrusting: HashMap<NodeId, Option<u64>>,
}

/// What a visit brings back.
struct Brought {
    node: Arc<Node>,
    page: bool,
    found: Vec<(Arc<Sighting>, Finding)>,
}

/// How one asks.
#[derive(Clone)]
struct Manner {
    /// The node's own key, where it is configured.
    own: Option<HeaderValue>,
    timeout: Duration,
    /// Tells patched daemons (seed 000) to answer for themselves.
    marks: bool,
}

impl Prober {
    /// Asks for what is live.
    #[must_use]
    pub fn new(live: Arc<Live>) -> Self {
        Self {
            live,
            errands: Arc::new(Errands::new()),
            list: Watchlist::default(),
            pageless: HashMap::new(),
            distrusting: HashMap::new(),
        }
    }

    /// Asks until `stop` says true. Without health checks nobody is asked.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let snapshot = self.live.snapshot();
            let round = round_every(&snapshot);
            tokio::select! {
                () = async {
                    tokio::time::sleep(round).await;
                    if snapshot.config.health.enabled {
                        self.round(&snapshot).await;
                    }
                } => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn round(&mut self, snapshot: &Snapshot) {
        let health = &snapshot.config.health;
        let pace = Pace {
            first: snapshot.config.cooldown.absent,
            slack: round_every(snapshot) * 2 + health.timeout * 2,
        };
        let manner = Manner {
            own: None,
            timeout: health.timeout,
            marks: snapshot.config.loops.marks,
        };
        self.errands.trust(&self.live.parts.checks.trusted());
        let now = clock::now();
        let seen = self.live.sightings.recent(now, RECENT);
        let nodes_of = |sighting: &Sighting| snapshot.pool_for(&path(sighting)).nodes();
        self.forget_the_gone(&snapshot.nodes());
        let visits = self.list.begin(&seen, nodes_of, now, pace);
        let mut under_way = JoinSet::new();
        for visit in visits {
            if under_way.len() == AT_ONCE
                && let Some(Ok(brought)) = under_way.join_next().await
            {
                self.take(brought, pace);
            }
            let page = self.pageless.get(visit.node.id()) != Some(&visit.node.came_up());
            let own = snapshot.upstream_key(visit.node.id());
            let manner = Manner {
                own,
                ..manner.clone()
            };
            under_way.spawn(pay(Arc::clone(&self.errands), visit, page, manner));
        }
        while let Some(brought) = under_way.join_next().await {
            match brought {
                Ok(brought) => self.take(brought, pace),
                Err(error) => log::error!("a probe failed error={error}"),
            }
        }
    }

    fn forget_the_gone(&mut self, nodes: &[Arc<Node>]) {
        let stays = |id: &NodeId| nodes.iter().any(|node| node.id() == id);
        self.pageless.retain(|id, _| stays(id));
        self.distrusting.retain(|id, _| stays(id));
    }

    fn take(&mut self, brought: Brought, pace: Pace) {
        let Brought { node, page, found } = brought;
        if !page {
            self.pageless.insert(node.id().clone(), node.came_up());
        }
        for (sighting, finding) in found {
            self.tell(&node, &sighting, finding);
            self.list
                .note(&node, &sighting, finding, clock::now(), pace);
        }
    }

    fn tell(&mut self, node: &Node, sighting: &Sighting, finding: Finding) {
        let (id, plugin) = (node.id(), &sighting.plugin);
        match finding {
            Finding::Present => log::info!("plugin found by a probe node={id} plugin={plugin}"),
            Finding::WrongKey => {
                let before = self.distrusting.insert(id.clone(), node.came_up());
                if before != Some(node.came_up()) {
                    log::warn!(
                        "the node does not take the key of other nodes, so plugins cannot be \
                         asked for there; is its SERVER_KEY the same? node={id} plugin={plugin}"
                    );
                }
            }
            _ => log::debug!("probe finding={finding:?} node={id} plugin={plugin}"),
        }
    }
}

/// Often enough that an absence does not end unnoticed.
fn round_every(snapshot: &Snapshot) -> Duration {
    let absent = snapshot.config.cooldown.absent;
    (absent / 5).clamp(Duration::from_millis(20), ROUND)
}

fn path(sighting: &Sighting) -> String {
    let probe = readiness::PROBE;
    match &sighting.way {
        Way::Identifier(_) => format!("/v2/invoke/{probe}"),
        Way::Tenant(tenant) => format!("/plugin/{tenant}/{probe}"),
    }
}

/// Finds out what can be found out on one node.
async fn pay(errands: Arc<Errands>, visit: Visit, page: bool, manner: Manner) -> Brought {
    let Visit { node, asks } = visit;
    let runtimes = if page {
        read_page(&errands, &node, &manner).await
    } else {
        None
    };
    let mut brought = Brought {
        page: !page || runtimes.is_some(),
        found: Vec::new(),
        node,
    };
    let runtimes = runtimes.unwrap_or_default();
    for ask in asks {
        let runtime = runtimes.get(&*ask.sighting.plugin).copied();
        let finding = match ask.settle(runtime) {
            Some(finding) => finding,
            None if ask.due => ask_for(&errands, &brought.node, &ask.sighting, &manner).await,
            None => continue,
        };
        brought.found.push((ask.sighting, finding));
        if finding == Finding::NoAnswer {
            // Nor will it answer the next question.
            break;
        }
    }
    brought
}

/// The runtimes on the node's metrics page; `None` when there is no such page.
async fn read_page(
    errands: &Errands,
    node: &Node,
    manner: &Manner,
) -> Option<HashMap<String, Runtime>> {
    let fetch = async {
        let request = begin("GET", readiness::METRICS)?;
        let bounds = manner.bounds(LONGEST_PAGE);
        errands.visit(node, request, Bytes::new(), bounds).await
    };
    match fetch.await {
        Ok((200, page)) => Some(readiness::read_metrics(&String::from_utf8_lossy(&page))),
        Ok(_no_such_page) => None,
        Err(error) => {
            log::debug!("no metrics page node={} error={error}", node.id());
            // Perhaps the next time.
            Some(HashMap::new())
        }
    }
}

async fn ask_for(errands: &Errands, node: &Node, sighting: &Sighting, manner: &Manner) -> Finding {
    let ask = async {
        let request = question(sighting, manner)?;
        let bounds = manner.bounds(LONGEST_REFUSAL);
        let body = readiness::PROBE_BODY;
        errands
            .visit(node, request, Bytes::from_static(body), bounds)
            .await
    };
    match ask.await {
        Ok((status, body)) => match readiness::read_probe(status, &body) {
            Reading::Present => Finding::Present,
            Reading::Absent => Finding::Absent,
            Reading::WrongKey => Finding::WrongKey,
            Reading::NotNow => Finding::NoAnswer,
            Reading::Unknown => Finding::Unknown,
        },
        Err(error) => {
            log::debug!("no answer to a probe node={} error={error}", node.id());
            Finding::NoAnswer
        }
    }
}

fn question(sighting: &Sighting, manner: &Manner) -> Result<RequestHeader> {
    let mut request = begin("POST", &path(sighting))?;
    match &sighting.way {
        Way::Identifier(identifier) => {
            request.insert_header("X-Plugin-Unique-Identifier", &**identifier)?;
        }
        Way::Tenant(_) => request.insert_header("X-Plugin-ID", &*sighting.plugin)?,
    }
    if let Some(key) = &manner.own {
        request.insert_header("X-Api-Key", key.clone())?;
    } else if let Some(key) = &sighting.key {
        request.insert_header("X-Api-Key", key.expose())?;
    }
    request.insert_header("Content-Type", "application/json")?;
    if manner.marks {
        request.insert_header("X-Plugin-Forwarded", "true")?;
    }
    Ok(request)
}

fn begin(method: &str, path: &str) -> Result<RequestHeader> {
    let mut request = RequestHeader::build(method, path.as_bytes(), None)?;
    request.insert_header("User-Agent", "twolane-probe")?;
    Ok(request)
}

impl Manner {
    const fn bounds(&self, longest: usize) -> Bounds {
        Bounds {
            timeout: self.timeout,
            longest,
            // Rounds are far apart; a connection serves for the questions of one.
            idle: ROUND,
        }
    }
}
