//! Which plugin has which place in the per-node tables?

use crate::model::PluginPlace;
use lru::LruCache;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// A plugin that requests name, with its place. A place is given to another plugin only when no
/// request holds it any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Plugin {
    name: Box<str>,
    place: PluginPlace,
}

impl Plugin {
    /// `author/name`, a hook id, or `-`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its place in the per-node tables.
    #[must_use]
    pub const fn place(&self) -> PluginPlace {
        self.place
    }
}

/// The plugins seen in traffic: bounded, least recently used first to go.
pub struct Plugins {
    none: Arc<Plugin>,
    table: Mutex<Table>,
}

struct Table {
    seen: LruCache<Box<str>, Arc<Plugin>>,
    /// Places never given yet.
    fresh: std::ops::Range<u16>,
}

impl Plugins {
    /// So many plugins have places of their own; a node holds one counter for each. Beyond that,
    /// plugins share the place of "no plugin".
    pub const CAPACITY: u16 = 1024;
    /// Longer names are nobody's plugin and have no place: a client must not choose how much we
    /// remember.
    const LONGEST: usize = 512;

    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        let none = Plugin {
            name: "-".into(),
            place: PluginPlace::NONE,
        };
        Self {
            none: Arc::new(none),
            table: Mutex::new(Table {
                seen: LruCache::unbounded(),
                fresh: 1..Self::CAPACITY,
            }),
        }
    }

    /// The place of a plugin; requests without one, or with a name over 512 bytes, share the place
    /// of "no plugin".
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> Arc<Plugin> {
        let Some(name) = name.filter(|name| name.len() <= Self::LONGEST) else {
            return Arc::clone(&self.none);
        };
        let mut table = self.table.lock();
        if let Some(plugin) = table.seen.get(name) {
            return Arc::clone(plugin);
        }
        let Some(place) = table.free_place() else {
            return Arc::clone(&self.none);
        };
        let plugin = Arc::new(Plugin {
            name: name.into(),
            place,
        });
        table.seen.put(name.into(), Arc::clone(&plugin));
        plugin
    }

    /// Every plugin that has a place.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Plugin>> {
        let table = self.table.lock();
        table
            .seen
            .iter()
            .map(|(_, plugin)| Arc::clone(plugin))
            .collect()
    }

    /// How many plugins have a place.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.lock().seen.len()
    }

    /// Whether no plugin was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    /// A fresh place, or that of the least recently used plugin that no request holds.
    fn free_place(&mut self) -> Option<PluginPlace> {
        if let Some(index) = self.fresh.next() {
            return Some(PluginPlace {
                index,
                generation: 0,
            });
        }
        let idle = self
            .seen
            .iter()
            .rev()
            .find(|(_, plugin)| Arc::strong_count(plugin) == 1)
            .map(|(name, _)| name.clone())?;
        self.seen.pop(&idle).map(|plugin| PluginPlace {
            index: plugin.place.index,
            generation: plugin.place.generation.wrapping_add(1),
        })
    }
}

impl Default for Plugins {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_place_is_given_again_only_when_nobody_holds_it() {
        let plugins = Plugins::new();
        let held = plugins.find(Some("held/one"));
        for n in 0..3 * u32::from(Plugins::CAPACITY) {
            let other = plugins.find(Some(&format!("a/{n}")));
            assert_ne!(other.place(), held.place(), "the held place was given away");
            assert_ne!(
                other.place(),
                PluginPlace::NONE,
                "idle places are free to take"
            );
        }
        assert_eq!(plugins.find(Some("held/one")).place(), held.place());
        assert_eq!(plugins.len(), usize::from(Plugins::CAPACITY) - 1);
    }

    #[test]
    fn a_name_that_is_too_long_is_not_kept() {
        let plugins = Plugins::new();
        let longest = "p".repeat(Plugins::LONGEST);
        assert_ne!(plugins.find(Some(&longest)).place(), PluginPlace::NONE);
        let longer = longest + "p";
        assert_eq!(plugins.find(Some(&longer)).place(), PluginPlace::NONE);
        assert_eq!(plugins.len(), 1);
    }

    #[test]
    fn when_every_place_is_held_the_rest_share_one() {
        let plugins = Plugins::new();
        let held: Vec<_> = (1..Plugins::CAPACITY)
            .map(|n| plugins.find(Some(&format!("a/{n}"))))
            .collect();
        let places: HashSet<_> = held.iter().map(|plugin| plugin.place().index).collect();
        assert_eq!(places.len(), held.len(), "each has a place of its own");
        assert_eq!(plugins.find(Some("one/more")).place(), PluginPlace::NONE);
    }
}
