//! From which duration on is a request long?

use super::histogram::Histogram;
use std::time::Duration;

/// Where an automatic threshold begins, in nanoseconds: seed 000's 5 s.
pub(super) const START_NS: u64 = 5_000_000_000;
/// An automatic threshold stays between these, in nanoseconds.
pub(super) const BOUNDS_NS: (f64, f64) = (0.5e9, 30e9);
/// It is looked at once in so many samples.
const EVERY: u32 = 256;
/// It moves only if the logarithm of old and new differ by more: by 35 %.
const STIR: f64 = 0.3;
/// The share of all work that shall be in long requests.
const WORK: f64 = 0.7;

/// Longer durations count as this one: no request of the daemon outlives half an hour, and
/// arithmetic stays far from every limit.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A duration in nanoseconds, at most a day.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.min(LONGEST).as_nanos()).unwrap_or(u64::MAX)
}

/// The durations of everything, in one histogram.
#[derive(Clone, Debug)]
pub(super) struct Everything {
    pub(super) histogram: Histogram<512>,
    since: u32,
}

impl Everything {
    pub(super) const fn new() -> Self {
        Self {
            histogram: Histogram::new(),
            since: 0,
        }
    }

    /// Counts a sample; `at` is its [`bucket`](super::histogram::bucket). True once in [`EVERY`].
    pub(super) fn push(&mut self, ns: u64, at: usize) -> bool {
        self.histogram.push(ns, at);
        self.since = (self.since + 1) % EVERY;
        self.since == 0
    }

    /// Where the automatic threshold belongs by what was seen, in nanoseconds, if it is time to
    /// move it away from `old`: where [`WORK`] lies above, and well above the mean.
    pub(super) fn moved(&self, old: u64) -> Option<u64> {
        let found = self.histogram.work_above(WORK);
        let new = found
            .max(1.5 * self.histogram.mean())
            .clamp(BOUNDS_NS.0, BOUNDS_NS.1);
        let stir = (new / (old.max(1) as f64)).ln().abs();
        (stir > STIR).then_some(new as u64)
    }
}
