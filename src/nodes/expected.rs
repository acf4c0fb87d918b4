//! When will a node be done with what runs there?
//!
//! Who drains a node wants to know how long to wait. The learner knows how long an operation takes;
//! each request that it could say so of is noted here with the moment at which it should end.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// One request's expected end; the number tells apart those of one instant.
pub(super) type Ticket = (Instant, u64);

/// The expected ends of the requests that run on one node, soonest first.
#[derive(Debug, Default)]
pub(super) struct Expected {
    ends: Mutex<(BTreeSet<Ticket>, u64)>,
}

impl Expected {
    pub(super) fn begin(&self, end: Instant) -> Ticket {
        let (ends, tickets) = &mut *self.ends.lock();
        *tickets = tickets.wrapping_add(1);
        let ticket = (end, *tickets);
        ends.insert(ticket);
        ticket
    }

    pub(super) fn end(&self, ticket: Ticket) {
        self.ends.lock().0.remove(&ticket);
    }

    /// How long until the last of `running` requests should end. `None` when that is not known: of
    /// one of them nothing was expected, or it runs for longer than was.
    pub(super) fn idle_in(&self, running: u32, now: Instant) -> Option<Duration> {
        let ends = &self.ends.lock().0;
        if running == 0 {
            return Some(Duration::ZERO);
        }
        let (soonest, last) = (ends.first()?.0, ends.last()?.0);
        let known = u32::try_from(ends.len()).is_ok_and(|known| known >= running);
        (known && soonest >= now).then(|| last.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    #[test]
    fn the_last_expected_end_counts_and_one_unknown_makes_all_unknown() {
        let now = clock::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let expected = Expected::default();
        assert_eq!(expected.idle_in(0, now), Some(Duration::ZERO));
        assert_eq!(expected.idle_in(1, now), None, "nothing is known of it");
        let short = expected.begin(after(2));
        let long = expected.begin(after(60));
        let twin = expected.begin(after(60));
        assert_eq!(expected.idle_in(3, after(1)), Some(Duration::from_secs(59)));
        assert_eq!(expected.idle_in(4, after(1)), None);
        assert_eq!(expected.idle_in(3, after(3)), None, "one is overdue");
        expected.end(short);
        expected.end(twin);
        assert_eq!(expected.idle_in(1, after(3)), Some(Duration::from_secs(57)));
        expected.end(long);
        assert_eq!(expected.idle_in(0, after(3)), Some(Duration::ZERO));
    }
}
