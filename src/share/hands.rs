//! What did operators wish for nodes, and who knows it already?

use super::letter::{Answer, Letter};
use super::report::Wish;
use std::collections::{BTreeMap, VecDeque};

/// Wishes that wait for a fleet; an operator who wishes more has forgotten the first.
const WISHES: usize = 1024;

/// Wishes of our own that are under way, and the fleet's states of nodes.
#[derive(Debug, Default)]
pub(super) struct Hands {
    wishes: VecDeque<(u64, Wish)>,
    wished: u64,
    /// The states of nodes that operators wished, with their versions.
    known: BTreeMap<String, (u64, String)>,
    restore: bool,
}

impl Hands {
    pub(super) fn wish(&mut self, wish: Wish) {
        self.wished += 1;
        self.wishes.push_back((self.wished, wish));
        if self.wishes.len() > WISHES {
            self.wishes.pop_front();
        }
    }

    /// The wishes that are under way, as a letter has them.
    pub(super) fn under_way(&self) -> Vec<(u64, String, String)> {
        let wishes = self.wishes.iter();
        wishes
            .map(|(n, wish)| (*n, wish.node.to_string(), wish.hand.clone()))
            .collect()
    }

    /// What a fleet that has lost it is told.
    pub(super) fn restored(&self) -> Vec<(String, String, u64)> {
        let hands = self.known.iter().filter(|_| self.restore);
        hands
            .map(|(node, (version, hand))| (node.clone(), hand.clone(), *version))
            .collect()
    }

    /// Reads an answer that took nothing of its letter.
    pub(super) fn read(&mut self, answer: &Answer) -> Vec<Wish> {
        self.fresh(answer, &[])
    }

    /// Reads the answer to a letter that has arrived; what of it is new to us.
    pub(super) fn arrived(&mut self, letter: &Letter, answer: &Answer) -> Vec<Wish> {
        self.restore = self.has_lost(answer);
        let last = letter.wishes.last().map_or(0, |(n, _, _)| *n);
        let under_way = self.wishes.partition_point(|(n, _)| *n <= last);
        let arrived: Vec<_> = self.wishes.drain(..under_way).map(|(_, it)| it).collect();
        let new = self.fresh(answer, &arrived);
        for wish in arrived {
            // It was counted and then lost, before anybody else had heard of it.
            if !answer
                .hands
                .iter()
                .any(|(node, _, _)| *node == *wish.node.as_str())
            {
                self.wish(wish);
            }
        }
        new
    }

    /// Of `arrived` wishes of our own it is told what has become of them: the last word may have
    /// come, unsaid, while they were under way.
    fn fresh(&mut self, answer: &Answer, arrived: &[Wish]) -> Vec<Wish> {
        let known = |wish: &Wish| {
            let (_, hand) = self.known.get(wish.node.as_str())?;
            let (node, hand) = (wish.node.clone(), hand.clone());
            Some(Wish { node, hand })
        };
        let mut new: Vec<_> = arrived.iter().filter_map(known).collect();
        for (node, version, hand) in &answer.hands {
            // A state that was lost may have given one number twice: then the word decides, for all
            // alike.
            let told = (*version, hand.clone());
            if self.known.get(node).is_none_or(|known| *known < told) {
                self.known.insert(node.clone(), told);
                new.push(Wish {
                    node: node.as_str().into(),
                    hand: hand.clone(),
                });
            }
        }
        // A wish of our own that is under way stands until it has arrived.
        new.retain(|wish| !self.wishes.iter().any(|(_, own)| own.node == wish.node));
        new
    }

    /// Does the fleet not know any more what we do?
    fn has_lost(&self, answer: &Answer) -> bool {
        self.known.iter().any(|(node, (version, hand))| {
            let mut told = answer.hands.iter();
            let has = |(told, word): (&u64, &String)| (told, word) >= (version, hand);
            !told.any(|(named, told, word)| named == node && has((told, word)))
        })
    }
}
