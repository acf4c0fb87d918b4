//! Each in turn.
//!
//! Short and long requests have turns of their own, so that one class does not shift the other's.
//! Knows nothing of load: a baseline for comparison, and right where all requests cost the same.

use super::{Choice, Preview, Strategy, Why};
use crate::model::{Class, Dice, Request};
use crate::nodes::Candidates;
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    turns: [AtomicUsize; Class::ALL.len()],
}

impl RoundRobin {
    /// The next position below `among`. The counter wraps; it is never reset.
    pub(super) fn turn(&self, class: Class, among: usize) -> usize {
        self.turns[class.index()].fetch_add(1, Ordering::Relaxed) % among
    }

    /// What [`RoundRobin::turn`] would say next.
    pub(super) fn next(&self, class: Class, among: usize) -> usize {
        self.turns[class.index()].load(Ordering::Relaxed) % among
    }

    #[cfg(test)]
    pub(super) fn starting_at(turn: usize) -> Self {
        Self {
            turns: [AtomicUsize::new(turn), AtomicUsize::new(turn)],
        }
    }
}

impl Strategy for RoundRobin {
    fn choose(&self, request: &Request, among: &Candidates<'_>, _dice: &mut Dice) -> Choice {
        Choice {
            at: self.turn(request.class, among.len()),
            why: Why::Turn,
        }
    }
    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        _dice: &mut Dice,
    ) -> Option<Preview> {
        Some(Preview {
            choice: Choice {
                at: self.next(request.class, among.len()),
                why: Why::Turn,
            },
            scores: Vec::new(),
        })
    }
}
