//! What do pages show of a node that no request asks for?

use super::Node;
use crate::model::Class;
use crate::observe::Recent;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// One check that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// When.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    /// What was wrong, for people; none = it passed.
    pub wrong: Option<String>,
}

/// How long what it answered took, and how its last check ended.
#[derive(Debug)]
pub(super) struct Shown {
    recent: [Recent; Class::ALL.len()],
    last_check: Mutex<Option<Check>>,
}

impl Shown {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            recent: Class::ALL.map(|_| Recent::new(now)),
            last_check: Mutex::default(),
        }
    }
}

impl Node {
    /// How long what it answered within the last minute took.
    #[must_use]
    pub const fn recent(&self, class: Class) -> &Recent {
        &self.shown.recent[class.index()]
    }

    /// How its last check ended, if there was any.
    #[must_use]
    pub fn last_check(&self) -> Option<Check> {
        self.shown.last_check.lock().clone()
    }

    /// Keeps how a check ended.
    pub fn note_last_check(&self, check: Check) {
        *self.shown.last_check.lock() = Some(check);
    }
}
