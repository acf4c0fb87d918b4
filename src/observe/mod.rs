//! What do we write down?

mod families;
mod log_line;
mod metrics;
mod waits;

pub use log_line::init_log;
pub use metrics::{Ending, Gauges, Metrics, NodeState, PoolMetrics, PoolState, StrategyFailures};
pub use waits::WaitMetrics;
