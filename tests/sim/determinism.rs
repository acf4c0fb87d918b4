//! Does the same seed give the same run? And are the traces those that the figures were taken with?

use crate::lab::cells::Cell;
use crate::lab::farm::{Farm, Model};
use crate::lab::faults::{Death, Fault};
use crate::lab::figures::Fate;
use crate::lab::fleet::Fleet;
use crate::lab::policy::Policy;
use crate::lab::run::{Setting, run};
use crate::lab::trace::{Trace, fnv};
use crate::lab::workload::Workload;

const COUNT: u32 = 4000;

fn decisions(word: &'static str, model: Model, fault: Fault, fleet: Fleet) -> (u64, Vec<Fate>) {
    let cell = Cell::new(model, Workload::Mixed, (3, 4), 70);
    let trace = Trace::draw(cell.workload, &cell.farm, cell.load(), (1, COUNT));
    let setting = Setting {
        farm: &cell.farm,
        trace: &trace,
        policy: &Policy::of(word),
        seed: 1,
        fault,
        fleet,
    };
    let fates = run(&setting);
    let told = fates.iter().map(|fate| {
        u64::from(fate.node) << 16 | u64::from(fate.attempts) << 8 | u64::from(fate.failed)
    });
    (fnv(told), fates)
}

#[test]
fn the_same_seed_gives_byte_for_byte_the_same_decisions() {
    let fleet = Fleet {
        gateways: 4,
        lag: Some(0.2),
        damped: true,
    };
    for (fault, fleet) in [
        (Fault::None, Fleet::ALONE),
        (Fault::Dies(Death::BlackHole, 0.5), Fleet::ALONE),
        (Fault::FailsFast(0.3, 0.6), fleet),
    ] {
        for row in twolane::select::TABLE {
            for model in Model::ALL {
                let (first, fates) = decisions(row.word, model, fault, fleet);
                let (second, again) = decisions(row.word, model, fault, fleet);
                assert_eq!(first, second, "{} {model:?} {fault:?}", row.word);
                assert!(fates == again, "{} {model:?}: ends differ", row.word);
            }
        }
    }
}

#[test]
fn another_seed_gives_another_run() {
    let farm = Farm::new(Model::F, 3, 4);
    let draw = |seed| Trace::draw(Workload::Mixed, &farm, 0.7, (seed, COUNT)).hash();
    assert_ne!(draw(1), draw(2));
}

/// One figure per mix, so that a changed trace does not pass for a changed policy. Whoever changes
/// a mix on purpose writes the new figure here, and measures the tables again.
const TRACES: [(Workload, u64); 8] = [
    (Workload::Mixed, 0x12a9_c347_fff6_92b1),
    (Workload::Short, 0x618a_343c_0dc7_60ff),
    (Workload::Long, 0x9e98_5e87_7b7a_062e),
    (Workload::Azure, 0xa483_1ce4_8a69_5941),
    (Workload::Bimodal, 0xa0e1_8698_56cd_ace8),
    (Workload::Drift, 0xbfc3_006c_165d_dd0e),
    (Workload::Heavy, 0x5541_6500_5f71_95ed),
    (Workload::Uniform, 0x0295_97c7_79d7_cb22),
];

#[test]
fn the_traces_are_those_of_the_tables() {
    let farm = Farm::new(Model::D, 3, 4);
    let found = TRACES.map(|(mix, _)| {
        let trace = Trace::draw(mix, &farm, 0.8, (1, COUNT));
        (mix, trace.hash())
    });
    assert_eq!(found, TRACES, "{found:#x?}");
}

#[test]
fn every_trace_offers_exactly_the_stated_load() {
    for model in Model::ALL {
        for mix in Workload::ALL {
            let farm = Farm::new(model, 3, 4).with_speeds(&[2.0, 1.0, 0.5]);
            let trace = Trace::draw(mix, &farm, 0.9, (7, COUNT));
            let offered = trace.offered(&farm);
            assert!((offered - 0.9).abs() < 1e-4, "{model:?} {mix:?}: {offered}");
        }
    }
}
