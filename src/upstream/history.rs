//! What happened within the last minutes? Points for graphs, and notices of what changed.
//!
//! A background task looks once a second; no request does.

use super::live::Live;
use crate::model::{Class, NodeId, clock};
use crate::nodes::{Hand, Node};
use crate::observe::Spread;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

/// From one point to the next.
pub const EVERY: Duration = Duration::from_secs(5);
/// Five minutes of them.
const POINTS: usize = 60;
/// So many notices are kept.
const NOTICES: usize = 200;

/// The gateway at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Milliseconds of the wall clock.
    pub at_ms: u64,
    /// Short requests.
    pub short: Lane,
    /// Long requests.
    pub long: Lane,
    /// Requests that failed so far.
    pub failed: u64,
    /// Requests that wait.
    pub waiting: usize,
    /// In flight and failed so far, by node.
    #[serde(skip)]
    nodes: Vec<(NodeId, u32, u64)>,
}

/// The requests of one class at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Lane {
    /// How many have ended so far.
    pub ended: u64,
    /// How many run.
    pub in_flight: u32,
    /// Half of the last minute's were faster; milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 % of the last minute's were faster; milliseconds.
    pub p99_ms: Option<f64>,
}

/// Something changed.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// 1 for the first; whoever has seen it wants only later ones.
    pub number: u64,
    /// Milliseconds of the wall clock.
    pub at_ms: u64,
    /// What, as a word of a closed set.
    pub what: &'static str,
    /// The node, the gateway or the pool it is about.
    pub about: String,
}

/// The last minutes.
#[derive(Debug, Default)]
pub struct History {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    points: VecDeque<Point>,
    last_point: Option<Instant>,
    notices: VecDeque<Notice>,
    told: u64,
    seen: Option<Seen>,
}

/// What a look compares with the look before.
#[derive(Debug, PartialEq)]
struct Seen {
    nodes: HashMap<NodeId, NodeSeen>,
    version: u64,
    fleet: &'static str,
    leader: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct NodeSeen {
    healthy: bool,
    hand: Hand,
    resting: bool,
}

fn wall_ms(at: SystemTime) -> u64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl History {
    /// Looks at the gateway: once a second is enough.
    pub fn look(&self, live: &Live, now: Instant) {
        let seen = Seen::of(live, now);
        let state = &mut *self.state.lock();
        if let Some(before) = state.seen.take() {
            before.compare(&seen, |what, about| state.tell(what, about));
        }
        state.seen = Some(seen);
        let due = |last: Instant| now.saturating_duration_since(last) >= EVERY;
        if state.last_point.is_none_or(due) {
            state.last_point = Some(now);
            state.points.push_back(Point::of(live, now));
            if state.points.len() > POINTS {
                state.points.pop_front();
            }
        }
    }

    /// The points of the last five minutes, the oldest first.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        self.state.lock().points.iter().cloned().collect()
    }

    /// Requests in flight on each node that is known now, one number for each point.
    #[must_use]
    pub fn loads(&self, nodes: &[std::sync::Arc<Node>]) -> HashMap<NodeId, Vec<Option<u32>>> {
        let state = self.state.lock();
        let load = |point: &Point, id: &NodeId| {
            let mut rows = point.nodes.iter();
            rows.find(|(known, ..)| known == id).map(|row| row.1)
        };
        let loads = |node: &std::sync::Arc<Node>| {
            let points = state.points.iter();
            let loads = points.map(|point| load(point, node.id())).collect();
            (node.id().clone(), loads)
        };
        nodes.iter().map(loads).collect()
    }

    /// How many attempts had failed on each node five minutes ago, or when it was first seen.
    #[must_use]
    pub fn failed_before(&self) -> HashMap<NodeId, u64> {
        let state = self.state.lock();
        let mut before = HashMap::new();
        for (id, _, failed) in state.points.iter().flat_map(|point| &point.nodes) {
            before.entry(id.clone()).or_insert(*failed);
        }
        before
    }

    /// The notices after a number, the oldest first.
    #[must_use]
    pub fn notices(&self, after: u64) -> Vec<Notice> {
        let state = self.state.lock();
        let notices = state.notices.iter();
        notices
            .filter(|notice| notice.number > after)
            .cloned()
            .collect()
    }
}

impl State {
    fn tell(&mut self, what: &'static str, about: String) {
        self.told += 1;
        self.notices.push_back(Notice {
            number: self.told,
            at_ms: wall_ms(clock::wall()),
            what,
            about,
        });
        if self.notices.len() > NOTICES {
            self.notices.pop_front();
        }
    }
}

impl Seen {
    fn of(live: &Live, now: Instant) -> Self {
        let snapshot = live.snapshot();
        let node = |node: std::sync::Arc<Node>| {
            let seen = NodeSeen {
                healthy: node.is_healthy(),
                hand: node.hand(),
                resting: !node.resting(now).is_zero(),
            };
            (node.id().clone(), seen)
        };
        Self {
            nodes: snapshot.nodes().into_iter().map(node).collect(),
            version: snapshot.version,
            fleet: live.fleet.standing().word(),
            leader: live.fleet.leader(now).map(|leader| leader.gateway),
        }
    }

