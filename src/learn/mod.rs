//! Will this request be long?
//!
//! Nobody says beforehand how long a request will take, but operations repeat: what the same tool
//! of the same plugin took lately is the best guess. [`Learner`] keeps durations per operation,
//! from coarse to fine, and lets the finest key that knows enough decide.
//!
//! | file | question |
//! |---|---|
//! | `learner` | Where is everything kept, and who decides? |
//! | `entry` | What is known of one key, and what runs under it now? |
//! | `estimate` | Which score do one key's samples give, and is that long? |
//! | `histogram` | How are durations counted so that old ones fade? |
//! | `usual` | How long does an operation usually take? |
//! | `threshold` | From which duration on is a request long? |
//! | `pins` | What did the operator decide himself? |
//! | `by_hand` | What did he pin while the gateway ran? |
//! | `guard` | What if a classifier from outside decides, or fails to? |
//! | `look` | What would be said of an operation now? |
//! | `view` | What does the operator see? |
//! | `memory` | What outlives a restart? |
//! | `fleet` | What do others learn from us, and we from them? |

mod by_hand;
mod entry;
mod estimate;
mod fleet;
mod guard;
mod histogram;
mod keys;
#[cfg(test)]
mod laws;
mod learner;
mod look;
mod memory;
mod pins;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;
mod threshold;
mod usual;
mod view;

pub use entry::Running;
pub use fleet::Untaught;
pub use guard::Guarded;
pub use learner::Learner;
pub use look::{LevelView, Look};
pub use memory::Memory;
pub use pins::matches;
pub use usual::ln_seconds;
pub use view::KeyView;

use crate::model::{Class, Operation, Sample, Verdict};
use std::fmt;
use std::time::Instant;

/// Says beforehand whether a request will be long, and is told afterwards.
pub trait Classifier: fmt::Debug + Send + Sync {
    /// Short or long, and why. `prior` is what this kind of operation usually is.
    fn classify(&self, operation: &Operation, prior: Class, now: Instant) -> Verdict;

    /// Notes that a request of this operation runs from `now` until the value is dropped: an
    /// operation that nobody knows is long as soon as one of its requests runs for too long.
    fn begin(&self, operation: &Operation, now: Instant) -> Running;

    /// What a request of this operation usually takes: a mean of [`ln_seconds`], of requests that
    /// ran to their end. `None` while too little is known.
    fn expected(&self, _operation: &Operation) -> Option<f64> {
        None
    }

    /// Learns from one request that ended.
    fn learn(&self, operation: &Operation, sample: Sample, now: Instant);
}
