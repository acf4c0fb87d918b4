//! The less loaded of two random candidates: Envoy's default, "the power of two choices".
//! `cost = (1 + in flight) / weight`, for two distinct ones.
//!
//! When: several gateways that do not know of one another, because two of them seldom look at the
//! same pair at once. When not: few nodes and one gateway; looking at all of them is as cheap and
//! misses no idle one.

use super::scan::{self, Field};
use super::{Choice, Preview, Strategy};
use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};

/// See the module.
#[derive(Debug)]
pub(super) struct TwoChoices;

impl Strategy for TwoChoices {
    fn choose(&self, _request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let field = Field::distinct(2, among.len(), dice);
        scan::cheapest(among, &field, dice, |_, node| scan::load(node))
    }

    fn preview(
        &self,
        _request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        let field = Field::distinct(2, among.len(), dice);
        let load = |_, node: &Node| scan::load(node);
        Some(scan::preview(among, &field, dice, load))
    }
}
