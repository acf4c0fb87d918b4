//! What is known of a plugin's runtime on a node?

use super::presence::LONGEST;
use super::{Node, Presence};
use crate::model::PluginPlace;
use std::time::{Duration, Instant};

impl Node {
    /// Live leases of one plugin: how crowded its runtime on this node is.
    #[must_use]
    pub fn runtime_in_flight(&self, plugin: PluginPlace) -> u32 {
        self.front.runtimes.all(plugin)
    }

    /// The long ones among them.
    #[must_use]
    pub fn runtime_long(&self, plugin: PluginPlace) -> u32 {
        self.front.runtimes.long(plugin)
    }

    /// How far it is in turns of a plugin, modulo 2^24.
    #[must_use]
    pub fn stands(&self, plugin: PluginPlace) -> u32 {
        self.front.runtimes.stands(plugin)
    }

    /// Moves it on in turns of a plugin.
    pub fn move_on(&self, plugin: PluginPlace, by: u32) {
        self.front.runtimes.move_on(plugin, by);
    }

    /// What is known of a plugin's runtime here.
    #[must_use]
    pub fn presence(&self, plugin: PluginPlace, now: Instant) -> Presence {
        match self.presences.get(plugin, now) {
            Presence::Unknown if self.is_serverless() => Presence::Present,
            known => known,
        }
    }

    /// The plugin answered here.
    pub fn note_present(&self, plugin: PluginPlace) {
        self.presences.note_present(plugin);
    }

    /// The node said that the plugin is not here; it is believed for a while.
    pub fn note_absent(&self, plugin: PluginPlace, now: Instant, lasting: Duration) {
        self.presences.note_absent(plugin, now, lasting);
        self.look_closely(now + lasting * LONGEST);
    }

    /// The plugin's runtime failed here, and not the plugin. So many in a row, `(most, lasting)`, and
    /// the plugin counts as absent: a runtime that fails at once would look idle and draw every call.
    pub fn note_broken(&self, plugin: PluginPlace, now: Instant, fails: (u32, Duration)) {
        self.presences.note_broken(plugin, now, fails);
        self.look_closely(now + fails.1 * LONGEST);
    }

    /// A probe found the plugin here. The first one since the node came up begins its slow start.
    pub fn note_found(&self, plugin: PluginPlace, now: Instant) {
        if self.comeback.note_proven(now) {
            self.look_closely(now);
        }
        self.presences.note_present(plugin);
    }

    /// A probe found that the plugin is not here; it is believed for so long.
    pub fn keep_absent(&self, plugin: PluginPlace, now: Instant, lasting: Duration) {
        self.presences.keep_absent(plugin, now, lasting);
        self.look_closely(now + lasting);
    }

    /// While a probe is under way, what we know to be absent stays so for at least so long.
    pub fn prolong_absent(&self, plugin: PluginPlace, now: Instant, lasting: Duration) {
        self.presences.prolong_absent(plugin, now, lasting);
        self.look_closely(now + lasting);
    }
}
