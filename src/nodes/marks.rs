//! What do strategies note on a node? What must outlive a reload and a change of candidates.

use super::pair::Pair;
use crate::model::Class;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Notes of the strategies that need any. A node is in one pool, which has one strategy.
#[derive(Debug)]
pub struct Marks {
    since: Instant,
    credit: [AtomicI64; Class::ALL.len()],
    /// A peak-sensitive mean of durations in seconds, and the second at which it was made: exact to
    /// a quarter of a second in the first month, which is little against [`DECAY`].
    peak: Pair,
}

/// A duration fades from the mean within this time.
const DECAY: f32 = 10.0;

impl Marks {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            credit: [const { AtomicI64::new(0) }; Class::ALL.len()],
            peak: Pair::new(0.0, 0.0),
        }
    }

    pub(super) fn forget(&self) {
        self.peak.set(0.0, 0.0);
    }

    /// Adds to what the node has coming in turns of a class, and returns the new sum.
    pub fn credit(&self, class: Class, change: i64) -> i64 {
        self.credit[class.index()].fetch_add(change, Ordering::Relaxed) + change
    }

    /// Takes a duration: a longer one than the mean replaces it, a shorter one lowers it slowly.
    pub fn note_peak(&self, duration: Duration, now: Instant) {
        let (peak, at) = self.peak.get();
        let (duration, now) = (duration.as_secs_f32(), self.clock(now));
        let kept = (-(now - at).max(0.0) / DECAY).exp();
        let next = if duration > peak {
            duration
        } else {
            peak * kept + duration * (1.0 - kept)
        };
        // Two that end at once may lose one of the two: a mean does not mind.
        self.peak.set(next, now);
    }

    /// The mean in seconds, as far as it has not faded; 0 when nothing is known.
    #[must_use]
    pub fn peak(&self, now: Instant) -> f64 {
        let (peak, at) = self.peak.get();
        if peak == 0.0 {
            return 0.0;
        }
        f64::from(peak * (-(self.clock(now) - at).max(0.0) / DECAY).exp())
    }

    fn clock(&self, at: Instant) -> f32 {
        at.saturating_duration_since(self.since).as_secs_f32()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    #[test]
    fn a_peak_is_taken_at_once_and_forgotten_slowly() {
        let start = clock::now();
        let marks = Marks::new(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(marks.peak(start) == 0.0);
        marks.note_peak(Duration::from_secs(1), start);
        marks.note_peak(Duration::from_secs(8), start);
        assert!((marks.peak(start) - 8.0).abs() < 1e-6);
        marks.note_peak(Duration::from_secs(1), after(10));
        let expected = 8.0 * (-1f64).exp() + (1.0 - (-1f64).exp());
        assert!((marks.peak(after(10)) - expected).abs() < 1e-3);
        assert!(marks.peak(after(100)) < 0.01);
    }

    #[test]
    fn each_class_has_its_own_credit() {
        let marks = Marks::new(clock::now());
        assert_eq!(marks.credit(Class::Long, 5), 5);
        assert_eq!(marks.credit(Class::Long, -7), -2);
        assert_eq!(marks.credit(Class::Short, 1), 1);
    }
}