    fn compare(&self, after: &Self, mut tell: impl FnMut(&'static str, String)) {
        if after.version != self.version {
            tell("reloaded", after.version.to_string());
        }
        if after.fleet != self.fleet {
            tell("fleet", after.fleet.to_owned());
        }
        if let (true, Some(leader)) = (after.leader != self.leader, &after.leader) {
            tell("leader", leader.clone());
        }
        let gone = self
            .nodes
            .keys()
            .filter(|id| !after.nodes.contains_key(*id));
        let gone: Vec<_> = gone.collect();
        gone.iter().for_each(|id| tell("node_left", id.to_string()));
        for (id, now) in &after.nodes {
            match self.nodes.get(id) {
                None => tell("node_joined", id.to_string()),
                Some(before) => before
                    .compare(*now)
                    .into_iter()
                    .flatten()
                    .for_each(|what| tell(what, id.to_string())),
            }
        }
    }
}

impl NodeSeen {
    fn compare(self, after: Self) -> [Option<&'static str>; 3] {
        let health = if after.healthy {
            "node_up"
        } else {
            "node_down"
        };
        let hand = match after.hand {
            Hand::Ready => "node_ready",
            Hand::Drain => "node_drains",
            Hand::Maint => "node_in_maintenance",
        };
        let rest = if after.resting {
            "node_rests"
        } else {
            "node_rested"
        };
        [
            (self.healthy != after.healthy).then_some(health),
            (self.hand != after.hand).then_some(hand),
            (self.resting != after.resting).then_some(rest),
        ]
    }
}

impl Point {
    /// The gateway now.
    #[must_use]
    pub fn of(live: &Live, now: Instant) -> Self {
        let snapshot = live.snapshot();
        let pools = snapshot.pools();
        let nodes = snapshot.nodes();
        let lane = |class: Class| {
            let mut spread = Spread::default();
            for pool in pools {
                pool.metrics.recent[class.index()].add_to(&mut spread, now);
            }
            let quantile = |share| Some(round_ms(spread.quantile(share)?));
            Lane {
                ended: pools.iter().map(|pool| pool.metrics.count(class)).sum(),
                in_flight: nodes.iter().map(|node| node.in_flight(class)).sum(),
                p50_ms: quantile(0.5),
                p99_ms: quantile(0.99),
            }
        };
        let rooms = pools.iter().filter_map(|pool| pool.waiting.as_ref());
        let waiting = |class| rooms.clone().map(|room| room.waiting(class)).sum::<usize>();
        Self {
            at_ms: wall_ms(clock::wall()),
            short: lane(Class::Short),
            long: lane(Class::Long),
            failed: pools.iter().map(|pool| pool.metrics.failed()).sum(),
            waiting: Class::ALL.into_iter().map(waiting).sum(),
            nodes: nodes
                .iter()
                .map(|node| (node.id().clone(), node.total_in_flight(), node.failed()))
                .collect(),
        }
    }
}

/// Milliseconds; quantiles are exact to 12 %, and more digits would pretend.
#[must_use]
pub fn round_ms(duration: Duration) -> f64 {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 10.0 {
        (ms * 10.0).round() / 10.0
    } else {
        ms.round()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(nodes: &[(&str, bool, Hand, bool)], version: u64) -> Seen {
        let node = |&(id, healthy, hand, resting): &(&str, bool, Hand, bool)| {
            let seen = NodeSeen {
                healthy,
                hand,
                resting,
            };
            (id.into(), seen)
        };
        Seen {
            nodes: nodes.iter().map(node).collect(),
            version,
            fleet: "disabled",
            leader: None,
        }
    }

    #[test]
    fn each_change_is_one_notice_and_no_change_is_none() {
        let before = seen(
            &[
                ("n1", true, Hand::Ready, false),
                ("n2", false, Hand::Drain, true),
                ("n3", true, Hand::Ready, false),
            ],
            1,
        );
        let after = seen(
            &[
                ("n1", false, Hand::Maint, true),
                ("n2", true, Hand::Ready, false),
                ("n4", true, Hand::Ready, false),
            ],
            2,
        );
        let mut told = Vec::new();
        before.compare(&after, |what, about| told.push(format!("{what} {about}")));
        told.sort_unstable();
        let expected = [
            "node_down n1",
            "node_in_maintenance n1",
            "node_joined n4",
            "node_left n3",
            "node_ready n2",
            "node_rested n2",
            "node_rests n1",
            "node_up n2",
            "reloaded 2",
        ];
        assert_eq!(told, expected);
        after.compare(&after, |what, _| panic!("{what}, and nothing changed"));
    }

    #[test]
    fn only_the_last_notices_are_kept_and_a_reader_gets_what_is_new_to_it() {
        let history = History::default();
        for n in 0..=NOTICES {
            history.state.lock().tell("node_up", n.to_string());
        }
        let all = history.notices(0);
        assert_eq!((all.len(), all[0].number), (NOTICES, 2));
        assert_eq!(history.notices(NOTICES as u64).len(), 1);
    }
}
