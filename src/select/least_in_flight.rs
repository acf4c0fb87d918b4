//! Fewest requests in flight for its weight: nginx's `least_conn`, Envoy's least request with a
//! full scan.
//!
//! When: nodes whose requests all contend alike. When not: plugin daemons, where only requests of
//! the same plugin do; use `adaptive`.

use super::{Choice, Strategy, scan};
use crate::model::{Dice, Request};
use crate::nodes::Candidates;

/// See the module.
#[derive(Debug)]
pub(super) struct LeastInFlight;

impl Strategy for LeastInFlight {
    fn choose(&self, _request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        scan::cheapest(among, dice, |node| {
            (1.0 + f64::from(node.load())) / f64::from(node.weight())
        })
    }
}
