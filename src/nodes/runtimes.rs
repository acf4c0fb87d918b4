//! How crowded is each plugin's process on a node?

use super::Plugins;
use crate::model::{Class, PluginPlace};
use std::sync::atomic::{AtomicU64, Ordering};

/// Live leases by plugin. A word holds both counts, all in its lowest bits and the long ones above, so that a
/// request writes once: a million of a plugin on one node. Its upper bits are how far the node is in turns of the
/// plugin, which a strategy moves on (`select::leads`); they begin again when they are full.
#[derive(Debug)]
pub(super) struct Runtimes(Box<[AtomicU64]>);

/// Bits of a count.
const WIDTH: u32 = 20;
const COUNT: u64 = (1 << WIDTH) - 1;

const fn one(class: Class) -> u64 {
    match class {
        Class::Short => 1,
        Class::Long => 1 << WIDTH | 1,
    }
}

const fn all(word: u64) -> u32 {
    (word & COUNT) as u32
}

const fn long(word: u64) -> u32 {
    (word >> WIDTH & COUNT) as u32
}

const fn stands(word: u64) -> u32 {
    (word >> (2 * WIDTH)) as u32
}

impl Runtimes {
    pub(super) fn new() -> Self {
        Self((0..Plugins::CAPACITY).map(|_| AtomicU64::new(0)).collect())
    }

    fn word(&self, plugin: PluginPlace) -> &AtomicU64 {
        &self.0[usize::from(plugin.index)]
    }

    fn read(&self, plugin: PluginPlace) -> u64 {
        self.word(plugin).load(Ordering::Relaxed)
    }

    pub(super) fn all(&self, plugin: PluginPlace) -> u32 {
        all(self.read(plugin))
    }

    pub(super) fn long(&self, plugin: PluginPlace) -> u32 {
        long(self.read(plugin))
    }

    pub(super) fn stands(&self, plugin: PluginPlace) -> u32 {
        stands(self.read(plugin))
    }

    /// All, the long ones, and how far it is.
    pub(super) fn glance(&self, plugin: PluginPlace) -> (u32, u32, u32) {
        let word = self.read(plugin);
        (all(word), long(word), stands(word))
    }

    pub(super) fn count_up(&self, class: Class, plugin: PluginPlace) {
        self.word(plugin).fetch_add(one(class), Ordering::Relaxed);
    }

    pub(super) fn count_down(&self, class: Class, plugin: PluginPlace) {
        let before = self.word(plugin).fetch_sub(one(class), Ordering::Relaxed);
        debug_assert!(all(before) > 0, "a lease ends once");
    }

    pub(super) fn move_on(&self, plugin: PluginPlace, by: u32) {
        let by = u64::from(by) << (2 * WIDTH);
        self.word(plugin).fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_turns_go_up_and_down_apart() {
        let (runtimes, plugin) = (Runtimes::new(), PluginPlace::NONE);
        let counts = || (runtimes.all(plugin), runtimes.long(plugin));
        runtimes.count_up(Class::Long, plugin);
        runtimes.count_up(Class::Short, plugin);
        assert_eq!(counts(), (2, 1));
        runtimes.move_on(plugin, (1 << 24) - 1);
        assert_eq!(runtimes.glance(plugin), (2, 1, (1 << 24) - 1));
        runtimes.move_on(plugin, 3);
        assert_eq!(runtimes.glance(plugin), (2, 1, 2), "it begins again");
        runtimes.count_down(Class::Long, plugin);
        assert_eq!(counts(), (1, 0));
        runtimes.count_down(Class::Short, plugin);
        assert_eq!(counts(), (0, 0));
    }
}
