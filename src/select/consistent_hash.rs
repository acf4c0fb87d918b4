//! Requests of one key to one node: a ring of hashes, with bounded loads.
//!
//! The request's key has a point on the [`Ring`]; the first node clockwise from it is its home. A
//! home that may not serve, or has too much, passes the request on to the next one clockwise: always
//! the same one, as long as nothing changes. When it is back, its keys are back too.
//!
//! *Too much* is `bound` (1.25) times its share of all requests in flight, by weight, the newcomer
//! among them, and never less than [`CALM`]: a user's two requests are no crowd. A request without
//! a key goes where least is done.
//!
//! When: what serves a user, a tenant or a plugin keeps something that the next request needs. When
//! not: it keeps nothing; then every other strategy spreads better.

use super::ring::Ring;
use super::scan::{self, Field};
use super::{Choice, Preview, Strategy, Why};
use crate::config::{RingRules, Strategies};
use crate::model::{Dice, Request};
use crate::nodes::{Candidates, Node};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// A node with fewer requests than this in flight takes its own, whatever the others do.
const CALM: f64 = 8.0;

/// See the module.
#[derive(Debug)]
pub(super) struct ConsistentHash {
    rules: RingRules,
    ring: ArcSwap<Ring>,
}

impl ConsistentHash {
    pub(super) fn new(rules: &Strategies) -> Self {
        Self {
            rules: rules.ring,
            ring: ArcSwap::default(),
        }
    }
}

/// How many requests a node may have for each unit of its weight, so that it takes one more.
fn most(among: &Candidates<'_>, bound: f64) -> f64 {
    let (mut all, mut weights) = (1.0, 0.0);
    for node in among.iter() {
        all += f64::from(node.load());
        weights += scan::part(among, node);
    }
    bound * all / weights
}

/// The candidate that stood at a position when the ring was built. Nearly always it still does:
/// candidates are in the order of the pool.
fn candidate(ring: &Ring, at: u16, among: &Candidates<'_>) -> Option<usize> {
    let id = ring.id(at);
    let is = |node: &Arc<Node>| node.id() == id;
    let straight = among.position_of(usize::from(at));
    straight
        .filter(|&place| among.get(place).is_some_and(is))
        .or_else(|| among.iter().position(is))
}

impl Strategy for ConsistentHash {
    fn choose(&self, request: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let Some(point) = request.key else {
            let field = Field::of(among, dice);
            return scan::cheapest(among, &field, dice, |_, node| scan::load(node));
        };
        if among.len() == 1 {
            return Choice {
                at: 0,
                why: Why::OnlyCandidate,
            };
        }
        let ring = self.ring.load();
        let most = self.rules.bound.map(|bound| most(among, bound));
        let calm = |node: &Node| {
            most.is_none_or(|most| {
                let most = (most * scan::part(among, node)).ceil().max(CALM);
                f64::from(node.load()) < most
            })
        };
        let mut crowded = None;
        let mut why = Why::Affinity;
        for at in ring.from(point) {
            if let Some(at) = candidate(&ring, at, among) {
                if among.get(at).is_some_and(|node| calm(node)) {
                    return Choice { at, why };
                }
                crowded = crowded.or(Some(at));
            }
            why = Why::NextOnRing;
        }
        // Nobody is calm only for the moment in which requests come and go; nobody at all is on the
        // ring only while it is being built.
        let at = crowded.unwrap_or_else(|| point as usize % among.len());
        Choice { at, why }
    }

    fn preview(
        &self,
        request: &Request,
        among: &Candidates<'_>,
        dice: &mut Dice,
    ) -> Option<Preview> {
        Some(Preview::of_stateless(self, request, among, dice))
    }

