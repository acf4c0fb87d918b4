//! How long did requests take within the last minute?
//!
//! For pages that people watch: one addition per request and no lock. Durations are counted in
//! buckets, four to an octave, so that a quantile is exact to 12 %; and in slices of ten seconds,
//! so that what is older than a minute is not counted any more.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One slice of time.
const SLICE: Duration = Duration::from_secs(10);
/// They make up the minute.
const SLICES: u32 = 6;
/// Up to 2^26 quarters of a millisecond, which is more than four hours.
const BUCKETS: usize = 4 * 26;

/// The durations of the last minute.
#[derive(Debug)]
pub struct Recent {
    since: Instant,
    slices: [Slice; SLICES as usize],
}

#[derive(Debug)]
struct Slice {
    /// Which slice of time it counts; 0 is none yet.
    turn: AtomicU32,
    counts: [AtomicU32; BUCKETS],
}

/// The durations of several [`Recent`] added up, to be asked for quantiles.
#[derive(Clone, Debug)]
pub struct Spread {
    counts: [u64; BUCKETS],
}

impl Recent {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            slices: std::array::from_fn(|_| Slice {
                turn: AtomicU32::new(0),
                counts: [const { AtomicU32::new(0) }; BUCKETS],
            }),
        }
    }

    fn turn(&self, now: Instant) -> u32 {
        let turns = now.saturating_duration_since(self.since).as_secs() / SLICE.as_secs();
        u32::try_from(turns).unwrap_or(u32::MAX - 1) + 1
    }

    /// Counts one. Whoever comes first to a new slice empties it; one who counts at that very
    /// moment may be lost, which no reader of a page can see.
    pub fn note(&self, took: Duration, now: Instant) {
        let turn = self.turn(now);
        let slice = &self.slices[(turn % SLICES) as usize];
        let before = slice.turn.load(Relaxed);
        if before != turn
            && slice
                .turn
                .compare_exchange(before, turn, Relaxed, Relaxed)
                .is_ok()
        {
            slice
                .counts
                .iter()
                .for_each(|count| count.store(0, Relaxed));
        }
        slice.counts[bucket(took)].fetch_add(1, Relaxed);
    }

    /// Adds what was counted within the last minute.
    pub fn add_to(&self, spread: &mut Spread, now: Instant) {
        let turn = self.turn(now);
        for slice in &self.slices {
            let of = slice.turn.load(Relaxed);
            if of == 0 || of.saturating_add(SLICES) <= turn {
                continue;
            }
            for (sum, count) in spread.counts.iter_mut().zip(&slice.counts) {
                *sum += u64::from(count.load(Relaxed));
            }
        }
    }

    /// What was counted within the last minute.
    #[must_use]
    pub fn spread(&self, now: Instant) -> Spread {
        let mut spread = Spread::default();
        self.add_to(&mut spread, now);
        spread
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
        }
    }
}

impl Spread {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// So large a share of them was not slower than this; none of nothing.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * share).ceil().max(1.0);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen as f64 >= rank
        })?;
        Some(middle(at))
    }
}

/// A quarter of a millisecond.
const UNIT: u128 = 250;

fn bucket(took: Duration) -> usize {
    let units = u64::try_from(took.as_micros() / UNIT).unwrap_or(u64::MAX);
    if units < 4 {
        return units as usize;
    }
    let octave = units.ilog2() as usize;
    let quarter = (units >> (octave - 2)) as usize & 3;
    ((octave - 1) * 4 + quarter).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(at: usize) -> Duration {
    let (octave, quarter) = (at / 4, at % 4);
    let units = if octave == 0 {
        quarter as f64 + 0.5
    } else {
        let step = (1_u64 << (octave - 1)) as f64;
        step * (4.5 + quarter as f64)
    };
    Duration::from_secs_f64(units * UNIT as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use proptest::prelude::{prop_assert, proptest};

    proptest! {
        #[test]
        fn the_middle_of_a_bucket_is_near_what_was_counted(ms in 1_u64..14_000_000) {
            let took = Duration::from_millis(ms);
            let off = middle(bucket(took)).as_secs_f64() / took.as_secs_f64();
            prop_assert!((0.87..=1.13).contains(&off), "{took:?}: {off}");
        }
    }

    #[test]
    fn a_minute_later_nothing_is_left_and_quantiles_are_those_of_the_rest() {
        let now = clock::now();
        let recent = Recent::new(now);
        assert!(recent.spread(now).quantile(0.5).is_none());
        (0..99).for_each(|_| recent.note(Duration::from_millis(100), now));
        let later = now + Duration::from_secs(30);
        recent.note(Duration::from_secs(9), later);
        let spread = recent.spread(later);
        assert_eq!(spread.count(), 100);
        let near = |share: f64| spread.quantile(share).unwrap().as_secs_f64();
        assert!((0.087..0.113).contains(&near(0.5)), "{}", near(0.5));
        assert!((7.9..10.2).contains(&near(1.0)), "{}", near(1.0));
        let minute = now + Duration::from_secs(61);
        assert_eq!(recent.spread(minute).count(), 1, "the first are too old");
        assert_eq!(recent.spread(now + Duration::from_secs(99)).count(), 0);
        recent.note(Duration::ZERO, now + Duration::from_secs(120));
        let spread = recent.spread(now + Duration::from_secs(120));
        assert_eq!(spread.count(), 1, "a slice that comes again begins anew");
    }

    #[test]
    fn the_longest_durations_are_counted_too() {
        let now = clock::now();
        let recent = Recent::new(now);
        recent.note(Duration::MAX, now);
        assert!(recent.spread(now).quantile(1.0) > Some(Duration::from_secs(7200)));
    }
}
