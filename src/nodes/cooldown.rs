//! When does a node rest after failures, and for how long?
//!
//! nginx's `max_fails` within `fail_timeout`, and beside it the share of failures: a node that
//! fails two of three requests at once looks idle, draws more of them than any other, and is never
//! caught by failures in a row. The rest doubles until the node has recovered. How many nodes of a
//! pool may rest at once, and that failures which hit every node send nobody to rest, is the
//! screen's business.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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

/// A request's weight in the share of failures.
const NEW: f32 = 0.1;
/// A node that fails more of its requests than this rests.
const TOO_MANY: f32 = 0.4;
/// A node that fails fewer has recovered.
const FEW: f32 = 0.1;

/// One node's strikes and rest.
#[derive(Debug)]
pub(super) struct Cooldown {
    since: Instant,
    /// Until when it rests, in milliseconds since `since`; 0 = it does not.
    until: AtomicU64,
    /// Until when it rests because of what happened to other gateways, in the same milliseconds.
    elsewhere: AtomicU64,
    /// Strikes so far; read on every success, so kept outside the lock.
    strikes: AtomicU64,
    /// The share of failures lately, as the bits of an `f32`.
    failing: AtomicU32,
    rests: Mutex<Rests>,
}

#[derive(Debug, Default)]
struct Rests {
    first_strike: Option<Instant>,
    /// Failures since the node was last sound.
    failures: u32,
    in_a_row: u32,
}

impl Cooldown {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            until: AtomicU64::new(0),
            elsewhere: AtomicU64::new(0),
            strikes: AtomicU64::new(0),
            failing: AtomicU32::new(0),
            rests: Mutex::default(),
        }
    }

    fn clock(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }

    /// How long it will still rest, for whatever reason; zero when it does not.
    pub(super) fn resting(&self, now: Instant) -> Duration {
        let until = self.until.load(Ordering::Relaxed);
        self.left(until.max(self.elsewhere.load(Ordering::Relaxed)), now)
    }

    /// How long it will still rest because of what happened here.
    pub(super) fn remaining(&self, now: Instant) -> Duration {
        self.left(self.until.load(Ordering::Relaxed), now)
    }

    fn left(&self, until: u64, now: Instant) -> Duration {
        if until == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(until.saturating_sub(self.clock(now)))
    }

    /// Takes how long it rests for other gateways; zero when it does not, or not any more. It is kept
    /// apart from our own rest, or the two would prolong each other for ever.
    pub(super) fn rest_elsewhere(&self, now: Instant, lasting: Duration) {
        let until = if lasting.is_zero() {
            0
        } else {
            self.clock(now + lasting)
        };
        self.elsewhere.store(until, Ordering::Relaxed);
    }

    /// The share of requests that failed lately; the latest ten matter most.
    pub(super) fn failing(&self) -> f64 {
        f64::from(f32::from_bits(self.failing.load(Ordering::Relaxed)))
    }

    /// A request ended well: strikes are forgotten, and how often the node rested once it has
    /// recovered. One success is not enough for that: it may have begun before the failures did.
    /// Cheap when there is nothing to forget, which is nearly always.
    pub(super) fn success(&self) {
        if self.failing.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut rests = self.rests.lock();
        let failing = (1.0 - NEW) * self.failing() as f32;
        let kept = if failing < NEW / 10.0 { 0.0 } else { failing };
        self.failing.store(kept.to_bits(), Ordering::Relaxed);
        self.strikes.store(0, Ordering::Relaxed);
        rests.first_strike = None;
        if failing < FEW {
            rests.in_a_row = 0;
            rests.failures = 0;
        }
    }

    /// The node came back from the dead: it rests no longer, but how often it did is remembered.
    pub(super) fn wake(&self) {
        let mut rests = self.rests.lock();
        rests.first_strike = None;
        self.strikes.store(0, Ordering::Relaxed);
        self.failing.store(0, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
    }

    /// A failure that is the node's. Returns the rest that begins with it, if one does.
    pub(super) fn strike(&self, now: Instant, rules: &CooldownRules) -> Option<Duration> {
        let mut rests = self.rests.lock();
        let stale = |first: Instant| now.saturating_duration_since(first) > rules.fail_timeout;
        let mut strikes = self.strikes.load(Ordering::Relaxed);
        let mut failing = self.failing() as f32;
        if rests.first_strike.is_some_and(stale) {
            (failing, rests.failures) = (0.0, 0);
        }
        if rests.first_strike.is_none_or(stale) {
            rests.first_strike = Some(now);
            strikes = 0;
        }
        strikes += 1;
        self.strikes.store(strikes, Ordering::Relaxed);
        failing += NEW * (1.0 - failing);
        self.failing.store(failing.to_bits(), Ordering::Relaxed);
        rests.failures = rests.failures.saturating_add(1);
        // Requests that were under way when the rest began fail too; they say nothing new.
        let resting = !self.remaining(now).is_zero();
        let too_many = failing > TOO_MANY && rests.failures >= rules.max_fails;
        let enough = strikes >= u64::from(rules.max_fails) || too_many;
        if rules.max_fails == 0 || !enough || resting {
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
        (0..30).for_each(|_| node.success());
        let rest = (0..3).find_map(|_| node.strike(now, &RULES));
        assert_eq!(rest, Some(after(10)), "it has recovered");
    }

    #[test]
    fn a_node_that_fails_two_of_three_rests_although_never_three_in_a_row() {
        let mut now = clock::now();
        let node = Cooldown::new(now);
        let mut rests = Vec::new();
        for n in 0..30 {
            if n % 3 == 0 {
                node.success();
            } else {
                rests.extend(node.strike(now, &RULES));
            }
            now += Duration::from_millis(10);
        }
        assert_eq!(rests, [after(10)]);
        now += after(10);
        node.success();
        let again = node.strike(now, &RULES);
        assert_eq!(again, Some(after(20)), "one success is no recovery");
    }

    #[test]
    fn a_node_that_fails_one_of_five_does_not_rest() {
        let now = clock::now();
        let node = Cooldown::new(now);
        for n in 0..1000 {
            match n % 5 {
                0 => assert_eq!(node.strike(now, &RULES), None, "after {n}"),
                _ => node.success(),
            }
        }
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
