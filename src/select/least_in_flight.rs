//! Fewest requests in flight for its weight: nginx's `least_conn`, Envoy's least request with a
//! full scan.
//!
//! When: nodes whose requests all contend alike. When not: plugin daemons, where only requests of
//! the same plugin do; use `adaptive`.

use super::{Choice, Preview, Strategy, scan};
use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};

/// See the module.
#[derive(Debug)]
pub(super) struct LeastInFlight;

impl Strategy for LeastInFlight {
    fn choose(&self, _request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        scan::cheapest(among, dice, score)
    }

    fn preview(
        &self,
        _request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        Some(scan::preview(among, dice, score))
    }
}

fn score(node: &Node) -> f64 {
    (1.0 + f64::from(node.load())) / f64::from(node.weight())
}
