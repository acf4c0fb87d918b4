//! What do we write down?

mod decisions;
mod families;
mod log_line;
mod metrics;
mod own;
mod waits;

pub use decisions::{Brief, Decision, Decisions};
pub use log_line::init_log;
pub use metrics::{Ending, Gauges, Metrics, NodeState, PoolMetrics, PoolState, StrategyFailures};
pub use own::OwnMetrics;
/// The crate that [`OwnMetrics`] takes families of, so that versions agree.
pub use prometheus;
pub use waits::WaitMetrics;
