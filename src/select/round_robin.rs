//! Each in turn.
//!
//! Short and long requests have turns of their own, so that one class does not shift the other's.
//! Knows nothing of load: a baseline for comparison, and right where all requests cost the same.

use super::{Choice, Preview, Strategy, Turns, Why};
use crate::model::{Class, Dice, Request};
use crate::nodes::Candidates;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    turns: Turns,
}

impl RoundRobin {
    /// The next position below `among`.
    pub(super) fn turn(&self, class: Class, among: usize) -> usize {
        self.turns.next(class, among)
    }

    /// What [`RoundRobin::turn`] would say next.
    pub(super) fn next(&self, class: Class, among: usize) -> usize {
        self.turns.coming(class, among)
    }

    #[cfg(test)]
    pub(super) fn starting_at(turn: u64) -> Self {
        Self {
            turns: Turns::starting_at(turn),
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

    fn turns(&self) -> Option<&Turns> {
        Some(&self.turns)
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
