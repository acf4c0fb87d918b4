//! Plugin-local least load: the default.
//!
//! The idea: what contends on a plugin daemon is the plugin's process, so a request counts by what
//! it shares with the newcomer. Every candidate is looked at (of more than 64, eight random ones),
//! and the lowest cost wins, ties by chance:
//!
//! `cost = slowness / weight * (1 + A)`,
//! `A = ours + damping * others`, each of them `total + w * same plugin + l * long`.
//!
//! * `w = 2`, `l = 1/4`: a request of the same plugin counts three times, a long one a quarter more
//!   than a short one. Predicted durations are not used: simulation shows that they buy nothing for
//!   placement (`benches/README.md`).
//! * *alike*: where all requests of a node are measured to hinder each other alike (`hindrance`),
//!   `w = 0`.
//! * a request that is still on its way to a node counts four more: to a dead node nothing arrives,
//!   and it would look idle.
//! * *slowness* is 1 unless a node is proven to be slower than the others by the same operations
//!   (`nodes::Speed`).
//! * *damping*: what others do is known late. Counts that have changed since would send everybody
//!   to the node that was idle a moment ago, so they enter with `min(1, 0.5 * candidates / n)`,
//!   where `n` is how many requests others have probably begun since.
//! * *lanes*: where short requests are measured to wait behind long ones (`lanes`), `w = 0`, `l = 4`,
//!   and long requests leave the node with the fewest of them alone, until it has three fewer than
//!   the next: a soft lane for short requests, one node wide.
//! * a node whose plugins run elsewhere (a serverless platform): `w = 0`, `l = 0`.
//!
//! When not: with one plugin and no long requests it equals `least_in_flight`, and costs more.

use super::hindrance::Hindrance;
use super::lanes::Lanes;
use super::scan::{self, Field, Notes};
use super::{Choice, Ended, Insight, Preview, Strategy, Why};
use crate::config::Strategies;
use crate::learn::ln_seconds;
use crate::model::{Class, Dice, Outcome, Request};
use crate::nodes::{Candidates, Node, Pace};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Weights while the lanes are apart.
const APART: Weights = Weights {
    plugin: 0.0,
    long: 4.0,
    both: 0.0,
};
/// On a node whose plugins run elsewhere nothing contends but the calls it passes on.
const ELSEWHERE: Weights = Weights {
    plugin: 0.0,
    long: 0.0,
    both: 0.0,
};
/// With so many long requests fewer than the next, the short lane takes one.
const SLACK: f64 = 3.0;
/// A request that has not reached its node counts so many times more: where somebody is, that takes a
/// moment; where nobody is, it is all that can be seen until patience ends.
const REACHING: f64 = 4.0;
/// So many requests per node may have begun unseen before what is known of others counts less.
const UNSEEN: f64 = 0.5;

/// See the module.
#[derive(Debug)]
pub(super) struct Adaptive {
    together: Weights,
    lanes: Lanes,
    hindrance: Hindrance,
    /// The latest damping, as the bits of an `f64`: for the operator only.
    damping: AtomicU64,
}

/// How many times a request counts beyond once.
#[derive(Clone, Copy, Debug)]
struct Weights {
    plugin: f64,
    long: f64,
    both: f64,
}

/// One choice's view of the nodes.
struct View<'a> {
    request: &'a Request,
    weights: Weights,
    /// `None` when nothing is known of others.
    damping: Option<f64>,
    fastest: Option<Pace>,
    now: Instant,
}

impl Adaptive {
    pub(super) fn new(rules: &Strategies) -> Self {
        Self {
            together: Weights {
                plugin: rules.plugin_weight,
                long: rules.long_weight,
                both: rules.plugin_long_weight,
            },
            lanes: Lanes::default(),
            hindrance: Hindrance::default(),
            damping: AtomicU64::new(1f64.to_bits()),
        }
    }

    fn view<'a>(&self, request: &'a Request, among: &Candidates<'_>, field: &Field) -> View<'a> {
        let now = among.now();
        let mut known = None;
        let mut fastest: Option<Pace> = None;
        field.each(among, |_, node| {
            if let Some(unseen) = node.others().unseen(now) {
                known = Some(known.unwrap_or(0.0) + unseen);
            }
            if let Some(pace) = node.speed().pace() {
                fastest = Some(fastest.map_or(pace, |fastest| fastest.min(pace)));
            }
        });
        let damping = known.map(|unseen| damping(field.len(), unseen));
        View {
            request,
            weights: if self.lanes.apart() {
                APART
            } else if self.hindrance.alike() {
                Weights {
                    plugin: 0.0,
                    both: 0.0,
                    ..self.together
                }
            } else {
                self.together
            },
            damping,
            fastest,
            now,
        }
    }

    /// The choice, and the damping it was made with; `see` is shown each cost and passes it on.
    fn decide(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
        see: impl Fn(usize, &Node, f64) -> f64,
    ) -> (Choice, Option<f64>) {
        let field = Field::of(among, dice);
        let view = self.view(request, among, &field);
        let lane = if request.class == Class::Long && self.lanes.apart() {
            view.short_lane(among, &field, dice)
        } else {
            None
        };
        let any_slow = Cell::new(false);
        let choice = scan::cheapest(among, &field, dice, |at, node| {
            if lane == Some(at) {
                return f64::INFINITY;
            }
            let slowness = view.slowness(node);
            any_slow.set(any_slow.get() || slowness > 1.0);
            see(at, node, view.plain(node) * slowness)
        });
        let why = if lane.is_some_and(|at| view.passed_over(among, choice.at, at, true)) {
            Why::ShortLane
        } else if any_slow.get() && view.cheaper_if_none_were_slow(among, &field, (choice.at, lane))
        {
            Why::SlowNodeAvoided
        } else {
            choice.why
        };
        (Choice { why, ..choice }, view.damping)
    }
}

