//! When does a node rest after failures, and for how long?
//!
//! nginx's `max_fails` within `fail_timeout`, with a rest that doubles while failures go on. How
//! many nodes of a pool may rest at once is the screen's business.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How strikes become a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CooldownRules {
    /// So many strikes without a success between them; 0 switches resting off.
    pub max_fails: u32,
    /// Strikes older than this are forgotten.
    pub fail_timeout: Duration,
    /// The first rest. Each further one is twice as long, as long as no success came between.
    pub base: Duration,
    /// No rest is longer.
    pub longest: Duration,
}

/// One node's strikes and rest.
#[derive(Debug)]
pub(super) struct Cooldown {
    since: Instant,
    /// Until when it rests, in milliseconds since `since`; 0 = it does not.
    until: AtomicU64,
    /// Strikes so far; read on every success, so kept outside the lock.
    strikes: AtomicU64,
    rests: Mutex<Rests>,
}

#[derive(Debug, Default)]
struct Rests {
    first_strike: Option<Instant>,
    in_a_row: u32,
}

impl Cooldown {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            until: AtomicU64::new(0),
            strikes: AtomicU64::new(0),
            rests: Mutex::default(),
        }
    }

    fn clock(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }

    /// How long it will still rest; zero when it does not.
    pub(super) fn remaining(&self, now: Instant) -> Duration {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(until.saturating_sub(self.clock(now)))
    }

    /// A request ended well: what was before is forgotten. Cheap when there is nothing to forget,
    /// which is nearly always.
    pub(super) fn success(&self) {
        if self.strikes.load(Ordering::Relaxed) > 0 {
            let mut rests = self.rests.lock();
            self.strikes.store(0, Ordering::Relaxed);
            *rests = Rests::default();
        }
    }

    /// The node came back from the dead: it rests no longer, but how often it did is remembered.
    pub(super) fn wake(&self) {
        let mut rests = self.rests.lock();
        rests.first_strike = None;
        self.strikes.store(0, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
    }

    /// A failure that is the node's. Returns the rest that begins with it, if one does.
    pub(super) fn strike(&self, now: Instant, rules: &CooldownRules) -> Option<Duration> {
        let mut rests = self.rests.lock();
        let stale = |first: Instant| now.saturating_duration_since(first) > rules.fail_timeout;
        let mut strikes = self.strikes.load(Ordering::Relaxed);
        if rests.first_strike.is_none_or(stale) {
            rests.first_strike = Some(now);
            strikes = 0;
        }
        strikes += 1;
        self.strikes.store(strikes, Ordering::Relaxed);
        // Requests that were under way when the rest began fail too; they say nothing new.
        let resting = !self.remaining(now).is_zero();
        if rules.max_fails == 0 || strikes < u64::from(rules.max_fails) || resting {
            return None;
        }
        let factor = 1u32.checked_shl(rests.in_a_row).unwrap_or(u32::MAX);
        let rest = rules.base.saturating_mul(factor).min(rules.longest);
        rests.in_a_row += 1;
        rests.first_strike = None;
        self.until.store(self.clock(now + rest), Ordering::Relaxed);
        Some(rest)
    }

    /// The node itself asked for a pause (`Retry-After`). A rest is only ever made longer.
    pub(super) fn rest(&self, now: Instant, lasting: Duration) {
        let until = self.clock(now + lasting);
        self.until.fetch_max(until, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    const RULES: CooldownRules = CooldownRules {
        max_fails: 3,
        fail_timeout: Duration::from_secs(30),
        base: Duration::from_secs(10),
        longest: Duration::from_secs(60),
    };

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn f182_three_strikes_begin_a_rest_and_a_success_between_them_does_not() {
        let start = clock::now();
        let node = Cooldown::new(start);
        assert_eq!(node.strike(start, &RULES), None);
        assert_eq!(node.strike(start, &RULES), None);
        node.success();
        assert_eq!(node.strike(start, &RULES), None);
        assert_eq!(node.strike(start, &RULES), None);
        assert_eq!(node.strike(start, &RULES), Some(after(10)));
        assert_eq!(node.remaining(start), after(10));
        assert_eq!(node.remaining(start + after(10)), Duration::ZERO);
    }

    #[test]
    fn strikes_that_lie_far_apart_do_not_add_up() {
        let start = clock::now();
        let node = Cooldown::new(start);
        for at in [0, 31, 62, 93, 124] {
            assert_eq!(node.strike(start + after(at), &RULES), None, "at {at} s");
        }
    }

    #[test]
    fn a_rest_doubles_while_failures_go_on_up_to_the_longest() {
        let mut now = clock::now();
        let node = Cooldown::new(now);
        for expected in [10, 20, 40, 60, 60] {
            let rest = (0..3).find_map(|_| node.strike(now, &RULES));
            assert_eq!(rest, Some(after(expected)));
            assert_eq!(node.strike(now, &RULES), None, "it rests already");
            now += after(expected);
        }
        node.wake();
        assert_eq!(node.remaining(now), Duration::ZERO);
        let rest = (0..3).find_map(|_| node.strike(now, &RULES));
        assert_eq!(rest, Some(after(60)), "flapping is remembered");
        now += after(60);
        node.strike(now, &RULES);
        node.success();
        let rest = (0..3).find_map(|_| node.strike(now, &RULES));
        assert_eq!(rest, Some(after(10)), "a success wipes the slate");
    }

    #[test]
    fn f125_a_node_may_ask_for_a_pause_and_a_rest_is_only_made_longer() {
        let start = clock::now();
        let node = Cooldown::new(start);
        node.rest(start, after(7));
        node.rest(start, after(3));
        assert_eq!(node.remaining(start), after(7));
    }
}
