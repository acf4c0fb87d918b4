//! What if a strategy fails? Then round robin chooses, and the failure is counted.

use super::round_robin::RoundRobin;
use super::{Choice, Ended, Insight, Preview, Strategy, Turns, Why};
use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};
use crate::observe::StrategyFailures;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A strategy that cannot fail: one that names a candidate that does not exist, or panics, is
/// replaced by round robin for that request. Strategies may come from outside; a request must not
/// pay for their faults.
#[derive(Debug)]
pub struct Guarded {
    inner: Arc<dyn Strategy>,
    fallback: RoundRobin,
    failures: StrategyFailures,
}

impl Guarded {
    /// Guards a strategy; its failures are counted.
    #[must_use]
    pub fn new(inner: Arc<dyn Strategy>, failures: StrategyFailures) -> Self {
        Self {
            inner,
            fallback: RoundRobin::default(),
            failures,
        }
    }
}

impl Strategy for Guarded {
    fn choose(&self, request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let chosen = catch_unwind(AssertUnwindSafe(|| self.inner.choose(request, among, dice)));
        match chosen {
            Ok(choice) if choice.at < among.len() => choice,
            _ => {
                self.failures.count();
                Choice {
                    at: self.fallback.turn(request.class, among.len()),
                    why: Why::Fallback,
                }
            }
        }
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        let said = catch_unwind(AssertUnwindSafe(|| {
            self.inner.preview(request, among, dice)
        }));
        let sound = |said: &Preview| {
            said.choice.at < among.len() && [0, among.len()].contains(&said.scores.len())
        };
        said.ok().flatten().filter(sound)
    }

    fn ended(&self, end: &Ended<'_>) {
        // What it has not learned is its own loss; the request has its answer.
        if catch_unwind(AssertUnwindSafe(|| self.inner.ended(end))).is_err() {
            self.failures.count();
        }
    }

    fn insight(&self) -> Insight {
        catch_unwind(AssertUnwindSafe(|| self.inner.insight())).unwrap_or_else(|_panic| {
            self.failures.count();
            Insight::default()
        })
    }

    fn members(&self, nodes: &[Arc<Node>]) {
        if catch_unwind(AssertUnwindSafe(|| self.inner.members(nodes))).is_err() {
            self.failures.count();
        }
    }

    fn turns(&self) -> Option<&Turns> {
        self.inner.turns()
    }
}
