//! Where is a node asked whether it is well, when it is no plugin daemon?

use parking_lot::Mutex;
use std::sync::Arc;

/// Where such nodes say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRoute {
    /// The path.
    pub path: Arc<str>,
    /// It answers in the daemon's words; otherwise the status alone counts.
    pub daemon: bool,
}

/// One node's; a reload may change it. Only checks look at it.
#[derive(Debug, Default)]
pub struct HealthRoutes(Mutex<Option<HealthRoute>>);

impl HealthRoutes {
    /// From now on it is asked there.
    pub fn set(&self, route: Option<HealthRoute>) {
        *self.0.lock() = route;
    }

    /// Where it is asked; none: where daemons are.
    #[must_use]
    pub fn get(&self) -> Option<HealthRoute> {
        self.0.lock().clone()
    }
}
