//! May a line about a node's trouble be written now?
//!
//! Requests fail on a sick node as fast as they come, and each would say so: a log of thousands of
//! equal lines hides the one that matters. One in a second is written; it says how many were not.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// When the last line was written, and what was left out since.
#[derive(Debug)]
pub(super) struct Telling {
    since: Instant,
    /// From then on, in milliseconds since `since`.
    next: AtomicU64,
    untold: AtomicU32,
}

impl Telling {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            next: AtomicU64::new(0),
            untold: AtomicU32::new(0),
        }
    }

    /// `None`: leave it out. Else how many were left out since the last line.
    pub(super) fn may_tell(&self, now: Instant) -> Option<u32> {
        let clock = |at: Instant| {
            let since = at.saturating_duration_since(self.since).as_millis();
            u64::try_from(since).unwrap_or(u64::MAX)
        };
        let next = self.next.load(Ordering::Relaxed);
        // Of those who come at once, one wins.
        let wins = clock(now) >= next
            && self
                .next
                .compare_exchange(
                    next,
                    clock(now + PAUSE),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if wins {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    #[test]
    fn one_line_a_second_is_told_and_what_was_left_out_is_counted() {
        let start = clock::now();
        let telling = Telling::new(start);
        let told: Vec<_> = (0..10_000)
            .filter_map(|ms| telling.may_tell(start + Duration::from_millis(ms)))
            .collect();
        assert_eq!(told, [0, 999, 999, 999, 999, 999, 999, 999, 999, 999]);
        let later = start + Duration::from_secs(3600);
        assert_eq!(telling.may_tell(later), Some(999));
        let moment = later + Duration::from_secs(60);
        assert_eq!(
            telling.may_tell(moment),
            Some(0),
            "what is rare is told each time"
        );
    }
}
