//! When did anything change? So that a caller awaits a condition instead of sleeping.
use std::sync::Arc;
use tokio::sync::watch;

/// Beats whenever a counter, the ledger or a task changes.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<watch::Sender<u64>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Pulse {
    /// Wakes everyone who waits for a condition.
    pub(super) fn beat(&self) {
        self.0.send_modify(|beats| *beats = beats.wrapping_add(1));
    }

    /// Returns once `condition` holds; looks again after every beat.
    pub(super) async fn until(&self, mut condition: impl FnMut() -> bool) {
        // Subscribed before the first look: a beat between look and wait is not lost.
        let mut beats = self.0.subscribe();
        while !condition() {
            if beats.changed().await.is_err() {
                return;
            }
        }
    }
}
