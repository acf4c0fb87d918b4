//! Which of equals has had the fewest requests of a plugin?
//!
//! Nodes are often equally busy, and chance alone leaves one of five with a sixth more than its part of
//! 1500 requests. So among equals the one goes first that has had the fewest of the plugin: a stride, by
//! which each request moves its node on, the further the smaller its weight. Who was away, or idle, or is
//! new need not catch up with what it missed: nobody counts for more than [`BOUND`] requests behind.
//!
//! Each node keeps how far it is, modulo 2^24, and who is furthest is kept here. After a reload nobody
//! seems to be behind, and it is left to chance until each has been chosen once.

use crate::model::PluginPlace;
use crate::nodes::{Node, Plugins};
use std::sync::atomic::{AtomicU32, Ordering};

/// One request moves a node of weight 1 on by so much.
const STRIDE: u32 = 64;
/// Nobody is further behind: 36 requests of a node of weight 1.
const BOUND: u32 = 36 * STRIDE;
/// Numbers begin again above it.
const MASK: u32 = (1 << 24) - 1;

/// How far the furthest node is, by plugin.
#[derive(Debug)]
pub(super) struct Leads(Box<[AtomicU32]>);

impl Leads {
    pub(super) fn new() -> Self {
        Self((0..Plugins::CAPACITY).map(|_| AtomicU32::new(0)).collect())
    }

    fn of(&self, plugin: PluginPlace) -> &AtomicU32 {
        &self.0[usize::from(plugin.index)]
    }

    pub(super) fn furthest(&self, plugin: PluginPlace) -> u32 {
        self.of(plugin).load(Ordering::Relaxed)
    }

    /// The node was chosen. Two that are chosen in one instant may count as one.
    pub(super) fn note(&self, plugin: PluginPlace, node: &Node) {
        let (furthest, stands) = (self.furthest(plugin), node.stands(plugin));
        let step = (STRIDE / u32::from(node.weight())).max(1);
        let behind = behind(furthest, stands);
        let to = furthest.wrapping_add(step).wrapping_sub(behind) & MASK;
        if behind < step {
            self.of(plugin).store(to, Ordering::Relaxed);
        }
        node.move_on(plugin, to.wrapping_sub(stands) & MASK);
    }
}

/// How far behind the furthest a node is that stands there.
pub(super) fn behind(furthest: u32, stands: u32) -> u32 {
    let behind = furthest.wrapping_sub(stands) & MASK;
    // More than half-way round is in front, as after a reload.
    if behind > MASK / 2 {
        0
    } else {
        behind.min(BOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::rig::Rig;
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, proptest};

    /// Takes turns as among equals, the first of the list where nobody is further behind.
    fn turns(leads: &Leads, rig: &Rig, times: u32) -> Vec<u32> {
        let plugin = PluginPlace::NONE;
        let mut counts = vec![0; rig.pool.len()];
        for _ in 0..times {
            let furthest = leads.furthest(plugin);
            let of = |at: &usize| behind(furthest, rig.pool[*at].stands(plugin));
            let at = (0..counts.len()).rev().max_by_key(of).expect("some nodes");
            leads.note(plugin, &rig.pool[at]);
            counts[at] += 1;
        }
        counts
    }

    #[test]
    fn turns_are_shared_by_weight() {
        let (leads, rig) = (Leads::new(), Rig::weighing(&[1, 1, 2, 4]));
        assert_eq!(turns(&leads, &rig, 800), [100, 100, 200, 400]);
    }

    #[test]
    fn who_was_away_is_not_given_what_it_missed() {
        let (leads, mut rig) = (Leads::new(), Rig::new(3));
        let away = rig.pool.pop().expect("three nodes");
        assert_eq!(turns(&leads, &rig, 10_000), [5000, 5000]);
        rig.pool.push(away);
        let counts = turns(&leads, &rig, 3000);
        assert!((1000..=1000 + 36).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn numbers_that_begin_again_change_nothing() {
        let (leads, rig) = (Leads::new(), Rig::new(2));
        let rounds = 3 * (MASK / STRIDE);
        assert_eq!(turns(&leads, &rig, 2 * rounds), [rounds, rounds]);
    }

    proptest! {
        /// Wherever nodes stand, as after a reload: when each has been chosen once and who is behind has caught
        /// up with the bound, turns are even.
        #[test]
        fn any_beginning_ends_in_even_turns(stands in vec(0..=MASK, 2..9), first in 0..=MASK) {
            let (leads, rig) = (Leads::new(), Rig::new(stands.len() as u16));
            let plugin = PluginPlace::NONE;
            leads.of(plugin).store(first, Ordering::Relaxed);
            for (node, stands) in rig.pool.iter().zip(&stands) {
                node.move_on(plugin, *stands);
            }
            rig.pool.iter().for_each(|node| leads.note(plugin, node));
            turns(&leads, &rig, 40 * stands.len() as u32);
            let counts = turns(&leads, &rig, 100 * stands.len() as u32);
            prop_assert!(counts.iter().all(|count| (99..=101).contains(count)), "{counts:?}");
        }
    }
}
