//! What do the tests of this module hold in their hands?

use super::*;
use crate::model::{LearnRules, Score, Unknown, clock};
use std::time::Duration;

pub(super) const SECOND: u64 = 1000;

/// A learner with a hand on the clock.
pub(super) struct Bench {
    pub(super) learner: Learner,
    pub(super) now: Instant,
}

pub(super) fn bench(change: impl FnOnce(&mut LearnRules)) -> Bench {
    let mut rules = LearnRules {
        unknown: Unknown::Always(Class::Short),
        ..LearnRules::default()
    };
    change(&mut rules);
    Bench {
        learner: Learner::new(rules),
        now: clock::now(),
    }
}

pub(super) fn each_score(test: impl Fn(Score)) {
    for score in [Score::Decayed, Score::Median, Score::Mean] {
        test(score);
    }
}

pub(super) fn op(parts: &str) -> Operation {
    let mut parts = parts.split(' ');
    let mut operation = Operation::new(parts.next().unwrap());
    parts.for_each(|part| operation.push(part));
    operation
}

impl Bench {
    pub(super) fn took(&self, key: &str, times: usize, ms: u64) {
        for _ in 0..times {
            self.sample(key, Duration::from_millis(ms), false);
        }
    }

    pub(super) fn broke_off(&self, key: &str, times: usize, ms: u64) {
        for _ in 0..times {
            self.sample(key, Duration::from_millis(ms), true);
        }
    }

    pub(super) fn sample(&self, key: &str, duration: Duration, censored: bool) {
        let sample = Sample { duration, censored };
        self.learner.learn(&op(key), sample, self.now);
    }

    pub(super) fn verdict(&self, key: &str) -> Verdict {
        self.learner.classify(&op(key), Class::Short, self.now)
    }

    pub(super) fn long(&self, key: &str) -> bool {
        self.verdict(key).class == Class::Long
    }

    pub(super) fn view(&self, key: &str) -> KeyView {
        let views = self.learner.view(usize::MAX, self.now);
        views.into_iter().find(|view| view.key == key).unwrap()
    }

    pub(super) fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}
