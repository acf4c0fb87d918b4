//! The shortest expected wait: Finagle's and linkerd's "peak EWMA".
//! `cost = duration * (1 + in flight) / weight`, where the duration is a mean that fades within 10 s
//! and that a longer one replaces at once (`nodes::Marks`).
//!
//! A node of which nothing is known costs nothing while it is idle and very much while it is not:
//! one request finds out. Failures are no durations: else a node that fails fast would draw all.
//!
//! When: every request costs about the same, and nodes differ. When not: short and long requests
//! mixed, as behind Dify; it takes the mix for the speed of the node.

use super::scan::{self, Field};
use super::{Choice, Ended, Preview, Strategy};
use crate::model::{Dice, Outcome, Request};
use crate::nodes::{Candidates, Node};
use std::time::Instant;

/// Seconds; longer than any request lasts.
const UNKNOWN: f64 = 1e6;

/// See the module.
#[derive(Debug)]
pub(super) struct PeakEwma;

impl Strategy for PeakEwma {
    fn choose(&self, _request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let field = Field::of(among, dice);
        scan::cheapest(among, &field, dice, |_, node| cost(node, among.now()))
    }

    fn preview(
        &self,
        _request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        let field = Field::of(among, dice);
        let cost = |_, node: &Node| cost(node, among.now());
        Some(scan::preview(among, &field, dice, cost))
    }

    fn ended(&self, end: &Ended<'_>) {
        if end.outcome == Outcome::Answered {
            end.node.marks().note_peak(end.duration, end.now);
        }
    }
}

fn cost(node: &Node, now: Instant) -> f64 {
    let peak = node.marks().peak(now);
    if peak > 0.0 {
        peak * scan::load(node)
    } else if node.load() == 0 {
        0.0
    } else {
        UNKNOWN * scan::load(node)
    }
}
