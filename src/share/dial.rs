//! What time is it in Redis? As far as the last answer tells: between two moments.
//!
//! Two gateways compare nothing but this one clock, and each takes the end of the doubt that makes
//! its own word older.

use std::time::{Duration, Instant};

/// Redis' clock, as last heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dial {
    /// Milliseconds there ...
    time: u64,
    /// ... at some moment between these two.
    left: Instant,
    arrived: Instant,
}

impl Dial {
    /// It said `time` in the answer to a letter that left and whose answer arrived then.
    pub(super) const fn new(time: u64, left: Instant, arrived: Instant) -> Self {
        Self {
            time,
            left,
            arrived,
        }
    }

    /// At least so late is it there.
    pub(super) fn not_before(&self, now: Instant) -> u64 {
        self.time
            .saturating_add(millis(now.saturating_duration_since(self.arrived)))
    }

    /// At most so late is it there.
    pub(super) fn not_after(&self, now: Instant) -> u64 {
        self.time
            .saturating_add(millis(now.saturating_duration_since(self.left)))
            .saturating_add(1)
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    #[test]
    fn the_truth_lies_between() {
        let start = clock::now();
        let at = |us: u64| start + Duration::from_micros(us);
        // Redis is 5000 ms ahead, and answered somewhere between the two moments.
        for answered in [1000, 4000, 9999] {
            let dial = Dial::new(5000 + answered / 1000, at(1000), at(9999));
            for now in [10_000, 555_555] {
                let truth = 5000 + now / 1000;
                let (least, most) = (dial.not_before(at(now)), dial.not_after(at(now)));
                assert!(least <= truth && truth <= most, "{least} {truth} {most}");
            }
        }
    }
}
