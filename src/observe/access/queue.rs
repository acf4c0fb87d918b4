//! Where do records wait? All in one place, from which they are taken together.
//!
//! Waking a thread costs more than keeping a record. So the first one wakes it, and it lets others
//! gather for a moment before it takes them all.

use super::kept::Kept;
use super::{Marks, Record};
use crate::model::LogFormat;
use parking_lot::{Condvar, Mutex};
use std::mem::{swap, take};
use std::time::Duration;

/// So long records gather. Short enough for whoever watches the file and for the processor's cache, and
/// long enough that a hundred wakes a second are the most.
const GATHER: Duration = Duration::from_millis(10);
/// A buffer that a slow disk made larger is given back; one that is full every time is not.
const KEPT: usize = 256 * 1024;

#[derive(Debug, Default)]
struct Waiting {
    records: Kept,
    /// So many were ever put,
    sent: u64,
    /// and so many are no longer our concern.
    done: u64,
    reopen: bool,
    /// Somebody waits for what is here.
    hurry: bool,
    closed: bool,
}

/// A bounded queue of records.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    came: Condvar,
    went: Condvar,
}

impl Queue {
    /// For so many records.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: Mutex::default(),
            came: Condvar::new(),
            went: Condvar::new(),
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Puts a record behind the others; false when there is no room.
    pub(super) fn put(&self, format: LogFormat, record: &Record<'_>, marks: Marks) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.records.len() >= self.capacity {
            return false;
        }
        waiting.records.put(format, record, marks);
        waiting.sent += 1;
        let wakes = waiting.records.len() == 1 || waiting.records.len() == self.half();
        drop(waiting);
        if wakes {
            self.came.notify_one();
        }
        true
    }

    const fn half(&self) -> usize {
        self.capacity.div_ceil(2)
    }

    /// Waits for records, and exchanges them for none. None when there will be no more; else whether
    /// the file is to be opened again before they are written.
    pub(super) fn take(&self, into: &mut Kept) -> Option<bool> {
        into.clear();
        into.shrink_to(KEPT);
        let mut waiting = self.waiting.lock();
        self.came.wait_while(&mut waiting, |waiting| {
            waiting.records.len() == 0 && !waiting.reopen && !waiting.closed
        });
        let half = self.half();
        let gathers = |waiting: &mut Waiting| {
            waiting.records.len() < half && !waiting.reopen && !waiting.hurry && !waiting.closed
        };
        self.came.wait_while_for(&mut waiting, gathers, GATHER);
        if waiting.records.len() == 0 && !waiting.reopen {
            return None;
        }
        swap(&mut waiting.records, into);
        waiting.hurry = false;
        Some(take(&mut waiting.reopen))
    }

    /// So many of those that were taken are written, or lost for good.
    pub(super) fn note_done(&self, records: u64) {
        self.waiting.lock().done += records;
        self.went.notify_all();
    }

    /// Before anything else is written, the file is to be opened again.
    pub(super) fn ask_to_reopen(&self) {
        self.waiting.lock().reopen = true;
        self.came.notify_one();
    }

    /// Waits until all that was put is done.
    pub(super) fn wait(&self, patience: Duration) {
        let mut waiting = self.waiting.lock();
        waiting.hurry = true;
        self.came.notify_one();
        let sent = waiting.sent;
        let open = |waiting: &mut Waiting| waiting.done < sent;
        self.went.wait_while_for(&mut waiting, open, patience);
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.came.notify_one();
    }

    #[cfg(test)]
    pub(super) fn sent(&self) -> u64 {
        self.waiting.lock().sent
    }
}
