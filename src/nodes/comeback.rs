//! A node came up not long ago: is it believed to have its plugins, and how much of its share does
//! it take?
//!
//! A daemon says that it is well before any plugin runs there, and one that is empty would draw
//! every request of a pool that looks at load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a node that came up is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComebackRules {
    /// For so long it gets no request for a plugin that is known to run elsewhere and not known to
    /// run there; zero switches it off.
    pub warmup: Duration,
    /// For so long its share of the work grows to the whole; zero switches it off.
    pub slow_start: Duration,
}

/// A node's share right after it came up.
const FIRST_SHARE: f64 = 0.1;

/// When a node came up. Times are milliseconds since the node became known, from 1; 0 is never.
#[derive(Debug)]
pub(super) struct Comeback {
    since: Instant,
    came_up: AtomicU64,
    /// From when on its share grows.
    grows: AtomicU64,
    /// No probe has found a plugin there since it came up.
    unproven: AtomicBool,
}

impl Comeback {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            came_up: AtomicU64::new(0),
            grows: AtomicU64::new(0),
            unproven: AtomicBool::new(false),
        }
    }

    fn clock(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.since).as_millis();
        u64::try_from(since).map_or(u64::MAX, |ms| ms.saturating_add(1))
    }

    pub(super) fn note(&self, now: Instant) {
        let now = self.clock(now);
        self.grows.store(now, Ordering::Relaxed);
        self.came_up.store(now, Ordering::Relaxed);
        self.unproven.store(true, Ordering::Relaxed);
    }

    /// The first plugin was found there: work begins only now, and with it the growth. Says whether
    /// it was the first.
    pub(super) fn note_proven(&self, now: Instant) -> bool {
        let first = self.unproven.swap(false, Ordering::Relaxed);
        if first {
            self.grows.store(self.clock(now), Ordering::Relaxed);
        }
        first
    }

    /// Milliseconds of the node's own clock at which it last came up; `None` when it was there from
    /// the start.
    pub(super) fn came_up(&self) -> Option<u64> {
        Some(self.came_up.load(Ordering::Relaxed)).filter(|&at| at > 0)
    }

    pub(super) fn is_warming(&self, now: Instant, warmup: Duration) -> bool {
        self.age(&self.came_up, now).is_some_and(|age| age < warmup)
    }

    pub(super) fn share(&self, now: Instant, slow_start: Duration) -> f64 {
        match self.age(&self.grows, now) {
            Some(age) if age < slow_start => {
                let grown = age.as_secs_f64() / slow_start.as_secs_f64();
                FIRST_SHARE + (1.0 - FIRST_SHARE) * grown
            }
            _ => 1.0,
        }
    }

    /// Nearly always it never came up, and then no time is computed.
    fn age(&self, at: &AtomicU64, now: Instant) -> Option<Duration> {
        let at = Some(at.load(Ordering::Relaxed)).filter(|&at| at > 0)?;
        Some(Duration::from_millis(self.clock(now).saturating_sub(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn who_was_there_from_the_start_is_neither_warming_nor_growing() {
        let start = clock::now();
        let comeback = Comeback::new(start);
        assert!(!comeback.is_warming(start, TEN));
        assert!((comeback.share(start, TEN) - 1.0).abs() < 1e-9);
        assert_eq!(comeback.came_up(), None);
    }

    #[test]
    fn a_share_grows_from_a_tenth_to_the_whole() {
        let start = clock::now();
        let comeback = Comeback::new(start);
        let up = start + Duration::from_secs(100);
        comeback.note(up);
        for (after, expected) in [(0, 0.1), (1, 0.19), (5, 0.55), (10, 1.0), (99, 1.0)] {
            let share = comeback.share(up + Duration::from_secs(after), TEN);
            assert!((share - expected).abs() < 1e-9, "{after} s: {share}");
        }
        let off = comeback.share(up, Duration::ZERO);
        assert!((off - 1.0).abs() < 1e-9, "switched off");
    }

    #[test]
    fn it_warms_for_its_time_and_the_first_plugin_found_begins_the_growth_anew() {
        let start = clock::now();
        let comeback = Comeback::new(start);
        comeback.note(start);
        assert!(comeback.is_warming(start + Duration::from_millis(9999), TEN));
        assert!(!comeback.is_warming(start + TEN, TEN));
        assert!(!comeback.is_warming(start, Duration::ZERO), "switched off");
        let found = start + Duration::from_secs(30);
        comeback.note_proven(found);
        assert!((comeback.share(found, TEN) - 0.1).abs() < 1e-9);
        comeback.note_proven(found + TEN);
        let later = comeback.share(found + TEN, TEN);
        assert!((later - 1.0).abs() < 1e-9, "the second one changes nothing");
    }
}
