//! What is promised of a cell, and is it kept?

use super::cells::Cell;
use super::farm::Discipline;
use super::figures::Figures;
use super::policy::Policy;
use super::race::{Bound, bound, race};

/// What the gateway is compared with: in turn, fewest in flight, peak EWMA of two.
pub(crate) const RIVALS: [&str; 3] = ["peer_round_robin", "least_in_flight", "peer_peak_ewma"];

/// One cell's figures of `adaptive`, as shares of others'.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratios {
    pub(crate) own: Figures,
    pub(crate) round_robin: f64,
    pub(crate) least: f64,
    pub(crate) ewma: f64,
    /// Of the pool bound; 0 where it was not asked for.
    pub(crate) pool: f64,
    /// All of these of least in flight.
    pub(crate) short_p99: f64,
    pub(crate) long_p99: f64,
    pub(crate) slowdown: f64,
}

/// Reads one measure.
pub(crate) type Read = fn(&Ratios) -> f64;

/// What a measure is called in tables, and how it is read.
pub(crate) const MEASURES: [(&str, Read); 7] = [
    ("mean / round robin", |it| it.round_robin),
    ("mean / least in flight", |it| it.least),
    ("mean / peak EWMA", |it| it.ewma),
    ("mean / pool bound", |it| it.pool),
    ("short p99 / least in flight", |it| it.short_p99),
    ("long p99 / least in flight", |it| it.long_p99),
    ("slowdown / least in flight", |it| it.slowdown),
];

impl Ratios {
    /// Runs a cell.
    pub(crate) fn of(cell: &Cell, count: u32, own: &Policy, with_pool: bool) -> Self {
        let mut policies = vec![own.clone()];
        policies.extend(RIVALS.map(Policy::of));
        let figures = race(cell, count, &policies);
        let [own, turns, least, ewma] = figures[..] else {
            unreachable!("as many as policies")
        };
        let pool = with_pool.then(|| bound(cell, count, Bound(Discipline::Own)).mean);
        let share = |a: f64, b: f64| if b > 0.0 { a / b } else { 1.0 };
        Self {
            own,
            round_robin: share(own.mean, turns.mean),
            least: share(own.mean, least.mean),
            ewma: share(own.mean, ewma.mean),
            pool: pool.map_or(0.0, |pool| share(own.mean, pool)),
            short_p99: share(own.short_p99, least.short_p99),
            long_p99: share(own.long_p99, least.long_p99),
            slowdown: share(own.slowdown, least.slowdown),
        }
    }

    pub(crate) fn line(&self) -> String {
        MEASURES
            .iter()
            .map(|(_, read)| format!(" {:.3}", read(self)))
            .collect()
    }

    /// What is above its limit.
    pub(crate) fn above(&self, limits: &[f64; 7]) -> Vec<String> {
        let pairs = MEASURES.iter().zip(limits);
        pairs
            .filter(|((_, read), limit)| read(self) > **limit)
            .map(|((name, read), limit)| format!("{name} is {:.3}, over {limit}", read(self)))
            .collect()
    }
}

/// No promise.
pub(crate) const ANY: f64 = f64::INFINITY;

/// The promises for every cell of the sweep, in the order of [`MEASURES`].
pub(crate) const EVERYWHERE: [f64; 7] = [1.00, 1.02, 1.00, ANY, 1.08, 1.08, 1.10];
