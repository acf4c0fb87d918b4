//! Does every node run the plugins that the operator expects there?
//!
//! Asked on a schedule, whether requests come or not, so that a plugin that is missing is known before
//! its first call. What is found is what probes of plugins in traffic find: requests are sent by it.

use super::errand::Errands;
use super::live::Live;
use super::question::{Manner, Page, ask_for, read_page};
use super::roll::Attendance;
use super::sightings::{Sighting, Way};
use super::snapshot::Snapshot;
use super::watchlist::Finding;
use crate::config::{Expected, Expects};
use crate::dify::readiness::Runtime;
use crate::model::{NodeId, clock};
use crate::nodes::{Hand, Node, Plugin};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// So many nodes are asked at once, each one thing after another.
const AT_ONCE: usize = 4;
/// Whose turn it is, is looked at this often at most.
const LOOK: Duration = Duration::from_secs(1);
/// Where something is missing, the next question comes after `cooldown.absent`, then twice as late
/// each time, and never later than `every`.
const DOUBLINGS: u32 = 16;

/// Calls the roll.
#[derive(Debug)]
pub struct RollCall {
    live: Arc<Live>,
    errands: Arc<Errands>,
    called: HashMap<NodeId, Called>,
}

/// When a node was asked last, and for what.
#[derive(Debug)]
struct Called {
    came_up: Option<u64>,
    expects: Expects,
    /// So often in a row something was missing.
    misses: u32,
    next: Instant,
}

/// One node, and what is expected there.
struct Call {
    node: Arc<Node>,
    expects: Expects,
    plugins: Vec<Arc<Plugin>>,
    manner: Manner,
}

/// What was found, in the order of the plugins.
struct Answer {
    call: Call,
    found: Vec<Attendance>,
}

impl RollCall {
    /// Asks for what is live.
    #[must_use]
    pub fn new(live: Arc<Live>) -> Self {
        Self {
            live,
            errands: Arc::new(Errands::new()),
            called: HashMap::new(),
        }
    }

    /// Asks until `stop` says true. Where nothing is expected, nobody is asked.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let snapshot = self.live.snapshot();
            let often = expecting(&snapshot)
                .map(|(_, expects)| expects.every / 4)
                .min();
            tokio::select! {
                () = async {
                    tokio::time::sleep(often.unwrap_or(LOOK).min(LOOK)).await;
                    self.look(&snapshot).await;
                } => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn look(&mut self, snapshot: &Snapshot) {
        self.errands.trust(&self.live.parts.checks.trusted());
        let mut under_way = JoinSet::new();
        for call in self.due(snapshot, clock::now()) {
            if under_way.len() == AT_ONCE
                && let Some(Ok(answer)) = under_way.join_next().await
            {
                self.take(answer, snapshot);
            }
            under_way.spawn(call.ask(Arc::clone(&self.errands)));
        }
        while let Some(answer) = under_way.join_next().await {
            match answer {
                Ok(answer) => self.take(answer, snapshot),
                Err(error) => log::error!("a roll call failed error={error}"),
            }
        }
    }

    /// Whose turn it is. What is not asked for any more is forgotten.
    fn due(&mut self, snapshot: &Snapshot, now: Instant) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut wanted = HashMap::new();
        for (nodes, expects) in expecting(snapshot) {
            for node in nodes.iter().filter(|node| may_be_asked(node)) {
                wanted.insert(node.id().clone(), expects.plugins.clone());
                let last = self.called.get(node.id());
                let fresh = last.is_some_and(|last| {
                    last.came_up == node.came_up() && last.expects == *expects && now < last.next
                });
                if !fresh {
                    calls.push(self.call(node, expects, snapshot));
                }
            }
        }
        self.called.retain(|node, _| wanted.contains_key(node));
        self.live.roll.keep(|node, plugin| {
            let expected = wanted.get(node).into_iter().flatten();
            expected.into_iter().any(|one| one.plugin == plugin)
        });
        calls
    }

    fn call(&self, node: &Arc<Node>, expects: &Expects, snapshot: &Snapshot) -> Call {
        let place = |one: &Expected| self.live.plugins.find(Some(&one.plugin));
        Call {
            node: Arc::clone(node),
            plugins: expects.plugins.iter().map(place).collect(),
            expects: expects.clone(),
            manner: Manner {
                own: snapshot.upstream_key(node.id()),
                timeout: snapshot.config.health.timeout,
                marks: snapshot.config.loops.marks,
            },
        }
    }

