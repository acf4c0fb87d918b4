//! How is the cheapest candidate found? Strategies that score differ in what a node costs, and in
//! nothing else: who is looked at, what a growing share changes, and how ties end, is settled here.

use super::{Choice, Preview, Why};
use crate::model::Dice;
use crate::nodes::{Candidates, Node};
use smallvec::SmallVec;
use std::cell::RefCell;

/// So many candidates are all looked at. Of more, a few: in a pool of hundreds one of eight random
/// ones is nearly as good, and costs an eighth.
const ALL_UP_TO: usize = 64;
const SOME: usize = 8;

/// What a node costs by the requests on it, the newcomer among them.
pub(super) fn load(node: &Node) -> f64 {
    1.0 + f64::from(node.load())
}

/// How much of the work a node takes now: its weight, and less while it grows into it.
pub(super) fn part(among: &Candidates<'_>, node: &Node) -> f64 {
    f64::from(node.weight()) * among.share(node)
}

/// Which candidates are looked at: positions, each once.
pub(super) enum Field {
    All(usize),
    Some(SmallVec<[usize; SOME]>),
}

impl Field {
    /// All candidates, or a few at random of very many.
    pub(super) fn of(among: &Candidates<'_>, dice: &mut Dice) -> Self {
        match among.len() {
            count if count <= ALL_UP_TO => Self::All(count),
            count => Self::distinct(SOME, count, dice),
        }
    }

    /// So many distinct ones; all, where there are no more.
    pub(super) fn distinct(wanted: usize, count: usize, dice: &mut Dice) -> Self {
        if count <= wanted {
            return Self::All(count);
        }
        let mut chosen = SmallVec::new();
        while chosen.len() < wanted {
            let at = dice.usize(..count);
            if !chosen.contains(&at) {
                chosen.push(at);
            }
        }
        Self::Some(chosen)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(chosen) => chosen.len(),
        }
    }

    /// The positions and their nodes.
    pub(super) fn iter<'a>(
        &self,
        among: &Candidates<'a>,
    ) -> impl Iterator<Item = (usize, &'a Node)> {
        (0..self.len()).filter_map(move |n| {
            let at = match self {
                Self::All(_) => n,
                Self::Some(chosen) => chosen[n],
            };
            among.get(at).map(|node| (at, &**node))
        })
    }
}

/// The one with the lowest cost for the part of the work that it takes now. Equal costs are equally likely,
/// whatever their order: else the first node of the file would carry every idle moment.
pub(super) fn cheapest(
    among: &Candidates<'_>,
    field: &Field,
    dice: &mut Dice,
    cost: impl Fn(usize, &Node) -> f64,
) -> Choice {
    if among.len() == 1 {
        return Choice {
            at: 0,
            why: Why::OnlyCandidate,
        };
    }
    let mut best = (0, f64::INFINITY);
    let mut equals = 0u32;
    for (at, node) in field.iter(among) {
        let cost = cost(at, node) / part(among, node);
        if cost < best.1 || equals == 0 {
            best = (at, cost);
            equals = 1;
        } else if cost <= best.1 {
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

/// What a choice by cost compared, noted while it was made.
pub(super) struct Notes<'n, 'a> {
    among: &'n Candidates<'a>,
    scores: RefCell<Vec<Option<f64>>>,
}

impl<'n, 'a> Notes<'n, 'a> {
    pub(super) fn of(among: &'n Candidates<'a>) -> Self {
        Self {
            among,
            scores: RefCell::new(vec![None; among.len()]),
        }
    }

    /// Passes a cost on.
    pub(super) fn note(&self, at: usize, node: &Node, cost: f64) -> f64 {
        if cost.is_finite() {
            self.scores.borrow_mut()[at] = Some(cost / part(self.among, node));
        }
        cost
    }

    pub(super) fn preview(self, choice: Choice) -> Preview {
        Preview {
            choice,
            scores: self.scores.into_inner(),
        }
    }
}

/// [`cheapest`], with what was compared.
pub(super) fn preview(
    among: &Candidates<'_>,
    field: &Field,
    dice: &mut Dice,
    cost: impl Fn(usize, &Node) -> f64,
) -> Preview {
    let notes = Notes::of(among);
    let choice = cheapest(among, field, dice, |at, node| {
        notes.note(at, node, cost(at, node))
    });
    notes.preview(choice)
}
