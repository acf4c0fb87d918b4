//! Who asked for what, and how did it end? One line per request, for those who were not there.
//!
//! A [`Record`] is made when its request is over, judged by the operator's rules, written into one
//! line and left in a [`Sink`]'s queue, from where a thread of its own carries it to the disk. A
//! request never waits for that: what finds the queue full is lost, and counted.

mod count;
mod json;
mod judge;
mod line;
mod plain;
mod queue;
mod record;
mod sink;
mod stamp;
mod text;
mod thread;

pub use count::AccessMetrics;
pub use judge::{Marks, judge};
pub use record::{Record, Routed};
pub use sink::{Place, Sink, Sinks};
