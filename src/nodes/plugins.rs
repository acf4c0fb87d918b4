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

    /// The place that a plugin has, or would be given if a request named it now; nothing changes.
    #[must_use]
    pub fn would_find(&self, name: Option<&str>) -> PluginPlace {
        let Some(name) = name.filter(|name| name.len() <= Self::LONGEST) else {
            return PluginPlace::NONE;
        };
        let table = self.table.lock();
        if let Some(plugin) = table.seen.peek(name) {
            return plugin.place;
        }
        let place = table.next_place();
        place.map_or(PluginPlace::NONE, |(place, _)| place)
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
        let (place, idle) = self.next_place()?;
        match idle {
            None => self.fresh.start += 1,
            Some(idle) => {
                self.seen.pop(&idle);
            }
        }
        Some(place)
    }

    /// The place that is free next, and who loses it.
    fn next_place(&self) -> Option<(PluginPlace, Option<Box<str>>)> {
        if !self.fresh.is_empty() {
            let fresh = PluginPlace {
                index: self.fresh.start,
                generation: 0,
            };
            return Some((fresh, None));
        }
        let mut oldest = self.seen.iter().rev();
        let (name, plugin) = oldest.find(|(_, plugin)| Arc::strong_count(plugin) == 1)?;
        let place = PluginPlace {
            index: plugin.place.index,
            generation: plugin.place.generation.wrapping_add(1),
        };
        Some((place, Some(name.clone())))
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
    fn where_a_plugin_would_be_found_is_where_it_is_found() {
        let plugins = Plugins::new();
        let held = plugins.find(Some("held/one"));
        for n in 0..2 * u32::from(Plugins::CAPACITY) {
            let name = format!("a/{n}");
            let (before, would) = (plugins.len(), plugins.would_find(Some(&name)));
            assert_eq!(plugins.len(), before, "to look is not to find");
            assert_eq!(plugins.find(Some(&name)).place(), would);
            assert_eq!(plugins.would_find(Some(&name)), would);
        }
        assert_eq!(plugins.would_find(Some("held/one")), held.place());
        assert_eq!(plugins.would_find(None), PluginPlace::NONE);
    }

    #[test]
    fn a_name_that_is_too_long_is_not_kept() {
        let plugins = Plugins::new();
        let longest = "p".repeat(Plugins::LONGEST);
        assert_ne!(plugins.find(Some(&longest)).place(), PluginPlace::NONE);
        let longer = longest + "p";
        assert_eq!(plugins.find(Some(&longer)).place(), PluginPlace::NONE);
        assert_eq!(plugins.would_find(Some(&longer)), PluginPlace::NONE);
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
