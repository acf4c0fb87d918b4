//! Where is everything kept, and who decides?

use super::Classifier;
use super::entry::{Entry, Running};
use super::estimate::Gauge;
use super::fleet::Untold;
use super::histogram::bucket;
use super::keys::Keys;
use super::pins::pinned;
use super::threshold::{Everything, START_NS, nanos};
use super::usual::ln_seconds;
use crate::model::{Basis, Class, LearnRules, Operation, Pin, Sample, Threshold, Unknown, Verdict};
use arc_swap::ArcSwap;
use log::Level;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Learns durations per operation. Shared by all threads.
///
/// Locks are taken in the order `everything`, `keys`, an entry's; `keys` is held for look-ups
/// only, and no two entries' at once.
#[derive(Debug)]
pub struct Learner {
    /// What was pinned by hand, and behind it the configuration.
    pub(super) rules: ArcSwap<LearnRules>,
    /// The pins of the operator's hand; locked alone.
    pub(super) by_hand: Mutex<Vec<Pin>>,
    pub(super) keys: Mutex<Keys>,
    pub(super) everything: Mutex<Everything>,
    /// The effective threshold in nanoseconds.
    pub(super) threshold: AtomicU64,
    /// How often an operation was found to be short, and long, that was not called so before.
    changes: [AtomicU64; Class::ALL.len()],
    /// What others have not been told yet.
    pub(super) untold: Untold,
}

impl Learner {
    /// A learner that knows nothing yet.
    #[must_use]
    pub fn new(rules: LearnRules) -> Self {
        let threshold = match rules.long_threshold {
            Threshold::Fixed(duration) => nanos(duration),
            Threshold::Auto => START_NS,
        };
        let keys = Keys::new(capacity(&rules));
        Self {
            rules: ArcSwap::from_pointee(rules),
            by_hand: Mutex::default(),
            keys: Mutex::new(keys),
            everything: Mutex::new(Everything::new()),
            threshold: AtomicU64::new(threshold),
            changes: Default::default(),
            untold: Untold::default(),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<LearnRules> {
        self.rules.load_full()
    }

    /// The threshold in force, wherever it comes from.
    #[must_use]
    pub fn threshold(&self) -> Duration {
        Duration::from_nanos(self.threshold.load(Relaxed))
    }

    /// How often an operation was found to be short, and long, that was not called so before.
    #[must_use]
    pub fn changes(&self) -> [u64; Class::ALL.len()] {
        self.changes.each_ref().map(|count| count.load(Relaxed))
    }

    /// Says that an operation is called otherwise than before; that a new one is short is no news.
    fn note_change(&self, before: Option<Class>, entry: &Entry) {
        let (after, score, samples) = {
            let state = entry.state.lock();
            let known = &state.estimate;
            (known.class(), known.score() as u64, known.count)
        };
        self.changes[after.index()].fetch_add(1, Relaxed);
        let news = before.is_some() || after == Class::Long;
        let level = if news { Level::Info } else { Level::Debug };
        log::log!(
            level,
            operation:% = entry.key, was:% = before.map_or("unknown", Class::word),
            score:? = Duration::from_nanos(score), samples = samples;
            "operation is {after} now"
        );
    }

    /// How many keys are remembered; one under which nothing has ended yet is not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.lock().len()
    }

    /// Is nothing remembered?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Follows new rules without forgetting what they still allow: a smaller window keeps the
    /// newest samples, a smaller table the latest keys. Every key is judged anew.
    pub fn set_rules(&self, rules: LearnRules) {
        let everything = self.everything.lock();
        match (self.rules.load().long_threshold, rules.long_threshold) {
            (Threshold::Auto, Threshold::Auto) => {}
            (_, Threshold::Auto) => self.threshold.store(START_NS, Relaxed),
            (_, Threshold::Fixed(duration)) => self.threshold.store(nanos(duration), Relaxed),
        }
        self.keys.lock().resize(capacity(&rules));
        self.store_rules(rules);
        let mean = everything.histogram.mean();
        drop(everything);
        self.refit_all(mean);
    }

    /// Drops what is known of one key. True if it was known.
    pub fn forget(&self, key: &str) -> bool {
        self.keys.lock().forget(key)
    }

    pub(super) fn gauge<'a>(&self, rules: &'a LearnRules, mean: f64) -> Gauge<'a> {
        Gauge {
            rules,
            threshold: self.threshold.load(Relaxed),
            mean,
        }
    }

    /// Every entry, the latest used first.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.keys.lock().all()
    }

    pub(super) fn refit_all(&self, mean: f64) {
        let rules = self.rules.load();
        let gauge = self.gauge(&rules, mean);
        for entry in self.entries() {
            entry.state.lock().estimate.refit(gauge);
        }
    }

    /// The entry of each level, made where there is none, finest first.
    pub(super) fn at_all_levels(
        &self,
        operation: &Operation,
        now: Instant,
    ) -> [Option<Arc<Entry>>; Operation::LEVELS] {
        let mut found = [const { None }; Operation::LEVELS];
        let mut keys = self.keys.lock();
        for (slot, key) in found.iter_mut().zip(operation.levels()) {
            *slot = Some(keys.learn(key, now));
        }
        found
    }

    /// Counts a sample in the whole, moves an automatic threshold when it is time, and returns
    /// the mean of everything.
    pub(super) fn count(&self, ns: u64, at: usize) -> f64 {
        let mut everything = self.everything.lock();
        let due = everything.push(ns, at);
        if due && self.rules.load().long_threshold == Threshold::Auto {
            let old = self.threshold.load(Relaxed);
            if let Some(new) = everything.moved(old) {
                self.threshold.store(new, Relaxed);
            }
        }
        everything.histogram.mean()
    }
}

