//! Plugin-local least load: the default.
//!
//! The idea: what contends on a plugin daemon is the plugin's process, so a request counts by what
//! it shares with the newcomer. Every candidate is looked at (of more than 64, eight random ones),
//! and the lowest cost wins; of equals who has had the fewest requests of the plugin (`leads`), then chance:
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
use super::leads::{Leads, behind};
use super::scan::{self, Best, Field, Notes};
use super::{Choice, Ended, Insight, Preview, Strategy, Why};
use crate::config::Strategies;
use crate::learn::ln_seconds;
use crate::model::{Class, Dice, Outcome, Request};
use crate::nodes::{Burden, Candidates, Glance, Node, Pace};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Costs are counted in parts of a request: whole numbers are compared without rounding.
const ONE: u64 = 1024;
/// Weights while the lanes are apart.
const APART: Weights = Weights {
    plugin: 0,
    long: 4 * ONE,
    both: 0,
};
/// On a node whose plugins run elsewhere nothing contends but the calls it passes on.
const ELSEWHERE: Weights = Weights {
    plugin: 0,
    long: 0,
    both: 0,
};
/// With so many long requests fewer than the next, the short lane takes one.
const SLACK: f64 = 3.0;
/// A request that has not reached its node counts so many times more: where somebody is, that takes a
/// moment; where nobody is, it is all that can be seen until patience ends.
const REACHING: u64 = 4;
/// So many requests per node may have begun unseen before what is known of others counts less.
const UNSEEN: f64 = 0.5;

/// See the module.
#[derive(Debug)]
pub(super) struct Adaptive {
    together: Weights,
    lanes: Lanes,
    hindrance: Hindrance,
    leads: Leads,
    /// The latest damping, as the bits of an `f64`: for the operator only.
    damping: AtomicU64,
}

