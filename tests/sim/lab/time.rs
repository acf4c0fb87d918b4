//! What is a moment? Seconds since the run began, as a number that can be sorted.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// Seconds that can stand in a heap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment(pub(crate) f64);

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// That moment as the production code wants it. A virtual clock has no other beginning than the
/// one real moment that everything is counted from; only differences matter.
pub(crate) fn instant(base: Instant, at: f64) -> Instant {
    base + Duration::from_secs_f64(at)
}