impl Classifier for Learner {
    fn classify(&self, operation: &Operation, prior: Class, now: Instant) -> Verdict {
        let rules = self.rules.load();
        if let Some(class) = pinned(&rules.pins, operation) {
            let basis = Basis::Pinned;
            return Verdict { class, basis };
        }
        // The mean of everything matters to new samples only.
        let gauge = self.gauge(&rules, 0.0);
        for key in operation.levels() {
            let entry = self.keys.lock().get(key);
            let verdict = entry.and_then(|entry| entry.state.lock().verdict(now, gauge));
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        Verdict {
            class: match rules.unknown {
                Unknown::Prior => prior,
                Unknown::Always(class) => class,
            },
            basis: Basis::Prior,
        }
    }

    fn begin(&self, operation: &Operation, now: Instant) -> Running {
        let entry = self.keys.lock().begin(operation.as_str(), now);
        entry.begin(now)
    }

    fn expected(&self, operation: &Operation) -> Option<f64> {
        // The finest key alone: under a coarser one other items would pass for this one's delay.
        let entry = self.keys.lock().peek(operation.as_str())?;
        let usual = entry.state.lock().usual;
        usual.ln()
    }

    fn learn(&self, operation: &Operation, sample: Sample, now: Instant) {
        let ns = nanos(sample.duration);
        if sample.censored && ns < self.threshold.load(Relaxed) {
            return;
        }
        let bucket = bucket(ns);
        let mean = self.count(ns, bucket);
        let rules = self.rules.load();
        let gauge = self.gauge(&rules, mean);
        let ln = (!sample.censored).then(|| ln_seconds(sample.duration));
        let entries = self.at_all_levels(operation, now).into_iter().flatten();
        for (at, entry) in entries.enumerate() {
            let mut state = entry.state.lock();
            let before = state.learned(&rules);
            state.estimate.push(ns, bucket, gauge);
            if let Some(ln) = ln {
                state.usual.push(ln);
            }
            state.last_seen = now;
            let after = state.learned(&rules);
            drop(state);
            // Of the levels only the finest is an operation.
            if at == 0 && after != before {
                self.note_change(before, &entry);
            }
        }
        self.untold.note(operation, ns);
    }
}

fn capacity(rules: &LearnRules) -> NonZeroUsize {
    NonZeroUsize::new(rules.max_keys).unwrap_or(NonZeroUsize::MIN)
}
