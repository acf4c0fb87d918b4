//! Which nodes are there, and how do they work?

use super::stations::{Daemon, Fcfs, Order, Shared, Slots, Srpt, Station};

/// How a node works off its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Model {
    /// So many workers, first come, first served.
    F,
    /// All requests share the cores.
    P,
    /// 64 slots; a core for some of the time, somebody else's answer for the rest.
    M,
    /// The plugin daemon: each plugin is one process that does one thing at a time; the processes
    /// of a node share its cores; waiting for others overlaps.
    D,
}

impl Model {
    pub(crate) const ALL: [Self; 4] = [Self::F, Self::P, Self::M, Self::D];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::F => "F",
            Self::P => "P",
            Self::M => "M",
            Self::D => "D",
        }
    }
}

/// Bounds replace the nodes' own order of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    /// The model's own.
    Own,
    /// Shortest first, true sizes, nothing interrupted.
    ShortestFirst,
    /// Shortest remaining first, true sizes, everything interruptible.
    ShortestRemaining,
}

/// Requests that one node of `M` works on at once.
const SLOTS: usize = 64;

/// Nodes of one model.
#[derive(Clone, Debug)]
pub(crate) struct Farm {
    pub(crate) model: Model,
    /// How fast each is; 1 is what sizes are measured with.
    pub(crate) speeds: Vec<f64>,
    /// Cores, or workers, of each.
    pub(crate) cores: usize,
    /// How many nodes' worth each of them is: more than 1 for the pool bound.
    pub(crate) merged: usize,
    pub(crate) discipline: Discipline,
}

impl Farm {
    pub(crate) fn new(model: Model, nodes: usize, cores: usize) -> Self {
        Self {
            model,
            speeds: vec![1.0; nodes],
            cores,
            merged: 1,
            discipline: Discipline::Own,
        }
    }

    pub(crate) fn with_speeds(mut self, speeds: &[f64]) -> Self {
        self.speeds = speeds.to_vec();
        self
    }

    /// All nodes as one: no placement can balance better.
    pub(crate) fn merged(&self, discipline: Discipline) -> Self {
        Self {
            model: self.model,
            speeds: vec![1.0],
            cores: self.cores,
            merged: self.speeds.len() * self.merged,
            discipline,
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.speeds.len()
    }

    /// Nodes of speed 1 that these are worth.
    pub(crate) fn worth(&self) -> f64 {
        self.speeds.iter().sum::<f64>() * self.merged as f64
    }

    /// Empty nodes.
    pub(crate) fn build(&self) -> Vec<Box<dyn Station>> {
        let cores = self.cores * self.merged;
        self.speeds
            .iter()
            .map(|&speed| -> Box<dyn Station> {
                match (self.discipline, self.model) {
                    (Discipline::ShortestFirst, _) => {
                        Box::new(Fcfs::new(cores, speed, Order::Size))
                    }
                    (Discipline::ShortestRemaining, _) => Box::new(Srpt::new(cores, speed)),
                    (Discipline::Own, Model::F) => {
                        Box::new(Fcfs::new(cores, speed, Order::Arrival))
                    }
                    (Discipline::Own, Model::P) => Box::new(Shared::new(cores, speed)),
                    (Discipline::Own, Model::M) => {
                        Box::new(Slots::new(SLOTS * self.merged, cores, speed))
                    }
                    (Discipline::Own, Model::D) => Box::new(Daemon::new(self.merged, cores, speed)),
                }
            })
            .collect()
    }
}
