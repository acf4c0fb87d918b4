//! Is the gateway open, and who is still inside?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Whether new requests are welcome, and how many are on their way.
#[derive(Debug, Default)]
pub struct Lifecycle {
    draining: AtomicBool,
    succeeded: AtomicBool,
    ready: AtomicBool,
    open: AtomicUsize,
    emptied: Notify,
}

/// One request's stay, from its header to the end of its answer.
#[derive(Debug)]
pub struct Passage(Arc<Lifecycle>);

impl Lifecycle {
    /// A request comes in.
    pub fn enter(self: &Arc<Self>) -> Passage {
        self.open.fetch_add(1, Ordering::Relaxed);
        Passage(Arc::clone(self))
    }

    /// Requests inside.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// From now on readiness says no and connections are not kept.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// A successor accepts as well: we are as ready as ever, and clients had better come to it.
    pub fn note_succeeded(&self) {
        self.succeeded.store(true, Ordering::Release);
    }

    /// Whether a successor accepts as well.
    #[must_use]
    pub fn has_successor(&self) -> bool {
        self.succeeded.load(Ordering::Acquire)
    }

    /// Whether a client's connection may serve another request. One that is closed in the moment in
    /// which its client uses it again is an error for the client.
    #[must_use]
    pub fn keeps_connections(&self) -> bool {
        !self.is_draining() && !self.has_successor()
    }

    /// Whether the end was announced.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The first round of health checks is over.
    pub fn note_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether the first round of health checks is over.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Returns as soon as nobody is inside.
    pub async fn emptied(&self) {
        loop {
            let notified = self.emptied.notified();
            if self.open() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_one_out_wakes_who_waits() {
        let lifecycle = Arc::new(Lifecycle::default());
        let (first, last) = (lifecycle.enter(), lifecycle.enter());
        let waiting = tokio::spawn({
            let lifecycle = Arc::clone(&lifecycle);
            async move { lifecycle.emptied().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(last);
        waiting.await.expect("it was woken");
        lifecycle.emptied().await;
    }
}
