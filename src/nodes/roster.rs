//! Which nodes do we know, across reloads and changes of membership?

use super::{Hand, Node};
use crate::config::MaxInFlight;
use crate::model::{NodeId, Role};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// A node as configuration or discovery names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its part in the pool.
    pub role: Role,
    /// Its share of the work.
    pub weight: u16,
    /// What the configuration wants of it.
    pub hand: Hand,
    /// Tells one run of its process from the next, where that is known: another one means that
    /// the node was restarted.
    pub boot: Option<u64>,
    /// How many requests it may have in flight.
    pub max_in_flight: Option<MaxInFlight>,
    /// The name in its certificate; none = it is reached without TLS.
    pub server_name: Option<Arc<str>>,
}

impl Entry {
    /// A node of which only name and address are known.
    #[must_use]
    pub fn at(name: &str, address: SocketAddr) -> Self {
        Self {
            id: NodeId::from(name),
            address,
            role: Role::default(),
            weight: 1,
            hand: Hand::Ready,
            boot: None,
            max_in_flight: None,
            server_name: None,
        }
    }
}

/// All nodes by name. A node lives as long as a pool or a running request holds it; one that is
/// named again with the same address is the same node, with its counts and its health.
#[derive(Debug, Default)]
pub struct Roster {
    book: Mutex<Book>,
    /// Requests are served: who is new from now on joins others that know their plugins.
    open: AtomicBool,
}

#[derive(Debug, Default)]
struct Book {
    known: HashMap<NodeId, Known>,
    /// The same by address: each check of a node asks for it, and there may be a thousand.
    listed: HashMap<SocketAddr, Vec<Weak<Node>>>,
}

#[derive(Debug)]
struct Known {
    node: Weak<Node>,
    /// What the configuration last wanted: a reload that does not change it leaves a drain that
    /// the operator began by hand alone.
    wanted: Hand,
    /// The same of its weight.
    weight: u16,
    /// Which run of its process we know.
    boot: Option<u64>,
}

impl Roster {
    /// From now on a new node counts as one that came up.
    pub fn note_open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// Whether requests are served.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// The nodes of these entries, old ones with all that is known of them.
    #[must_use]
    pub fn muster(&self, entries: &[Entry], now: Instant) -> Vec<Arc<Node>> {
        let mut book = self.book.lock();
        let Book { known, listed } = &mut *book;
        known.retain(|_, known| known.node.strong_count() > 0);
        let enlisted = entries.iter().map(|entry| {
            let (node, new) = Self::enlist(known, entry, now);
            if new && self.open.load(Ordering::Relaxed) {
                node.note_came_up(now);
            }
            node
        });
        let nodes = enlisted.collect();
        listed.clear();
        for node in known.values().filter_map(|known| known.node.upgrade()) {
            let here = listed.entry(node.address()).or_default();
            here.push(Arc::downgrade(&node));
        }
        nodes
    }

