//! Does it come too often, or too much of it at once?
//!
//! A key's bucket is one moment: when it will be full again (the generic cell rate algorithm).
//! That is exact, needs no refilling, and tells to the nanosecond when a request would pass.

use super::crowd::one_client;
use crate::config::{RateBy, RateEntry};
use ahash::RandomState;
use http::{HeaderMap, HeaderName};
use lru::LruCache;
use parking_lot::Mutex;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Keys are spread over so many locks.
const SHARDS: usize = 16;

/// What is known of a request that limits may go by.
#[derive(Clone, Copy, Debug)]
pub struct Traits<'a> {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The tenant in its path.
    pub tenant: Option<&'a str>,
    /// The application whose key it carries.
    pub application: Option<&'a str>,
    /// Its user, where that is known by now.
    pub user: Option<&'a str>,
    /// Its header.
    pub headers: &'a HeaderMap,
    /// The name of its pool.
    pub pool: &'a str,
}

/// One entry of `limits.rates` at work. Keys are held as hashes under a secret of the process, so
/// that nobody can choose two that meet, and no key is kept.
#[derive(Debug)]
pub struct Limit {
    entry: RateEntry,
    header: Option<HeaderName>,
    most: usize,
    hasher: RandomState,
    shards: [Mutex<LruCache<u64, Cell, RandomState>>; SHARDS],
}

/// What is known of one key.
#[derive(Clone, Debug)]
struct Cell {
    /// When its bucket is full again.
    full: Instant,
    inside: Arc<AtomicU32>,
}

/// A request inside, counted by its key; ends by `Drop`.
#[derive(Debug)]
pub struct Stay(Arc<AtomicU32>);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why it may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It comes too often; after so long it will not.
    TooOften(Duration),
    /// Too many are inside.
    TooMany,
}

impl Refused {
    /// `Retry-After`: whole seconds, after which it passes if nobody else came with its key.
    #[must_use]
    pub fn retry_after(self) -> u16 {
        match self {
            Self::TooOften(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                u16::try_from(seconds.max(1)).unwrap_or(u16::MAX)
            }
            Self::TooMany => 1,
        }
    }
}

impl Limit {
    /// Counts by this entry, up to so many keys.
    #[must_use]
    pub fn new(entry: RateEntry, keys: usize) -> Self {
        let each = NonZeroUsize::new(keys.div_ceil(SHARDS)).unwrap_or(NonZeroUsize::MIN);
        let hasher = RandomState::new();
        let header = match &entry.by {
            RateBy::Header(name) => HeaderName::from_bytes(name.as_bytes()).ok(),
            _ => None,
        };
        let shard = || Mutex::new(LruCache::unbounded_with_hasher(hasher.clone()));
        Self {
            entry,
            header,
            most: each.get(),
            shards: std::array::from_fn(|_| shard()),
            hasher,
        }
    }

    /// The entry it counts by.
    #[must_use]
    pub const fn entry(&self) -> &RateEntry {
        &self.entry
    }

    /// The key of a request; none where it is not counted.
    #[must_use]
    pub fn key(&self, of: &Traits<'_>) -> Option<u64> {
        if self
            .entry
            .pool
            .as_deref()
            .is_some_and(|pool| pool != of.pool)
        {
            return None;
        }
        match &self.entry.by {
            RateBy::Address => of.address.map(|address| self.hash(one_client(address))),
            RateBy::Tenant => of.tenant.map(|tenant| self.hash(tenant)),
            RateBy::Application => of.application.map(|application| self.hash(application)),
            RateBy::User => of.user.map(|user| self.hash((of.application, user))),
            RateBy::Header(_) => {
                let value = of.headers.get(self.header.as_ref()?)?;
                Some(self.hash(value.as_bytes()))
            }
        }
    }

    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(&self, key: u64) -> &Mutex<LruCache<u64, Cell, RandomState>> {
        // The table below takes the low bits.
        &self.shards[usize::try_from(key >> 60).unwrap_or_default() % SHARDS]
    }

    /// A request with this key comes.
    ///
    /// # Errors
    /// When it may not pass; then it has not been counted.
    pub fn take(&self, key: u64, now: Instant) -> Result<Option<Stay>, Refused> {
        let mut cells = self.shard(key).lock();
        let cell = cells.get_or_insert_mut(key, || Cell {
            full: now,
            inside: Arc::default(),
        });
        let full = self.judge(cell, now)?;
        cell.full = full;
        let stay = self.entry.at_once.map(|_| {
            cell.inside.fetch_add(1, Ordering::Relaxed);
            Stay(Arc::clone(&cell.inside))
        });
        // A key that is forgotten begins anew: who floods the table with keys gains no more than
        // by coming with a new one each time.
        while cells.len() > self.most {
            cells.pop_lru();
        }
        Ok(stay)
    }

