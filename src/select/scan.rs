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

    /// Shows the positions and their nodes, one after the other.
    pub(super) fn each<'a>(&self, among: &Candidates<'a>, mut see: impl FnMut(usize, &'a Node)) {
        match self {
            // A look-up for each would cost as much as the choice.
            Self::All(_) => among.each(see),
            Self::Some(chosen) => {
                for &at in chosen {
                    if let Some(node) = among.get(at) {
                        see(at, node);
                    }
                }
            }
        }
    }

    /// The position of the one that was shown as the `n`th, from 0.
    fn position(&self, n: usize) -> usize {
        match self {
            Self::All(_) => n,
            Self::Some(chosen) => chosen[n],
        }
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
    cheapest_behind(among, field, dice, cost, |_| 0)
}

/// The same where of equals only those are equally likely that are furthest behind.
pub(super) fn cheapest_behind(
    among: &Candidates<'_>,
    field: &Field,
    dice: &mut Dice,
    cost: impl Fn(usize, &Node) -> f64,
    behind: impl Fn(&Node) -> u32,
) -> Choice {
    if among.len() == 1 {
        return Choice {
            at: 0,
            why: Why::OnlyCandidate,
        };
    }
    // On the stack, never spilled: `Field` shows no more.
    let mut costs = SmallVec::<[(f64, u32); ALL_UP_TO]>::new();
    let (mut best, mut equals) = ((f64::INFINITY, 0), 0u32);
    field.each(among, |at, node| {
        let it = (cost(at, node) / part(among, node), behind(node));
        costs.push(it);
        if it.0 < best.0 || (it.0 <= best.0 && it.1 > best.1) {
            (best, equals) = (it, 1);
        } else if it.0 <= best.0 && it.1 == best.1 {
            equals += 1;
        }
    });
    // One throw, whatever the number of equals.
    let mut left = if equals > 1 { dice.u32(..equals) } else { 0 };
    let chosen = costs.iter().position(|it| {
        let equal = it.0 <= best.0 && it.1 == best.1;
        let it = equal && left == 0;
        left = left.saturating_sub(u32::from(equal));
        it
    });
    Choice {
        at: field.position(chosen.unwrap_or(0)),
        why: Why::LeastLoaded,
    }
}

/// The cheapest so far, where costs are whole numbers. What they cost for a node's part of the work is
/// compared crosswise, so nothing is divided, and equals are bits: the `n`th that was shown is bit `n`.
pub(super) struct Best {
    cost: u64,
    weight: u64,
    behind: u32,
    equals: u64,
}

impl Best {
    /// Dearer than any: a cost for no part at all.
    pub(super) const NONE: Self = Self {
        cost: 1,
        weight: 0,
        behind: 0,
        equals: 0,
    };

    /// Looks at the `n`th of at most 64. Of equals, who is furthest behind.
    pub(super) fn offer(&mut self, n: u32, cost: u64, weight: u16, behind: u32) {
        let weight = u64::from(weight);
        let (this, least) = (cost * self.weight, self.cost * weight);
        if this < least || (this == least && behind > self.behind) {
            *self = Self {
                cost,
                weight,
                behind,
                equals: 1 << n,
            };
        } else if this == least && behind == self.behind {
            self.equals |= 1 << n;
        }
    }

    /// One of the equals, as [`cheapest`] does it.
    pub(super) fn choose(self, field: &Field, dice: &mut Dice) -> Choice {
        let mut equals = self.equals;
        if equals.count_ones() > 1 {
            for _ in 0..dice.u32(..equals.count_ones()) {
                equals &= equals - 1;
            }
        }
        Choice {
            at: field.position(equals.trailing_zeros() as usize),
            why: Why::LeastLoaded,
        }
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
