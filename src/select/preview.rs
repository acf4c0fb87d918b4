//! What would a strategy choose, if it were asked now? Without changing anything.

use super::{Choice, Strategy};
use crate::model::{Dice, Request};
use crate::nodes::Candidates;

/// What a strategy would choose, and what it compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Its choice. Where scores are equal, the dice made it.
    pub choice: Choice,
    /// The score of each candidate, in their order; the lowest wins. None for one that was not
    /// looked at; empty for a strategy that compares none.
    pub scores: Vec<Option<f64>>,
}

impl Preview {
    /// Of a strategy that keeps nothing from one choice to the next: asking it changes nothing.
    #[must_use]
    pub fn of_stateless(
        strategy: &(impl Strategy + ?Sized),
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Self {
        Self {
            choice: strategy.choose(request, among, dice),
            scores: Vec::new(),
        }
    }

    /// The candidates that have the lowest score, if there are several: chance decides among them.
    #[must_use]
    pub fn equals(&self) -> Vec<usize> {
        let known = self.scores.iter().flatten();
        let least = known.copied().fold(f64::INFINITY, f64::min);
        let equals: Vec<_> = (0..self.scores.len())
            .filter(|&at| self.scores[at].is_some_and(|score| score <= least))
            .collect();
        if equals.len() > 1 { equals } else { Vec::new() }
    }
}
