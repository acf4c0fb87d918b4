//! Which nodes may serve this request now?

use super::{Hand, Node};
use crate::model::{NodeId, Role};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// The nodes a request has tried, by name. At most `retry.attempts` of them.
pub type Tried = SmallVec<[NodeId; 4]>;

/// The nodes that may serve one request now, in pool order. Never empty: only [`screen`] builds
/// one, so no strategy is ever asked to choose from nothing.
#[derive(Debug)]
pub struct Candidates<'a> {
    nodes: SmallVec<[(u16, &'a Arc<Node>); 16]>,
    fail_open: bool,
}

impl<'a> Candidates<'a> {
    /// How many there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The candidate at a position.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&'a Arc<Node>> {
        self.nodes.get(at).map(|(_, node)| *node)
    }

    /// The candidates in pool order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a Arc<Node>> {
        self.nodes.iter().map(|(_, node)| *node)
    }

    /// Where in its pool a candidate stands.
    #[must_use]
    pub fn pool_position(&self, at: usize) -> usize {
        usize::from(self.nodes[at].0)
    }

    /// True when every node is unhealthy and these are tried all the same.
    #[must_use]
    pub const fn is_fail_open(&self) -> bool {
        self.fail_open
    }
}

/// Nobody may serve: how many nodes of the pool failed at each test. The sentence an operator
/// needs at three in the morning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoCandidate {
    /// Nodes in the pool.
    pub total: u16,
    /// Already tried by this request.
    pub tried: u16,
    /// In maintenance.
    pub maint: u16,
    /// Draining.
    pub drain: u16,
    /// Failing their health checks.
    pub unhealthy: u16,
}

impl fmt::Display for NoCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes", self.total)?;
        let parts = [
            (self.tried, "tried"),
            (self.unhealthy, "unhealthy"),
            (self.drain, "draining"),
            (self.maint, "in maintenance"),
        ];
        let mut lead = ": ";
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{lead}{count} {what}")?;
            lead = ", ";
        }
        Ok(())
    }
}

/// Keeps the nodes of a pool that may serve now. Backups count only when nobody else may; with
/// `fail_open`, unhealthy nodes count when nobody at all may.
///
/// # Errors
/// When nobody may: how many failed at which test.
pub fn screen<'a>(
    pool: &'a [Arc<Node>],
    tried: &Tried,
    fail_open: bool,
) -> Result<Candidates<'a>, NoCandidate> {
    let mut refused = NoCandidate {
        total: u16::try_from(pool.len()).unwrap_or(u16::MAX),
        ..NoCandidate::default()
    };
    let mut regular = SmallVec::new();
    let mut backup = SmallVec::new();
    let mut sick = SmallVec::new();
    for (at, node) in (0u16..).zip(pool) {
        match node.hand() {
            Hand::Maint => refused.maint += 1,
            Hand::Drain => refused.drain += 1,
            Hand::Ready if !tried.is_empty() && tried.contains(node.id()) => refused.tried += 1,
            Hand::Ready if !node.is_healthy() => {
                refused.unhealthy += 1;
                sick.push((at, node));
            }
            Hand::Ready if node.role() == Role::Backup => backup.push((at, node)),
            Hand::Ready => regular.push((at, node)),
        }
    }
    for (nodes, fail_open) in [(regular, false), (backup, false)] {
        if !nodes.is_empty() {
            return Ok(Candidates { nodes, fail_open });
        }
    }
    if fail_open && !sick.is_empty() {
        return Ok(Candidates {
            nodes: sick,
            fail_open,
        });
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    fn pool(roles: &[Role]) -> Vec<Arc<Node>> {
        (1u16..)
            .zip(roles)
            .map(|(n, &role)| {
                let address = std::net::SocketAddr::from(([10, 0, 0, 1], n));
                Arc::new(Node::new(format!("n{n}").into(), address, role, 1))
            })
            .collect()
    }

    fn names(candidates: &Candidates<'_>) -> Vec<String> {
        candidates
            .iter()
            .map(|node| node.id().to_string())
            .collect()
    }

    #[test]
    fn a_backup_rests_until_every_other_node_is_out() {
        let pool = pool(&[Role::Primary, Role::Backup, Role::Secondary]);
        let none = Tried::new();
        assert_eq!(names(&screen(&pool, &none, false).unwrap()), ["n1", "n3"]);
        pool[0].set_healthy(false);
        pool[2].set_hand(Hand::Drain);
        assert_eq!(names(&screen(&pool, &none, false).unwrap()), ["n2"]);
    }

    #[test]
    fn a_refusal_counts_who_failed_at_what() {
        let pool = pool(&[Role::Secondary; 5]);
        pool[0].set_healthy(false);
        pool[1].set_hand(Hand::Maint);
        pool[2].set_hand(Hand::Drain);
        let tried: Tried = smallvec!["n4".into(), "n5".into()];
        let refused = screen(&pool, &tried, false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "5 nodes: 2 tried, 1 unhealthy, 1 draining, 1 in maintenance"
        );
    }

    #[test]
    fn failing_open_takes_the_sick_but_never_the_tried_or_the_drained() {
        let pool = pool(&[Role::Secondary; 3]);
        pool.iter().for_each(|node| node.set_healthy(false));
        pool[1].set_hand(Hand::Drain);
        let tried: Tried = smallvec!["n1".into()];
        let candidates = screen(&pool, &tried, true).unwrap();
        assert!(candidates.is_fail_open());
        assert_eq!(names(&candidates), ["n3"]);
        assert_eq!(candidates.pool_position(0), 2);
    }
}
