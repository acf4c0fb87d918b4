//! What did seed 000 promise, and on what? Its published scenarios, as they can be reproduced.
//!
//! It publishes no mix, so these are ours: nodes of eight slots, exponential durations of 0.3 s and
//! 8 s, and the loads at which round robin comes near the published figures.

use super::cells::Cell;
use super::farm::{Farm, Model};
use super::workload::{Operation, Sizes, Workload};

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) nodes: usize,
    /// The share of long requests.
    pub(crate) long: f64,
    pub(crate) load: f64,
    /// What seed 000 says of its own rule, as a share of round robin.
    pub(crate) claimed: f64,
}

/// B1 to B3. B4 is about thousands of connections (`make race ARGS=scale`) and B5 about the gateway's
/// own time (`make bench ARGS="--bench through"`): no matter for a simulation.
pub(crate) const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "B1 mixed",
        nodes: 2,
        long: 0.2,
        load: 0.92,
        claimed: 0.5625,
    },
    Scenario {
        name: "B2 short",
        nodes: 2,
        long: 0.02,
        load: 0.85,
        claimed: 0.60,
    },
    Scenario {
        name: "B3 long",
        nodes: 2,
        long: 0.6,
        load: 0.95,
        claimed: 0.642,
    },
];

/// Slots of a node.
const SLOTS: usize = 8;

impl Scenario {
    pub(crate) fn farm(&self) -> Farm {
        self.farm_of(Model::F)
    }

    /// The same nodes by another model.
    pub(crate) fn farm_of(&self, model: Model) -> Farm {
        Farm::new(model, self.nodes, SLOTS)
    }

    /// B6: the shorts of B1 to B3 beside a long load of 0.7 on three nodes, five of them a second;
    /// and the same shorts alone. Shares of long requests and loads follow from that. What is short is
    /// the operation: of the other one's requests almost half are below 5 s as well.
    pub(crate) fn isolation() -> [Self; 2] {
        let (rate, slots) = (5.0, (3 * SLOTS) as f64);
        let (long_rate, short_load) = (0.7 * slots / 8.0, rate * 0.3 / slots);
        let of = |name, long, load| Self {
            name,
            nodes: 3,
            long,
            load,
            claimed: 1.5,
        };
        [
            of("B6 both", long_rate / (long_rate + rate), 0.7 + short_load),
            of("B6 short alone", 0.0, short_load),
        ]
    }

    /// One short and one long operation in plugins of their own.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let of = |plugin, action, weight, mean| Operation {
            plugin,
            action,
            weight,
            sizes: Sizes::Exponential { mean },
            later: Sizes::Exponential { mean },
            cpu: 0.5,
        };
        vec![
            of(0, "text_embedding/invoke", 1.0 - self.long, 0.3),
            of(1, "llm/invoke", self.long, 8.0),
        ]
    }
}

/// Where the gateway is not expected to gain: shown beside the rest.
pub(crate) fn no_gain() -> Vec<Cell> {
    vec![
        Cell::new(Model::F, Workload::Uniform, (3, 4), 80),
        Cell::new(Model::D, Workload::Uniform, (3, 4), 80),
        Cell::new(Model::P, Workload::Short, (3, 4), 95),
        Cell::new(Model::F, Workload::Mixed, (2, 16), 80),
    ]
}
