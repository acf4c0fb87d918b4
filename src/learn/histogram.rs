//! How are durations counted so that old ones fade?

/// The number of buckets: from 2 ms in steps of 25 % up to 7 minutes, and one for the rest.
pub(super) const BUCKETS: usize = 56;
const FIRST_NS: f64 = 2e6;
const STEP: f64 = 1.25;
/// Lighter buckets are emptied: they say nothing.
const LIGHTEST: f32 = 1e-4;
/// New samples are brought back to 1 when they weigh so much: far from where an `f32` grows coarse.
const HEAVIEST: f32 = 1e4;

/// Durations in logarithmic buckets, with their mean. With each new sample all older ones lose
/// one part in `MEMORY` of their weight.
///
/// Weights are relative: each sample is put in heavier than the one before, in place of making all
/// buckets lighter, which would be the dearest part of learning.
#[derive(Clone, Debug)]
pub(super) struct Histogram<const MEMORY: u32> {
    buckets: [f32; BUCKETS],
    /// What the latest sample weighs in `buckets`.
    unit: f32,
    weight: f64,
    /// In nanoseconds, of the samples as they were, not of the buckets: exactly x after nothing
    /// but x.
    mean: f64,
}

/// The bucket of a duration in nanoseconds.
pub(super) fn bucket(ns: u64) -> usize {
    let steps = (ns as f64 / FIRST_NS).ln() / STEP.ln();
    // Also right for 0, whose logarithm is minus infinity: the cast saturates.
    (steps.ceil() as usize).min(BUCKETS - 1)
}

/// The upper end of a bucket in nanoseconds.
fn edge(bucket: usize) -> f64 {
    FIRST_NS * STEP.powi(i32::try_from(bucket).unwrap_or(i32::MAX))
}

/// What a duration in the bucket is taken for.
fn middle(bucket: usize) -> f64 {
    edge(bucket) / STEP.sqrt()
}

impl<const MEMORY: u32> Histogram<MEMORY> {
    const KEEP: f64 = 1.0 - 1.0 / MEMORY as f64;
    const GROWS: f32 = (1.0 / Self::KEEP) as f32;

    pub(super) const fn new() -> Self {
        Self {
            buckets: [0.0; BUCKETS],
            unit: 1.0,
            weight: 0.0,
            mean: 0.0,
        }
    }

    /// Puts remembered parts together again. The caller has checked them.
    pub(super) fn restored(buckets: &[(u8, f32)], weight: f64, mean: f64) -> Self {
        let mut histogram = Self {
            weight,
            mean,
            ..Self::new()
        };
        for &(at, weight) in buckets {
            if let Some(bucket) = histogram.buckets.get_mut(usize::from(at)) {
                *bucket = weight;
            }
        }
        histogram
    }

    /// Counts a duration in nanoseconds; `at` is its [`bucket`].
    pub(super) fn push(&mut self, ns: u64, at: usize) {
        self.unit *= Self::GROWS;
        if self.unit > HEAVIEST {
            self.bring_back();
        }
        self.buckets[at] += self.unit;
        self.weight = self.weight.mul_add(Self::KEEP, 1.0);
        // This form, because it keeps the mean of equal samples exact.
        self.mean += (ns as f64 - self.mean) / self.weight;
    }

    /// The next sample weighs 1.
    fn bring_back(&mut self) {
        for bucket in &mut self.buckets {
            let now = *bucket / self.unit;
            *bucket = if now < LIGHTEST { 0.0 } else { now };
        }
        self.unit = 1.0;
    }

    /// The decayed mean in nanoseconds; 0 of nothing.
    pub(super) const fn mean(&self) -> f64 {
        self.mean
    }

    /// The decayed number of samples, at most `MEMORY`.
    pub(super) const fn weight(&self) -> f64 {
        self.weight
    }

    /// The buckets that hold anything, and how many samples each is worth now.
    pub(super) fn filled(&self) -> impl Iterator<Item = (u8, f32)> + '_ {
        let now = self.buckets.map(|weight| weight / self.unit);
        (0..).zip(now).filter(|&(_, weight)| weight >= LIGHTEST)
    }

    /// The duration in nanoseconds below which the given share of the samples lies; 0 of nothing.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let total: f64 = self.buckets.iter().map(|&it| f64::from(it)).sum();
        let mut below = 0.0;
        for (at, &weight) in self.buckets.iter().enumerate() {
            below += f64::from(weight);
            if below > 0.0 && below >= share * total {
                return middle(at);
            }
        }
        0.0
    }

    /// The largest duration in nanoseconds, among the buckets' ends, such that the given share of
    /// all work, which is the sum of the durations, lies above it; 0 of nothing.
    pub(super) fn work_above(&self, share: f64) -> f64 {
        let work = |at: usize| f64::from(self.buckets[at]) * middle(at);
        let total: f64 = (0..BUCKETS).map(work).sum();
        let mut above = 0.0;
        for at in (1..BUCKETS).rev() {
            above += work(at);
            if above > 0.0 && above >= share * total {
                return edge(at - 1);
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_by_a_quarter() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(2_000_000), 0);
        assert_eq!(bucket(2_000_001), 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for at in 1..BUCKETS - 1 {
            assert_eq!(bucket(middle(at) as u64), at);
        }
    }

    #[test]
    fn the_mean_of_equal_samples_is_exact_for_ever() {
        let mut histogram = Histogram::<48>::new();
        for _ in 0..10_000 {
            histogram.push(4_999_999_999, bucket(4_999_999_999));
            assert!(histogram.mean() == 4_999_999_999.0);
        }
        assert!((histogram.weight() - 48.0).abs() < 1e-6);
    }

    #[test]
    fn old_samples_fade_and_light_buckets_are_emptied() {
        let mut histogram = Histogram::<48>::new();
        histogram.push(60_000_000_000, bucket(60_000_000_000));
        for _ in 0..48 {
            histogram.push(10_000_000, bucket(10_000_000));
        }
        assert!(histogram.quantile(0.5) < 12e6 && histogram.quantile(0.999) > 50e9);
        for _ in 0..600 {
            histogram.push(10_000_000, bucket(10_000_000));
        }
        assert_eq!(histogram.filled().count(), 1);
    }

    #[test]
    fn seventy_percent_of_the_work_lies_above() {
        let mut histogram = Histogram::<512>::new();
        assert!(histogram.work_above(0.7) == 0.0 && histogram.quantile(0.5) == 0.0);
        for at in 0..2000 {
            // 95 % of the requests take 0.1 s, 5 % take 20 s: 91 % of the work is in the latter.
            let ns = if at % 20 == 0 {
                20_000_000_000
            } else {
                100_000_000
            };
            histogram.push(ns, bucket(ns));
        }
        let threshold = histogram.work_above(0.7) / 1e9;
        assert!((15.0..20.0).contains(&threshold), "{threshold}");
    }
}
