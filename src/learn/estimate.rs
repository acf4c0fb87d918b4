//! Which score do one key's samples give, and is that long?

use super::histogram::Histogram;
use crate::model::{Class, LearnRules, Score};
use std::collections::VecDeque;

/// Larger windows are taken for this one, so that a key's memory is bounded.
pub(super) const LARGEST_WINDOW: usize = 64;

/// What samples are measured with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gauge<'a> {
    pub(super) rules: &'a LearnRules,
    /// From here on a score is long, in nanoseconds.
    pub(super) threshold: u64,
    /// The decayed mean of all keys, in nanoseconds.
    pub(super) mean: f64,
}

/// What is known of one key's durations. All times in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Estimate {
    /// The newest samples, oldest first.
    pub(super) window: VecDeque<u64>,
    pub(super) histogram: Histogram<48>,
    /// Of all samples ever.
    pub(super) count: u64,
    /// The sum of all samples ever.
    pub(super) work: f64,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) long: bool,
    score: f64,
    /// The threshold by which `long` was decided.
    judged_by: u64,
}

impl Estimate {
    pub(super) const fn new() -> Self {
        Self {
            window: VecDeque::new(),
            histogram: Histogram::new(),
            count: 0,
            work: 0.0,
            least: u64::MAX,
            most: 0,
            long: false,
            score: 0.0,
            judged_by: 0,
        }
    }

    /// Takes a sample; `at` is its [`bucket`](super::histogram::bucket).
    pub(super) fn push(&mut self, ns: u64, at: usize, gauge: Gauge<'_>) {
        self.window.push_back(ns);
        self.histogram.push(ns, at);
        self.count = self.count.saturating_add(1);
        self.work += ns as f64;
        self.least = self.least.min(ns);
        self.most = self.most.max(ns);
        self.refit(gauge);
    }

    /// Counts samples of which no more is known than that there were so many.
    pub(super) fn count_only(&mut self, samples: u64) {
        self.count = self.count.saturating_add(samples);
        self.work += samples as f64 * self.histogram.mean();
    }

    /// Computes the score anew and decides by it: after a sample, and when the rules changed.
    pub(super) fn refit(&mut self, gauge: Gauge<'_>) {
        while self.window.len() > gauge.rules.window.clamp(1, LARGEST_WINDOW) {
            self.window.pop_front();
        }
        if self.window.is_empty() {
            return;
        }
        self.score = match gauge.rules.score {
            Score::Mean => self.window_mean() as f64,
            Score::Median => self.window_median() as f64,
            Score::Decayed => self.shrunk(gauge.mean),
        };
        self.judge(gauge);
    }

    /// Long from the threshold on, short again well below it, and in between what it was.
    fn judge(&mut self, gauge: Gauge<'_>) {
        let threshold = gauge.threshold as f64;
        if self.score >= threshold {
            self.long = true;
        } else if self.score < gauge.rules.exit_ratio * threshold {
            self.long = false;
        }
        self.judged_by = gauge.threshold;
    }

    /// The class of the key by the latest decision.
    pub(super) const fn class(&self) -> Class {
        if self.long { Class::Long } else { Class::Short }
    }

    /// Is the key long? Decides again if the threshold has moved since.
    pub(super) fn is_long(&mut self, gauge: Gauge<'_>) -> bool {
        if self.judged_by != gauge.threshold && !self.window.is_empty() {
            self.judge(gauge);
        }
        self.long
    }

    /// The score in nanoseconds.
    pub(super) const fn score(&self) -> f64 {
        self.score
    }

    /// How many samples the score rests on.
    pub(super) fn rests_on(&self, score: Score) -> u32 {
        let samples = match score {
            Score::Decayed => self.count,
            Score::Mean | Score::Median => self.window.len() as u64,
        };
        u32::try_from(samples).unwrap_or(u32::MAX)
    }

    /// The mean of the window; 0 of nothing. In whole numbers: the mean of equal samples must
    /// not fall short of them by a rounding.
    pub(super) fn window_mean(&self) -> u64 {
        let sum: u128 = self.window.iter().map(|&ns| u128::from(ns)).sum();
        let mean = sum / (self.window.len().max(1) as u128);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    /// The median of the window, of an even number the lower one; 0 of nothing.
    fn window_median(&self) -> u64 {
        let mut room = [0; LARGEST_WINDOW];
        let length = self.window.len();
        if length == 0 {
            return 0;
        }
        for (slot, &ns) in room.iter_mut().zip(&self.window) {
            *slot = ns;
        }
        *room[..length].select_nth_unstable((length - 1) / 2).1
    }

    /// The decayed mean, shrunk: two samples of the mean of everything are added to it, so that a
    /// young key's first outlier does not carry it away.
    ///
    /// The two are first brought into the range of the window. Without that they outvote the
    /// key's own: three samples of 10 ms where everything else takes 30 s would make 12 s, and
    /// three of exactly the threshold would never reach it where everything else is fast.
    fn shrunk(&self, mean_of_all: f64) -> f64 {
        const STRANGERS: f64 = 2.0;
        let own = self.histogram.mean();
        let (least, most) = self
            .window
            .iter()
            .fold((u64::MAX, 0), |(least, most), &ns| {
                (ns.min(least), ns.max(most))
            });
        let stranger = mean_of_all.max(least as f64).min(most as f64);
        own + (stranger - own) * (STRANGERS / (self.histogram.weight() + STRANGERS))
    }
}
