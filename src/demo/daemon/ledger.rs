//! What was executed, where, and how often? The proof of at-most-once.
use super::pulse::Pulse;
use crate::model::clock;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// How many executions are kept; older ones leave the ledger, the total keeps counting.
const KEPT: usize = 200_000;

/// One execution: a request whose body the daemon bound and handed to a plugin process.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Unique id of the request: `__sim.id` of its body, else its `X-Request-Id`.
    pub id: Option<String>,
    /// The daemon that executed it.
    pub node: String,
    /// `author/name`.
    pub plugin: String,
    /// The operation after `/dispatch/`, or `e/<hook>`.
    pub op: String,
    /// When the daemon handed it to the plugin.
    pub accepted: Instant,
    /// When the plugin began: later than `accepted` if a blocking plugin was occupied.
    pub started: Option<Instant>,
    /// When the plugin was through; `None` while it runs, and for ever if the process died.
    pub finished: Option<Instant>,
    /// When the client left before the answer had ended. The plugin is not told.
    pub client_gone: Option<Instant>,
}

#[derive(Debug, Default)]
struct Book {
    entries: VecDeque<Entry>,
    dropped: u64,
}

/// The execution ledger that all daemons of one world write; cheap to clone, clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    pulse: Pulse,
}

/// Names one entry while it is being written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

impl Ledger {
    pub(super) fn with_pulse(pulse: Pulse) -> Self {
        Self {
            book: Arc::default(),
            pulse,
        }
    }

    pub(super) fn record(&self, id: Option<String>, node: &str, plugin: &str, op: &str) -> Ticket {
        let entry = Entry {
            id,
            node: node.to_owned(),
            plugin: plugin.to_owned(),
            op: op.to_owned(),
            accepted: clock::now(),
            started: None,
            finished: None,
            client_gone: None,
        };
        let ticket = {
            let mut book = self.book.lock();
            book.entries.push_back(entry);
            if book.entries.len() > KEPT {
                book.entries.pop_front();
                book.dropped += 1;
            }
            Ticket(book.dropped + book.entries.len() as u64 - 1)
        };
        self.pulse.beat();
        ticket
    }

    pub(super) fn started(&self, ticket: Ticket) {
        self.write(ticket, |entry| entry.started = Some(clock::now()));
    }

    pub(super) fn finished(&self, ticket: Ticket) {
        self.write(ticket, |entry| entry.finished = Some(clock::now()));
    }

    pub(super) fn client_gone(&self, ticket: Ticket) {
        self.write(ticket, |entry| entry.client_gone = Some(clock::now()));
    }

    fn write(&self, ticket: Ticket, change: impl FnOnce(&mut Entry)) {
        {
            let mut book = self.book.lock();
            let index = ticket
                .0
                .checked_sub(book.dropped)
                .and_then(|i| usize::try_from(i).ok());
            if let Some(entry) = index.and_then(|i| book.entries.get_mut(i)) {
                change(entry);
            }
        }
        self.pulse.beat();
    }

    /// All executions kept (the last 200,000), oldest first.
    #[must_use]
    pub fn executions(&self) -> Vec<Entry> {
        self.book.lock().entries.iter().cloned().collect()
    }

    /// How many executions there were, including those no longer kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        let book = self.book.lock();
        book.dropped + book.entries.len() as u64
    }

    /// Whether nothing was executed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Request ids that were executed more than once, with their counts. Must stay empty: a
    /// dispatch is never replayed once a daemon may have bound it.
    #[must_use]
    pub fn duplicates(&self) -> BTreeMap<String, usize> {
        let mut counts = self.count_by(|entry| entry.id.clone());
        counts.retain(|_, count| *count > 1);
        counts
    }

    /// Executions per daemon id.
    #[must_use]
    pub fn per_node(&self) -> BTreeMap<String, usize> {
        self.count_by(|entry| Some(entry.node.clone()))
    }

    fn count_by(&self, key: impl Fn(&Entry) -> Option<String>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for key in self.book.lock().entries.iter().filter_map(key) {
            *counts.entry(key).or_default() += 1;
        }
        counts
    }

    /// Returns once `condition` holds for the executions kept.
    pub async fn until(&self, condition: impl Fn(&[Entry]) -> bool) {
        self.pulse
            .until(|| condition(self.book.lock().entries.make_contiguous()))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_duplicates_by_id_and_executions_by_node() {
        let ledger = Ledger::default();
        for (id, node) in [
            (Some("a"), "n1"),
            (Some("b"), "n1"),
            (Some("a"), "n2"),
            (None, "n2"),
        ] {
            ledger.record(id.map(str::to_owned), node, "a/b", "tool/invoke");
        }
        assert_eq!(ledger.duplicates(), BTreeMap::from([("a".to_owned(), 2)]));
        assert_eq!(
            ledger.per_node(),
            BTreeMap::from([("n1".to_owned(), 2), ("n2".to_owned(), 2)])
        );
        assert_eq!(ledger.len(), 4);
    }

    #[test]
    fn a_full_ledger_forgets_the_oldest_and_still_finds_the_newest() {
        let ledger = Ledger::default();
        let oldest = ledger.record(None, "n", "a/b", "op");
        let mut newest = oldest;
        for _ in 0..KEPT {
            newest = ledger.record(None, "n", "a/b", "op");
        }
        ledger.finished(oldest);
        ledger.finished(newest);
        assert_eq!(ledger.len(), KEPT as u64 + 1);
        let kept = ledger.executions();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(
            kept.iter().filter(|entry| entry.finished.is_some()).count(),
            1
        );
        assert!(kept[KEPT - 1].finished.is_some());
    }
}
