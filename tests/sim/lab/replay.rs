//! Which calls were those of Traefik's issue 12306? Three kinds of jobs, five equal servers, 1500 requests;
//! least time gave one of them five.

use super::farm::{Farm, Model};
use super::faults::Fault;
use super::fleet::Fleet;
use super::policy::Policy;
use super::run::{Setting, run};
use super::trace::Trace;
use super::workload::{Operation, Sizes};
use twolane::model::Dice;

pub(crate) const NODES: usize = 5;
pub(crate) const COUNT: u32 = 1500;

/// Quick, middling and slow jobs of one plugin each, equally often.
fn jobs() -> Vec<Operation> {
    [(0, 0.1), (1, 1.0), (2, 10.0)]
        .map(|(plugin, mean)| {
            let sizes = Sizes::Around { mean, sigma: 0.3 };
            Operation {
                plugin,
                action: "tool/invoke",
                weight: 1.0,
                sizes,
                later: sizes,
                cpu: 0.6,
            }
        })
        .to_vec()
}

/// Requests of each node.
pub(crate) fn shares(model: Model, policy: &Policy, (seed, load): (u64, f64)) -> [u32; NODES] {
    let farm = Farm::new(model, NODES, 4);
    let mut dice = Dice::with_seed(seed);
    let trace = Trace::of(jobs(), &farm, load, (&mut dice, COUNT));
    let setting = Setting {
        farm: &farm,
        trace: &trace,
        policy,
        seed,
        fault: Fault::None,
        fleet: Fleet::ALONE,
    };
    let mut counts = [0; NODES];
    for fate in run(&setting) {
        counts[usize::from(fate.node)] += 1;
    }
    counts
}
