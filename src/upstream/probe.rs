//! Does the plugin run there by now? Asked beside the requests, never on their way.
//!
//! A node without a plugin refuses and another one serves, which costs a request one more attempt
//! and the daemon a stack trace in its log. So what requests have missed, and what may be missing on
//! a node that came up, is asked for here; requests are sent there once it was found. How
//! one asks is in `question`.

use super::errand::Errands;
use super::live::Live;
use super::question::{Manner, Page, ask_for, path, read_page};
use super::sightings::Sighting;
use super::snapshot::Snapshot;
use super::watchlist::{Finding, Pace, Visit, Watchlist};
use crate::model::{NodeId, clock};
use crate::nodes::Node;
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

/// Finds out what can be found out on one node.
async fn pay(errands: Arc<Errands>, visit: Visit, page: bool, manner: Manner) -> Brought {
    let Visit { node, asks } = visit;
    let read = if page {
        Some(read_page(&errands, &node, &manner).await)
    } else {
        None
    };
    let mut brought = Brought {
        page: !matches!(read, Some(Page::Missing)),
        found: Vec::new(),
        node,
    };
    let runtimes = match read {
        Some(Page::Read(runtimes)) => runtimes,
        _ => HashMap::new(),
    };
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
