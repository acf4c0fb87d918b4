//! How many requests may a node have in flight, and has it room for one more?

use super::Node;
use crate::config::MaxInFlight;
use crate::model::{Class, PluginPlace};
use std::sync::atomic::{AtomicU32, Ordering};

/// No limit.
const ANY: u32 = u32::MAX;

/// A node's own limits, and which of its leases they do not count.
#[derive(Debug)]
pub(super) struct Places {
    total: AtomicU32,
    by_class: [AtomicU32; Class::ALL.len()],
    /// Live leases that limits per class do not count.
    beside: [AtomicU32; Class::ALL.len()],
}

/// The limits that hold for one request. A node's own are on the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// So many requests of its plugin may be on one node.
    pub plugin: Option<u32>,
    /// It waits for a model or a service, not for the node: limits per class do not hold it.
    pub io_bound: bool,
    /// Limits hold for the whole fleet; each of so many gateways has its share of them. 0 is 1.
    pub gateways: u16,
}

impl Limits {
    /// A gateway's share of a limit: rounded up, so that every gateway has a place.
    #[must_use]
    pub fn share(&self, limit: u32) -> u32 {
        limit.div_ceil(u32::from(self.gateways.max(1)))
    }
}

impl Default for Places {
    fn default() -> Self {
        let unlimited = |_| AtomicU32::new(ANY);
        Self {
            total: AtomicU32::new(ANY),
            by_class: Class::ALL.map(unlimited),
            beside: Default::default(),
        }
    }
}

impl Places {
    pub(super) fn set(&self, max: Option<MaxInFlight>) {
        let (total, by_class) = match max {
            None => (None, [None; 2]),
            Some(MaxInFlight::Node(total)) => (Some(total), [None; 2]),
            Some(MaxInFlight::Classes { short, long }) => (None, [short, long]),
        };
        self.total.store(total.unwrap_or(ANY), Ordering::Relaxed);
        for (slot, limit) in self.by_class.iter().zip(by_class) {
            slot.store(limit.unwrap_or(ANY), Ordering::Relaxed);
        }
    }

    pub(super) fn count_beside(&self, class: Class, up: bool) {
        let beside = &self.beside[class.index()];
        if up {
            beside.fetch_add(1, Ordering::Relaxed);
        } else {
            beside.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn limit(of: &AtomicU32) -> Option<u32> {
    Some(of.load(Ordering::Relaxed)).filter(|&limit| limit != ANY)
}

impl Node {
    /// Whether one more request fits in by its limits.
    #[must_use]
    pub fn has_room(&self, class: Class, plugin: PluginPlace, limits: &Limits) -> bool {
        let places = self.places();
        let fits = |limit: Option<u32>, taken: u32| limit.is_none_or(|it| taken < limits.share(it));
        let of_class = || {
            let beside = places.beside[class.index()].load(Ordering::Relaxed);
            self.in_flight(class).saturating_sub(beside)
        };
        fits(limit(&places.total), self.total_in_flight())
            && fits(limits.plugin, self.runtime_in_flight(plugin))
            && (limits.io_bound || fits(limit(&places.by_class[class.index()]), of_class()))
    }

    /// How many requests it may have in flight in all, if that is limited.
    #[must_use]
    pub fn total_places(&self) -> Option<u32> {
        limit(&self.places().total)
    }

    /// Sets its own limits.
    pub fn set_places(&self, max: Option<MaxInFlight>) {
        self.places().set(max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, clock};
    use crate::nodes::{Lease, Plugins};
    use std::sync::Arc;

    const ALONE: Limits = Limits {
        plugin: None,
        io_bound: false,
        gateways: 1,
    };

    fn node() -> Arc<Node> {
        let address = "10.0.0.1:5002".parse().expect("an address");
        let place = (Role::Secondary, 1);
        Arc::new(Node::new("n1".into(), address, place, clock::now()))
    }

    #[test]
    fn f047_a_limit_on_all_holds_every_class_and_one_per_class_only_its_own() {
        let (node, plugin) = (node(), Plugins::new().find(Some("a/b")));
        let room = |class| node.has_room(class, plugin.place(), &ALONE);
        let _held = Lease::take(&node, &plugin, Class::Long, clock::now());
        assert!(
            room(Class::Short) && room(Class::Long),
            "nothing is limited"
        );
        node.set_places(Some(MaxInFlight::Node(1)));
        assert!(!room(Class::Short) && !room(Class::Long));
        node.set_places(Some(MaxInFlight::Classes {
            short: None,
            long: Some(1),
        }));
        assert!(room(Class::Short) && !room(Class::Long));
        assert_eq!(node.total_places(), None);
        let of_plugin = Limits {
            plugin: Some(1),
            ..ALONE
        };
        assert!(!node.has_room(Class::Short, plugin.place(), &of_plugin));
        assert!(node.has_room(Class::Short, PluginPlace::NONE, &of_plugin));
    }

    #[test]
    fn a_lease_beside_the_limits_of_its_class_takes_no_place_of_it() {
        let (node, plugin) = (node(), Plugins::new().find(Some("a/b")));
        node.set_places(Some(MaxInFlight::Classes {
            short: None,
            long: Some(1),
        }));
        let stream = Lease::take(&node, &plugin, Class::Long, clock::now()).beside_class_limits();
        assert!(node.has_room(Class::Long, plugin.place(), &ALONE));
        let tool = Lease::take(&node, &plugin, Class::Long, clock::now());
        assert!(!node.has_room(Class::Long, plugin.place(), &ALONE));
        let stream_too = Limits {
            io_bound: true,
            ..ALONE
        };
        assert!(node.has_room(Class::Long, plugin.place(), &stream_too));
        drop(stream);
        assert!(!node.has_room(Class::Long, plugin.place(), &ALONE));
        drop(tool);
        assert!(node.has_room(Class::Long, plugin.place(), &ALONE));
    }

    #[test]
    fn a_fleet_shares_a_limit_and_no_gateway_is_left_without_a_place() {
        let of = |gateways| Limits { gateways, ..ALONE };
        assert_eq!([1, 2, 3, 8, 9].map(|n| of(n).share(8)), [8, 4, 3, 1, 1]);
    }
}
