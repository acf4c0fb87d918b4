//! How do several rules compare on the same traces?

use super::cells::Cell;
use super::farm::{Discipline, Farm, Model};
use super::faults::Fault;
use super::figures::Figures;
use super::fleet::Fleet;
use super::policy::Policy;
use super::run::{Setting, figures, run};
use super::seed::Scenario;
use super::trace::Trace;
use twolane::model::Dice;

/// So many traces of each cell.
pub(crate) const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// A bound: all nodes merged into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound(pub(crate) Discipline);

/// The mean figures of each policy over the seeds, in the order given.
pub(crate) fn race(cell: &Cell, count: u32, policies: &[Policy]) -> Vec<Figures> {
    let mut runs = vec![Vec::new(); policies.len()];
    for seed in SEEDS {
        let trace = Trace::draw(cell.workload, &cell.farm, cell.load(), (seed, count));
        for (policy, runs) in policies.iter().zip(&mut runs) {
            runs.push(figures(&cell.farm, &trace, policy, seed));
        }
    }
    runs.iter().map(|runs| Figures::mean(runs)).collect()
}

/// What no placement can beat, or no scheduler at all.
pub(crate) fn bound(cell: &Cell, count: u32, bound: Bound) -> Figures {
    let merged = cell.farm.merged(bound.0);
    let runs: Vec<_> = SEEDS
        .map(|seed| {
            let trace = Trace::draw(cell.workload, &cell.farm, cell.load(), (seed, count));
            figures(&merged, &trace, &Policy::of("round_robin"), seed)
        })
        .collect();
    Figures::mean(&runs)
}

/// The p99 of short calls beside the long load of B6, and without it: the mean over the seeds.
pub(crate) fn isolation(model: Model, policy: &Policy, count: u32) -> [f64; 2] {
    isolation_on(model, policy, count, Farm::clone)
}

/// The same where all nodes are one, with one queue. In the order of arrival: no placement can do better that
/// sends every call at once, however much it knows. Shortest first: what waiting at the gateway can bring.
pub(crate) fn isolation_bound(model: Model, bound: Bound, count: u32) -> [f64; 2] {
    let one = Policy::of("round_robin");
    isolation_on(model, &one, count, |farm| farm.merged(bound.0))
}

fn isolation_on(
    model: Model,
    policy: &Policy,
    count: u32,
    nodes: impl Fn(&Farm) -> Farm,
) -> [f64; 2] {
    Scenario::isolation().map(|it| {
        let farm = nodes(&it.farm_of(model));
        let of = |seed| {
            let mut dice = Dice::with_seed(seed);
            let trace = Trace::of(it.operations(), &farm, it.load, (&mut dice, count));
            let fates = run(&Setting {
                farm: &farm,
                trace: &trace,
                policy,
                seed,
                fault: Fault::None,
                fleet: Fleet::ALONE,
            });
            Figures::p99_of(&trace, &fates, 0)
        };
        SEEDS.map(of).sum::<f64>() / SEEDS.count() as f64
    })
}

/// The mean of each policy over the seeds in one of seed 000's scenarios, and of the shortest
/// remaining first of all nodes merged, which nothing can beat.
pub(crate) fn scenario(it: &Scenario, count: u32, policies: &[Policy]) -> (Vec<Figures>, Figures) {
    let farm = it.farm();
    let best = farm.merged(Discipline::ShortestRemaining);
    let mut runs = vec![Vec::new(); policies.len()];
    let mut bounds = Vec::new();
    for seed in SEEDS {
        let mut dice = Dice::with_seed(seed);
        let trace = Trace::of(it.operations(), &farm, it.load, (&mut dice, count));
        for (policy, runs) in policies.iter().zip(&mut runs) {
            runs.push(figures(&farm, &trace, policy, seed));
        }
        bounds.push(figures(&best, &trace, &Policy::of("round_robin"), seed));
    }
    let means = runs.iter().map(|runs| Figures::mean(runs)).collect();
    (means, Figures::mean(&bounds))
}
