//! Nodes that registered over the admin API, and how long they are believed.

use crate::model::{NodeId, Role};
use crate::nodes::{Entry, Hand};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// More nodes do not register.
const MOST: usize = 1024;

/// What a node says of itself. The caller has checked name, pool and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name.
    pub id: NodeId,
    /// The pool it wants to be in.
    pub pool: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its part there.
    pub role: Role,
    /// Its share of the work.
    pub weight: u16,
    /// It is gone when it has not said so again for this long.
    pub ttl: Duration,
}

/// A registration.
#[derive(Clone, Debug)]
pub struct Held {
    /// What was said.
    pub wish: Wish,
    /// When it ends.
    until: Instant,
}

/// Why a node cannot register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another name has this address.
    Address,
    /// The name is in another pool.
    Pool,
    /// There are 1024 already.
    Full,
}

/// All registrations. They outlive reloads, and end with the process: the next heartbeat renews
/// them.
#[derive(Debug)]
pub struct Registrations {
    held: Mutex<HashMap<NodeId, Held>>,
    /// Counts what pools should look at.
    version: watch::Sender<u64>,
}

impl Default for Registrations {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            version: watch::Sender::new(0),
        }
    }
}

impl Registrations {
    /// Registers a node, or renews it: true when it is new.
    ///
    /// # Errors
    /// When it contradicts another registration, or there are too many.
    pub fn put(&self, wish: Wish, now: Instant) -> Result<bool, Refused> {
        let mut held = self.held.lock();
        held.retain(|_, held| held.until > now);
        let mut others = held.values().filter(|other| other.wish.id != wish.id);
        if others.any(|other| other.wish.address == wish.address) {
            return Err(Refused::Address);
        }
        let before = held.get(&wish.id).map(|held| held.wish.clone());
        match &before {
            Some(before) if before.pool != wish.pool => return Err(Refused::Pool),
            None if held.len() >= MOST => return Err(Refused::Full),
            _ => {}
        }
        let until = now + wish.ttl;
        let changed = before.as_ref() != Some(&wish);
        held.insert(wish.id.clone(), Held { wish, until });
        drop(held);
        if changed {
            self.version.send_modify(|version| *version += 1);
        }
        Ok(before.is_none())
    }

    /// Ends a registration: false when there was none.
    pub fn remove(&self, id: &str) -> bool {
        let there = self.held.lock().remove(id).is_some();
        if there {
            self.version.send_modify(|version| *version += 1);
        }
        there
    }

    /// Whether a node of this name is registered.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.held.lock().contains_key(id)
    }

    fn of(&self, pool: &str, now: Instant) -> Vec<Wish> {
        let mut held = self.held.lock();
        held.retain(|_, held| held.until > now);
        let mut wishes: Vec<_> = held
            .values()
            .filter(|held| held.wish.pool == pool)
            .map(|held| held.wish.clone())
            .collect();
        wishes.sort_by(|a, b| a.id.cmp(&b.id));
        wishes
    }

    /// When the next registration of a pool ends, if nobody renews it.
    fn next_end(&self, pool: &str) -> Option<Instant> {
        let held = self.held.lock();
        let of_pool = held.values().filter(|held| held.wish.pool == pool);
        of_pool.map(|held| held.until).min()
    }
}

/// The registrations of one pool, as one snapshot sees them.
#[derive(Debug)]
pub(super) struct Registered {
    pool: String,
    all: Arc<Registrations>,
    /// What was there at the last look.
    seen: AtomicU64,
}

impl Registered {
    pub(super) fn new(pool: &str, all: &Arc<Registrations>) -> Self {
        Self {
            pool: pool.to_owned(),
            all: Arc::clone(all),
            seen: AtomicU64::new(0),
        }
    }

    /// Who is registered now: that is certain.
    pub(super) fn look(&self, now: Instant) -> Vec<Entry> {
        self.seen
            .store(*self.all.version.borrow(), Ordering::Release);
        let entry = |wish: Wish| Entry {
            id: wish.id,
            address: wish.address,
            role: wish.role,
            weight: wish.weight,
            hand: Hand::Ready,
            boot: None,
            max_in_flight: None,
            server_name: None,
        };
        self.all
            .of(&self.pool, now)
            .into_iter()
            .map(entry)
            .collect()
    }

    /// Returns when somebody came, left, or was not heard of for too long.
    pub(super) async fn changed(&self) {
        let seen = self.seen.load(Ordering::Acquire);
        let mut version = self.all.version.subscribe();
        let next = self.all.next_end(&self.pool);
        let end = async {
            match next {
                // A little later, so that it has ended by then.
                Some(next) => {
                    let next = next + Duration::from_millis(1);
                    tokio::time::sleep_until(next.into()).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = version.wait_for(|version| *version != seen) => {}
            () = end => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    fn wish(id: &str, last: u8) -> Wish {
        Wish {
            id: id.into(),
            pool: "main".to_owned(),
            address: SocketAddr::from(([10, 0, 0, last], 5002)),
            role: Role::Secondary,
            weight: 1,
            ttl: Duration::from_secs(30),
        }
    }

    #[test]
    fn a_registration_ends_unless_it_is_renewed() {
        let all = Arc::new(Registrations::default());
        let (main, other) = (
            Registered::new("main", &all),
            Registered::new("other", &all),
        );
        let now = clock::now();
        let names = |after: u64| {
            let found = main.look(now + Duration::from_secs(after));
            found
                .iter()
                .map(|entry| entry.id.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(all.put(wish("b", 2), now), Ok(true));
        assert_eq!(all.put(wish("a", 1), now), Ok(true));
        assert_eq!(names(0), ["a", "b"]);
        assert!(other.look(now).is_empty());
        let later = now + Duration::from_secs(20);
        assert_eq!(all.put(wish("b", 2), later), Ok(false));
        assert_eq!(names(29), ["a", "b"]);
        assert_eq!(names(30), ["b"]);
        assert!(all.remove("b") && !all.remove("b"));
        assert!(names(30).is_empty());
    }

    #[test]
    fn what_contradicts_another_registration_is_refused() {
        let all = Registrations::default();
        let now = clock::now();
        all.put(wish("a", 1), now).expect("the first");
        assert_eq!(all.put(wish("b", 1), now), Err(Refused::Address));
        let moved = Wish {
            pool: "other".to_owned(),
            ..wish("a", 1)
        };
        assert_eq!(all.put(moved, now), Err(Refused::Pool));
        assert_eq!(all.put(wish("a", 9), now), Ok(false), "it may move house");
        let after = now + Duration::from_secs(31);
        assert_eq!(all.put(wish("b", 9), after), Ok(true), "a is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_by_news_and_by_an_end() {
        let all = Arc::new(Registrations::default());
        let main = Registered::new("main", &all);
        let now = clock::now();
        main.look(now);
        all.put(wish("a", 1), now).expect("taken");
        main.changed().await;
        main.look(now);
        main.changed().await;
        assert_eq!(all.next_end("other"), None);
    }
}