    /// The nodes that listen at an address: pools may share one daemon under two names.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Vec<Arc<Node>> {
        let book = self.book.lock();
        let here = book.listed.get(&address).into_iter().flatten();
        here.filter_map(Weak::upgrade).collect()
    }

    /// Every node that somebody still holds.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Node>> {
        let book = self.book.lock();
        let known = book.known.values();
        known.filter_map(|known| known.node.upgrade()).collect()
    }

    /// The weight that the configuration, or the node's source, gives it.
    #[must_use]
    pub fn configured_weight(&self, id: &NodeId) -> Option<u16> {
        self.book.lock().known.get(id).map(|known| known.weight)
    }

    /// The node of an entry, and whether it is new.
    fn enlist(
        known: &mut HashMap<NodeId, Known>,
        entry: &Entry,
        now: Instant,
    ) -> (Arc<Node>, bool) {
        let old = known
            .get(&entry.id)
            .and_then(|known| {
                let wanted = (known.wanted, known.weight);
                Some((known.node.upgrade()?, wanted, known.boot))
            })
            .filter(|(node, ..)| {
                let same = node.server_name() == entry.server_name.as_deref();
                node.address() == entry.address && same
            });
        let new = old.is_none();
        let mut boot = entry.boot;
        let node = if let Some((node, (hand, weight), known_boot)) = old {
            node.set_role(entry.role);
            if weight != entry.weight {
                node.set_weight(entry.weight);
            }
            if hand != entry.hand {
                node.set_hand(entry.hand);
            }
            if let (Some(before), Some(after)) = (known_boot, entry.boot)
                && before != after
            {
                log::info!("node restarted node={}", entry.id);
                node.note_restarted(now);
            }
            // A pool that does not know must not make another one that does forget.
            boot = boot.or(known_boot);
            node
        } else {
            let mut node = Node::new(
                entry.id.clone(),
                entry.address,
                (entry.role, entry.weight),
                now,
            );
            node.server_name.clone_from(&entry.server_name);
            node.set_hand(entry.hand);
            Arc::new(node)
        };
        node.set_places(entry.max_in_flight);
        known.insert(
            entry.id.clone(),
            Known {
                node: Arc::downgrade(&node),
                wanted: entry.hand,
                weight: entry.weight,
                boot,
            },
        );
        (node, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use crate::nodes::Presence;

    fn entry(id: &str, port: u16) -> Entry {
        Entry {
            id: id.into(),
            address: SocketAddr::from(([10, 0, 0, 1], port)),
            role: Role::Secondary,
            weight: 1,
            hand: Hand::Ready,
            boot: None,
            max_in_flight: None,
            server_name: None,
        }
    }

    #[test]
    fn another_run_of_its_process_makes_a_node_one_that_came_up() {
        let roster = Roster::default();
        let plugin = crate::nodes::Plugins::new().find(Some("a/b")).place();
        let run = |boot| Entry {
            boot,
            ..entry("n1", 1)
        };
        let now = clock::now();
        let node = roster.muster(&[run(Some(1))], now).remove(0);
        node.note_present(plugin);
        for same in [None, Some(1)] {
            let again = roster.muster(&[run(same)], now).remove(0);
            assert!(Arc::ptr_eq(&node, &again));
            assert_eq!(node.presence(plugin, now), Presence::Present);
            assert_eq!(node.came_up(), None);
        }
        let again = roster.muster(&[run(Some(2))], now).remove(0);
        assert!(Arc::ptr_eq(&node, &again), "its leases still count");
        assert_eq!(node.presence(plugin, now), Presence::Unknown);
        assert!(node.came_up().is_some());
    }

    #[test]
    fn a_node_named_again_is_the_same_node() {
        let roster = Roster::default();
        let first = roster.muster(&[entry("n1", 1), entry("n2", 2)], clock::now());
        first[0].note_check(false);
        let again = roster.muster(&[entry("n2", 2), entry("n1", 1)], clock::now());
        assert!(Arc::ptr_eq(&first[0], &again[1]));
        assert!(!again[1].is_healthy(), "its health survives");
    }

    #[test]
    fn who_joins_while_requests_are_served_came_up_then() {
        let roster = Roster::default();
        let first = roster.muster(&[entry("n1", 1)], clock::now());
        roster.note_open();
        let again = roster.muster(&[entry("n1", 1), entry("n2", 2)], clock::now());
        assert_eq!(first[0].came_up(), None);
        assert_eq!(again[0].came_up(), None, "known before");
        assert!(again[1].came_up().is_some());
    }

    #[test]
    fn a_node_at_another_address_is_another_node() {
        let roster = Roster::default();
        let first = roster.muster(&[entry("n1", 1)], clock::now());
        let moved = roster.muster(&[entry("n1", 9)], clock::now());
        assert!(!Arc::ptr_eq(&first[0], &moved[0]));
    }

    #[test]
    fn a_reload_leaves_a_drain_by_hand_alone_and_carries_out_its_own() {
        let roster = Roster::default();
        let node = roster.muster(&[entry("n1", 1)], clock::now()).remove(0);
        node.set_hand(Hand::Drain);
        let same = roster.muster(&[entry("n1", 1)], clock::now()).remove(0);
        assert_eq!(same.hand(), Hand::Drain, "the file did not change its wish");
        let maint = Entry {
            hand: Hand::Maint,
            ..entry("n1", 1)
        };
        let changed = roster.muster(&[maint], clock::now()).remove(0);
        assert_eq!(changed.hand(), Hand::Maint);
    }

    #[test]
    fn a_weight_by_hand_stays_until_the_file_says_another() {
        let roster = Roster::default();
        let node = roster.muster(&[entry("n1", 1)], clock::now()).remove(0);
        node.set_weight(7);
        let same = roster.muster(&[entry("n1", 1)], clock::now()).remove(0);
        assert_eq!(same.weight(), 7);
        let heavier = Entry {
            weight: 3,
            ..entry("n1", 1)
        };
        let changed = roster.muster(&[heavier], clock::now()).remove(0);
        assert_eq!(changed.weight(), 3);
    }
}
