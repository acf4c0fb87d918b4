//! Who asked for what, and how did it end? One line per request, for those who were not there.
//!
//! A [`Record`] is made when its request is over, judged by the operator's rules and copied into a
//! [`Sink`]'s queue, from where a thread of its own takes it, makes its line and carries that to the
//! disk. A request never waits for that: what finds the queue full is lost, and counted.

mod count;
mod json;
mod judge;
mod kept;
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
pub use record::{Facts, Record, Texts};
pub use sink::{Place, Sink, Sinks};
