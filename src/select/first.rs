//! All to one node, as long as it may serve: the pool's primary, else the first in its order.
//!
//! When: a standby that should do nothing until it must (HAProxy's `balance first`), or balancing
//! that an operator switched off. When not: otherwise.

use super::{Choice, Preview, Strategy, Why};
use crate::model::{Dice, Request, Role};
use crate::nodes::Candidates;

/// See the module.
#[derive(Debug)]
pub(super) struct First;

impl Strategy for First {
    fn choose(&self, _request: &Request, among: &Candidates<'_>, _dice: &mut Dice) -> Choice {
        let primary = among.iter().position(|node| node.role() == Role::Primary);
        Choice {
            at: primary.unwrap_or(0),
            why: if among.len() == 1 {
                Why::OnlyCandidate
            } else {
                Why::Main
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
