//! What do several gateways cost, and what is old news worth?

use crate::lab::cells::Cell;
use crate::lab::farm::Model;
use crate::lab::faults::Fault;
use crate::lab::figures::Figures;
use crate::lab::fleet::Fleet;
use crate::lab::policy::Policy;
use crate::lab::race::SEEDS;
use crate::lab::run::{Setting, run};
use crate::lab::trace::Trace;
use crate::lab::workload::Workload;

const COUNT: u32 = 15_000;

fn mean(cell: &Cell, fleet: Fleet) -> f64 {
    let runs: Vec<_> = SEEDS
        .map(|seed| {
            let trace = Trace::draw(cell.workload, &cell.farm, cell.load(), (seed, COUNT));
            let setting = Setting {
                farm: &cell.farm,
                trace: &trace,
                policy: &Policy::of("adaptive"),
                seed,
                fault: Fault::None,
                fleet,
            };
            Figures::of(&trace, &run(&setting))
        })
        .collect();
    Figures::mean(&runs).mean
}

/// Damped sharing is never much worse than the better of not sharing and sharing undamped.
fn old_news_does_no_harm(cell: &Cell) {
    let mut failures = Vec::new();
    for gateways in [2, 4, 8] {
        let of = |lag, damped| {
            let fleet = Fleet {
                gateways,
                lag,
                damped,
            };
            mean(cell, fleet)
        };
        let alone = of(None, true);
        for lag in [0.005, 0.05, 0.2, 1.0] {
            let (damped, undamped) = (of(Some(lag), true), of(Some(lag), false));
            let ratio = damped / alone.min(undamped);
            println!(
                "{} {gateways} gateways, {lag} s: {damped:.3}, undamped {undamped:.3}, alone {alone:.3}: {ratio:.3}",
                cell.name()
            );
            if ratio > 1.03 {
                failures.push((gateways, lag, ratio));
            }
        }
    }
    assert!(failures.is_empty(), "{}: {failures:?}", cell.name());
}

#[test]
fn old_news_of_shared_cores_does_no_harm() {
    old_news_does_no_harm(&Cell::new(Model::P, Workload::Short, (5, 16), 90));
}

#[test]
fn old_news_of_daemons_does_no_harm() {
    old_news_does_no_harm(&Cell::new(Model::D, Workload::Short, (5, 16), 80));
}

#[test]
fn old_news_of_a_mix_does_no_harm() {
    old_news_does_no_harm(&Cell::new(Model::D, Workload::Mixed, (3, 4), 80));
}
