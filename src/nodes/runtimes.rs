//! How crowded is each plugin's process on a node?

use super::Plugins;
use crate::model::{Class, PluginPlace};
use std::sync::atomic::{AtomicU64, Ordering};

/// Live leases by plugin. A word holds both counts, all in its lower half and the long ones in its
/// upper, so that a request writes once.
#[derive(Debug)]
pub(super) struct Runtimes(Box<[AtomicU64]>);

const fn one(class: Class) -> u64 {
    match class {
        Class::Short => 1,
        Class::Long => 1 << 32 | 1,
    }
}

impl Runtimes {
    pub(super) fn new() -> Self {
        Self((0..Plugins::CAPACITY).map(|_| AtomicU64::new(0)).collect())
    }

    fn word(&self, plugin: PluginPlace) -> &AtomicU64 {
        &self.0[usize::from(plugin.index)]
    }

    pub(super) fn all(&self, plugin: PluginPlace) -> u32 {
        self.word(plugin).load(Ordering::Relaxed) as u32
    }

    pub(super) fn long(&self, plugin: PluginPlace) -> u32 {
        (self.word(plugin).load(Ordering::Relaxed) >> 32) as u32
    }

    /// All, and the long ones.
    pub(super) fn counts(&self, plugin: PluginPlace) -> (u32, u32) {
        let word = self.word(plugin).load(Ordering::Relaxed);
        (word as u32, (word >> 32) as u32)
    }

    pub(super) fn count_up(&self, class: Class, plugin: PluginPlace) {
        self.word(plugin).fetch_add(one(class), Ordering::Relaxed);
    }

    pub(super) fn count_down(&self, class: Class, plugin: PluginPlace) {
        let before = self.word(plugin).fetch_sub(one(class), Ordering::Relaxed);
        debug_assert!(before as u32 > 0, "a lease ends once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_counts_go_up_and_down_apart() {
        let (runtimes, plugin) = (Runtimes::new(), PluginPlace::NONE);
        let counts = || (runtimes.all(plugin), runtimes.long(plugin));
        runtimes.count_up(Class::Long, plugin);
        runtimes.count_up(Class::Short, plugin);
        assert_eq!(counts(), (2, 1));
        runtimes.count_down(Class::Long, plugin);
        assert_eq!(counts(), (1, 0));
        runtimes.count_down(Class::Short, plugin);
        assert_eq!(counts(), (0, 0));
    }
}
