//! What do we write down?

mod decisions;
mod door;
mod families;
mod log_line;
mod metrics;
mod own;
mod shown;
mod waits;

pub use decisions::{Brief, Decision, Decisions};
pub use door::DoorMetrics;
pub use log_line::init_log;
pub use metrics::{Ending, Metrics, PoolMetrics, StrategyFailures};
pub use own::OwnMetrics;
/// The crate that [`OwnMetrics`] takes families of, so that versions agree.
pub use prometheus;
pub use shown::{Gauges, Looking, NodeState, PoolState};
pub use waits::WaitMetrics;
