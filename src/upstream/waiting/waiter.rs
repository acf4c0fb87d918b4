//! Who waits, and who is told that a lease ended?

use super::WaitingRoom;
use super::place::Seat;
use super::room::Reply;
use crate::admit::{Guest, Taken, Ticket};
use crate::model::clock;
use crate::nodes::{NoCandidate, Then};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Places also become free without the end of a lease: a node is well again, a cooldown is over.
/// While anybody waits, this is how often somebody looks.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// Hangs on a lease, and tells the room that it ended.
pub(super) struct Stay {
    pub(super) room: Arc<WaitingRoom>,
    /// None for what is not counted.
    pub(super) guest: Option<Guest>,
    /// Its place of the rule that limits it.
    pub(super) taken: Option<Taken>,
    pub(super) since: Instant,
}

impl Then for Stay {}

impl Drop for Stay {
    fn drop(&mut self) {
        // First: whoever the room lets go now may need this very place.
        self.taken = None;
        let room = Arc::clone(&self.room);
        room.ended(self);
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stay").finish_non_exhaustive()
    }
}

/// A request that waits. Dropped, it has left the queue.
#[derive(Debug)]
pub struct Waiter {
    pub(super) room: Arc<WaitingRoom>,
    pub(super) ticket: Ticket,
    pub(super) due: Instant,
    pub(super) answer: oneshot::Receiver<Reply>,
}

impl Waiter {
    /// Waits for its turn.
    ///
    /// # Errors
    /// When no node may serve it any more, full or not.
    pub async fn seated(&mut self) -> Result<Box<Seat>, NoCandidate> {
        loop {
            let left = self.due.saturating_duration_since(clock::now());
            let nap = left.clamp(Duration::from_millis(1), LOOK);
            tokio::select! {
                biased;
                // The room answers before it forgets.
                reply = &mut self.answer => return reply.unwrap_or_else(|_| Err(NoCandidate::default())),
                () = tokio::time::sleep(nap) => self.room.look(self.due),
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let state = &mut *self.room.state.lock();
        if state.room.leave(self.ticket) {
            state.waiting.remove(&self.ticket);
            self.room.show(state);
        }
        // A lease that was handed over meanwhile ends with `answer`, after the lock.
    }
}
