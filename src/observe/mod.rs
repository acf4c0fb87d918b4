//! What do we write down?

pub mod access;
mod checks;
mod decisions;
mod door;
mod ending;
mod families;
mod gateway;
mod known;
mod log_format;
mod log_level;
mod log_line;
mod metrics;
mod own;
mod page;
mod recent;
mod share;
mod shown;
mod waits;

pub use checks::{CheckEnd, CheckMetrics};
pub use decisions::{Brief, Decision, Decisions};
pub use door::DoorMetrics;
pub use ending::Ending;
pub use log_level::{log_level, set_log_level};
pub use log_line::init_log;
pub use metrics::{Metrics, PoolMetrics, StrategyFailures};
pub use own::OwnMetrics;
/// The crate that [`OwnMetrics`] takes families of, so that versions agree.
pub use prometheus;
pub use recent::{Recent, Spread};
pub use shown::{Gauges, KnownState, Looking, NodeState, OperationState, PoolState, Shown};
pub use waits::WaitMetrics;
