//! How did a node's last check end?

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

/// The last one. Nobody but checks and pages looks at it.
#[derive(Debug, Default)]
pub struct LastCheck(Mutex<Option<Check>>);

impl LastCheck {
    /// A check ended.
    pub fn note(&self, check: Check) {
        *self.0.lock() = Some(check);
    }

    /// The last one, if there was any.
    #[must_use]
    pub fn get(&self) -> Option<Check> {
        self.0.lock().clone()
    }
}
