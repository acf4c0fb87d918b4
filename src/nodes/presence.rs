//! Does a node run a plugin?
//!
//! One word per (node, plugin), because that is where Dify's most frequent complaint comes from: a
//! plugin that is installed, but whose process is not on the node that was asked.

use super::hearsay::Hearsay;
use crate::model::PluginPlace;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is known of one plugin's runtime on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It answered there, or a probe found it.
    Present,
    /// Nothing is known: it may be tried.
    Unknown,
    /// The node said that it is not there, not long ago.
    Absent,
}

/// All plugins of one node. A word holds the plugin's generation (16 bits), so that a place given to
/// another plugin starts unknown; how often in a row it was missed or failed (6 bits); and either
/// "present" or until when it counts as absent (42 bits of milliseconds).
///
/// What others say lies beside it, and counts only where it is newer than what we know ourselves.
#[derive(Debug)]
pub(super) struct Presences {
    since: Instant,
    words: Box<[AtomicU64]>,
    hearsay: Hearsay,
}

pub(super) const TIME: u64 = u64::MAX >> 22;
/// Present, and seen so since the fleet was last told.
pub(super) const PRESENT: u64 = TIME;
/// Present, and not seen since then.
pub(super) const STILL_PRESENT: u64 = TIME - 1;
pub(super) const MISSES: u32 = 42;
pub(super) const GENERATION: u32 = 48;
/// An absence lasts at most so many times the first.
pub(super) const LONGEST: u32 = 12;

impl Presences {
    pub(super) fn new(places: u16, now: Instant) -> Self {
        Self {
            since: now,
            words: (0..places).map(|_| AtomicU64::new(0)).collect(),
            hearsay: Hearsay::new(places),
        }
    }

    pub(super) const fn hearsay(&self) -> &Hearsay {
        &self.hearsay
    }

    pub(super) fn word(&self, plugin: PluginPlace) -> &AtomicU64 {
        &self.words[usize::from(plugin.index)]
    }

