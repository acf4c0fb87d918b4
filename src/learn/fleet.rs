//! What do others learn from us, and we from them?

use super::Learner;
use super::histogram::bucket;
use crate::model::Operation;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// So many samples wait to be told; who tells comes four times a second.
const MOST: usize = 1 << 17;

/// Samples that nobody has been told yet, if anybody wants to hear them.
#[derive(Debug, Default)]
pub(super) struct Untold {
    wanted: AtomicBool,
    samples: Mutex<Vec<(Operation, u64)>>,
}

impl Untold {
    pub(super) fn note(&self, operation: &Operation, ns: u64) {
        if !self.wanted.load(Relaxed) {
            return;
        }
        let sample = (operation.clone(), ns);
        let mut samples = self.samples.lock();
        if samples.len() < MOST {
            samples.push(sample);
        }
    }
}

/// Samples of one operation in the order in which they came, and whether it is called long.
pub type Untaught = (Operation, Vec<u64>, bool);

impl Learner {
    /// From now on somebody takes what is learned here.
    pub fn share(&self) {
        self.untold.wanted.store(true, Relaxed);
    }

    /// Takes what was learned here since the last time, in nanoseconds.
    #[must_use]
    pub fn take_untold(&self) -> Vec<Untaught> {
        let samples = std::mem::take(&mut *self.untold.samples.lock());
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut all: Vec<Untaught> = Vec::new();
        for (operation, ns) in samples {
            let next = all.len();
            let at = *places.entry(operation.as_str().to_owned()).or_insert(next);
            if at == next {
                let long = self.is_long(operation.as_str());
                all.push((operation, Vec::new(), long));
            }
            all[at].1.push(ns);
        }
        all
    }

    fn is_long(&self, key: &str) -> bool {
        let rules = self.rules();
        let gauge = self.gauge(&rules, 0.0);
        let entry = self.keys.lock().peek(key);
        entry.is_some_and(|entry| entry.state.lock().estimate.is_long(gauge))
    }

    /// Learns what others learned: so many samples, and the durations of the latest of them in
    /// nanoseconds, oldest first. `whole`: the count is of all that was ever taken, and what is
    /// remembered here is part of it.
    pub fn hear(&self, operation: &Operation, told: (u64, &[u64]), whole: bool, now: Instant) {
        let (mut count, mut samples) = told;
        if whole {
            let entry = self.keys.lock().peek(operation.as_str());
            let known = entry.map_or(0, |entry| entry.state.lock().estimate.count);
            count = count.saturating_sub(known);
        }
        let new = usize::try_from(count).map_or(samples.len(), |count| count.min(samples.len()));
        samples = &samples[samples.len() - new..];
        let entries = self.at_all_levels(operation, now);
        let rules = self.rules();
        for &ns in samples {
            let at = bucket(ns);
            let mean = self.count(ns, at);
            let gauge = self.gauge(&rules, mean);
            for entry in entries.iter().flatten() {
                entry.state.lock().estimate.push(ns, at, gauge);
            }
        }
        for entry in entries.iter().flatten() {
            let mut state = entry.state.lock();
            state.estimate.count_only(count - new as u64);
            state.last_seen = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{bench, op};
    use crate::model::{Basis, Class};

    const MS: u64 = 1_000_000;

    #[test]
    fn what_is_heard_counts_at_every_level_and_is_not_told_again() {
        let bench = bench(|_| {});
        bench.learner.share();
        let tool = op("tool/invoke a/b search");
        let samples: Vec<u64> = (0..10).map(|_| 9000 * MS).collect();
        bench.learner.hear(&tool, (100, &samples), false, bench.now);
        for key in ["tool/invoke a/b search", "tool/invoke a/b", "tool/invoke"] {
            let verdict = bench.verdict(key);
            assert_eq!(verdict.class, Class::Long, "{key}");
            assert!(matches!(verdict.basis, Basis::Learned { .. }));
        }
        let view = bench.learner.view(9, bench.now);
        assert!(view.iter().all(|row| row.total == 100), "{view:?}");
        assert!(view.iter().all(|row| row.samples_ms.len() == 5));
        assert!(bench.learner.take_untold().is_empty());
        bench.took("tool/invoke a/b search", 2, 9000);
        let told = bench.learner.take_untold();
        assert_eq!(told, [(tool, vec![9000 * MS; 2], true)]);
        assert!(bench.learner.take_untold().is_empty());
    }

    #[test]
    fn who_joins_takes_only_what_it_does_not_remember() {
        let bench = bench(|_| {});
        bench.took("x", 7, 10);
        bench
            .learner
            .hear(&op("x"), (9, &[30 * MS; 5]), true, bench.now);
        bench
            .learner
            .hear(&op("x"), (8, &[50 * MS; 5]), true, bench.now);
        let view = bench.learner.view(9, bench.now);
        assert_eq!(view[0].total, 9);
        let known = view[0].samples_ms.iter().map(|ms| *ms as u64);
        assert_eq!(known.collect::<Vec<_>>(), [10, 10, 10, 30, 30]);
    }

    #[test]
    fn nobody_listens_and_nothing_is_kept() {
        let bench = bench(|_| {});
        bench.took("x", 7, 10);
        assert!(bench.learner.take_untold().is_empty());
    }
}
