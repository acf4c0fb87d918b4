//! How is the cheapest of all candidates found? By looking at each, ties broken by chance.

use super::{Choice, Preview, Why};
use crate::model::Dice;
use crate::nodes::{Candidates, Node};

/// The candidate with the lowest score, for the share that it takes now. Equal scores are equally likely, whatever their order:
/// else the first node of the file would carry every idle moment.
pub(super) fn cheapest(
    among: &Candidates<'_>,
    dice: &mut Dice,
    score: impl Fn(&Node) -> f64,
) -> Choice {
    if among.len() == 1 {
        return Choice {
            at: 0,
            why: Why::OnlyCandidate,
        };
    }
    let mut best = (0, f64::INFINITY);
    let mut equals = 1u32;
    for (at, node) in among.iter().enumerate() {
        let score = score(node) / among.share(node);
        if score < best.1 {
            best = (at, score);
            equals = 1;
        } else if score <= best.1 {
            equals += 1;
            if dice.u32(..equals) == 0 {
                best.0 = at;
            }
        }
    }
    Choice {
        at: best.0,
        why: Why::LeastLoaded,
    }
}

/// The same choice, with what was compared.
pub(super) fn preview(
    among: &Candidates<'_>,
    dice: &mut Dice,
    score: impl Fn(&Node) -> f64,
) -> Preview {
    Preview {
        scores: among
            .iter()
            .map(|node| score(node) / among.share(node))
            .collect(),
        choice: cheapest(among, dice, score),
    }
}
