//! Is its client too slow, in a piece of a body or in all of it?

use super::Fault;
use std::time::{Duration, Instant};

/// How fast a client has to send its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceRules {
    /// So many bytes per second; 0 = as slow as it likes.
    pub rate: u64,
    /// So long it may be slower.
    pub grace: Duration,
    /// Each piece has so long, however much came before.
    pub piece: Duration,
}

/// How long a client has been waited for, and what it sent. While a node is slow to take a body,
/// its client is not waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    received: u64,
    waited: Duration,
    since: Option<Instant>,
}

impl Pace {
    /// Bytes came.
    pub fn received(&mut self, bytes: usize, now: Instant) {
        self.received += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
    }

    /// Nothing came. Returns when it will have taken too long; none = never.
    ///
    /// # Errors
    /// When it has already.
    pub fn waits(&mut self, rules: &PaceRules, now: Instant) -> Result<Option<Instant>, Fault> {
        let since = *self.since.get_or_insert(now);
        let earned = self.received.saturating_mul(1000).checked_div(rules.rate);
        let allowed = earned.map(|earned| {
            let allowed = rules.grace.saturating_add(Duration::from_millis(earned));
            allowed.saturating_sub(self.waited)
        });
        let due =
            since.checked_add(allowed.map_or(rules.piece, |allowed| allowed.min(rules.piece)));
        if due.is_some_and(|due| due <= now) {
            return Err(Fault::slow("the request's body came too slowly"));
        }
        Ok(due)
    }
}