    /// Milliseconds since this node became known, from 1.
    pub(super) fn clock(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.since).as_millis();
        u64::try_from(since).map_or(TIME - 2, |ms| (ms + 1).min(TIME - 2))
    }

    pub(super) fn get(&self, plugin: PluginPlace, now: Instant) -> Presence {
        if plugin == PluginPlace::NONE {
            // All plugins beyond the table's capacity share this place; what one of them does says
            // nothing about the others.
            return Presence::Unknown;
        }
        let own = of(plugin, self.word(plugin).load(Ordering::Relaxed));
        if own == PRESENT {
            return Presence::Present;
        }
        // Nearly always nobody says anything.
        let heard = self.hearsay.of(plugin, || self.clock(now));
        heard.unwrap_or_else(|| self.meaning(own, now))
    }

    fn meaning(&self, own: u64, now: Instant) -> Presence {
        match own {
            // A fresh word is 0: the time it would stand for is before the first millisecond.
            0 => Presence::Unknown,
            PRESENT | STILL_PRESENT => Presence::Present,
            until if self.clock(now) < until => Presence::Absent,
            _ => Presence::Unknown,
        }
    }

    pub(super) fn note_present(&self, plugin: PluginPlace) {
        let word = u64::from(plugin.generation) << GENERATION | PRESENT;
        let place = self.word(plugin);
        // Nearly always it is known, and a read leaves the line where the other threads have it.
        if place.load(Ordering::Relaxed) != word {
            place.store(word, Ordering::Relaxed);
        }
    }

    /// Missed: twice as long as the last time, so that a plugin that will never be there costs
    /// ever less, and one that is being installed is found soon.
    pub(super) fn note_absent(&self, plugin: PluginPlace, now: Instant, first: Duration) {
        let old = self.word(plugin).load(Ordering::Relaxed);
        let known = old >> GENERATION == u64::from(plugin.generation) && !is_present(old & TIME);
        let misses = if known { old >> MISSES & 0x3f } else { 0 };
        let factor = 1u32
            .checked_shl(u32::try_from(misses).unwrap_or(31))
            .unwrap_or(LONGEST);
        let until = self.clock(now + first * factor.min(LONGEST));
        let word =
            u64::from(plugin.generation) << GENERATION | (misses + 1).min(31) << MISSES | until;
        self.word(plugin).store(word, Ordering::Relaxed);
        self.hearsay.overrule(plugin, self.clock(now));
    }

    /// Its runtime failed: after `most` times in a row it counts as absent, and again after each
    /// further one. 0 = never.
    pub(super) fn note_broken(
        &self,
        plugin: PluginPlace,
        now: Instant,
        (most, lasting): (u32, Duration),
    ) {
        let place = self.word(plugin);
        let old = place.load(Ordering::Relaxed);
        let known = old >> GENERATION == u64::from(plugin.generation);
        let (state, fails) = match known {
            true => (old & TIME, old >> MISSES & 0x3f),
            false => (0, 0),
        };
        let was_absent = state != 0 && !is_present(state);
        if most == 0 || (!was_absent && fails + 1 < u64::from(most)) {
            let fails = (fails + 1).min(31);
            let word = u64::from(plugin.generation) << GENERATION | fails << MISSES | state;
            place.store(word, Ordering::Relaxed);
            return;
        }
        if !was_absent {
            place.store(0, Ordering::Relaxed);
        }
        self.note_absent(plugin, now, lasting);
    }

    /// A probe said so: it is believed for so long, however often it was missed. What was learned
    /// while the probe was under way stands.
    pub(super) fn keep_absent(&self, plugin: PluginPlace, now: Instant, lasting: Duration) {
        let place = self.word(plugin);
        let old = place.load(Ordering::Relaxed);
        let state = of(plugin, old);
        if is_present(state) {
            return;
        }
        let known = old >> GENERATION == u64::from(plugin.generation);
        let misses = if known { old >> MISSES & 0x3f } else { 0 };
        let until = self.clock(now + lasting).max(state);
        let word = u64::from(plugin.generation) << GENERATION | misses << MISSES | until;
        // Lost to another word: that one is newer.
        let kept = place.compare_exchange(old, word, Ordering::Relaxed, Ordering::Relaxed);
        if kept.is_ok() {
            self.hearsay.overrule(plugin, self.clock(now));
        }
    }

    /// What is absent by our own knowledge stays so for at least so long: nothing new was seen.
    pub(super) fn prolong_absent(&self, plugin: PluginPlace, now: Instant, lasting: Duration) {
        let place = self.word(plugin);
        let old = place.load(Ordering::Relaxed);
        if self.meaning(of(plugin, old), now) == Presence::Absent {
            let until = self.clock(now + lasting).max(old & TIME);
            let word = old & !TIME | until;
            let _ = place.compare_exchange(old, word, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The node was restarted: nothing is known any more.
    pub(super) fn forget(&self) {
        self.words
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
        self.hearsay.forget();
    }
}

/// What a word says of this plugin; 0 when it speaks of another one.
pub(super) fn of(plugin: PluginPlace, word: u64) -> u64 {
    match word >> GENERATION == u64::from(plugin.generation) {
        true => word & TIME,
        false => 0,
    }
}

pub(super) const fn is_present(state: u64) -> bool {
    state >= STILL_PRESENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    const PLUGIN: PluginPlace = PluginPlace {
        index: 7,
        generation: 0,
    };

    #[test]
    fn absence_ends_by_itself_and_presence_stays() {
        let start = clock::now();
        let node = Presences::new(16, start);
        assert_eq!(node.get(PLUGIN, start), Presence::Unknown);
        node.note_absent(PLUGIN, start, Duration::from_secs(5));
        assert_eq!(node.get(PLUGIN, start), Presence::Absent);
        let later = start + Duration::from_millis(4999);
        assert_eq!(node.get(PLUGIN, later), Presence::Absent);
        let later = start + Duration::from_millis(5000);
        assert_eq!(node.get(PLUGIN, later), Presence::Unknown);
        node.note_absent(PLUGIN, start, Duration::from_secs(5));
        assert_eq!(
            node.get(PLUGIN, later),
            Presence::Absent,
            "twice as long the second time"
        );
        (0..20).for_each(|_| node.note_absent(PLUGIN, start, Duration::from_secs(5)));
        let minute = start + Duration::from_secs(60);
        assert_eq!(
            node.get(PLUGIN, minute),
            Presence::Unknown,
            "and never longer than a minute"
        );
        node.note_present(PLUGIN);
        assert_eq!(node.get(PLUGIN, later), Presence::Present);
        node.note_absent(PLUGIN, start, Duration::from_secs(5));
        assert_eq!(
            node.get(PLUGIN, later),
            Presence::Unknown,
            "present wipes the slate"
        );
        node.forget();
        assert_eq!(node.get(PLUGIN, later), Presence::Unknown);
    }

    #[test]
    fn a_probe_prolongs_an_absence_and_never_ends_a_presence() {
        let start = clock::now();
        let node = Presences::new(16, start);
        node.keep_absent(PLUGIN, start, Duration::from_secs(30));
        node.keep_absent(PLUGIN, start, Duration::from_secs(1));
        let later = start + Duration::from_secs(29);
        assert_eq!(node.get(PLUGIN, later), Presence::Absent);
        assert_eq!(
            node.get(PLUGIN, start + Duration::from_secs(30)),
            Presence::Unknown
        );
        node.note_present(PLUGIN);
        node.keep_absent(PLUGIN, start, Duration::from_secs(30));
        assert_eq!(node.get(PLUGIN, later), Presence::Present);
        let next = PluginPlace {
            generation: 1,
            ..PLUGIN
        };
        node.keep_absent(next, start, Duration::from_secs(5));
        assert_eq!(node.get(next, start), Presence::Absent);
    }

    #[test]
    fn a_runtime_that_only_fails_counts_as_absent_and_a_success_wipes_the_slate() {
        let start = clock::now();
        let node = Presences::new(16, start);
        let broken = || node.note_broken(PLUGIN, start, (3, Duration::from_secs(5)));
        node.note_present(PLUGIN);
        broken();
        broken();
        node.note_present(PLUGIN);
        broken();
        broken();
        assert_eq!(node.get(PLUGIN, start), Presence::Present);
        broken();
        assert_eq!(node.get(PLUGIN, start), Presence::Absent);
        let later = start + Duration::from_secs(5);
        assert_eq!(node.get(PLUGIN, later), Presence::Unknown);
        broken();
        assert_eq!(
            node.get(PLUGIN, later),
            Presence::Absent,
            "one more is enough, and lasts longer"
        );
        let fresh = PluginPlace { index: 8, ..PLUGIN };
        for _ in 0..2 {
            node.note_broken(fresh, start, (3, Duration::from_secs(5)));
            assert_eq!(node.get(fresh, start), Presence::Unknown);
        }
        node.note_broken(fresh, start, (3, Duration::from_secs(5)));
        assert_eq!(node.get(fresh, start), Presence::Absent);
        for _ in 0..9 {
            node.note_broken(PLUGIN, later, (0, Duration::from_secs(5)));
        }
        node.note_present(PLUGIN);
        (0..9).for_each(|_| node.note_broken(PLUGIN, later, (0, Duration::from_secs(5))));
        assert_eq!(node.get(PLUGIN, later), Presence::Present, "0 is never");
    }

    #[test]
    fn a_place_that_changes_hands_starts_unknown() {
        let start = clock::now();
        let node = Presences::new(16, start);
        node.note_present(PLUGIN);
        let next = PluginPlace {
            generation: 1,
            ..PLUGIN
        };
        assert_eq!(node.get(next, start), Presence::Unknown);
    }

    #[test]
    fn what_has_no_place_of_its_own_is_always_unknown() {
        let start = clock::now();
        let node = Presences::new(16, start);
        node.note_absent(PluginPlace::NONE, start, Duration::from_secs(5));
        assert_eq!(node.get(PluginPlace::NONE, start), Presence::Unknown);
    }
}
