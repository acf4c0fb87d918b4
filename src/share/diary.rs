//! What did we learn ourselves, in numbers that may be told twice?
//!
//! For each operation: how many samples this gateway ever took, and the latest of them. Both are
//! absolute, so that telling them again, or later, or in another order, changes nothing.

use super::letter::Entry;
use super::{Learned, Record};
use crate::model::Operation;
use lru::LruCache;
use std::collections::VecDeque;
use std::num::NonZeroUsize;

/// What is ours alone to tell.
#[derive(Debug)]
pub(super) struct Diary {
    gateway: String,
    pages: LruCache<String, Page>,
    /// Counts begin anew under another name when a page was lost, or when the fleet has given what
    /// we once told to those who are gone.
    life: u64,
}

#[derive(Clone, Debug)]
struct Page {
    operation: Operation,
    life: u64,
    total: u64,
    /// So many the fleet is known to have.
    told: u64,
    long: bool,
    latest: VecDeque<u64>,
}

/// Which samples of a letter are known to have arrived, once it is answered.
pub(super) type Sent = Vec<(String, u64, u64)>;

impl Diary {
    pub(super) fn new(gateway: &str, most: NonZeroUsize) -> Self {
        Self {
            gateway: gateway.to_owned(),
            pages: LruCache::new(most),
            life: 0,
        }
    }

    /// Writes down what was learned here.
    pub(super) fn note(&mut self, learned: Learned) {
        let key = learned.operation.as_str();
        if !self.pages.contains(key) {
            self.turn_to(learned.operation.clone());
        }
        let Some(page) = self.pages.get_mut(learned.operation.as_str()) else {
            return;
        };
        page.total = page.total.saturating_add(learned.samples.len() as u64);
        page.long = learned.long;
        page.latest.extend(learned.samples);
        let over = page.latest.len().saturating_sub(Record::LATEST);
        page.latest.drain(..over);
    }

    fn turn_to(&mut self, operation: Operation) {
        let page = Page {
            life: self.life,
            total: 0,
            told: 0,
            long: false,
            latest: VecDeque::new(),
            operation: operation.clone(),
        };
        // `push` gives the page that had to go.
        if self
            .pages
            .push(operation.as_str().to_owned(), page)
            .is_some()
        {
            self.life += 1;
        }
    }

    /// What the fleet does not have yet, at most so many operations, those that wait longest first.
    pub(super) fn untold(&self, most: usize) -> (Vec<Entry>, Sent) {
        let waiting = self.pages.iter().rev();
        let waiting = waiting.filter(|(_, page)| page.told < page.total);
        waiting
            .take(most)
            .map(|(key, page)| {
                let sent = (key.clone(), page.life, page.total);
                (page.entry(&self.gateway), sent)
            })
            .unzip()
    }

    /// The fleet has these.
    pub(super) fn told(&mut self, sent: &Sent) {
        for (key, life, total) in sent {
            if let Some(page) = self.pages.peek_mut(key).filter(|page| page.life == *life) {
                page.told = page.told.max(*total);
            }
        }
    }

    /// The fleet has lost everything: all is told again.
    pub(super) fn tell_again(&mut self) {
        self.pages.iter_mut().for_each(|(_, page)| page.told = 0);
    }

    /// The fleet took us for gone and counts what we told as the past's: from here on, and under
    /// another name, only what it is not known to have heard is ours.
    pub(super) fn begin_anew(&mut self, gateway: &str) {
        self.gateway = gateway.to_owned();
        self.life += 1;
        for (_, page) in self.pages.iter_mut() {
            page.life = self.life;
            page.total -= page.told;
            page.told = 0;
            let fresh = usize::try_from(page.total).unwrap_or(usize::MAX);
            let old = page.latest.len().saturating_sub(fresh);
            page.latest.drain(..old);
        }
    }

    /// Under which name the samples of an operation count, and how many there are.
    pub(super) fn own(&self, key: &str) -> (String, u64) {
        let (life, total) = self
            .pages
            .peek(key)
            .map_or((self.life, 0), |page| (page.life, page.total));
        (origin(&self.gateway, life), total)
    }
}

impl Page {
    fn entry(&self, gateway: &str) -> Entry {
        Entry {
            key: self.operation.as_str().to_owned(),
            ends: self.operation.ends().to_vec(),
            origin: origin(gateway, self.life),
            total: self.total,
            long: self.long,
            samples: self.latest.iter().copied().collect(),
        }
    }
}

/// The name under which a gateway's samples are counted.
fn origin(gateway: &str, life: u64) -> String {
    match life {
        0 => gateway.to_owned(),
        life => format!("{gateway}.{life}"),
    }
}

/// Whose samples are counted under this name, whatever it was called then?
pub(super) fn gateway_of(origin: &str) -> &str {
    origin.split(['.', '~']).next().unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diary(most: usize) -> Diary {
        Diary::new("a", NonZeroUsize::new(most).unwrap())
    }

    fn learned(key: &str, samples: &[u64]) -> Learned {
        Learned {
            operation: Operation::new(key),
            samples: samples.to_vec(),
            long: false,
        }
    }

    #[test]
    fn what_was_told_is_told_again_only_when_it_was_lost() {
        let mut diary = diary(8);
        diary.note(learned("x", &[1, 2]));
        let (entries, sent) = diary.untold(9);
        assert_eq!(
            (entries[0].total, &entries[0].samples[..]),
            (2, &[1, 2][..])
        );
        diary.note(learned("x", &[3]));
        diary.told(&sent);
        let (entries, sent) = diary.untold(9);
        assert_eq!((entries[0].total, entries[0].samples.len()), (3, 3));
        diary.told(&sent);
        assert!(diary.untold(9).0.is_empty());
        diary.tell_again();
        assert_eq!(diary.untold(9).0[0].total, 3);
    }

    #[test]
    fn a_new_life_counts_only_what_nobody_has_heard() {
        let mut diary = diary(8);
        diary.note(learned("x", &[1, 2]));
        let (_, sent) = diary.untold(9);
        diary.told(&sent);
        diary.note(learned("x", &[3]));
        diary.begin_anew("a~1");
        let (entries, _) = diary.untold(9);
        assert_eq!(entries[0].origin, "a~1.1");
        assert_eq!((entries[0].total, &entries[0].samples[..]), (1, &[3][..]));
        diary.told(&sent);
        assert_eq!(
            diary.untold(9).0.len(),
            1,
            "an answer to the old life says nothing"
        );
    }

    #[test]
    fn a_page_that_was_lost_comes_back_under_another_name() {
        let mut diary = diary(1);
        diary.note(learned("x", &[1, 2]));
        diary.note(learned("y", &[1]));
        diary.note(learned("x", &[1]));
        assert_eq!(diary.own("x"), ("a.1".to_owned(), 1));
        assert_eq!(diary.untold(9).0[0].origin, "a.1");
        assert_eq!(gateway_of("a~1.2"), "a");
    }

    #[test]
    fn the_latest_are_bounded_and_the_total_is_not() {
        let mut diary = diary(1);
        let many: Vec<u64> = (0..1000).collect();
        diary.note(learned("x", &many));
        let entry = diary.untold(1).0.remove(0);
        assert_eq!(entry.total, 1000);
        assert_eq!(entry.samples, many[1000 - Record::LATEST..]);
    }
}
