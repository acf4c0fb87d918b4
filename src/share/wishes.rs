//! What did operators wish, and who knows it already?

use super::letter::{Answer, Letter};
use super::report::{About, Wish};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Wishes that wait for a fleet; an operator who wishes more has forgotten the first.
const WAITING: usize = 1024;
/// Pins that were taken away are remembered among so many wishes, and not among more.
const KNOWN: usize = 8192;

/// One wish as the fleet keeps it: what about, its version, the word.
type Told = (About, u64, String);

/// Wishes of our own that are under way, and all that the fleet's operators wished.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    waiting: VecDeque<(u64, Wish)>,
    wished: u64,
    /// What was wished last, with its version.
    known: BTreeMap<About, (u64, String)>,
    restore: bool,
    /// All that the fleet told, and its digest.
    heard: (String, Vec<Told>),
}

impl Wishes {
    pub(super) fn wish(&mut self, wish: Wish) {
        self.wished += 1;
        self.waiting.push_back((self.wished, wish));
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
    }

    /// What was wished before we started, as we remember it: whatever the fleet knows is newer.
    pub(super) fn remember(&mut self, wish: Wish) {
        self.known.entry(wish.about).or_insert((0, wish.word));
    }

    /// The wishes that are under way, as a letter has them.
    pub(super) fn under_way(&self) -> Vec<(u64, About, String)> {
        let waiting = self.waiting.iter();
        waiting
            .map(|(n, wish)| (*n, wish.about.clone(), wish.word.clone()))
            .collect()
    }

    /// What a fleet that has lost it is told.
    pub(super) fn restored(&self) -> Vec<(About, String, u64)> {
        let known = self.known.iter().filter(|_| self.restore);
        known
            .map(|(about, (version, word))| (about.clone(), word.clone(), *version))
            .collect()
    }

    /// The digest of what the fleet has told us.
    pub(super) fn heard(&self) -> String {
        self.heard.0.clone()
    }

    /// Reads an answer that took nothing of its letter.
    pub(super) fn read(&mut self, letter: &Letter, answer: &Answer) -> Vec<Wish> {
        self.hear(letter, answer);
        self.fresh(&[])
    }

    /// Reads the answer to a letter that has arrived; what of it is new to us.
    pub(super) fn arrived(&mut self, letter: &Letter, answer: &Answer) -> Vec<Wish> {
        self.hear(letter, answer);
        self.restore = self.has_lost();
        let last = letter.wishes.last().map_or(0, |(n, _, _)| *n);
        let under_way = self.waiting.partition_point(|(n, _)| *n <= last);
        let arrived: Vec<_> = self.waiting.drain(..under_way).map(|(_, it)| it).collect();
        let new = self.fresh(&arrived);
        for wish in arrived {
            // It was counted and then lost, before anybody else had heard of it.
            if !self.heard.1.iter().any(|(about, ..)| *about == wish.about) {
                self.wish(wish);
            }
        }
        new
    }

    /// Keeps what is told. The same digest as in the letter: what was told before.
    fn hear(&mut self, letter: &Letter, answer: &Answer) {
        if letter.heard.is_empty() || answer.digest != letter.heard {
            self.heard = (answer.digest.clone(), answer.wishes.clone());
        }
    }

    /// Of `arrived` wishes of our own it is told what has become of them: the last word may have
    /// come, unsaid, while they were under way.
    fn fresh(&mut self, arrived: &[Wish]) -> Vec<Wish> {
        let known = |wish: &Wish| {
            let (_, word) = self.known.get(&wish.about)?;
            let (about, word) = (wish.about.clone(), word.clone());
            Some(Wish { about, word })
        };
        let mut new: Vec<_> = arrived.iter().filter_map(known).collect();
        for (about, version, word) in &self.heard.1 {
            // A state that was lost may have given one number twice: then the word decides, for all
            // alike.
            let told = (*version, word.clone());
            if self.known.get(about).is_none_or(|known| *known < told) {
                self.known.insert(about.clone(), told);
                let (about, word) = (about.clone(), word.clone());
                new.push(Wish { about, word });
            }
        }
        if self.known.len() > KNOWN {
            let told: BTreeSet<_> = self.heard.1.iter().map(|(about, ..)| about).collect();
            self.known
                .retain(|about, (_, word)| word != Wish::NONE || told.contains(about));
        }
        // A wish of our own that is under way stands until it has arrived.
        new.retain(|wish| !self.waiting.iter().any(|(_, own)| own.about == wish.about));
        new
    }

    /// Does the fleet not know any more what we do? That a pin was taken away it may forget.
    fn has_lost(&self) -> bool {
        let told: BTreeMap<_, _> = self
            .heard
            .1
            .iter()
            .map(|(about, version, word)| (about, (version, word)))
            .collect();
        self.known.iter().any(|(about, (version, word))| {
            let told = told.get(about);
            told.map_or(word != Wish::NONE, |told| *told < (version, word))
        })
    }
}
