//! Whose turn is it?
//!
//! A counter of our own; or, where gateways share a round, blocks of turns that nobody else has. A
//! turn is used once in the whole fleet, so that each node gets its share although no gateway asks
//! another. Seed 001 asked Redis for each turn and reset the counter by hand, and workers that met
//! there took the same turn.

use crate::model::Class;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

/// The turns of one strategy, for each class apart.
#[derive(Debug, Default)]
pub struct Turns {
    rounds: [Round; Class::ALL.len()],
}

#[derive(Debug, Default)]
struct Round {
    own: AtomicU64,
    /// Turns in `blocks`; read without the lock, because there are none in a fleet of one.
    left: AtomicU64,
    blocks: Mutex<VecDeque<(u64, u64)>>,
}

/// More blocks than this wait for nothing.
const MOST_BLOCKS: usize = 8;

impl Turns {
    /// The next position below `among`. Counters wrap; they are never reset.
    pub(super) fn next(&self, class: Class, among: usize) -> usize {
        let round = &self.rounds[class.index()];
        let turn = round
            .granted()
            .unwrap_or_else(|| round.own.fetch_add(1, Ordering::Relaxed));
        usize::try_from(turn % among as u64).unwrap_or(0)
    }

    /// What [`Turns::next`] would say; nothing is taken.
    pub(super) fn coming(&self, class: Class, among: usize) -> usize {
        let round = &self.rounds[class.index()];
        let granted = round.blocks.lock().front().map(|(first, _)| *first);
        let turn = granted.unwrap_or_else(|| round.own.load(Ordering::Relaxed));
        usize::try_from(turn % among as u64).unwrap_or(0)
    }

    /// How many turns are left that nobody else has.
    #[must_use]
    pub fn left(&self, class: Class) -> u64 {
        self.rounds[class.index()].left.load(Ordering::Relaxed)
    }

    /// Takes a block of turns that nobody else has.
    pub fn grant(&self, class: Class, first: u64, many: u64) {
        let round = &self.rounds[class.index()];
        let mut blocks = round.blocks.lock();
        if many > 0 && blocks.len() < MOST_BLOCKS {
            blocks.push_back((first, many));
            round.left.fetch_add(many, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(super) fn starting_at(turn: u64) -> Self {
        let turns = Self::default();
        for round in &turns.rounds {
            round.own.store(turn, Ordering::Relaxed);
        }
        turns
    }
}

impl Round {
    fn granted(&self) -> Option<u64> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut blocks = self.blocks.lock();
        let (first, left) = blocks.front_mut()?;
        let turn = *first;
        *first = first.wrapping_add(1);
        *left -= 1;
        if *left == 0 {
            blocks.pop_front();
        }
        self.left.fetch_sub(1, Ordering::Relaxed);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f116_blocks_of_two_gateways_make_one_even_round() {
        let (one, other) = (Turns::default(), Turns::default());
        one.grant(Class::Short, 0, 256);
        other.grant(Class::Short, 256, 256);
        one.grant(Class::Short, 512, 256);
        let mut counts = [0; 3];
        (0..512).for_each(|_| counts[one.next(Class::Short, 3)] += 1);
        (0..256).for_each(|_| counts[other.next(Class::Short, 3)] += 1);
        assert_eq!(counts, [256; 3]);
        assert_eq!((one.left(Class::Short), other.left(Class::Short)), (0, 0));
        assert!(
            one.next(Class::Short, 3) < 3,
            "without any it counts by itself"
        );
    }

    #[test]
    fn f120_each_class_has_its_own() {
        let turns = Turns::default();
        turns.grant(Class::Long, 7, 1);
        assert_eq!(turns.next(Class::Short, 10), 0);
        assert_eq!(turns.next(Class::Long, 10), 7);
        assert_eq!(turns.next(Class::Long, 10), 0);
    }

    #[test]
    fn f117_counters_wrap() {
        let turns = Turns::starting_at(u64::MAX);
        turns.next(Class::Short, 3);
        assert_eq!(turns.next(Class::Short, 3), 0);
        turns.grant(Class::Short, u64::MAX, 2);
        turns.next(Class::Short, 3);
        assert_eq!(turns.next(Class::Short, 3), 0);
    }
}
