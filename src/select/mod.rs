//! Who takes it?
//!
//! Whether a node may be used at all was settled before, by [`crate::nodes::screen`]; a
//! [`Strategy`] only prefers. Each strategy is one file; [`TABLE`] is the only list of them.

mod adaptive;
mod consistent_hash;
mod ended;
mod first;
mod guard;
mod hindrance;
mod insight;
mod lanes;
mod leads;
mod least_in_flight;
mod peak_ewma;
mod preview;
mod random;
mod ring;
mod round_robin;
mod scan;
mod seed;
mod shadow;
mod table;
mod turns;
mod two_choices;
mod weighted_round_robin;
mod why;

pub use ended::{Ended, settle};
pub use guard::Guarded;
pub use insight::Insight;
pub use preview::Preview;
pub use shadow::Shadowed;
pub use table::{Row, TABLE, WORDS, build, least_loaded};
pub use turns::Turns;
pub use why::{Choice, Why};

use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};
use std::fmt;
use std::sync::Arc;

/// A rule for choosing one node among those that may serve a request.
///
/// ```
/// use twolane::{model::{Dice, Request}, nodes::Candidates, select::{Choice, Strategy, Why}};
///
/// /// Always the last node: an example, not advice.
/// #[derive(Debug)]
/// struct AlwaysLast;
///
/// impl Strategy for AlwaysLast {
///     fn choose(&self, _request: &Request, among: &Candidates<'_>, _dice: &mut Dice) -> Choice {
///         Choice { at: among.len() - 1, why: Why::Custom }
///     }
/// }
/// ```
pub trait Strategy: fmt::Debug + Send + Sync {
    /// Chooses one of the candidates, and says why.
    fn choose(&self, request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice;

    /// What [`Strategy::choose`] would say now, changing nothing, for `explain`; `None` when that
    /// cannot be said. Who keeps nothing between choices answers [`Preview::of_stateless`].
    fn preview(
        &self,
        _request: &Request,
        _among: &Candidates<'_>,
        _dice: &mut Dice,
    ) -> Option<Preview> {
        None
    }

    /// An attempt that was chosen by this strategy ended: see [`settle`].
    fn ended(&self, _end: &Ended<'_>) {}

    /// What the operator may see of what it has found out.
    fn insight(&self) -> Insight {
        Insight::default()
    }

    /// Who is in its pool from now on, in the order of the pool: told before the first choice among
    /// them, and again when a node comes, goes or changes its weight. For what is expensive to make.
    fn members(&self, _nodes: &[Arc<Node>]) {}

    /// Its turns, if it has any: gateways that share a round take them in blocks.
    fn turns(&self) -> Option<&Turns> {
        None
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;
