//! What would another strategy have done? It is asked beside the one that decides, and only
//! watched.

use super::{Choice, Ended, Guarded, Insight, Preview, Strategy, Turns, Why};
use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};
use crate::observe::StrategyFailures;
use std::sync::Arc;

/// A strategy and its shadow, both guarded.
#[derive(Debug)]
pub struct Shadowed {
    decides: Guarded,
    shadow: Option<Guarded>,
}

/// Other dice than those of the strategy that decides: a shadow that rolled the same would agree
/// with it wherever both leave it to chance.
const OTHER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Shadowed {
    /// Guards a strategy, and the one that is to be watched beside it; the failures of both are
    /// counted. The two must not share what they keep, not even on the nodes: they are of
    /// different kinds.
    #[must_use]
    pub fn new(
        decides: Arc<dyn Strategy>,
        shadow: Option<Arc<dyn Strategy>>,
        failures: &StrategyFailures,
    ) -> Self {
        let guarded = |strategy| Guarded::new(strategy, failures.clone());
        Self {
            decides: guarded(decides),
            shadow: shadow.map(guarded),
        }
    }

    /// The strategy that is only watched.
    #[must_use]
    pub fn shadow(&self) -> Option<&dyn Strategy> {
        self.shadow.as_ref().map(|shadow| shadow as &dyn Strategy)
    }

    /// What the shadow would choose in place of what was chosen with this luck; none without a
    /// shadow, and when it fails.
    #[must_use]
    pub fn beside(&self, request: &Request, among: &Candidates<'_>, luck: u64) -> Option<usize> {
        let shadow = self.shadow.as_ref()?;
        let choice = shadow.choose(request, among, &mut Dice::with_seed(luck ^ OTHER));
        // What round robin chose in its place says nothing about it.
        (choice.why != Why::Fallback).then_some(choice.at)
    }
}

impl Strategy for Shadowed {
    fn choose(&self, request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        self.decides.choose(request, among, dice)
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        self.decides.preview(request, among, dice)
    }

    fn ended(&self, end: &Ended<'_>) {
        self.decides.ended(end);
        if let Some(shadow) = &self.shadow {
            // What others did to a node teaches it too.
            shadow.ended(end);
        }
    }

    fn insight(&self) -> Insight {
        self.decides.insight()
    }

    fn members(&self, nodes: &[Arc<Node>]) {
        self.decides.members(nodes);
        if let Some(shadow) = &self.shadow {
            shadow.members(nodes);
        }
    }

    fn turns(&self) -> Option<&Turns> {
        self.decides.turns()
    }
}
