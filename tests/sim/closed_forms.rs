//! Is the simulation itself right? Where queueing theory has a formula, it must agree.
//!
//! Seeds are fixed, so these cannot fail by chance; the margins are those of the scatter between
//! seeds at these lengths, about three standard errors.

use crate::lab::farm::{Discipline, Farm, Model};
use crate::lab::policy::Policy;
use crate::lab::run::figures;
use crate::lab::trace::Trace;
use crate::lab::workload::{Operation, Sizes};
use twolane::model::Dice;

const COUNT: u32 = 40_000;
const SEEDS: u64 = 8;

/// The mean time in the system, over seeds, of one operation on nodes.
fn mean(farm: &Farm, load: f64, sizes: Sizes, word: &'static str) -> f64 {
    let operation = Operation {
        plugin: 0,
        action: "tool/invoke",
        weight: 1.0,
        sizes,
        later: sizes,
        cpu: 1.0,
    };
    let total: f64 = (1..=SEEDS)
        .map(|seed| {
            let mut dice = Dice::with_seed(seed);
            let operations = vec![operation.clone()];
            let trace = Trace::of(operations, farm, load, (&mut dice, COUNT));
            figures(farm, &trace, &Policy::of(word), seed).mean
        })
        .sum();
    total / SEEDS as f64
}

fn agree(what: &str, simulated: f64, formula: f64, margin: f64) {
    let off = simulated / formula - 1.0;
    println!(
        "{what}: {simulated:.4} against {formula:.4} ({:+.1} %)",
        100.0 * off
    );
    assert!(off.abs() <= margin, "{what}: {simulated} against {formula}");
}

/// The probability that all of `servers` are busy (Erlang C).
fn erlang_c(servers: u32, load: f64) -> f64 {
    let offered = f64::from(servers) * load;
    let mut blocked = 1.0;
    for n in 1..=servers {
        blocked = offered * blocked / (f64::from(n) + offered * blocked);
    }
    blocked / (1.0 - load * (1.0 - blocked))
}

const SECOND: Sizes = Sizes::Exponential { mean: 1.0 };

#[test]
fn one_worker_is_m_m_1() {
    let farm = Farm::new(Model::F, 1, 1);
    agree(
        "M/M/1",
        mean(&farm, 0.7, SECOND, "round_robin"),
        1.0 / 0.3,
        0.03,
    );
}

#[test]
fn four_workers_are_erlang_c() {
    let farm = Farm::new(Model::F, 1, 4);
    let formula = 1.0 + erlang_c(4, 0.8) / (4.0 * 0.2);
    agree(
        "M/M/4",
        mean(&farm, 0.8, SECOND, "round_robin"),
        formula,
        0.03,
    );
}

#[test]
fn a_shared_core_does_not_care_how_sizes_are_spread() {
    let farm = Farm::new(Model::P, 1, 1);
    let sizes = Sizes::Around {
        mean: 1.0,
        sigma: 1.0,
    };
    agree(
        "M/G/1-PS",
        mean(&farm, 0.7, sizes, "round_robin"),
        1.0 / 0.3,
        0.04,
    );
}

#[test]
fn four_shared_cores_are_erlang_c_too() {
    let farm = Farm::new(Model::P, 1, 4);
    let formula = 1.0 + erlang_c(4, 0.8) / (4.0 * 0.2);
    agree(
        "M/M/4-PS",
        mean(&farm, 0.8, SECOND, "round_robin"),
        formula,
        0.03,
    );
}

#[test]
fn one_worker_waits_as_pollaczek_and_khinchine_say() {
    let farm = Farm::new(Model::F, 1, 1);
    let (sigma, load): (f64, f64) = (0.8, 0.7);
    let sizes = Sizes::Around { mean: 1.0, sigma };
    let second_moment = (sigma * sigma).exp();
    let formula = 1.0 + load * second_moment / (2.0 * (1.0 - load));
    agree(
        "M/G/1",
        mean(&farm, load, sizes, "round_robin"),
        formula,
        0.04,
    );
}

#[test]
fn one_plugin_of_the_daemon_is_one_worker() {
    let farm = Farm::new(Model::D, 1, 4);
    // Two halves, each queued for by itself: the same as one worker only for the mean of the wait
    // that a half of fixed length sees; so the bound is that of order, not of equality.
    let halves = mean(&farm, 0.7, Sizes::Always(1.0), "round_robin");
    let whole = mean(
        &Farm::new(Model::F, 1, 1),
        0.7,
        Sizes::Always(1.0),
        "round_robin",
    );
    agree("M/D/1", whole, 1.0 + 0.7 / (2.0 * 0.3), 0.03);
    assert!(
        halves > whole && halves < 2.0 * whole,
        "{halves} and {whole}"
    );
}

#[test]
fn choosing_by_chance_splits_a_stream_into_m_m_1s() {
    let farm = Farm::new(Model::F, 3, 1);
    agree(
        "split",
        mean(&farm, 0.6, SECOND, "peer_random"),
        1.0 / 0.4,
        0.03,
    );
}

#[test]
fn bounds_are_below_what_they_bound() {
    let own = Farm::new(Model::F, 1, 4);
    let sizes = Sizes::Around {
        mean: 1.0,
        sigma: 1.5,
    };
    let time = |discipline| {
        let farm = own.merged(discipline);
        mean(&farm, 0.8, sizes, "round_robin")
    };
    let (first, shortest, remaining) = (
        time(Discipline::Own),
        time(Discipline::ShortestFirst),
        time(Discipline::ShortestRemaining),
    );
    println!("FCFS {first:.3}, shortest first {shortest:.3}, shortest remaining {remaining:.3}");
    assert!(remaining < shortest && shortest < first);
}