    fn take(&mut self, Answer { call, found }: Answer, snapshot: &Snapshot) {
        let Call {
            node,
            expects,
            plugins,
            manner,
        } = call;
        let now = clock::now();
        let missing = found.iter().any(|one| one.is_missing());
        let misses = match self.called.get(node.id()) {
            Some(last) if missing && last.came_up == node.came_up() => last.misses + 1,
            _ => u32::from(missing),
        };
        let pause = pause(&expects, snapshot.config.cooldown.absent, misses);
        for (plugin, attendance) in plugins.iter().zip(found) {
            // No request shall find out before the next question does.
            let until = pause + 2 * (LOOK + manner.timeout);
            match attendance {
                Attendance::Present => node.note_found(plugin.place(), now),
                Attendance::Absent | Attendance::Starting => {
                    node.keep_absent(plugin.place(), now, until);
                }
                Attendance::Unknown => {}
            }
            self.live
                .roll
                .note(node.id(), plugin.name(), attendance, now);
        }
        let called = Called {
            came_up: node.came_up(),
            expects,
            misses,
            next: now + pause,
        };
        self.called.insert(node.id().clone(), called);
    }
}

/// Until the next question.
fn pause(expects: &Expects, first: Duration, misses: u32) -> Duration {
    match misses {
        0 => expects.every,
        _ => (first * 2u32.pow((misses - 1).min(DOUBLINGS))).min(expects.every),
    }
}

/// Each pool's nodes, and what is expected of them.
fn expecting(snapshot: &Snapshot) -> impl Iterator<Item = (Arc<Vec<Arc<Node>>>, &Expects)> {
    let settings = snapshot.config.pools.iter();
    let pools = settings.zip(snapshot.pools());
    pools.filter_map(|(settings, pool)| Some((pool.nodes(), settings.expects.as_ref()?)))
}

/// The sick and the drained are another alarm's. A serverless node runs whatever is asked of it.
fn may_be_asked(node: &Node) -> bool {
    node.is_healthy() && node.is_checked() && node.hand() == Hand::Ready && !node.is_serverless()
}

impl Call {
    async fn ask(self, errands: Arc<Errands>) -> Answer {
        let page = read_page(&errands, &self.node, &self.manner).await;
        let mut found = Vec::with_capacity(self.plugins.len());
        for (expected, plugin) in self.expects.plugins.iter().zip(&self.plugins) {
            let told = match &page {
                Page::Read(all) => all.get(&expected.plugin).copied(),
                Page::NoAnswer => {
                    found.push(Attendance::Unknown);
                    continue;
                }
                Page::Missing => None,
            };
            // A page knows no versions: whoever writes one wants to know about that one.
            let by_page = match told {
                Some(Runtime::Running) if expected.identifier.is_none() => {
                    Some(Attendance::Present)
                }
                Some(Runtime::Launching) => Some(Attendance::Starting),
                Some(Runtime::Stopped) => Some(Attendance::Absent),
                _ => None,
            };
            found.push(match by_page {
                Some(attendance) => attendance,
                None => self.ask_for(&errands, expected, plugin, &page).await,
            });
        }
        Answer { call: self, found }
    }

    /// By a call of the plugin; a page that does not name it has spoken where none can be made.
    async fn ask_for(
        &self,
        errands: &Errands,
        expected: &Expected,
        plugin: &Plugin,
        page: &Page,
    ) -> Attendance {
        let silent = match page {
            Page::Read(all) if !all.contains_key(&expected.plugin) => Attendance::Absent,
            Page::Read(_) => Attendance::Present,
            _ => Attendance::Unknown,
        };
        let Some(way) = self.way(expected) else {
            return silent;
        };
        let sighting = Sighting {
            place: plugin.place(),
            plugin: expected.plugin.as_str().into(),
            way,
            key: self.expects.key.clone(),
            revision: 0,
        };
        match ask_for(errands, &self.node, &sighting, &self.manner).await {
            Finding::Present => Attendance::Present,
            Finding::Absent => Attendance::Absent,
            Finding::Launching => Attendance::Starting,
            Finding::WrongKey | Finding::Unknown => silent,
            Finding::NoAnswer => Attendance::Unknown,
        }
    }

    /// How the plugin can be asked for, if it can.
    fn way(&self, expected: &Expected) -> Option<Way<Box<str>>> {
        let tenant = self.expects.tenant.as_deref();
        match (&expected.identifier, tenant) {
            (Some(identifier), _) => Some(Way::Identifier(identifier.as_str().into())),
            (None, Some(tenant)) => Some(Way::Tenant(tenant.into())),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_asked_for_sooner_and_never_later_than_the_schedule() {
        let expects = Expects {
            plugins: Vec::new(),
            every: Duration::from_secs(30),
            key: None,
            tenant: None,
        };
        let seconds = |misses| pause(&expects, Duration::from_secs(5), misses).as_secs();
        let asked: Vec<_> = [0, 1, 2, 3, 4, 1000].map(seconds).to_vec();
        assert_eq!(asked, [30, 5, 10, 20, 30, 30]);
    }
}
