//! Plugin-local least load: the default.
//!
//! What contends on a plugin daemon is the plugin's process, so a request of the same plugin
//! counts three times, a long one of any plugin twice, and every other once:
//! `score = (1 + in flight + w * same plugin + l * long) / weight`, lowest wins, every candidate
//! looked at. Predicted durations are not used for placement: simulation shows that they buy
//! nothing once the class is known (`benches/README.md`).
//!
//! When not: with one plugin only it equals `least_in_flight`.

use super::{Choice, Preview, Strategy, scan};
use crate::config::Strategies;
use crate::model::{Class, Dice, Request};
use crate::nodes::{Candidates, Node};

/// See the module.
#[derive(Debug)]
pub(super) struct Adaptive {
    plugin_weight: f64,
    long_weight: f64,
}

impl Adaptive {
    pub(super) fn new(rules: &Strategies) -> Self {
        Self {
            plugin_weight: rules.plugin_weight,
            long_weight: rules.long_weight,
        }
    }

    fn score(&self, request: &Request, node: &Node) -> f64 {
        let same = f64::from(node.runtime_in_flight(request.plugin));
        let long = f64::from(node.in_flight(Class::Long));
        let all = 1.0 + f64::from(node.load());
        (all + self.plugin_weight * same + self.long_weight * long) / f64::from(node.weight())
    }
}

impl Strategy for Adaptive {
    fn choose(&self, request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        scan::cheapest(among, dice, |node| self.score(request, node))
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        let score = |node: &Node| self.score(request, node);
        Some(scan::preview(among, dice, score))
    }
}
