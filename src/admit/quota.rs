//! How many requests that one rule of the operator matches may be in flight?
//!
//! The rule's places are counted here and not on nodes: a rule says what a tenant or an operation
//! may have, wherever it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The places of one rule. Outlives reloads, so that what runs is still counted afterwards.
#[derive(Debug)]
pub struct Quota {
    most: AtomicU32,
    taken: AtomicU32,
}

/// One place of a rule. It is free again by `Drop`.
#[derive(Debug)]
#[must_use = "dropping it frees the place at once"]
pub struct Taken(Arc<Quota>);

impl Quota {
    /// So many places, none of them taken.
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self {
            most: AtomicU32::new(most),
            taken: AtomicU32::new(0),
        }
    }

    /// Another limit, for what runs and waits too; none lets everybody go.
    pub fn set(&self, most: Option<u32>) {
        self.most.store(most.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// How many places there are, in the whole fleet.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most.load(Ordering::Relaxed)
    }

    /// How many are taken here.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes one of `share` places; none when all are taken. Exact, also where several rooms ask at
    /// once: a rule may match requests of several pools.
    pub fn take(self: &Arc<Self>, share: u32) -> Option<Taken> {
        let more = |taken| (taken < share).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()
            .map(|_| Taken(Arc::clone(self)))
    }

    /// Takes a place that there may not be: whoever has waited for too long goes anyway.
    pub fn exceed(self: &Arc<Self>) -> Taken {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Taken(Arc::clone(self))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let before = self.0.taken.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a place is given back once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        /// Never more than the limit but by those who exceed it; nothing is left behind.
        #[test]
        fn places_are_conserved(share in 1u32..6, steps in proptest::collection::vec(any::<u8>(), 0..200)) {
            let quota = Arc::new(Quota::new(share));
            let mut held = Vec::new();
            for step in steps {
                let before = quota.taken();
                match step % 4 {
                    0 | 1 => {
                        let got = quota.take(share);
                        prop_assert_eq!(got.is_some(), before < share);
                        held.extend(got);
                    }
                    2 => held.push(quota.exceed()),
                    _ if held.is_empty() => {}
                    _ => drop(held.swap_remove(usize::from(step) % held.len())),
                }
                prop_assert_eq!(quota.taken() as usize, held.len());
            }
            held.clear();
            prop_assert!(quota.taken() == 0);
        }
    }

    #[test]
    fn threads_that_race_never_take_more_than_there_is() {
        let quota = Arc::new(Quota::new(3));
        let most = std::thread::scope(|scope| {
            let race = || {
                let quota = Arc::clone(&quota);
                scope.spawn(move || {
                    let mut seen = 0;
                    for _ in 0..2000 {
                        let _place = quota.take(3);
                        seen = seen.max(quota.taken());
                    }
                    seen
                })
            };
            let racers: Vec<_> = (0..4).map(|_| race()).collect();
            let seen = racers.into_iter().map(|it| it.join().expect("no panic"));
            seen.max()
        });
        assert!(most <= Some(3), "{most:?}");
        assert_eq!(quota.taken(), 0);
    }
}
