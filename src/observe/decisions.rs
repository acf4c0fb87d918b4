//! What was decided lately? The last choices of nodes, for whoever asks about one request.

use crate::model::{NodeId, RequestId, Verdict};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// One attempt's choice. No body, no query, no key: an operation is made of names that pages show
/// anyway.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whose it was.
    pub request: RequestId,
    /// When.
    pub at: Instant,
    /// 1 for the first attempt.
    pub attempt: u8,
    /// The pool.
    pub pool: Arc<str>,
    /// What was asked, cut to what fits.
    pub operation: Brief,
    /// The class and its ground.
    pub verdict: Verdict,
    /// The node; none when no node may serve.
    pub node: Option<NodeId>,
    /// The reason.
    pub why: &'static str,
    /// What the pool's shadow would have chosen, if it has one and it had a choice.
    pub shadow: Option<NodeId>,
}

/// The first 40 bytes of a text.
#[derive(Clone, Copy, Debug)]
pub struct Brief {
    length: u8,
    bytes: [u8; Self::LONGEST],
}

impl Brief {
    const LONGEST: usize = 40;

    /// Cuts a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let end = (0..=text.len().min(Self::LONGEST))
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        let mut bytes = [0; Self::LONGEST];
        bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        Self {
            length: u8::try_from(end).unwrap_or(0),
            bytes,
        }
    }

    /// What is left of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It was cut between two characters.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

type Slot = Mutex<Option<Decision>>;

/// What one of them takes.
const _: () = assert!(
    size_of::<Slot>() <= 256,
    "a decision takes a quarter of a KiB"
);

/// The last so many decisions. A writer takes the next slot and holds its lock while it copies;
/// two meet only when one is a whole round ahead.
#[derive(Debug, Default)]
pub struct Decisions {
    ring: ArcSwap<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    slots: Box<[Slot]>,
    next: AtomicU64,
}

impl Ring {
    fn new(room: usize) -> Self {
        Self {
            slots: (0..room).map(|_| Mutex::new(None)).collect(),
            next: AtomicU64::new(0),
        }
    }

    fn push(&self, decision: Decision) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let at = turn % self.slots.len() as u64;
        // What was there is dropped when the lock is not held any more.
        let _old = self.slots[at as usize].lock().replace(decision);
    }

    /// The newest first.
    fn iter(&self) -> impl Iterator<Item = Decision> {
        let (room, next) = (self.slots.len(), self.next.load(Ordering::Relaxed));
        (0..room as u64).filter_map(move |back| {
            let turn = next.checked_sub(back + 1)?;
            self.slots[(turn % room as u64) as usize].lock().clone()
        })
    }
}

impl Decisions {
    /// Keeps so many from now on; the newest of those that were kept stay.
    pub fn resize(&self, room: usize) {
        let old = self.ring.load();
        if old.slots.len() == room {
            return;
        }
        let ring = Ring::new(room);
        let kept: Vec<_> = old.iter().take(room).collect();
        kept.into_iter().rev().for_each(|kept| ring.push(kept));
        self.ring.store(Arc::new(ring));
    }

    /// Whether any are kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.ring.load().slots.is_empty()
    }

    /// Notes one, where any are kept; otherwise it is not even made.
    pub fn note(&self, decision: impl FnOnce() -> Decision) {
        let ring = self.ring.load();
        if !ring.slots.is_empty() {
            ring.push(decision());
        }
    }

    /// At most `limit` of them, the newest first.
    #[must_use]
    pub fn last(&self, limit: usize) -> Vec<Decision> {
        self.ring.load().iter().take(limit).collect()
    }

    /// All that are left of one request, its first attempt first.
    #[must_use]
    pub fn of(&self, request: &str) -> Vec<Decision> {
        let ring = self.ring.load();
        let mut found: Vec<_> = ring
            .iter()
            .filter(|decision| decision.request.to_string() == request)
            .collect();
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Basis, Class, clock};

    fn decision(number: u64) -> Decision {
        Decision {
            request: RequestId::Own { gateway: 1, number },
            at: clock::now(),
            attempt: 1,
            pool: "main".into(),
            operation: Brief::new("tool/invoke|a/b"),
            verdict: Verdict {
                class: Class::Short,
                basis: Basis::Prior,
            },
            node: Some("n1".into()),
            why: "turn",
            shadow: None,
        }
    }

    fn numbers(kept: &[Decision]) -> Vec<String> {
        kept.iter().map(|kept| kept.request.to_string()).collect()
    }

    #[test]
    fn the_last_ones_are_kept_and_found_by_their_request() {
        let decisions = Decisions::default();
        decisions.note(|| unreachable!("nothing is kept yet"));
        assert!(!decisions.is_on());
        decisions.resize(3);
        (1..=5).for_each(|n| decisions.note(|| decision(n)));
        let last = numbers(&decisions.last(9));
        assert_eq!(last, ["00000001-5", "00000001-4", "00000001-3"]);
        assert_eq!(decisions.last(1).len(), 1);
        assert_eq!(decisions.of("00000001-4").len(), 1);
        assert!(decisions.of("00000001-2").is_empty(), "it made room");
        decisions.note(|| Decision {
            attempt: 2,
            ..decision(5)
        });
        let attempts: Vec<_> = decisions
            .of("00000001-5")
            .iter()
            .map(|kept| kept.attempt)
            .collect();
        assert_eq!(attempts, [1, 2]);
    }

    #[test]
    fn another_size_keeps_the_newest() {
        let decisions = Decisions::default();
        decisions.resize(4);
        (1..=4).for_each(|n| decisions.note(|| decision(n)));
        decisions.resize(2);
        assert_eq!(
            numbers(&decisions.last(9)),
            ["00000001-4", "00000001-3"],
            "the older ones are gone"
        );
        decisions.resize(3);
        decisions.note(|| decision(5));
        assert_eq!(decisions.last(9).len(), 3);
        decisions.resize(0);
        assert!(decisions.last(9).is_empty());
    }

    #[test]
    fn a_long_operation_is_cut_between_two_characters() {
        assert_eq!(Brief::new(&"ü".repeat(40)).as_str(), "ü".repeat(20));
        assert_eq!(Brief::new("short").as_str(), "short");
    }
}