    /// What [`Self::take`] would say, without counting.
    ///
    /// # Errors
    /// When it may not pass.
    pub fn look(&self, key: u64, now: Instant) -> Result<(), Refused> {
        let cells = self.shard(key).lock();
        cells
            .peek(&key)
            .map_or(Ok(()), |cell| self.judge(cell, now).map(drop))
    }

    /// When the bucket would be full again.
    fn judge(&self, cell: &Cell, now: Instant) -> Result<Instant, Refused> {
        let inside = cell.inside.load(Ordering::Relaxed);
        if self.entry.at_once.is_some_and(|most| inside >= most) {
            return Err(Refused::TooMany);
        }
        let Some(rate) = self.entry.rate else {
            return Ok(cell.full);
        };
        let step = rate.per / rate.count;
        let slack = step * self.entry.burst;
        let early = cell.full.saturating_duration_since(now);
        if early > slack {
            return Err(Refused::TooOften(early - slack));
        }
        Ok(cell.full.max(now) + step)
    }

    /// Keys that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether no key is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rate;
    use crate::model::clock;
    use proptest::prelude::*;

    fn limit(count: u32, burst: u32, at_once: Option<u32>) -> Limit {
        let per = Duration::from_secs(1);
        let entry = RateEntry {
            by: RateBy::Tenant,
            rate: (count > 0).then_some(Rate { count, per }),
            burst,
            at_once,
            pool: None,
        };
        Limit::new(entry, 160)
    }

    #[test]
    fn f203_one_a_second_and_a_burst_of_two_is_three_at_once() {
        let (limit, now) = (limit(1, 2, None), clock::now());
        let passed = (0..5).filter(|_| limit.take(1, now).is_ok()).count();
        assert_eq!(passed, 3);
        let Err(refused) = limit.take(1, now) else {
            panic!("it passed");
        };
        assert_eq!(refused, Refused::TooOften(Duration::from_secs(1)));
        assert_eq!(refused.retry_after(), 1);
        assert!(
            limit.look(2, now).is_ok() && limit.take(2, now).is_ok(),
            "others are others"
        );
    }

    #[test]
    fn f205_each_user_has_a_bucket_of_its_own() {
        let (limit, now) = (limit(50, 100, None), clock::now());
        let users = (0..400).map(|user| limit.hash(user));
        assert!(users.clone().all(|user| limit.take(user, now).is_ok()));
        let one = limit.hash("one");
        let passed = (0..400)
            .filter(|n| {
                limit
                    .take(one, now + Duration::from_micros(975) * *n)
                    .is_ok()
            })
            .count();
        assert_eq!(passed, 101 + 19, "the burst, and what 0.39 s bring");
    }

    #[test]
    fn those_inside_are_counted_until_they_leave() {
        let (limit, now) = (limit(0, 0, Some(2)), clock::now());
        let first = limit.take(7, now).unwrap();
        let second = limit.take(7, now).unwrap();
        assert_eq!(limit.take(7, now).unwrap_err(), Refused::TooMany);
        assert_eq!(limit.look(7, now).unwrap_err().retry_after(), 1);
        drop(first);
        let third = limit.take(7, now).unwrap();
        assert!(third.is_some() && limit.take(7, now).is_err());
        drop((second, third));
        assert!(limit.take(7, now).is_ok());
    }

    #[test]
    fn a_million_keys_stay_within_the_table() {
        let (limit, now) = (limit(1, 0, None), clock::now());
        for key in 0..1_000_000_u64 {
            assert!(limit.take(limit.hash(key), now).is_ok());
        }
        assert!(limit.len() <= 160, "{} keys", limit.len());
    }

    proptest! {
        #[test]
        fn never_more_pass_than_burst_and_rate_allow(
            count in 1_u32..50,
            burst in 0_u32..20,
            pauses in prop::collection::vec(0_u64..200, 1..120),
        ) {
            let limit = limit(count, burst, None);
            let start = clock::now();
            let (mut now, mut passed) = (start, Vec::new());
            for pause in pauses {
                now += Duration::from_millis(pause);
                match limit.take(1, now) {
                    Ok(_) => passed.push(now),
                    Err(Refused::TooOften(wait)) => {
                        prop_assert!(limit.look(1, now + wait).is_ok(), "it passes when it was told to come");
                        let sooner = wait.saturating_sub(Duration::from_nanos(1));
                        prop_assert!(limit.look(1, now + sooner).is_err(), "and not before");
                    }
                    Err(Refused::TooMany) => prop_assert!(false),
                }
            }
            for (at, from) in passed.iter().enumerate() {
                for (more, to) in passed[at..].iter().enumerate() {
                    let span = to.duration_since(*from).as_secs_f64();
                    let allowed = f64::from(burst) + 1.0 + span * f64::from(count);
                    prop_assert!(more as f64 + 1.0 <= allowed + 1e-3, "{} in {span} s", more + 1);
                }
            }
        }
    }
}
