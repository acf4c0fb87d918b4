//! How long does an operation usually take? For comparing one request with its own kind.
//!
//! A mean of logarithms: twice as long weighs as much as half as long, and one outlier little.

use std::time::Duration;

/// A new sample's weight. Fifty samples are remembered, as in the histogram of a key.
const NEW: f64 = 1.0 / 50.0;
/// Fewer samples say nothing.
const ENOUGH: u32 = 5;
/// Shorter durations count as this one: nothing is measured more finely, and 0 has no logarithm.
const SHORTEST: f64 = 1e-6;

/// The logarithm of a duration in seconds.
#[must_use]
pub fn ln_seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().max(SHORTEST).ln()
}

/// The decayed mean of the logarithms of one key's durations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usual {
    mean: f64,
    samples: u32,
}

impl Usual {
    /// What is remembered of earlier samples: their mean in nanoseconds stands for the mean of
    /// their logarithms, until the next samples put it right.
    pub(super) fn restored(mean_ns: f64, samples: u64) -> Self {
        Self {
            mean: (mean_ns / 1e9).max(SHORTEST).ln(),
            samples: u32::try_from(samples).unwrap_or(u32::MAX).min(ENOUGH),
        }
    }

    /// Takes a request that ran to its end; `ln` is [`ln_seconds`] of its duration.
    pub(super) fn push(&mut self, ln: f64) {
        self.samples = self.samples.saturating_add(1);
        // The first samples count alike, else the very first one would rule for long.
        let weight = NEW.max(1.0 / f64::from(self.samples));
        self.mean += weight * (ln - self.mean);
    }

    /// The usual [`ln_seconds`], once that is known.
    pub(super) fn ln(&self) -> Option<f64> {
        (self.samples >= ENOUGH).then_some(self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_samples_say_nothing_and_five_their_geometric_mean() {
        let mut usual = Usual::default();
        for ms in [100, 1000, 100, 1000] {
            usual.push(ln_seconds(Duration::from_millis(ms)));
            assert_eq!(usual.ln(), None);
        }
        usual.push(10f64.powf(-0.5).ln());
        let seconds = usual.ln().expect("five samples").exp();
        assert!((seconds - 10f64.powf(-0.5)).abs() < 1e-9, "{seconds}");
    }

    #[test]
    fn what_an_operation_became_is_usual_after_a_while() {
        let mut usual = Usual::default();
        (0..1000).for_each(|_| usual.push(0.0));
        (0..35).for_each(|_| usual.push(2.0));
        let half = usual.ln().expect("many samples");
        assert!((0.9..1.1).contains(&half), "{half}");
    }

    #[test]
    fn an_instant_answer_has_a_logarithm_too() {
        assert!(ln_seconds(Duration::ZERO).is_finite());
    }
}
