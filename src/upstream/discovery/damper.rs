//! Who comes and goes too often? A member that did so three times within a minute must stay for a
//! while before it gets requests, and twice as long each further time.

use crate::model::NodeId;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Departures nearer to each other than this belong together.
const WINDOW: Duration = Duration::from_secs(60);
/// So many of them are a restart, a deployment, and another restart.
const FREE: u32 = 2;
/// Nobody waits longer.
const LONGEST: Duration = Duration::from_secs(300);
/// More pasts are not remembered.
const MOST: usize = 4096;

/// The past of a pool's members.
#[derive(Debug, Default)]
pub(super) struct Damper {
    pasts: HashMap<NodeId, Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// Since when it is there; none = it left.
    since: Option<Instant>,
    left: Option<Instant>,
    /// Departures that belong together.
    flaps: u32,
    /// Its waiting was told.
    told: bool,
}

impl Past {
    fn wait(&self, first: Duration) -> Duration {
        match self.flaps.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(more) => first.saturating_mul(1 << more.min(16)).min(LONGEST),
        }
    }

    fn is_forgotten(&self, now: Instant, first: Duration) -> bool {
        let ago = self.left.map(|left| now.saturating_duration_since(left));
        ago.is_some_and(|ago| ago > WINDOW + self.wait(first))
    }
}

impl Damper {
    /// Who of those that are there may be a member. `first` is how long the third return waits.
    pub(super) fn admit(
        &mut self,
        there: &[NodeId],
        now: Instant,
        first: Duration,
    ) -> HashSet<NodeId> {
        let present: HashSet<_> = there.iter().collect();
        for (id, past) in &mut self.pasts {
            if past.since.is_some() && !present.contains(id) {
                past.flaps = if past.is_forgotten(now, first) {
                    1
                } else {
                    past.flaps + 1
                };
                past.since = None;
                past.left = Some(now);
                past.told = false;
            }
        }
        let mut admitted = HashSet::new();
        for id in there {
            if self.pasts.len() >= MOST && !self.pasts.contains_key(id) {
                // Nothing can be held against somebody without a past.
                admitted.insert(id.clone());
                continue;
            }
            let past = self.pasts.entry(id.clone()).or_default();
            if past.since.is_none() {
                if past.is_forgotten(now, first) {
                    past.flaps = 0;
                }
                past.since = Some(now);
            }
            let wait = past.wait(first);
            let stayed = past.since.map(|since| now.saturating_duration_since(since));
            if stayed.is_some_and(|stayed| stayed >= wait) {
                admitted.insert(id.clone());
            } else if !past.told {
                past.told = true;
                let wait = wait.as_secs_f64();
                log::warn!("node comes and goes, held back node={id} for={wait}s");
            }
        }
        self.pasts
            .retain(|_, past| past.since.is_some() || !past.is_forgotten(now, first));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    const FIRST: Duration = Duration::from_secs(10);

    struct Rig {
        damper: Damper,
        now: Instant,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                damper: Damper::default(),
                now: clock::now(),
            }
        }

        /// Whether n1 is admitted, being there or not, so many seconds later.
        fn after(&mut self, seconds: u64, there: bool) -> bool {
            self.now += Duration::from_secs(seconds);
            let others = NodeId::from("n2");
            let n1 = NodeId::from("n1");
            let ids = if there {
                vec![others.clone(), n1.clone()]
            } else {
                vec![others.clone()]
            };
            let admitted = self.damper.admit(&ids, self.now, FIRST);
            assert!(admitted.contains(&others), "who stays is never held back");
            admitted.contains(&n1)
        }

        fn flap(&mut self) -> bool {
            assert!(!self.after(1, false));
            self.after(1, true)
        }
    }

    #[test]
    fn who_comes_and_goes_waits_longer_each_time() {
        let mut rig = Rig::new();
        assert!(rig.after(0, true), "a newcomer is welcome");
        assert!(rig.flap() && rig.flap(), "two restarts are free");
        assert!(!rig.flap(), "the third return waits");
        assert!(!rig.after(9, true));
        assert!(rig.after(1, true), "it stayed for ten seconds");
        assert!(!rig.flap());
        assert!(!rig.after(19, true));
        assert!(rig.after(1, true), "and for twenty");
        for _ in 0..40 {
            rig.flap();
        }
        assert!(!rig.after(299, true));
        assert!(rig.after(1, true), "nobody waits longer than five minutes");
    }

    #[test]
    fn who_stayed_for_a_while_begins_anew() {
        let mut rig = Rig::new();
        rig.after(0, true);
        for _ in 0..3 {
            rig.flap();
        }
        assert!(rig.after(10, true));
        assert!(rig.after(100, true));
        assert!(!rig.after(1, false), "it leaves once more");
        assert!(rig.after(1, true), "which is nothing unusual");
    }

    #[test]
    fn who_was_away_for_long_is_forgotten() {
        let mut rig = Rig::new();
        rig.after(0, true);
        for _ in 0..3 {
            rig.flap();
        }
        assert!(!rig.after(1, false));
        rig.after(400, false);
        assert_eq!(rig.damper.pasts.len(), 1, "only n2 has a past");
        assert!(rig.after(1, true));
    }

    #[test]
    fn pasts_are_bounded() {
        let mut damper = Damper::default();
        let now = clock::now();
        let ids: Vec<_> = (0..MOST + 10)
            .map(|n| NodeId::from(n.to_string()))
            .collect();
        assert_eq!(damper.admit(&ids, now, FIRST).len(), ids.len());
        assert_eq!(damper.pasts.len(), MOST);
    }
}
