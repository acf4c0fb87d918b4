//! Who arrives when, so that the load is exactly the stated one?
//!
//! Arrivals are Poisson and do not wait for answers (open loop), so that a slow gateway cannot make
//! its own measurement easier. The same trace is given to every policy. Its times are stretched
//! until the trace as it was drawn, not the law behind it, offers the stated load to whatever is
//! busiest.

use super::farm::{Farm, Model};
use super::workload::{Operation, Workload, exponential};
use twolane::model::Dice;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When, in microseconds.
    pub(crate) at: u64,
    /// The place of its operation.
    pub(crate) operation: u16,
    /// Which gateway it comes to, of 840: divisible by any number up to eight.
    pub(crate) door: u16,
    /// How long it takes on an idle node of speed 1, in microseconds.
    pub(crate) size: u64,
    /// For how much of it a core is needed.
    pub(crate) cpu: u64,
}

/// Requests in the order in which they come.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) operations: Vec<Operation>,
    pub(crate) arrivals: Vec<Arrival>,
}

/// See [`Arrival::door`].
pub(crate) const DOORS: u16 = 840;

const MICROS: f64 = 1e6;

impl Arrival {
    pub(crate) fn seconds(&self) -> f64 {
        self.at as f64 / MICROS
    }

    pub(crate) fn size_seconds(&self) -> f64 {
        self.size as f64 / MICROS
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.cpu as f64 / MICROS
    }
}

/// The nearest microsecond: a trace must not depend on the last bit of a logarithm.
pub(crate) fn micros(seconds: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "durations are positive and far below the limit"
    )]
    let micros = (seconds * MICROS).round() as u64;
    micros
}

impl Trace {
    /// Draws `count` requests that offer `load` to the busiest part of the farm.
    pub(crate) fn draw(
        workload: Workload,
        farm: &Farm,
        load: f64,
        (seed, count): (u64, u32),
    ) -> Self {
        // What is drawn depends on the mix and the seed alone; the farm only stretches it.
        let mut dice = Dice::with_seed(seed.wrapping_mul(0x9E37_79B9) ^ workload as u64);
        let operations = workload.operations(&mut dice);
        Self::of(operations, farm, load, (&mut dice, count))
    }

    /// The same for any operations.
    pub(crate) fn of(
        operations: Vec<Operation>,
        farm: &Farm,
        load: f64,
        (dice, count): (&mut Dice, u32),
    ) -> Self {
        let total: f64 = operations.iter().map(|operation| operation.weight).sum();
        let mut at = 0.0;
        let mut arrivals = Vec::with_capacity(count as usize);
        for n in 0..count {
            at += exponential(dice);
            let mut left = dice.f64() * total;
            let place = operations
                .iter()
                .position(|operation| {
                    left -= operation.weight;
                    left < 0.0
                })
                .unwrap_or(operations.len() - 1);
            let operation = &operations[place];
            let sizes = if n < count / 2 {
                operation.sizes
            } else {
                operation.later
            };
            let size = sizes.draw(dice);
            arrivals.push(Arrival {
                at: micros(at),
                operation: u16::try_from(place).expect("few operations"),
                door: dice.u16(..DOORS),
                size: micros(size),
                cpu: micros(size * operation.cpu),
            });
        }
        let mut trace = Self {
            operations,
            arrivals,
        };
        trace.stretch(farm, load);
        trace
    }

    fn stretch(&mut self, farm: &Farm, load: f64) {
        let factor = self.offered(farm) / load;
        for arrival in &mut self.arrivals {
            arrival.at = micros(arrival.seconds() * factor);
        }
    }

    /// When the last request comes, in seconds.
    pub(crate) fn span(&self) -> f64 {
        self.arrivals.last().map_or(0.0, Arrival::seconds)
    }

    /// The load that it offers to the busiest part of a farm.
    pub(crate) fn offered(&self, farm: &Farm) -> f64 {
        let worth = farm.worth() * self.span();
        let cores = worth * farm.cores as f64;
        let sum = |of: fn(&Arrival) -> f64| self.arrivals.iter().map(of).sum::<f64>();
        match farm.model {
            Model::F | Model::P => sum(Arrival::size_seconds) / cores,
            Model::M => sum(Arrival::cpu_seconds) / cores,
            Model::D => {
                let mut plugins = vec![0.0f64; usize::from(u16::MAX)];
                for arrival in &self.arrivals {
                    let plugin = self.operations[usize::from(arrival.operation)].plugin;
                    plugins[usize::from(plugin)] += arrival.cpu_seconds();
                }
                let busiest = plugins.into_iter().fold(0.0, f64::max) / worth;
                busiest.max(sum(Arrival::cpu_seconds) / cores)
            }
        }
    }

    /// A number that changes when anything of it does (FNV-1a).
    pub(crate) fn hash(&self) -> u64 {
        let numbers = self.arrivals.iter().flat_map(|it| {
            let small = u64::from(it.operation) << 16 | u64::from(it.door);
            [it.at, small, it.size, it.cpu]
        });
        fnv(numbers)
    }
}

/// FNV-1a over numbers.
pub(crate) fn fnv(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers
        .flat_map(u64::to_le_bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
