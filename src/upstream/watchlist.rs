//! Which plugin is asked for on which node, and when next?

use super::sightings::Sighting;
use crate::dify::readiness::Runtime;
use crate::model::NodeId;
use crate::nodes::{Hand, Node, Presence};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A back-off is at most so many times the first pause.
const LONGEST: u32 = 12;
/// A metrics page knows no versions, and what it says after an upgrade may be the old version's:
/// "stopped" is believed this often in a row before the plugin is asked for itself.
const BELIEVED: u32 = 3;
/// At most so many plugins are asked for on one node in one round.
const ASKS: usize = 32;

/// What was found out about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The plugin runs there.
    Present,
    /// It does not.
    Absent,
    /// Its process starts there.
    Launching,
    /// The node does not take the key: not asked again.
    WrongKey,
    /// It cannot be told: not asked again.
    Unknown,
    /// The node did not answer.
    NoAnswer,
}

/// How often is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The first pause; each further one is twice as long, up to twelve times this.
    pub(super) first: Duration,
    /// How much later than planned a round may come.
    pub(super) slack: Duration,
}

/// One plugin on one node.
#[derive(Debug)]
struct Pair {
    /// The node's and the plugin's: when either changes, what was found out is void.
    came_up: Option<u64>,
    generation: u16,
    revision: u64,
    /// A request was refused there: what a metrics page says was not enough.
    missed: bool,
    asked: u32,
    /// `None`: not asked again.
    next: Option<Instant>,
    /// The round in which it was last wanted.
    round: u64,
}

/// What to find out on one node.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) node: Arc<Node>,
    pub(super) asks: Vec<Ask>,
}

/// What to find out about one plugin.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) sighting: Arc<Sighting>,
    /// It is time to ask; else only what is found by the way counts.
    pub(super) due: bool,
    missed: bool,
    asked: u32,
}

impl Ask {
    /// What a metrics page settles by itself.
    pub(super) fn settle(&self, runtime: Option<Runtime>) -> Option<Finding> {
        match runtime? {
            Runtime::Running if !self.missed => Some(Finding::Present),
            Runtime::Launching if self.due => Some(Finding::Launching),
            Runtime::Stopped if self.due && self.asked % (BELIEVED + 1) != BELIEVED => {
                Some(Finding::Absent)
            }
            _ => None,
        }
    }
}

/// All pairs that are worth asking for: at most one per node and place.
#[derive(Debug, Default)]
pub(super) struct Watchlist {
    pairs: HashMap<(NodeId, u16), Pair>,
    round: u64,
}

impl Watchlist {
    /// Begins a round: what to find out now. `nodes_of` gives the nodes that may serve a plugin.
    pub(super) fn begin(
        &mut self,
        seen: &[Arc<Sighting>],
        nodes_of: impl Fn(&Sighting) -> Arc<Vec<Arc<Node>>>,
        now: Instant,
        pace: Pace,
    ) -> Vec<Visit> {
        self.round += 1;
        let mut visits: HashMap<NodeId, Visit> = HashMap::new();
        for sighting in seen {
            for node in nodes_of(sighting).iter() {
                if let Some(ask) = self.ask(sighting, node, now, pace) {
                    let visit = visits.entry(node.id().clone()).or_insert_with(|| Visit {
                        node: Arc::clone(node),
                        asks: Vec::new(),
                    });
                    visit.asks.push(ask);
                }
            }
        }
        let round = self.round;
        self.pairs.retain(|_, pair| pair.round == round);
        let mut visits: Vec<_> = visits.into_values().collect();
        visits.retain(|visit| visit.asks.iter().any(|ask| ask.due));
        for visit in &mut visits {
            let due = visit.asks.iter_mut().filter(|ask| ask.due);
            due.skip(ASKS).for_each(|ask| ask.due = false);
        }
        visits
    }

