//! What is known of one key, and what runs under it now?

use super::estimate::{Estimate, Gauge};
use super::usual::Usual;
use crate::model::{Basis, Class, LearnRules, Verdict};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One key. Shared by the table of keys and by the requests that run under it, so that dropping
/// it from the table disturbs none of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) state: Mutex<State>,
}

/// What changes about a key.
#[derive(Debug)]
pub(super) struct State {
    pub(super) estimate: Estimate,
    pub(super) usual: Usual,
    /// The requests running now, oldest first; the number tells apart those of one instant.
    running: BTreeSet<(Instant, u64)>,
    tickets: u64,
    /// A request ran for too long while nothing was known.
    pub(super) promoted: bool,
    pub(super) last_seen: Instant,
}

impl Entry {
    pub(super) fn new(key: Arc<str>, now: Instant) -> Arc<Self> {
        Self::known(key, Estimate::new(), false, now)
    }

    pub(super) fn known(
        key: Arc<str>,
        estimate: Estimate,
        promoted: bool,
        now: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            key,
            state: Mutex::new(State {
                usual: Usual::restored(estimate.histogram.mean(), estimate.count),
                estimate,
                running: BTreeSet::new(),
                tickets: 0,
                promoted,
                last_seen: now,
            }),
        })
    }

    pub(super) fn begin(self: Arc<Self>, now: Instant) -> Running {
        let mut state = self.state.lock();
        state.tickets = state.tickets.wrapping_add(1);
        let ticket = (now, state.tickets);
        state.running.insert(ticket);
        state.last_seen = now;
        drop(state);
        Running {
            place: Some((self, ticket)),
            beside: None,
        }
    }
}

impl State {
    /// What this key says, if it knows enough: by its samples; or because requests have been
    /// running for longer than the threshold. One such request is enough where nothing is known;
    /// a key whose samples say short needs as many as would carry its window if they ended now,
    /// so that one outlier of a short operation does not make it long.
    pub(super) fn verdict(&mut self, now: Instant, gauge: Gauge<'_>) -> Option<Verdict> {
        let promoted = Verdict {
            class: Class::Long,
            basis: Basis::Promoted,
        };
        if self.estimate.count < u64::from(gauge.rules.min_samples.max(1)) {
            self.promoted = self.promoted || self.overdue(1, now, gauge);
            return self.promoted.then_some(promoted);
        }
        let long = self.estimate.is_long(gauge);
        if !long && self.overdue(gauge.rules.window / 2 + 1, now, gauge) {
            return Some(promoted);
        }
        Some(Verdict {
            class: if long { Class::Long } else { Class::Short },
            basis: Basis::Learned {
                score: Duration::from_nanos(self.estimate.score() as u64),
                samples: self.estimate.rests_on(gauge.rules.score),
            },
        })
    }

    /// The class that its samples say, once they are enough.
    pub(super) fn learned(&self, rules: &LearnRules) -> Option<Class> {
        let enough = self.estimate.count >= u64::from(rules.min_samples.max(1));
        enough.then(|| self.estimate.class())
    }

    /// Have so many requests been running for the threshold or longer?
    fn overdue(&self, many: usize, now: Instant, gauge: Gauge<'_>) -> bool {
        let threshold = Duration::from_nanos(gauge.threshold);
        self.running
            .iter()
            .nth(many - 1)
            .is_some_and(|(start, _)| now.saturating_duration_since(*start) >= threshold)
    }

    /// How many requests run under this key now.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }
}

/// A request that runs. It ends when this is dropped, whatever the reason.
#[derive(Debug)]
#[must_use = "the request counts as running only as long as this lives"]
pub struct Running {
    place: Option<(Arc<Entry>, (Instant, u64))>,
    /// What another classifier watches of the same request.
    beside: Option<Box<Running>>,
}

impl Running {
    /// For classifiers that do not watch running requests.
    pub const fn unwatched() -> Self {
        Self {
            place: None,
            beside: None,
        }
    }

    /// Ends together with another.
    pub(super) fn beside(mut self, other: Self) -> Self {
        if other.place.is_some() {
            self.beside = Some(Box::new(other));
        }
        self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((entry, ticket)) = &self.place {
            entry.state.lock().running.remove(ticket);
        }
    }
}