/// How many times a request counts beyond once, in parts of [`ONE`].
#[derive(Clone, Copy, Debug)]
struct Weights {
    plugin: u64,
    long: u64,
    both: u64,
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
                plugin: parts(rules.plugin_weight),
                long: parts(rules.long_weight),
                both: parts(rules.plugin_long_weight),
            },
            lanes: Lanes::default(),
            hindrance: Hindrance::default(),
            leads: Leads::new(),
            damping: AtomicU64::new(1f64.to_bits()),
        }
    }

    /// How requests weigh, by what was measured.
    fn weights(&self) -> Weights {
        if self.lanes.apart() {
            APART
        } else if self.hindrance.alike() {
            Weights {
                plugin: 0,
                both: 0,
                ..self.together
            }
        } else {
            self.together
        }
    }

    /// The choice where nothing counts but the requests of each node: nobody is slow, grows, or serves
    /// others. That is nearly always so, and can be told from one cache line of each. None: look closely.
    fn at_a_glance(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        field: &Field,
        dice: &mut Dice,
    ) -> Option<Choice> {
        let lane = request.class == Class::Long && self.lanes.apart();
        if lane || field.len() == 1 {
            return None;
        }
        let (weights, furthest) = (self.weights(), self.leads.furthest(request.plugin));
        let (mut best, mut shown) = (Best::NONE, 0);
        let (mut odd, mut least, mut surely) = (0, f32::INFINITY, f32::NEG_INFINITY);
        field.each(among, |_, node| {
            let node = node.glance(request.plugin);
            odd |= node.odd;
            least = if node.pace < least { node.pace } else { least };
            surely = if node.surely > surely {
                node.surely
            } else {
                surely
            };
            let behind = behind(furthest, node.stands);
            best.offer(shown, weights.cost(&node), node.weight, behind);
            shown += 1;
        });
        (odd == 0 && surely <= least).then(|| best.choose(field, dice))
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
            weights: self.weights(),
            damping,
            fastest,
            now,
        }
    }

    /// The choice, and the damping it was made with; `see` is shown each cost and passes it on.
    fn decide(
        &self,
        request: &Request,
        (among, field): (&Candidates<'_>, &Field),
        dice: &mut Dice,
        see: impl Fn(usize, &Node, f64) -> f64,
    ) -> (Choice, Option<f64>) {
        let view = self.view(request, among, field);
        let lane = if request.class == Class::Long && self.lanes.apart() {
            view.short_lane(among, field, dice)
        } else {
            None
        };
        let any_slow = Cell::new(false);
        let cost = |at: usize, node: &Node| {
            if lane == Some(at) {
                return f64::INFINITY;
            }
            let slowness = view.slowness(node);
            any_slow.set(any_slow.get() || slowness > 1.0);
            see(at, node, view.plain(node) * slowness)
        };
        let furthest = self.leads.furthest(request.plugin);
        let late = |node: &Node| behind(furthest, node.stands(request.plugin));
        let choice = scan::cheapest_behind(among, field, dice, cost, late);
        let why = if lane.is_some_and(|at| view.passed_over(among, choice.at, at, true)) {
            Why::ShortLane
        } else if any_slow.get() && view.cheaper_if_none_were_slow(among, field, (choice.at, lane))
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

/// A weight in parts of [`ONE`].
fn parts(weight: f64) -> u64 {
    (weight * ONE as f64).round() as u64
}

impl Weights {
    /// What a node would cost the newcomer by our requests there.
    fn cost(&self, node: &Glance) -> u64 {
        let all = 1 + u64::from(node.all) + REACHING * u64::from(node.reaching);
        ONE * all
            + self.plugin * u64::from(node.same)
            + self.long * u64::from(node.long)
            + self.both * u64::from(node.same_long)
    }

    /// What it would cost more by what others do there.
    fn burden(&self, others: &Burden) -> u64 {
        ONE * u64::from(others.total)
            + self.plugin * u64::from(others.same)
            + self.long * u64::from(others.long)
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
        let mut cost = weights.cost(&node.glance(plugin)) as f64;
        if let Some(damping) = self.damping {
            let others = node.others().burden(plugin, self.now);
            cost += damping * weights.burden(&others) as f64;
        }
        cost / ONE as f64
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
        let field = Field::of(among, dice);
        let (choice, damping) = match self.at_a_glance(request, among, &field, dice) {
            Some(choice) => (choice, None),
            None => self.decide(request, (among, &field), dice, |_, _, cost| cost),
        };
        if let Some(node) = among.get(choice.at) {
            self.leads.note(request.plugin, node);
        }
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
        let field = Field::of(among, dice);
        let (choice, _damping) = self.decide(request, (among, &field), dice, |at, node, cost| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::{Lease, Tried, screen};
    use crate::select::rig::Rig;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::time::Duration;

    proptest! {
        /// What is read from one cache line of each node says the same as a close look, by the same dice:
        /// whatever runs there, whoever is slow, grows, rests or serves others, at whatever weights.
        #[test]
        fn a_glance_and_a_close_look_choose_alike(
            weights in vec(1u16..5, 2..70), leases in vec((any::<usize>(), 0usize..3, any::<bool>(), any::<bool>()), 0..200),
            paces in vec((any::<usize>(), 0f64..0.4), 0..60), odd in vec((any::<usize>(), 0u8..5), 0..2),
            apart in any::<bool>(), seed in any::<u64>(), long in any::<bool>(), shift in 0u64..200,
        ) {
            let class = |long: bool| Class::ALL[usize::from(long)];
            let mut rig = Rig::weighing(&weights);
            let adaptive = Adaptive::new(&Strategies::default());
            if apart {
                rig.show_neighbours(&adaptive, 8.0);
            }
            let plugins: Vec<_> = ["p/0", "p/1", "p/2"].map(|name| rig.plugins.find(Some(name))).into();
            let take = |&(node, plugin, long, reaching): &(usize, usize, bool, bool)| {
                let node = &rig.pool[node % rig.pool.len()];
                let lease = Lease::take(node, &plugins[plugin], class(long), rig.now);
                adaptive.leads.note(plugins[plugin].place(), node);
                if reaching { lease.reaching() } else { lease }
            };
            let _held: Vec<_> = leases.iter().map(take).collect();
            for (node, residual) in paces {
                let node = &rig.pool[node % rig.pool.len()];
                (0..12).for_each(|_| node.note_pace(residual, rig.now));
            }
            for (node, what) in odd {
                let node = &rig.pool[node % rig.pool.len()];
                match what {
                    0 => node.note_came_up(rig.now),
                    1 => node.rest(rig.now, Duration::from_secs(20)),
                    2 => node.note_reported(5, 0, rig.now),
                    3 => node.note_serverless(true),
                    _ => node.set_healthy(false),
                }
            }
            rig.now += Duration::from_secs(shift);
            rig.comeback.slow_start = Duration::from_secs(60);
            let tried = Tried::new();
            let request = Request::new(class(long), plugins[0].place());
            let among = screen(&rig.pool, &rig.screening(&tried, request.plugin)).expect("most may serve");
            let choose = |how: &dyn Fn(&Field, &mut Dice) -> Choice| {
                let mut dice = Dice::with_seed(seed);
                let field = Field::of(&among, &mut dice);
                (how(&field, &mut dice), dice.u64(..))
            };
            let close = |field: &Field, dice: &mut Dice| {
                adaptive.decide(&request, (&among, field), dice, |_, _, cost| cost).0
            };
            let quick = choose(&|field, dice| {
                let glance = adaptive.at_a_glance(&request, &among, field, dice);
                glance.unwrap_or_else(|| close(field, dice))
            });
            prop_assert_eq!(quick, choose(&close));
        }
    }
}
