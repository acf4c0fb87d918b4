//! Each in turn, as often as its weight says: nginx's smooth rule.
//!
//! Each choice adds every candidate's weight to its credit; the one with the most is chosen and
//! pays the sum of all. Weights 5, 1, 1 give `a a b a c a a`, not five in a row. Short and long
//! requests have turns of their own. The credit is kept on the node (`nodes::Marks`): a candidate
//! that is missing for a while neither disturbs the others nor has a backlog when it returns, and
//! a reload keeps the order.
//!
//! When: nodes of different size, requests that all cost the same. When not: otherwise; it knows
//! nothing of load.

use super::{Choice, Preview, Strategy, Why};
use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};

/// See the module.
#[derive(Debug)]
pub(super) struct WeightedRoundRobin;

impl Strategy for WeightedRoundRobin {
    fn choose(&self, request: &Request, among: &Candidates<'_>, _dice: &mut Dice) -> Choice {
        let mut best = (0, i64::MIN);
        let mut all = 0;
        for (at, node) in among.iter().enumerate() {
            let weight = i64::from(node.weight());
            let credit = node.marks().credit(request.class, weight);
            all += weight;
            if credit > best.1 {
                best = (at, credit);
            }
        }
        // Two threads may take the same turn; both pay for it, and the order evens out.
        if let Some(node) = among.get(best.0) {
            node.marks().credit(request.class, -all);
        }
        Choice {
            at: best.0,
            why: if among.len() == 1 {
                Why::OnlyCandidate
            } else {
                Why::Turn
            },
        }
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        _dice: &mut Dice,
    ) -> Option<Preview> {
        let credit = |node: &Node| {
            // Adding nothing reads it.
            let now = node.marks().credit(request.class, 0);
            now + i64::from(node.weight())
        };
        let credits = among.iter().map(|node| credit(node)).enumerate();
        let (at, _) = credits.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        Some(Preview {
            choice: Choice { at, why: Why::Turn },
            scores: Vec::new(),
        })
    }
}
