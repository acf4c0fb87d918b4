//! What if a classifier from outside decides, or fails to? Then what was learned decides, and the
//! failure is counted.

use super::{Classifier, Learner, Running};
use crate::model::{Class, Operation, Sample, Verdict};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A classifier from outside in front of the learner. The operator's pins win over it; the learner
/// goes on learning behind it, for the pages that show what was learned and for the moment in
/// which the other one fails.
#[derive(Debug)]
pub struct Guarded {
    own: Arc<dyn Classifier>,
    learner: Arc<Learner>,
    failures: AtomicU64,
}

impl Guarded {
    /// Guards a classifier.
    #[must_use]
    pub fn new(own: Arc<dyn Classifier>, learner: Arc<Learner>) -> Self {
        Self {
            own,
            learner,
            failures: AtomicU64::new(0),
        }
    }

    /// How often it has panicked.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    fn ask<T>(&self, question: impl FnOnce(&dyn Classifier) -> T) -> Option<T> {
        let answer = catch_unwind(AssertUnwindSafe(|| question(self.own.as_ref())));
        if answer.is_err() {
            self.failures.fetch_add(1, Relaxed);
        }
        answer.ok()
    }
}

impl Classifier for Guarded {
    fn classify(&self, operation: &Operation, prior: Class, now: Instant) -> Verdict {
        self.learner
            .pinned(operation)
            .or_else(|| self.ask(|own| own.classify(operation, prior, now)))
            .unwrap_or_else(|| self.learner.classify(operation, prior, now))
    }

    fn begin(&self, operation: &Operation, now: Instant) -> Running {
        let running = self.learner.begin(operation, now);
        match self.ask(|own| own.begin(operation, now)) {
            Some(own) => running.beside(own),
            None => running,
        }
    }

    fn expected(&self, operation: &Operation) -> Option<f64> {
        self.learner.expected(operation)
    }

    fn learn(&self, operation: &Operation, sample: Sample, now: Instant) {
        self.learner.learn(operation, sample, now);
        self.ask(|own| own.learn(operation, sample, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Basis, LearnRules, Pin, Unknown, clock};
    use std::time::Duration;

    /// Calls everything long, and panics when told to learn `a/bad`.
    #[derive(Debug)]
    struct Long;

    impl Classifier for Long {
        fn classify(&self, operation: &Operation, _: Class, _: Instant) -> Verdict {
            assert!(!operation.as_str().contains("bad"), "a fault of its own");
            Verdict {
                class: Class::Long,
                basis: Basis::Custom,
            }
        }

        fn begin(&self, _: &Operation, _: Instant) -> Running {
            Running::unwatched()
        }

        fn learn(&self, operation: &Operation, _: Sample, _: Instant) {
            assert!(!operation.as_str().contains("bad"), "a fault of its own");
        }
    }

    #[test]
    fn a_classifier_from_outside_decides_below_the_pins_and_above_what_was_learned() {
        let learner = Arc::new(Learner::new(LearnRules {
            unknown: Unknown::Always(Class::Short),
            pins: vec![Pin {
                operation: "pinned/*".to_owned(),
                class: Some(Class::Short),
            }],
            ..LearnRules::default()
        }));
        let guarded = Guarded::new(Arc::new(Long), Arc::clone(&learner));
        let now = clock::now();
        let ask = |op: &str| guarded.classify(&Operation::new(op), Class::Short, now);
        assert_eq!(ask("tool/invoke").basis, Basis::Custom);
        assert_eq!(ask("pinned/x").basis, Basis::Pinned);
        assert_eq!(guarded.failures(), 0);

        let bad = ask("tool/bad");
        assert_eq!((bad.class, bad.basis), (Class::Short, Basis::Prior));
        assert_eq!(guarded.failures(), 1, "it was counted");
        let sample = Sample {
            duration: Duration::from_millis(5),
            censored: false,
        };
        guarded.learn(&Operation::new("tool/bad"), sample, now);
        assert_eq!(guarded.failures(), 2);
        assert_eq!(learner.len(), 1, "the learner has learned all the same");
    }
}
