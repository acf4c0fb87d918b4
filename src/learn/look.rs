//! What would be said of an operation now, and by which key? Looked at without being touched.

use super::entry::Entry;
use super::learner::Learner;
use super::pins::pinned;
use crate::model::{Basis, Class, Operation, Unknown, Verdict};
use std::time::{Duration, Instant};

/// What is known of one level of an operation's key.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelView {
    /// The key.
    pub key: String,
    /// How many samples it ever had.
    pub samples: u64,
    /// What is compared with the threshold; zero of nothing.
    pub score: Duration,
    /// How many requests run under it now.
    pub running: usize,
    /// What it says, if it knows enough to say anything.
    pub says: Option<Verdict>,
}

/// An operation, looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// What a request of it would be called now.
    pub verdict: Verdict,
    /// Its levels that are known, finest first.
    pub levels: Vec<LevelView>,
}

impl Learner {
    /// What the operator's pins say of an operation.
    #[must_use]
    pub fn pinned(&self, operation: &Operation) -> Option<Verdict> {
        pinned(&self.rules().pins, operation).map(|class| Verdict {
            class,
            basis: Basis::Pinned,
        })
    }

    /// Says what [`super::Classifier::classify`] would say, and why; the order in which keys are
    /// forgotten and what is known of them stay as they were.
    #[must_use]
    pub fn look(&self, operation: &Operation, prior: Class, now: Instant) -> Look {
        let rules = self.rules();
        let gauge = self.gauge(&rules, 0.0);
        let view = |entry: &Entry| {
            let mut state = entry.state.lock();
            let (promoted, estimate) = (state.promoted, state.estimate.clone());
            let says = state.verdict(now, gauge);
            (state.promoted, state.estimate) = (promoted, estimate);
            LevelView {
                key: entry.key.to_string(),
                samples: state.estimate.count,
                score: Duration::from_nanos(state.estimate.score() as u64),
                running: state.running(),
                says,
            }
        };
        let levels: Vec<_> = operation
            .levels()
            .filter_map(|key| {
                let entry = self.keys.lock().peek(key)?;
                Some(view(&entry))
            })
            .collect();
        let unknown = Verdict {
            class: match rules.unknown {
                Unknown::Prior => prior,
                Unknown::Always(class) => class,
            },
            basis: Basis::Prior,
        };
        let learned = levels.iter().find_map(|level| level.says);
        let verdict = self.pinned(operation).or(learned).unwrap_or(unknown);
        Look { verdict, levels }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Classifier;
    use super::super::rig::{SECOND, bench, op};
    use super::*;
    use crate::model::LearnRules;

    #[test]
    fn a_look_says_what_classify_says_and_touches_nothing() {
        let mut bench = bench(|rules: &mut LearnRules| rules.max_keys = 3);
        bench.took("a x", 5, 9 * SECOND);
        bench.took("b", 5, 10);
        let before = bench.learner.remember();
        for key in ["a x", "a y", "a", "b", "c"] {
            let look = bench.learner.look(&op(key), Class::Short, bench.now);
            assert_eq!(look.verdict, bench.verdict(key), "{key}");
        }
        bench.verdict("b");
        // A look at the key that was used least does not save it.
        let _look = bench.learner.look(&op("a x"), Class::Short, bench.now);
        bench.took("d", 1, 10);
        let left = bench.learner.look(&op("a x"), Class::Short, bench.now);
        assert!(left.levels.len() < 2, "{left:?}");
        drop(before);

        let running = bench.learner.begin(&op("e"), bench.now);
        bench.wait(6 * SECOND);
        let look = bench.learner.look(&op("e"), Class::Short, bench.now);
        assert_eq!(look.verdict.basis, Basis::Promoted);
        drop(running);
        let after = bench.verdict("e");
        assert_eq!(after.basis, Basis::Prior, "the look has not promoted it");
    }
}