/// How much of what is known of others counts, when they have probably begun so many requests since.
fn damping(candidates: usize, unseen: f64) -> f64 {
    if unseen > 0.0 {
        (UNSEEN * candidates as f64 / unseen).min(1.0)
    } else {
        1.0
    }
}

impl Weights {
    fn weigh(&self, total: u32, same: u32, long: u32) -> f64 {
        f64::from(total) + self.plugin * f64::from(same) + self.long * f64::from(long)
    }
}

impl View<'_> {
    /// What a node would cost for a part of one, if none were slow.
    fn plain(&self, node: &Node) -> f64 {
        let plugin = self.request.plugin;
        let weights = if node.is_serverless() {
            ELSEWHERE
        } else {
            self.weights
        };
        let long = node.in_flight(Class::Long);
        let total = node.in_flight(Class::Short) + long;
        let mut cost = 1.0 + weights.weigh(total, node.runtime_in_flight(plugin), long);
        cost += REACHING * f64::from(node.reaching().load(Ordering::Relaxed));
        // What is switched off is not looked up.
        if weights.both > 0.0 {
            cost += weights.both * f64::from(node.runtime_long(plugin));
        }
        if let Some(damping) = self.damping {
            let others = node.others().burden(plugin, self.now);
            cost += damping * weights.weigh(others.total, others.same, others.long);
        }
        cost
    }

    fn slowness(&self, node: &Node) -> f64 {
        node.speed().slowness(self.fastest, self.now)
    }

    /// Whether another candidate costs less than the chosen one: with what is known of their speed,
    /// or were none slow.
    fn passed_over(&self, among: &Candidates<'_>, chosen: usize, other: usize, slow: bool) -> bool {
        let cost = |at: usize| {
            among.get(at).map_or(f64::INFINITY, |node| {
                let slowness = if slow { self.slowness(node) } else { 1.0 };
                self.plain(node) * slowness / scan::part(among, node)
            })
        };
        cost(other) < cost(chosen)
    }

    /// Whether any candidate but the short lane would have cost less than the chosen one, were none
    /// slow.
    fn cheaper_if_none_were_slow(
        &self,
        among: &Candidates<'_>,
        field: &Field,
        (chosen, lane): (usize, Option<usize>),
    ) -> bool {
        let mut cheaper = false;
        field.each(among, |at, _| {
            cheaper |= lane != Some(at) && self.passed_over(among, chosen, at, false);
        });
        cheaper
    }

    /// Long requests on a node, and all of them: what the short lane is chosen by.
    fn crowd(&self, node: &Node) -> (f64, f64) {
        let others = node.others().burden(self.request.plugin, self.now);
        let damping = self.damping.unwrap_or(0.0);
        let count = |ours: u32, theirs: u32| f64::from(ours) + damping * f64::from(theirs);
        (
            count(node.in_flight(Class::Long), others.long),
            count(node.total_in_flight(), others.total),
        )
    }

    /// The candidate that is left to short requests, if there is one now.
    fn short_lane(&self, among: &Candidates<'_>, field: &Field, dice: &mut Dice) -> Option<usize> {
        let mut least: Option<(usize, (f64, f64))> = None;
        let mut next = f64::INFINITY;
        let mut equals = 1u32;
        field.each(among, |at, node| {
            let crowd = self.crowd(node);
            let Some((_, before)) = least else {
                least = Some((at, crowd));
                return;
            };
            if crowd < before {
                next = before.0;
                least = Some((at, crowd));
                equals = 1;
                return;
            }
            next = next.min(crowd.0);
            if crowd == before {
                equals += 1;
                if dice.u32(..equals) == 0 {
                    least = Some((at, crowd));
                }
            }
        });
        let (at, (long, _)) = least?;
        (next.is_finite() && next - long < SLACK).then_some(at)
    }
}

impl Strategy for Adaptive {
    fn choose(&self, request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let (choice, damping) = self.decide(request, among, dice, |_, _, cost| cost);
        let shown = damping.unwrap_or(1.0);
        self.damping.store(shown.to_bits(), Ordering::Relaxed);
        choice
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        let notes = Notes::of(among);
        let (choice, _damping) = self.decide(request, among, dice, |at, node, cost| {
            notes.note(at, node, cost)
        });
        Some(notes.preview(choice))
    }

    fn ended(&self, end: &Ended<'_>) {
        if let (Outcome::Answered, Some(usual)) = (end.outcome, end.expected) {
            let residual = ln_seconds(end.duration) - usual;
            self.hindrance.note(end.met, residual);
            if end.class == Class::Short {
                self.lanes.note(end.beside_long, residual);
            }
        }
    }

    fn insight(&self) -> Insight {
        Insight {
            lanes_ratio: self.lanes.ratio().map(f64::exp),
            lanes_apart: self.lanes.apart(),
            plugins_alike: self.hindrance.alike(),
            damping: Some(f64::from_bits(self.damping.load(Ordering::Relaxed))),
        }
    }
}
