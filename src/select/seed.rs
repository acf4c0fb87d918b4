//! Seed 000's rule to the letter, for comparison.
//!
//! One node takes everything. Of two, the main node takes short requests and the other long ones,
//! unless it is busy (see [`TwoNodes`]). Of three or more, the main node takes every short request
//! and the others take long ones in turn. The main node is the pool's primary, else its first
//! candidate, so that the next one steps in when it fails. Busy means at least one live lease;
//! the seed's flags are wrong as soon as two requests overlap.
//!
//! When not: in production. It is unstable once one class needs more than its fixed share of the
//! nodes (`benches/README.md` has the figures).

use super::round_robin::RoundRobin;
use super::{Choice, Preview, Strategy, Why};
use crate::config::TwoNodes;
use crate::model::{Class, Dice, Request, Role};
use crate::nodes::{Candidates, Node};

/// See the module.
#[derive(Debug)]
pub(super) struct Seed {
    two_nodes: TwoNodes,
    turns: RoundRobin,
}

impl Seed {
    pub(super) fn new(two_nodes: TwoNodes) -> Self {
        Self {
            two_nodes,
            turns: RoundRobin::default(),
        }
    }

    /// Whether a long request goes to the main node of two.
    fn long_stays(&self, main: &Node, other: &Node) -> bool {
        let idle = |node: &Node| node.load() == 0;
        let busy_with_long = other.in_flight(Class::Long) > 0;
        match self.two_nodes {
            TwoNodes::Diagram if busy_with_long => false,
            TwoNodes::Diagram | TwoNodes::Prose => !idle(other) && idle(main),
        }
    }
}

impl Seed {
    /// `turn` says whose turn it is among so many.
    fn decide(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        turn: impl FnOnce(usize) -> usize,
    ) -> Choice {
        let main = among
            .iter()
            .position(|node| node.role() == Role::Primary)
            .unwrap_or(0);
        let to_main = |why| Choice { at: main, why };
        match (among.len(), request.class) {
            (1, _) => to_main(Why::OnlyCandidate),
            (_, Class::Short) => to_main(Why::Main),
            (2, Class::Long) => {
                let other = 1 - main;
                match (among.get(main), among.get(other)) {
                    (Some(first), Some(second)) if self.long_stays(first, second) => {
                        to_main(Why::Overflow)
                    }
                    _ => Choice {
                        at: other,
                        why: Why::Turn,
                    },
                }
            }
            (count, Class::Long) => {
                let turn = turn(count - 1);
                Choice {
                    at: if turn < main { turn } else { turn + 1 },
                    why: Why::Turn,
                }
            }
        }
    }
}

impl Strategy for Seed {
    fn choose(&self, request: &Request, among: &Candidates<'_>, _dice: &mut Dice) -> Choice {
        self.decide(request, among, |count| self.turns.turn(Class::Long, count))
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        _dice: &mut Dice,
    ) -> Option<Preview> {
        let next = |count| self.turns.next(Class::Long, count);
        Some(Preview {
            choice: self.decide(request, among, next),
            scores: Vec::new(),
        })
    }
}