    /// What to find out about this pair, if it is worth it.
    fn ask(
        &mut self,
        sighting: &Arc<Sighting>,
        node: &Node,
        now: Instant,
        pace: Pace,
    ) -> Option<Ask> {
        let presence = node.presence(sighting.place, now);
        if presence == Presence::Present || !node.is_healthy() || node.hand() != Hand::Ready {
            return None;
        }
        let came_up = node.came_up();
        let key = (node.id().clone(), sighting.place.index);
        let fresh = |pair: &Pair| {
            (pair.came_up, pair.generation, pair.revision)
                == (came_up, sighting.place.generation, sighting.revision)
        };
        if !self.pairs.get(&key).is_some_and(fresh) {
            let missed = presence == Presence::Absent;
            if !missed && came_up.is_none() {
                // It was there from the start, and requests find out by themselves.
                return None;
            }
            // Who was just refused need not ask at once.
            let pause = if missed { pace.first } else { Duration::ZERO };
            if missed {
                node.prolong_absent(sighting.place, now, pause + pace.slack);
            }
            let pair = Pair {
                came_up,
                generation: sighting.place.generation,
                revision: sighting.revision,
                missed,
                asked: u32::from(missed),
                next: Some(now + pause),
                round: 0,
            };
            self.pairs.insert(key.clone(), pair);
        }
        let pair = self.pairs.get_mut(&key)?;
        pair.round = self.round;
        Some(Ask {
            sighting: Arc::clone(sighting),
            due: pair.next? <= now,
            missed: pair.missed,
            asked: pair.asked,
        })
    }

    /// Takes what was found out, and tells the node.
    pub(super) fn note(
        &mut self,
        node: &Node,
        sighting: &Sighting,
        finding: Finding,
        now: Instant,
        pace: Pace,
    ) {
        let key = (node.id().clone(), sighting.place.index);
        let Some(pair) = self.pairs.get_mut(&key) else {
            return;
        };
        if pair.came_up != node.came_up() {
            // It came up again meanwhile; this was its predecessor.
            return;
        }
        pair.asked += 1;
        let doubled = 1u32.checked_shl(pair.asked - 1).unwrap_or(LONGEST);
        let pause = pace.first * doubled.min(LONGEST);
        let until = |pause: Duration| pause + pace.slack;
        match finding {
            Finding::Present => {
                node.note_found(sighting.place, now);
                self.pairs.remove(&key);
            }
            Finding::Absent => {
                pair.next = Some(now + pause);
                // No request shall find out before the next probe does.
                node.keep_absent(sighting.place, now, until(pause));
            }
            Finding::Launching => {
                pair.next = Some(now + pace.first);
                node.keep_absent(sighting.place, now, until(pace.first));
            }
            Finding::WrongKey | Finding::Unknown => pair.next = None,
            Finding::NoAnswer => pair.next = Some(now + pause),
        }
    }

    /// How many pairs are watched.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.pairs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sightings::Way;
    use super::*;
    use crate::model::{PluginPlace, Role, clock};

    const PLACE: PluginPlace = PluginPlace {
        index: 3,
        generation: 0,
    };
    const PACE: Pace = Pace {
        first: Duration::from_secs(5),
        slack: Duration::from_secs(2),
    };

    struct Rig {
        list: Watchlist,
        nodes: Arc<Vec<Arc<Node>>>,
        seen: Vec<Arc<Sighting>>,
        start: Instant,
        now: Instant,
    }

    impl Rig {
        fn new() -> Self {
            let start = clock::now();
            let address = "10.0.0.1:5002".parse().expect("an address");
            let node = Node::new("n1".into(), address, (Role::Secondary, 1), start);
            Self {
                list: Watchlist::default(),
                nodes: Arc::new(vec![Arc::new(node)]),
                seen: vec![Arc::new(Sighting {
                    place: PLACE,
                    plugin: "a/b".into(),
                    way: Way::Tenant("t".into()),
                    key: None,
                    revision: 0,
                })],
                start,
                now: start,
            }
        }

        fn node(&self) -> &Node {
            &self.nodes[0]
        }

        fn due(&mut self) -> Option<Ask> {
            let nodes = Arc::clone(&self.nodes);
            let visits = self
                .list
                .begin(&self.seen, |_| Arc::clone(&nodes), self.now, PACE);
            let asks = visits.into_iter().flat_map(|visit| visit.asks);
            asks.into_iter().find(|ask| ask.due)
        }

        fn note(&mut self, finding: Finding) {
            let (node, sighting) = (Arc::clone(&self.nodes[0]), Arc::clone(&self.seen[0]));
            self.list.note(&node, &sighting, finding, self.now, PACE);
        }

        /// Rounds of a second with this finding each time; at which seconds it was asked.
        fn asked(&mut self, finding: Finding, seconds: u64) -> Vec<u64> {
            let mut at = Vec::new();
            for _ in 0..seconds {
                if self.due().is_some() {
                    at.push((self.now - self.start).as_secs());
                    self.note(finding);
                }
                let presence = self.node().presence(PLACE, self.now);
                assert!(
                    finding != Finding::Absent || presence == Presence::Absent,
                    "a request could be sent there between two probes"
                );
                self.now += Duration::from_secs(1);
            }
            at
        }
    }

