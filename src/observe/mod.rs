//! What do we write down?

pub mod access;
mod decisions;
mod ending;
mod families;
mod log_line;
mod metrics;
mod own;
mod shown;
mod waits;

pub use decisions::{Brief, Decision, Decisions};
pub use ending::Ending;
pub use log_line::init_log;
pub use metrics::{Gauges, Metrics, PoolMetrics, StrategyFailures};
pub use own::OwnMetrics;
/// The crate that [`OwnMetrics`] takes families of, so that versions agree.
pub use prometheus;
pub use shown::{Looking, NodeState, PoolState};
pub use waits::WaitMetrics;
