//! Fewest requests in flight for its weight: nginx's `least_conn`, Envoy's least request with a
//! full scan. `cost = (1 + in flight) / weight`.
//!
//! When: nodes whose requests all contend alike. When not: plugin daemons, where only requests of
//! the same plugin do; use `adaptive`.

use super::scan::{self, Field};
use super::{Choice, Preview, Strategy};
use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};

/// See the module.
#[derive(Debug)]
pub(super) struct LeastInFlight;

impl Strategy for LeastInFlight {
    fn choose(&self, _request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let field = Field::of(among, dice);
        scan::cheapest(among, &field, dice, |_, node| scan::load(node))
    }

    fn preview(
        &self,
        _request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        let field = Field::of(among, dice);
        let load = |_, node: &Node| scan::load(node);
        Some(scan::preview(among, &field, dice, load))
    }
}
