//! By chance, in proportion to weight.
//!
//! When: a baseline, or to find out whether a strategy herds. When not: otherwise; by chance one
//! node is always crowded.

use super::{Choice, Preview, Strategy, Why};
use crate::model::{Dice, Request};
use crate::nodes::Candidates;

/// See the module.
#[derive(Debug)]
pub(super) struct Random;

impl Strategy for Random {
    fn choose(&self, _request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let all: u32 = among.iter().map(|node| u32::from(node.weight())).sum();
        let mut ticket = dice.u32(..all);
        let at = among.iter().position(|node| {
            let weight = u32::from(node.weight());
            let here = ticket < weight;
            ticket = ticket.saturating_sub(weight);
            here
        });
        Choice {
            // A reload may lower a weight in between.
            at: at.unwrap_or(0),
            why: if among.len() == 1 {
                Why::OnlyCandidate
            } else {
                Why::Chance
            },
        }
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        Some(Preview::of_stateless(self, request, among, dice))
    }
}
