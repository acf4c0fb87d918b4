//! Why may this node serve, or why not? The same answer as [`screen`] gives, node by node and in
//! words.

use super::{Candidates, Hand, Node, Presence, Screening};
use crate::model::Role;
use std::sync::Arc;

/// What speaks against each node of a pool, in pool order; none for those that may serve.
/// `among` is what [`super::screen`] let through for the same request.
#[must_use]
pub fn account(
    pool: &[Arc<Node>],
    among: Option<&Candidates<'_>>,
    request: &Screening<'_>,
) -> Vec<Option<&'static str>> {
    let may_serve = |node: &Arc<Node>| {
        among.is_some_and(|among| among.iter().any(|candidate| Arc::ptr_eq(candidate, node)))
    };
    pool.iter()
        .map(|node| (!may_serve(node)).then(|| against(node, request)))
        .collect()
}

/// In the order in which the screen asks.
fn against(node: &Node, request: &Screening<'_>) -> &'static str {
    let presence = node.presence(request.plugin, request.now);
    match node.hand() {
        Hand::Maint => "in maintenance",
        Hand::Drain => "draining",
        Hand::Ready if request.tried.contains(node.id()) => "tried",
        Hand::Ready if !node.is_healthy() => "unhealthy",
        Hand::Ready if presence == Presence::Absent => "said that the plugin is not there",
        Hand::Ready if !node.resting(request.now).is_zero() => "resting after failures",
        Hand::Ready
            if presence == Presence::Unknown
                && node.is_warming(request.now, request.comeback.warmup) =>
        {
            "came up, and others are known to have the plugin"
        }
        Hand::Ready if node.role() == Role::Backup => "a backup, and others may serve",
        Hand::Ready if request.once && presence != Presence::Present => {
            "not known to have the plugin, and the request can be sent once only"
        }
        Hand::Ready if !request.fits(node) => "full",
        Hand::Ready => "others go first",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PluginPlace, clock};
    use crate::nodes::{ComebackRules, Plugins, Tried, screen};
    use smallvec::smallvec;
    use std::time::{Duration, Instant};

    fn pool(roles: &[Role], now: Instant) -> Vec<Arc<Node>> {
        let node = |(n, &role): (u16, &Role)| {
            let address = std::net::SocketAddr::from(([10, 0, 0, 1], n));
            Arc::new(Node::new(format!("n{n}").into(), address, (role, 1), now))
        };
        (1u16..).zip(roles).map(node).collect()
    }

    fn words(
        pool: &[Arc<Node>],
        plugin: PluginPlace,
        tried: &Tried,
        now: Instant,
    ) -> Vec<Option<&'static str>> {
        let screening = Screening {
            tried,
            plugin,
            now,
            fail_open: false,
            all_backups: false,
            once: false,
            comeback: ComebackRules {
                warmup: Duration::from_secs(60),
                slow_start: Duration::ZERO,
            },
            limits: None,
        };
        let among = screen(pool, &screening).ok();
        account(pool, among.as_ref(), &screening)
    }

    #[test]
    fn each_node_that_may_not_serve_names_its_reason() {
        let now = clock::now();
        let mut roles = vec![Role::Secondary; 8];
        roles.push(Role::Backup);
        let pool = pool(&roles, now);
        let plugin = Plugins::new().find(Some("a/b")).place();
        pool[0].note_present(plugin);
        pool[1].set_hand(Hand::Maint);
        pool[2].set_hand(Hand::Drain);
        pool[3].set_healthy(false);
        pool[4].note_absent(plugin, now, Duration::from_secs(5));
        pool[5].rest(now, Duration::from_secs(9));
        pool[6].note_came_up(now);
        let tried: Tried = smallvec!["n8".into()];
        assert_eq!(
            words(&pool, plugin, &tried, now),
            [
                None,
                Some("in maintenance"),
                Some("draining"),
                Some("unhealthy"),
                Some("said that the plugin is not there"),
                Some("resting after failures"),
                Some("came up, and others are known to have the plugin"),
                Some("tried"),
                Some("a backup, and others may serve"),
            ]
        );
    }

    #[test]
    fn when_nobody_may_serve_each_still_has_a_reason() {
        let now = clock::now();
        let pool = pool(&[Role::Secondary; 2], now);
        pool.iter().for_each(|node| node.set_healthy(false));
        let plugin = Plugins::new().find(Some("a/b")).place();
        assert_eq!(
            words(&pool, plugin, &Tried::new(), now),
            [Some("unhealthy"); 2]
        );
    }
}