    #[test]
    fn a_plugin_that_a_request_missed_is_asked_for_ever_more_rarely_until_it_is_there() {
        let mut rig = Rig::new();
        rig.node()
            .note_absent(PLACE, rig.now, Duration::from_secs(5));
        assert_eq!(rig.asked(Finding::Absent, 200), [5, 15, 35, 75, 135, 195]);
        rig.now = rig.start + Duration::from_secs(255);
        assert!(rig.due().is_some());
        rig.note(Finding::Present);
        assert_eq!(rig.node().presence(PLACE, rig.now), Presence::Present);
        assert_eq!(rig.asked(Finding::Present, 100), Vec::<u64>::new());
        assert_eq!(rig.list.len(), 0);
    }

    #[test]
    fn a_node_that_came_up_is_asked_at_once_and_one_that_was_there_is_not() {
        let mut rig = Rig::new();
        assert_eq!(rig.asked(Finding::Absent, 0), Vec::<u64>::new());
        assert!(rig.due().is_none(), "unknown since the start");
        rig.node().note_came_up(rig.now);
        assert_eq!(rig.asked(Finding::Absent, 80), [0, 5, 15, 35, 75]);
    }

    #[test]
    fn what_starts_is_asked_for_at_the_first_pace() {
        let mut rig = Rig::new();
        rig.node().note_came_up(rig.now);
        assert_eq!(rig.asked(Finding::Launching, 21), [0, 5, 10, 15, 20]);
    }

    #[test]
    fn nobody_is_asked_again_who_cannot_say_until_something_changes() {
        for finding in [Finding::WrongKey, Finding::Unknown] {
            let mut rig = Rig::new();
            rig.node().note_came_up(rig.now);
            assert_eq!(rig.asked(finding, 100), [0], "{finding:?}");
            let seen = Sighting::clone(&rig.seen[0]);
            rig.seen = vec![Arc::new(Sighting {
                revision: 1,
                ..seen
            })];
            assert_eq!(rig.asked(finding, 100), [100], "another key, perhaps");
            rig.node().note_came_up(rig.now);
            assert_eq!(rig.asked(finding, 100), [200], "another process, perhaps");
        }
    }

    #[test]
    fn neither_the_sick_nor_the_drained_nor_the_forgotten_is_asked() {
        let mut rig = Rig::new();
        rig.node().note_came_up(rig.now);
        rig.node().set_healthy(false);
        assert!(rig.due().is_none());
        rig.node().set_healthy(true);
        rig.node().set_hand(Hand::Drain);
        assert!(rig.due().is_none());
        rig.node().set_hand(Hand::Ready);
        assert!(rig.due().is_some());
        rig.seen.clear();
        assert!(rig.due().is_none());
        assert_eq!(rig.list.len(), 0, "nothing is kept of it");
    }

    #[test]
    fn a_metrics_page_settles_what_it_can_know() {
        let ask = |missed, asked, due| Ask {
            sighting: Arc::clone(&Rig::new().seen[0]),
            due,
            missed,
            asked,
        };
        let running = Some(Runtime::Running);
        assert_eq!(ask(false, 0, true).settle(running), Some(Finding::Present));
        assert_eq!(ask(false, 0, false).settle(running), Some(Finding::Present));
        assert_eq!(
            ask(true, 1, true).settle(running),
            None,
            "another version ran there when a request came"
        );
        let stopped = Some(Runtime::Stopped);
        let believed: Vec<_> = (0..8)
            .map(|asked| ask(false, asked, true).settle(stopped).is_some())
            .collect();
        assert_eq!(believed, [true, true, true, false, true, true, true, false]);
        assert_eq!(ask(false, 0, false).settle(stopped), None);
        let launching = Some(Runtime::Launching);
        assert_eq!(
            ask(true, 3, true).settle(launching),
            Some(Finding::Launching)
        );
        assert_eq!(ask(false, 0, true).settle(None), None);
    }

    #[test]
    fn a_node_is_asked_for_so_many_plugins_at_once() {
        let mut rig = Rig::new();
        rig.node().note_came_up(rig.now);
        let one = Sighting::clone(&rig.seen[0]);
        let place = |index| PluginPlace {
            index,
            generation: 0,
        };
        let many = (1..=100).map(|index| Sighting {
            place: place(index),
            ..one.clone()
        });
        rig.seen = many.map(Arc::new).collect();
        let nodes = Arc::clone(&rig.nodes);
        let visits = rig
            .list
            .begin(&rig.seen, |_| Arc::clone(&nodes), rig.now, PACE);
        let due = visits[0].asks.iter().filter(|ask| ask.due).count();
        assert_eq!((visits[0].asks.len(), due), (100, ASKS));
    }
}
