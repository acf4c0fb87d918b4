//! Which node took a tenant's last installation of a plugin?
//!
//! It begins to start the plugin at once. The others hear of it at their next sweep, up to half a
//! minute later, and then have to build it; after an upgrade they are still known to have the plugin,
//! and have another version. So the tenant's calls go where it was installed first, while that may
//! serve. Bounded, and kept in memory only: a gateway that does not know asks and is told.

use crate::model::{NodeId, Owner};
use crate::route::stable_hash;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For so long the others may not have it.
const LASTING: Duration = Duration::from_secs(60);
/// The latest so many are known.
const MOST: usize = 256;

/// The installations of the last minute.
#[derive(Debug, Default)]
pub struct Installs(ArcSwap<Vec<Install>>);

#[derive(Clone, Debug)]
struct Install {
    /// Of tenant and plugin.
    key: u64,
    node: NodeId,
    until: Instant,
}

impl Installs {
    /// A node took the installation of these plugins for a tenant.
    pub fn note(&self, tenant: &str, plugins: &[String], node: &NodeId, now: Instant) {
        let new: Vec<_> = plugins
            .iter()
            .map(|plugin| Install {
                key: key(tenant, plugin),
                node: node.clone(),
                until: now + LASTING,
            })
            .collect();
        self.0.rcu(|known| {
            let lasts = |it: &&Install| it.until > now && new.iter().all(|new| new.key != it.key);
            let mut all: Vec<_> = known.iter().filter(lasts).cloned().collect();
            all.extend(new.iter().cloned());
            all.drain(..all.len().saturating_sub(MOST));
            Arc::new(all)
        });
    }

    /// Where a tenant's calls of a plugin go first. Where nothing is ever installed this costs one
    /// read, and not even a look at the clock.
    pub fn taken_by(
        &self,
        tenant: &str,
        plugin: &str,
        now: impl FnOnce() -> Instant,
    ) -> Option<Owner> {
        let known = self.0.load();
        let (latest, now) = (known.last()?, now());
        if latest.until <= now {
            return None;
        }
        let key = key(tenant, plugin);
        let found = known.iter().find(|it| it.key == key && it.until > now)?;
        Some(Owner::Node(found.node.clone()))
    }
}

/// Two that share a key would share a preference for a minute, and nothing else.
fn key(tenant: &str, plugin: &str) -> u64 {
    stable_hash(tenant.as_bytes()) ^ stable_hash(plugin.as_bytes()).rotate_left(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    #[test]
    fn the_latest_installation_counts_for_a_minute_and_for_its_tenant_alone() {
        let (installs, now) = (Installs::default(), clock::now());
        let plugins = ["a/one".to_owned(), "b/two".to_owned()];
        let ask = |tenant: &str, plugin: &str, seconds: u64| {
            installs.taken_by(tenant, plugin, || now + Duration::from_secs(seconds))
        };
        let on = |name: &str| Some(Owner::Node(name.into()));
        assert_eq!(ask("t", "a/one", 0), None);
        installs.note("t", &plugins, &"n1".into(), now);
        assert_eq!(
            (ask("t", "a/one", 59), ask("t", "b/two", 0)),
            (on("n1"), on("n1"))
        );
        assert_eq!((ask("u", "a/one", 0), ask("t", "c/three", 0)), (None, None));
        let later = now + Duration::from_secs(30);
        installs.note("t", &plugins[..1], &"n2".into(), later);
        assert_eq!(
            (ask("t", "a/one", 31), ask("t", "b/two", 31)),
            (on("n2"), on("n1"))
        );
        assert_eq!(
            (ask("t", "a/one", 61), ask("t", "b/two", 61)),
            (on("n2"), None)
        );
        assert_eq!(ask("t", "a/one", 90), None);
        for n in 0..1000 {
            installs.note("t", &[format!("x/{n}")], &"n3".into(), later);
        }
        assert_eq!(installs.0.load().len(), MOST);
        assert_eq!(
            (ask("t", "x/999", 31), ask("t", "x/0", 31)),
            (on("n3"), None)
        );
    }
}
