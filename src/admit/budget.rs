//! How much may be repeated? A share of all requests and a little more, so that repetition cannot
//! keep a fleet down that has just fallen over.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Thousandths of one repetition.
const ONE: i64 = 1000;
/// What was not used is kept for so long.
const KEPT: Duration = Duration::from_secs(10);

/// A pool's budget for repeated requests: tower's and Finagle's idea, a deposit with each request
/// and a floor per second.
#[derive(Debug)]
pub struct Budget {
    since: Instant,
    deposit: i64,
    per_second: i64,
    balance: AtomicI64,
    /// Milliseconds since `since` up to which the floor was paid in.
    paid_until: AtomicU64,
}

impl Budget {
    /// `ratio` of all requests and `floor` per second; a new budget has one second's floor.
    #[must_use]
    pub fn new(ratio: f64, floor: u32, now: Instant) -> Self {
        let per_second = i64::from(floor) * ONE;
        Self {
            since: now,
            #[expect(clippy::cast_possible_truncation, reason = "a ratio is at most 1")]
            deposit: (ratio * 1000.0).round() as i64,
            per_second,
            balance: AtomicI64::new(per_second),
            paid_until: AtomicU64::new(0),
        }
    }

    /// A request came.
    pub fn deposit(&self) {
        if self.balance.load(Ordering::Relaxed) < self.most() {
            self.balance.fetch_add(self.deposit, Ordering::Relaxed);
        }
    }

    /// Takes one repetition out; false when there is none left.
    pub fn withdraw(&self, now: Instant) -> bool {
        self.pay_floor(now);
        let taken = self.balance.fetch_sub(ONE, Ordering::Relaxed);
        let enough = taken >= ONE;
        if !enough {
            self.balance.fetch_add(ONE, Ordering::Relaxed);
        }
        enough
    }

    fn most(&self) -> i64 {
        let seconds = i64::try_from(KEPT.as_secs()).unwrap_or(10);
        (self.per_second * seconds).max(100 * self.deposit).max(ONE)
    }

    fn pay_floor(&self, now: Instant) {
        let now = now.saturating_duration_since(self.since).as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let before = self.paid_until.fetch_max(now, Ordering::Relaxed);
        let elapsed = i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX);
        let due = self.per_second.saturating_mul(elapsed) / 1000;
        let room = self.most() - self.balance.load(Ordering::Relaxed);
        self.balance
            .fetch_add(due.min(room.max(0)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    #[test]
    fn a_tenth_of_the_requests_and_the_floor_may_be_repeated() {
        let start = clock::now();
        let budget = Budget::new(0.1, 3, start);
        (0..100).for_each(|_| budget.deposit());
        let taken = (0..100).filter(|_| budget.withdraw(start)).count();
        assert_eq!(taken, 3 + 10);
        let later = start + Duration::from_secs(1);
        let taken = (0..100).filter(|_| budget.withdraw(later)).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn what_is_not_used_is_not_kept_for_ever() {
        let start = clock::now();
        let budget = Budget::new(0.0, 3, start);
        let later = start + Duration::from_secs(3600);
        let taken = (0..1000).filter(|_| budget.withdraw(later)).count();
        assert_eq!(taken, 30);
    }

    #[test]
    fn an_empty_budget_repeats_nothing() {
        let start = clock::now();
        let budget = Budget::new(0.0, 0, start);
        assert!(!budget.withdraw(start + Duration::from_secs(60)));
    }
}