    fn members(&self, nodes: &[Arc<Node>]) {
        self.ring.store(Arc::new(Ring::of(&self.rules, nodes)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::Rig;
    use super::*;
    use crate::config::HashAlgorithm;
    use crate::model::Class;
    use crate::nodes::{Lease, Screening, Tried, screen};
    use crate::route::point;

    fn strategy(rig: &Rig, bound: Option<f64>) -> ConsistentHash {
        let rules = Strategies {
            ring: RingRules {
                bound,
                ..RingRules::default()
            },
            ..Strategies::default()
        };
        let strategy = ConsistentHash::new(&rules);
        strategy.members(&rig.pool);
        strategy
    }

    fn ask(rig: &mut Rig, strategy: &ConsistentHash, user: u32, tried: &Tried) -> (usize, Why) {
        let plugin = rig.plugins.find(None).place();
        let key = point(HashAlgorithm::Xxh3, format!("user-{user}").as_bytes());
        let request = Request::new(Class::Short, plugin).keyed(Some(key));
        let screening = Screening {
            tried,
            plugin,
            now: rig.now,
            fail_open: true,
            all_backups: false,
            limits: None,
            once: false,
            comeback: rig.comeback,
        };
        let among = screen(&rig.pool, &screening).expect("somebody may serve");
        let choice = strategy.choose(&request, &among, &mut rig.dice);
        (among.pool_position(choice.at), choice.why)
    }

    #[test]
    fn f172_each_of_a_hundred_users_has_one_node() {
        let mut rig = Rig::new(5);
        let strategy = strategy(&rig, Some(1.25));
        let mut used = [0; 5];
        for user in 0..100 {
            let home = ask(&mut rig, &strategy, user, &Tried::new());
            assert_eq!(home.1, Why::Affinity);
            used[home.0] += 1;
            for _ in 0..20 {
                assert_eq!(ask(&mut rig, &strategy, user, &Tried::new()), home);
            }
        }
        assert!(used.iter().all(|&users| users > 5), "{used:?}");
    }

    #[test]
    fn f181_a_users_second_node_is_one_node_and_the_first_one_is_home_again() {
        let mut rig = Rig::new(5);
        let strategy = strategy(&rig, Some(1.25));
        let before: Vec<_> = (0..200)
            .map(|user| ask(&mut rig, &strategy, user, &Tried::new()).0)
            .collect();
        for gone in 0..5 {
            rig.pool[gone].set_healthy(false);
            for (user, &home) in (0..).zip(&before) {
                let (now, why) = ask(&mut rig, &strategy, user, &Tried::new());
                if home == gone {
                    assert_ne!(now, gone);
                    assert_eq!(why, Why::NextOnRing);
                    let again = ask(&mut rig, &strategy, user, &Tried::new()).0;
                    assert_eq!(now, again, "one node, not any");
                } else {
                    assert_eq!((now, why), (home, Why::Affinity), "the others stay");
                }
            }
            rig.pool[gone].set_healthy(true);
            for (user, &home) in (0..).zip(&before) {
                assert_eq!(ask(&mut rig, &strategy, user, &Tried::new()).0, home);
            }
        }
    }

    #[test]
    fn f181_a_retry_goes_to_the_next_node_on_the_ring() {
        let mut rig = Rig::new(4);
        let strategy = strategy(&rig, None);
        let mut tried = Tried::new();
        for _ in 0..4 {
            let (at, _) = ask(&mut rig, &strategy, 7, &tried);
            let id = rig.pool[at].id().clone();
            assert!(!tried.contains(&id), "each once");
            tried.push(id);
        }
    }

    #[test]
    fn f177_no_node_has_more_than_the_bound_however_much_one_user_asks() {
        let mut rig = Rig::weighing(&[1, 1, 2, 1]);
        let strategy = strategy(&rig, Some(1.25));
        let mut held: Vec<Lease> = Vec::new();
        for n in 0..400 {
            // Nine of ten are one user's.
            let user = if n % 10 == 0 { n } else { 3 };
            let (at, _) = ask(&mut rig, &strategy, user, &Tried::new());
            held.push(rig.lease(at + 1, "p/0", Class::Short));
            for node in &rig.pool {
                let share = f64::from(n + 1) * f64::from(node.weight()) / 5.0;
                let most = (1.25 * share).ceil().max(CALM);
                let load = f64::from(node.load());
                assert!(load <= most, "{load} of {} at most {most}", node.id());
            }
        }
        drop(held);
        let (home, why) = ask(&mut rig, &strategy, 3, &Tried::new());
        assert_eq!(why, Why::Affinity, "home again on n{}", home + 1);
    }

    #[test]
    fn without_a_bound_a_key_stays_and_without_a_key_the_idle_one_is_taken() {
        let mut rig = Rig::new(3);
        let unbound = strategy(&rig, None);
        let (home, _) = ask(&mut rig, &unbound, 1, &Tried::new());
        let held: Vec<_> = (0..100)
            .map(|_| rig.lease(home + 1, "p/0", Class::Short))
            .collect();
        assert_eq!(ask(&mut rig, &unbound, 1, &Tried::new()).0, home);
        for _ in 0..50 {
            let (node, why) = rig.ask(&unbound, "p/0", Class::Short);
            assert_ne!(node, format!("n{}", home + 1));
            assert_eq!(why, Why::LeastLoaded);
        }
        drop(held);
    }

    #[test]
    fn a_ring_that_does_not_know_the_candidates_yet_still_chooses_one() {
        let mut rig = Rig::new(3);
        let late = ConsistentHash::new(&Strategies::default());
        assert!(ask(&mut rig, &late, 1, &Tried::new()).0 < 3);
        late.members(&Rig::new(1).pool);
        assert_eq!(
            ask(&mut rig, &late, 1, &Tried::new()).0,
            0,
            "the one it knows"
        );
    }
}
