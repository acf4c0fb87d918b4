//! Which combinations are looked at?

use super::farm::{Farm, Model};
use super::workload::Workload;

/// One combination: nodes, a mix, a load.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) farm: Farm,
    pub(crate) workload: Workload,
    /// Of the busiest part, in per cent.
    pub(crate) percent: u32,
}

impl Cell {
    pub(crate) fn new(
        model: Model,
        workload: Workload,
        (nodes, cores): (usize, usize),
        percent: u32,
    ) -> Self {
        Self {
            farm: Farm::new(model, nodes, cores),
            workload,
            percent,
        }
    }

    pub(crate) fn load(&self) -> f64 {
        f64::from(self.percent) / 100.0
    }

    /// Its name in tables: `D mixed 3x4 80 %`.
    pub(crate) fn name(&self) -> String {
        format!(
            "{} {} {}x{} {} %",
            self.farm.model.word(),
            self.workload.word(),
            self.farm.nodes(),
            self.farm.cores,
            self.percent
        )
    }

    /// After the drift more work comes than all nodes can do: waiting there says nothing.
    pub(crate) fn overflows(&self) -> bool {
        self.workload == Workload::Drift && self.percent >= 90
    }
}

/// Loads of the sweep, in per cent.
pub(crate) const LOADS: [u32; 4] = [50, 70, 90, 95];
/// Mixes of the sweep.
pub(crate) const MIXES: [Workload; 6] = [
    Workload::Mixed,
    Workload::Short,
    Workload::Long,
    Workload::Azure,
    Workload::Bimodal,
    Workload::Drift,
];

/// The cells of one model in the sweep: 24 of 96.
pub(crate) fn sweep(model: Model) -> Vec<Cell> {
    MIXES
        .into_iter()
        .flat_map(|mix| LOADS.map(|percent| Cell::new(model, mix, (3, 4), percent)))
        .collect()
}

/// The cells that have names of their own in the gate and in `benches/README.md`.
pub(crate) fn named() -> Vec<Cell> {
    use Workload::{Azure, Bimodal, Heavy, Long, Mixed, Short};
    [
        (Model::D, Mixed, (3, 4), 80),
        (Model::D, Short, (3, 4), 80),
        (Model::D, Long, (3, 4), 80),
        (Model::D, Azure, (3, 4), 80),
        (Model::D, Bimodal, (3, 4), 80),
        (Model::D, Heavy, (3, 4), 80),
        (Model::F, Mixed, (5, 1), 60),
        (Model::F, Azure, (5, 1), 60),
        (Model::F, Mixed, (2, 4), 80),
        (Model::P, Mixed, (2, 4), 90),
        (Model::M, Mixed, (3, 4), 90),
    ]
    .map(|(model, mix, size, percent)| Cell::new(model, mix, size, percent))
    .to_vec()
}
