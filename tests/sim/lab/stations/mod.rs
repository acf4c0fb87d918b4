//! How does a node work off what it was given?

mod daemon;
mod fcfs;
mod shared;
mod slots;
mod srpt;

pub(crate) use daemon::Daemon;
pub(crate) use fcfs::{Fcfs, Order};
pub(crate) use shared::Shared;
pub(crate) use slots::Slots;
pub(crate) use srpt::Srpt;

/// One request as a node sees it. Times are seconds at speed 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) id: u32,
    pub(crate) plugin: u16,
    /// The whole of it.
    pub(crate) size: f64,
    /// The part that needs a core; half of it comes first and half last.
    pub(crate) cpu: f64,
}

/// A node. Moments are seconds since the run began, and never go back.
pub(crate) trait Station: Send {
    /// A request comes.
    fn enter(&mut self, now: f64, task: Task);

    /// When something happens next, if nobody comes: infinity for never.
    fn next(&self) -> f64;

    /// Lets that happen. The request that ended with it, if one did.
    fn step(&mut self, now: f64) -> Option<u32>;

    /// The node dies: everything on it is gone.
    fn clear(&mut self, now: f64);
}
