//! Which keys are remembered, and which of them makes room for another?

use super::entry::Entry;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

type Table = LruCache<Arc<str>, Arc<Entry>, ahash::RandomState>;

/// For so many keys that have taught, one that has not.
const STRANGERS: usize = 4;

/// Keys in the order of use. Those under which nothing has ended yet have a table of their own:
/// anybody can invent names, and none of them may push out what was learned.
#[derive(Debug)]
pub(super) struct Keys {
    known: Table,
    strangers: Table,
}

impl Keys {
    /// Room for so many keys that have taught, and for a quarter as many that have not.
    pub(super) fn new(most: NonZeroUsize) -> Self {
        let table = |most| LruCache::with_hasher(most, ahash::RandomState::default());
        Self {
            known: table(most),
            strangers: table(strangers(most)),
        }
    }

    /// Keeps the latest used of what has no room any more.
    pub(super) fn resize(&mut self, most: NonZeroUsize) {
        self.known.resize(most);
        self.strangers.resize(strangers(most));
    }

    /// How many keys have taught something.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many more of them there is room for.
    pub(super) fn room(&self) -> usize {
        self.known.cap().get() - self.known.len()
    }

    /// A key's entry, which is used now.
    pub(super) fn get(&mut self, key: &str) -> Option<Arc<Entry>> {
        let found = self.known.get(key);
        found.or_else(|| self.strangers.peek(key)).map(Arc::clone)
    }

    /// A key's entry, looked at without being used.
    pub(super) fn peek(&self, key: &str) -> Option<Arc<Entry>> {
        let found = self.known.peek(key);
        found.or_else(|| self.strangers.peek(key)).map(Arc::clone)
    }

    /// The entry of a key under which a request begins. That is no use of it: it has taught nothing
    /// yet.
    pub(super) fn begin(&mut self, key: &str, now: Instant) -> Arc<Entry> {
        if let Some(entry) = self.peek(key) {
            return entry;
        }
        let entry = Entry::new(key.into(), now);
        self.strangers
            .put(Arc::clone(&entry.key), Arc::clone(&entry));
        entry
    }

    /// The entry of a key that learns now; the least recently used one makes room.
    pub(super) fn learn(&mut self, key: &str, now: Instant) -> Arc<Entry> {
        if let Some(entry) = self.known.get(key) {
            return Arc::clone(entry);
        }
        let entry = self.strangers.peek(key).map(Arc::clone);
        let entry = entry.unwrap_or_else(|| Entry::new(key.into(), now));
        self.put(Arc::clone(&entry));
        entry
    }

    /// Adds an entry that knows something, as the latest used.
    pub(super) fn put(&mut self, entry: Arc<Entry>) {
        self.strangers.pop(&entry.key);
        self.known.put(Arc::clone(&entry.key), entry);
    }

    /// Has it taught something?
    pub(super) fn knows(&self, key: &str) -> bool {
        self.known.contains(key)
    }

    /// Drops a key; true if it was there.
    pub(super) fn forget(&mut self, key: &str) -> bool {
        let known = self.known.pop(key).is_some();
        self.strangers.pop(key).is_some() || known
    }

    /// Every entry, the latest used first, and behind them those that have not taught.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        let both = self.known.iter().chain(&self.strangers);
        both.map(|(_, entry)| Arc::clone(entry)).collect()
    }
}

fn strangers(most: NonZeroUsize) -> NonZeroUsize {
    NonZeroUsize::new(most.get().div_ceil(STRANGERS)).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::super::Classifier;
    use super::super::rig::{SECOND, bench, op};
    use crate::model::Basis;

    #[test]
    fn the_least_recently_used_key_goes_first() {
        let bench = bench(|rules| rules.max_keys = 3);
        for key in ["a", "b", "c"] {
            bench.took(key, 3, 10);
        }
        bench.long("a");
        drop(bench.learner.begin(&op("b"), bench.now));
        bench.took("d", 3, 10);
        let mut keys: Vec<_> = bench
            .learner
            .view(9, bench.now)
            .into_iter()
            .map(|it| it.key)
            .collect();
        keys.sort();
        assert_eq!(
            keys,
            ["a", "c", "d"],
            "a was asked for; a beginning is no use of b"
        );
    }

    #[test]
    fn a_running_request_outlives_its_key() {
        let mut bench = bench(|rules| rules.max_keys = 1);
        let running = bench.learner.begin(&op("e"), bench.now);
        drop(bench.learner.begin(&op("g"), bench.now));
        bench.took("f", 1, 10);
        bench.wait(9 * SECOND);
        assert_eq!(bench.verdict("e").basis, Basis::Prior);
        drop(running);
        assert_eq!(bench.learner.len(), 1);
    }

    #[test]
    fn names_that_nobody_knows_push_out_nothing_that_was_learned() {
        let mut bench = bench(|rules| rules.max_keys = 8);
        for key in 0..8 {
            bench.took(&format!("learned{key}"), 3, 9 * SECOND);
        }
        let running: Vec<_> = (0..1000)
            .map(|n| bench.learner.begin(&op(&format!("invented{n}")), bench.now))
            .collect();
        for key in 0..8 {
            assert!(bench.long(&format!("learned{key}")), "{key}");
        }
        // The latest of the unknown are watched all the same, and may teach.
        bench.wait(6 * SECOND);
        assert_eq!(bench.verdict("invented999").basis, Basis::Promoted);
        assert_eq!(
            bench.learner.view(9999, bench.now).len(),
            8 + 2,
            "and bounded"
        );
        bench.took("invented999", 3, 10);
        let view = bench.view("invented999");
        assert_eq!((view.total, view.running), (3, 1), "it is the same key");
        assert_eq!(bench.learner.len(), 8);
        drop(running);
        assert_eq!(bench.view("invented999").running, 0);
    }
}
