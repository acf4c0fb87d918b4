//! Which calls does race A consist of? Those of `benches/race`, to the microsecond, for the production code
//! in virtual time: four nodes with eight slots each, first come first served inside; 57 calls per second
//! for a minute, 95 % of 50 ms and 5 % streams of 4 to 12 s. Short ones are all of one plugin, long ones of
//! the other. Every run begins cold, and nothing is left out as warm-up.

use super::draw::Dice;
use super::farm::{Farm, Model};
use super::faults::Fault;
use super::figures::{at, mean};
use super::fleet::Fleet;
use super::policy::Policy;
use super::run::{Setting, run};
use super::trace::{Arrival, Trace, micros};
use super::workload::{Operation, Sizes};

/// Seconds of arrivals, and how many in each.
const LENGTH: f64 = 60.0;
const RATE: f64 = 57.0;

pub(crate) fn farm() -> Farm {
    Farm::new(Model::F, 4, 8)
}

fn operation(plugin: u16, action: &'static str) -> Operation {
    let sizes = Sizes::Always(0.05);
    Operation {
        plugin,
        action,
        weight: 1.0,
        sizes,
        later: sizes,
        cpu: 1.0,
    }
}

/// The arrivals of a seed.
pub(crate) fn trace(seed: u32) -> Trace {
    let mut dice = Dice::with_seed(seed);
    let mut arrivals = Vec::new();
    let mut at = dice.gap(RATE);
    while at < LENGTH {
        let long = dice.share() < 0.05;
        let size = if long { dice.between(4.0, 12.0) } else { 0.05 };
        arrivals.push(Arrival {
            at: micros(at),
            operation: u16::from(long),
            door: 0,
            size: micros(size),
            cpu: micros(size),
        });
        at += dice.gap(RATE);
    }
    let operations = vec![operation(0, "tool/invoke"), operation(1, "llm/invoke")];
    Trace {
        operations,
        arrivals,
    }
}

/// What came of one seed, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Fared {
    pub(crate) short_mean: f64,
    pub(crate) short_p99: f64,
    pub(crate) mean: f64,
    pub(crate) long_p99: f64,
    /// What a stream took beyond its own length.
    pub(crate) long_wait_p99: f64,
}

/// What came of a seed under a rule.
pub(crate) fn fared(policy: &Policy, seed: u32) -> Fared {
    let (farm, trace) = (farm(), trace(seed));
    let fates = run(&Setting {
        farm: &farm,
        trace: &trace,
        policy,
        seed: u64::from(seed),
        fault: Fault::None,
        fleet: Fleet::ALONE,
    });
    let (mut short, mut long, mut wait, mut all) = (vec![], vec![], vec![], vec![]);
    for (arrival, fate) in trace.arrivals.iter().zip(&fates) {
        let took = fate.end - arrival.seconds();
        all.push(took);
        if arrival.operation == 0 {
            short.push(took);
        } else {
            long.push(took);
            wait.push(took - arrival.size_seconds());
        }
    }
    for series in [&mut short, &mut long, &mut wait, &mut all] {
        series.sort_by(f64::total_cmp);
    }
    Fared {
        short_mean: mean(&short),
        short_p99: at(&short, 0.99),
        mean: mean(&all),
        long_p99: at(&long, 0.99),
        long_wait_p99: at(&wait, 0.99),
    }
}

/// Reads one measure.
pub(crate) type Read = fn(&Fared) -> f64;

/// What is compared, by name.
pub(crate) const MEASURES: [(&str, Read); 5] = [
    ("short mean", |it| it.short_mean),
    ("short p99", |it| it.short_p99),
    ("mean of all", |it| it.mean),
    ("long p99", |it| it.long_p99),
    ("long wait p99", |it| it.long_wait_p99),
];

/// One rule beside another on the same seeds, by one measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    /// Of the means over the seeds, with its standard error.
    pub(crate) ratio: f64,
    pub(crate) error: f64,
    /// The median of the seeds' own ratios. A millisecond is added to both sides: many waits are none.
    pub(crate) median: f64,
}

impl Beside {
    pub(crate) fn of(own: &[Fared], other: &[Fared], read: Read) -> Self {
        const MILLISECOND: f64 = 1e-3;
        let count = own.len() as f64;
        let of = |runs: &[Fared]| runs.iter().map(read).sum::<f64>() / count;
        let (mean, base) = (of(own), of(other));
        let ratio = mean / base;
        let pairs = || own.iter().zip(other).map(|(a, b)| (read(a), read(b)));
        let squares: f64 = pairs().map(|(a, b)| (a - ratio * b).powi(2)).sum();
        let mut each: Vec<_> = pairs()
            .map(|(a, b)| (a + MILLISECOND) / (b + MILLISECOND))
            .collect();
        each.sort_by(f64::total_cmp);
        Self {
            ratio,
            error: squares.sqrt() / count / base,
            median: at(&each, 0.5),
        }
    }
}
