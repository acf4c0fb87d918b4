//! For how long is a client's body waited for?

use crate::admit::wire::{Fault, Pace, PaceRules};
use crate::model::clock;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// Patience with one request's body. The alarm is made only when a body has to be waited for, and
/// rings too early rather than being set anew with each piece.
#[derive(Debug, Default)]
pub(super) struct Patience {
    rules: Option<PaceRules>,
    pace: Pace,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(rules: PaceRules) -> Self {
        Self {
            rules: Some(rules),
            pace: Pace::default(),
            alarm: None,
        }
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.pace.received(bytes, clock::now());
    }

    /// Ready when it took too long.
    pub(super) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let Some(rules) = &self.rules else {
            return Poll::Pending;
        };
        loop {
            let due = match self.pace.waits(rules, clock::now()) {
                Err(fault) => return Poll::Ready(fault),
                Ok(None) => return Poll::Pending,
                Ok(Some(due)) => Instant::from_std(due),
            };
            let alarm = match &mut self.alarm {
                Some(alarm) => alarm,
                none => none.insert(Box::pin(sleep_until(due))),
            };
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            alarm.as_mut().reset(due);
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
