//! May the node that holds a debug plugin's connection be asked?

use super::{Hand, Node, Presence, Screening};
use crate::model::Owner;
use std::sync::Arc;

/// Where in the pool the owner of a debug plugin stands, if it may serve this request.
///
/// Its role does not matter: a backup is asked as well, because nobody else has the connection.
/// An owner that is out, resting, tried, or that said a moment ago that the plugin is not there
/// gives none: then any node is asked, and may know better who the owner is.
#[must_use]
pub fn owner_in(pool: &[Arc<Node>], owner: &Owner, request: &Screening<'_>) -> Option<usize> {
    let may_serve = |node: &Node| {
        node.hand() == Hand::Ready
            && node.is_healthy()
            && node.resting(request.now).is_zero()
            && !request.tried.contains(node.id())
            && node.presence(request.plugin, request.now) != Presence::Absent
    };
    // Where a name stands for several nodes, the one that has the plugin is the owner.
    let has_it = |node: &Node| node.presence(request.plugin, request.now) == Presence::Present;
    let mut owners = (0..pool.len()).filter(|&at| {
        let node = &pool[at];
        owner.is(node.id(), node.address()) && may_serve(node)
    });
    let first = owners.next()?;
    if has_it(&pool[first]) {
        return Some(first);
    }
    owners.find(|&at| has_it(&pool[at])).or(Some(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PluginPlace, Role, clock};
    use crate::nodes::{ComebackRules, Plugins, Tried};
    use smallvec::smallvec;
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    struct Rig {
        pool: Vec<Arc<Node>>,
        plugin: PluginPlace,
        now: Instant,
    }

    impl Rig {
        fn new(names: &[&str]) -> Self {
            let now = clock::now();
            let node = |(n, name): (u16, &&str)| {
                let address = SocketAddr::from(([10, 0, 0, 1], n));
                let role = if n == 2 {
                    Role::Backup
                } else {
                    Role::Secondary
                };
                Arc::new(Node::new((*name).into(), address, (role, 1), now))
            };
            Self {
                pool: (1u16..).zip(names).map(node).collect(),
                plugin: Plugins::new().find(Some("a/b")).place(),
                now,
            }
        }

        fn ask(&self, owner: &Owner, tried: &Tried) -> Option<usize> {
            let screening = Screening {
                tried,
                plugin: self.plugin,
                now: self.now,
                fail_open: true,
                all_backups: false,
                once: false,
                comeback: ComebackRules {
                    warmup: Duration::ZERO,
                    slow_start: Duration::ZERO,
                },
                limits: None,
            };
            owner_in(&self.pool, owner, &screening)
        }
    }

    #[test]
    fn the_owner_is_asked_unless_something_speaks_against_it() {
        let rig = Rig::new(&["n1", "n2", "n3"]);
        let owner = Owner::Node("n2".into());
        let ask = || rig.ask(&owner, &Tried::new());
        assert_eq!(ask(), Some(1), "although it is a backup");
        assert_eq!(rig.ask(&Owner::Node("n9".into()), &Tried::new()), None);
        assert_eq!(
            rig.ask(&Owner::At(rig.pool[2].address()), &Tried::new()),
            Some(2)
        );
        assert_eq!(rig.ask(&owner, &smallvec!["n2".into()]), None, "tried");
        let node = &rig.pool[1];
        for hand in [Hand::Drain, Hand::Maint] {
            node.set_hand(hand);
            assert_eq!(ask(), None, "{hand:?}");
        }
        node.set_hand(Hand::Ready);
        node.set_healthy(false);
        assert_eq!(ask(), None, "sick");
        node.set_healthy(true);
        node.note_absent(rig.plugin, rig.now, Duration::from_secs(5));
        assert_eq!(ask(), None, "it said that the plugin is not there");
        node.note_present(rig.plugin);
        assert_eq!(ask(), Some(1));
        node.rest(rig.now, Duration::from_secs(9));
        assert_eq!(ask(), None, "it rests");
    }

    #[test]
    fn of_several_addresses_of_one_name_the_one_with_the_plugin_is_the_owner() {
        let rig = Rig::new(&["n1", "d@10.0.0.1", "d@10.0.0.2"]);
        let owner = Owner::Node("d".into());
        assert_eq!(rig.ask(&owner, &Tried::new()), Some(1));
        rig.pool[2].note_present(rig.plugin);
        assert_eq!(rig.ask(&owner, &Tried::new()), Some(2));
    }
}
