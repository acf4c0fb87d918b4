//! What do we know of the other gateways?

use crate::share::{Leader, Neighbour, News, ShareError, SharedState, Wish};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// How we stand to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    /// There is none.
    Alone = 0,
    /// There is one, and we have not reached it yet.
    Unknown = 1,
    /// The last exchange succeeded.
    Up = 2,
    /// It failed: we go on by ourselves.
    Down = 3,
}

impl Standing {
    /// The word on the status page.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alone => "disabled",
            Self::Unknown => "connecting",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The way to the other gateways, and what they last told.
#[derive(Debug)]
pub struct Fleet {
    /// The way there.
    pub state: Box<dyn SharedState>,
    ttl: Duration,
    heard: ArcSwap<Heard>,
    standing: AtomicU8,
    wishes: Mutex<Vec<Wish>>,
}

#[derive(Debug)]
struct Heard {
    at: Instant,
    others: Vec<Neighbour>,
    leader: Option<Leader>,
}

impl Fleet {
    /// A fleet of which nothing was heard yet. `ttl`: whoever said nothing for so long holds nothing.
    #[must_use]
    pub fn new(
        state: Box<dyn SharedState>,
        standing: Standing,
        ttl: Duration,
        now: Instant,
    ) -> Self {
        let heard = Heard {
            at: now,
            others: Vec::new(),
            leader: None,
        };
        Self {
            state,
            ttl,
            heard: ArcSwap::from_pointee(heard),
            standing: AtomicU8::new(standing as u8),
            wishes: Mutex::default(),
        }
    }

    /// Keeps what the fleet told.
    pub fn hear(&self, news: &News, now: Instant) {
        self.heard.store(Arc::new(Heard {
            at: now,
            others: news.others.clone(),
            leader: news.leader.clone(),
        }));
    }

    /// Notes whether the last exchange succeeded; true when that is a change.
    pub fn note(&self, result: Result<(), &ShareError>) -> bool {
        if self.standing() == Standing::Alone {
            return false;
        }
        let new = if result.is_ok() {
            Standing::Up
        } else {
            Standing::Down
        };
        self.standing.swap(new as u8, Ordering::Relaxed) != new as u8
    }

    /// How we stand to it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let all = [
            Standing::Alone,
            Standing::Unknown,
            Standing::Up,
            Standing::Down,
        ];
        all[usize::from(self.standing.load(Ordering::Relaxed)).min(all.len() - 1)]
    }

    /// The other gateways whose word still holds, with its age now.
    #[must_use]
    pub fn others(&self, now: Instant) -> Vec<Neighbour> {
        let heard = self.heard.load();
        let since = now.saturating_duration_since(heard.at);
        let others = heard.others.iter();
        others
            .filter(|other| other.age + since <= self.ttl)
            .map(|other| Neighbour {
                age: other.age + since,
                ..other.clone()
            })
            .collect()
    }

    /// Who does the fleet's chores, and how much longer for certain.
    #[must_use]
    pub fn leader(&self, now: Instant) -> Option<Leader> {
        let heard = self.heard.load();
        let since = now.saturating_duration_since(heard.at);
        let leader = heard.leader.as_ref()?;
        let lasting = match leader.lasting {
            Duration::MAX => Duration::MAX,
            lasting => lasting.checked_sub(since).filter(|left| !left.is_zero())?,
        };
        Some(Leader {
            lasting,
            ..leader.clone()
        })
    }

    /// The operator wishes something that all gateways shall do.
    pub fn wish(&self, wish: Wish) {
        if self.standing() != Standing::Alone {
            self.wishes.lock().push(wish);
        }
    }

    /// Takes the wishes that were not told yet.
    #[must_use]
    pub fn take_wishes(&self) -> Vec<Wish> {
        std::mem::take(&mut *self.wishes.lock())
    }
}
