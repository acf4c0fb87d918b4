//! What do other gateways say about a plugin on this node, and do we know better?
//!
//! Their word counts only where it is newer than ours, and ours only as far as it is certain: when
//! in doubt about a moment, ours is taken for newer and theirs for older.

use super::presence::{
    GENERATION, MISSES, PRESENT, Presence, Presences, STILL_PRESENT, TIME, is_present, of,
};
use super::{Node, Plugin};
use crate::model::PluginPlace;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a gateway knows by itself of a plugin on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// It runs there; otherwise it does not.
    pub present: bool,
    /// When that was seen, or a moment before.
    pub at: Instant,
    /// How much longer an absence is believed; nothing for a presence.
    pub lasting: Duration,
}

/// The newest that others say of a plugin here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The plugin.
    pub plugin: PluginPlace,
    /// What was seen last.
    pub sight: Sight,
    /// One of them says that it is absent; not the one who saw it last, perhaps.
    pub missed: bool,
}

/// What was heard, beside what is known. Times are milliseconds of [`Presences::clock`].
#[derive(Debug)]
pub(super) struct Hearsay {
    /// Generation (16 bits), what is said (6 bits), until when it counts (42 bits); 0 = nothing.
    heard: Box<[AtomicU64]>,
    /// Our own latest sight: not after (42 bits), and so much before at most (22 bits).
    sights: Box<[AtomicU64]>,
    /// The places in `heard` that are not zero; held while news is written.
    filled: Mutex<BTreeMap<u16, u64>>,
    /// When we last looked at what we know.
    looked: AtomicU64,
    /// The node was restarted since then ...
    restarted: AtomicBool,
    /// ... or before, but not after this.
    anew: AtomicU64,
}

/// What is believed of it, in the lower two bits; 0 when we know better.
const BELIEVED: u64 = 3;
const ABSENT_THERE: u64 = 1;
const PRESENT_THERE: u64 = 2;
/// Somebody says that it is absent. Whoever saw it present says so then, and says so even where
/// another one does: two who leave it to each other would both be silent.
const MISSED: u64 = 4;
/// Nobody's word shuts a node out for longer.
const LONGEST: Duration = Duration::from_secs(600);
const SPAN: u32 = 22;
const LONGEST_SPAN: u64 = (1 << SPAN) - 1;

impl Hearsay {
    pub(super) fn new(places: u16) -> Self {
        let zeros = || (0..places).map(|_| AtomicU64::new(0)).collect();
        Self {
            heard: zeros(),
            sights: zeros(),
            filled: Mutex::default(),
            looked: AtomicU64::new(0),
            restarted: AtomicBool::new(false),
            anew: AtomicU64::new(0),
        }
    }

    /// What others say, if that counts now.
    pub(super) fn of(&self, plugin: PluginPlace, now: impl FnOnce() -> u64) -> Option<Presence> {
        let word = self.heard[usize::from(plugin.index)].load(Ordering::Relaxed);
        if word == 0 || of(plugin, word) <= now() {
            return None;
        }
        match kind(word) & BELIEVED {
            ABSENT_THERE => Some(Presence::Absent),
            PRESENT_THERE => Some(Presence::Present),
            _ => None,
        }
    }

    /// We have just seen it ourselves.
    pub(super) fn overrule(&self, plugin: PluginPlace, now: u64) {
        self.see(plugin, now, 0);
        // Against `tell`, which writes first and looks at our sights then.
        self.heard[usize::from(plugin.index)].store(0, Ordering::SeqCst);
    }

    fn see(&self, plugin: PluginPlace, not_after: u64, span: u64) {
        let sight = not_after << SPAN | span.min(LONGEST_SPAN);
        self.sights[usize::from(plugin.index)].store(sight, Ordering::SeqCst);
    }

    pub(super) fn forget(&self) {
        self.restarted.store(true, Ordering::Relaxed);
        for heard in &self.heard {
            heard.store(0, Ordering::Relaxed);
        }
    }
}

const fn kind(word: u64) -> u64 {
    word >> MISSES & 0x3f
}

impl Node {
    /// What we saw of these plugins ourselves, as far as others should know it: absences, and a
    /// presence where somebody believes otherwise. Called before each exchange with the fleet.
    #[must_use]
    pub fn sights(&self, plugins: &[Arc<Plugin>], now: Instant) -> Vec<(Arc<Plugin>, Sight)> {
        self.presences().sights(plugins, now)
    }

    /// Takes all that others saw here, of each plugin the newest. It counts where we have not seen
    /// otherwise since.
    pub fn hear_sights(&self, told: &[Told], now: Instant) {
        self.presences().hear(told, now);
        let absences = told.iter().filter(|told| !told.sight.present);
        let longest = absences.map(|told| told.sight.lasting.min(LONGEST)).max();
        if let Some(lasting) = longest {
            self.look_closely(now + lasting);
        }
    }
}

impl Presences {
    /// What we know of these plugins and others should: each absence, and a presence where somebody
    /// believes in an absence. Called before each exchange with the fleet.
    pub(super) fn sights(
        &self,
        plugins: &[Arc<Plugin>],
        now: Instant,
    ) -> Vec<(Arc<Plugin>, Sight)> {
        let hearsay = self.hearsay();
        let at = self.clock(now);
        let before = hearsay.looked.swap(at, Ordering::Relaxed);
        if hearsay.restarted.swap(false, Ordering::Relaxed) {
            hearsay.anew.store(at, Ordering::Relaxed);
        }
        let sight = |plugin: &Arc<Plugin>| {
            let sight = self.sight(plugin.place(), at, before, now)?;
            Some((Arc::clone(plugin), sight))
        };
        plugins.iter().filter_map(sight).collect()
    }

    fn sight(&self, plugin: PluginPlace, at: u64, before: u64, now: Instant) -> Option<Sight> {
        let (hearsay, place) = (self.hearsay(), self.word(plugin));
        let word = place.load(Ordering::Relaxed);
        let state = of(plugin, word);
        if state == PRESENT {
            // Seen since we last looked, nobody noted when: the next one shows in the word again.
            hearsay.see(plugin, at, at - before.min(at));
            let looked = word & !TIME | STILL_PRESENT;
            let _ = place.compare_exchange(word, looked, Ordering::Relaxed, Ordering::Relaxed);
        }
        let heard = &hearsay.heard[usize::from(plugin.index)];
        let said = heard.load(Ordering::Relaxed);
        if state == PRESENT {
            heard.store(said & !(BELIEVED << MISSES), Ordering::Relaxed);
        }
        let missed = kind(said) & MISSED != 0;
        let lasting = match is_present(state) {
            true if missed => Duration::ZERO,
            false if state > at => Duration::from_millis(state - at),
            _ => return None,
        };
        let sight = hearsay.sights[usize::from(plugin.index)].load(Ordering::SeqCst);
        let span = Some(sight & LONGEST_SPAN).filter(|span| *span < LONGEST_SPAN)?;
        let age = at.saturating_sub(sight >> SPAN) + span;
        Some(Sight {
            present: is_present(state),
            at: now.checked_sub(Duration::from_millis(age))?,
            lasting,
        })
    }

    /// Takes all that others say; of one plugin, the newest. What is not among it is not said any
    /// more.
    pub(super) fn hear(&self, told: &[Told], now: Instant) {
        let hearsay = self.hearsay();
        let mut filled = hearsay.filled.lock();
        let old = std::mem::take(&mut *filled);
        for told in told.iter().filter(|told| told.plugin != PluginPlace::NONE) {
            if let Some(word) = self.heard_word(told, now) {
                filled.insert(told.plugin.index, word);
            }
        }
        for place in old.keys().filter(|place| !filled.contains_key(place)) {
            hearsay.heard[usize::from(*place)].store(0, Ordering::Relaxed);
        }
        for told in told {
            let Some(word) = filled.get(&told.plugin.index) else {
                continue;
            };
            let heard = &hearsay.heard[usize::from(told.plugin.index)];
            heard.store(*word, Ordering::SeqCst);
            // Seen by ourselves while we wrote: that is newer.
            if self.heard_word(told, now) != Some(*word) {
                heard.store(0, Ordering::Relaxed);
            } else if kind(*word) & BELIEVED == ABSENT_THERE {
                self.drop_old_presence(told.plugin);
            }
        }
    }

    /// Somebody missed it since we saw it there: when the absence has ended, nothing is known.
    fn drop_old_presence(&self, plugin: PluginPlace) {
        let place = self.word(plugin);
        let old = place.load(Ordering::Relaxed);
        if of(plugin, old) == STILL_PRESENT {
            let unknown = u64::from(plugin.generation) << GENERATION;
            let _ = place.compare_exchange(old, unknown, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// How it is written down; `None` when it says nothing.
    fn heard_word(&self, told: &Told, now: Instant) -> Option<u64> {
        let (hearsay, plugin, sight) = (self.hearsay(), told.plugin, &told.sight);
        if hearsay.restarted.load(Ordering::Relaxed) {
            return None;
        }
        let word = self.word(plugin).load(Ordering::Relaxed);
        let state = of(plugin, word);
        let seen = hearsay.sights[usize::from(plugin.index)].load(Ordering::SeqCst) >> SPAN;
        // Also when what we saw was overridden since: it is no less newer than older words.
        let ours = word >> GENERATION == u64::from(plugin.generation);
        let own = if ours { seen } else { 0 };
        let known = own.max(hearsay.anew.load(Ordering::Relaxed));
        let newer = state != PRESENT && self.clock(sight.at) > known;
        let believed = match sight.present {
            true if newer => PRESENT_THERE,
            false if newer => ABSENT_THERE,
            _ if told.missed && is_present(state) => 0,
            _ => return None,
        };
        let missed = if told.missed { MISSED } else { 0 };
        let until = match believed {
            ABSENT_THERE => self.clock(now + sight.lasting.min(LONGEST)),
            _ => TIME,
        };
        Some(u64::from(plugin.generation) << GENERATION | (missed | believed) << MISSES | until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dice, clock};
    use crate::nodes::Plugins;

    const FIVE: Duration = Duration::from_secs(5);

    fn absent(at: Instant, lasting: Duration) -> Sight {
        let present = false;
        Sight {
            present,
            at,
            lasting,
        }
    }

    fn present(at: Instant) -> Sight {
        let (present, lasting) = (true, Duration::ZERO);
        Sight {
            present,
            at,
            lasting,
        }
    }

    struct Rig {
        start: Instant,
        plugin: Arc<Plugin>,
        node: Presences,
    }

    impl Rig {
        fn new() -> Self {
            let start = clock::now();
            Self {
                start,
                plugin: Plugins::new().find(Some("a/b")),
                node: Presences::new(16, start),
            }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn tell(&self, ms: u64) -> Option<Sight> {
            let all = self
                .node
                .sights(std::slice::from_ref(&self.plugin), self.at(ms));
            all.first().map(|(_, sight)| *sight)
        }

        fn hear(&self, ms: u64, sight: Sight) {
            let told = Told {
                plugin: self.plugin.place(),
                sight,
                missed: !sight.present,
            };
            self.node.hear(&[told], self.at(ms));
        }

        fn get(&self, ms: u64) -> Presence {
            self.node.get(self.plugin.place(), self.at(ms))
        }
    }

    #[test]
    fn an_absence_that_others_saw_is_believed_until_it_ends_or_is_not_said_any_more() {
        let rig = Rig::new();
        rig.hear(1000, absent(rig.at(900), FIVE));
        assert_eq!(rig.get(5999), Presence::Absent);
        assert_eq!(rig.get(6000), Presence::Unknown);
        assert_eq!(rig.tell(1000), None, "hearsay is not told on");
        rig.node.hear(&[], rig.at(1100));
        assert_eq!(rig.get(1100), Presence::Unknown);
    }

    #[test]
    fn a_presence_of_ours_is_told_only_where_somebody_believes_otherwise() {
        let rig = Rig::new();
        rig.node.note_present(rig.plugin.place());
        assert_eq!(rig.tell(1000), None);
        rig.hear(1100, absent(rig.at(500), FIVE));
        assert_eq!(rig.get(1100), Presence::Present, "we know better");
        let told = rig.tell(1200).unwrap();
        assert!(told.present && told.at <= rig.at(1000));
        rig.hear(1300, absent(rig.at(1250), FIVE));
        assert_eq!(
            rig.get(1300),
            Presence::Absent,
            "newer than our last success"
        );
        assert_eq!(
            rig.get(6300),
            Presence::Unknown,
            "and then nothing is known"
        );
        rig.node.note_present(rig.plugin.place());
        assert_eq!(rig.get(1301), Presence::Present, "until the next one");
    }

    #[test]
    fn who_saw_it_later_ends_an_absence_of_ours() {
        let rig = Rig::new();
        let place = rig.plugin.place();
        rig.node.note_absent(place, rig.at(1000), FIVE);
        rig.hear(1500, present(rig.at(999)));
        assert_eq!(rig.get(1500), Presence::Absent);
        rig.hear(1600, present(rig.at(1001)));
        assert_eq!(rig.get(1600), Presence::Present);
        rig.node.prolong_absent(place, rig.at(1700), 2 * FIVE);
        rig.hear(1700, present(rig.at(1001)));
        assert_eq!(
            rig.get(1700),
            Presence::Present,
            "to wait longer is not to see"
        );
        rig.node.note_absent(place, rig.at(1800), FIVE);
        assert_eq!(rig.get(1800), Presence::Absent, "seen again");
    }

    #[test]
    fn after_a_restart_only_newer_words_count() {
        let rig = Rig::new();
        rig.node.forget();
        rig.hear(1000, absent(rig.at(990), FIVE));
        assert_eq!(rig.get(1000), Presence::Unknown);
        assert_eq!(rig.tell(1100), None);
        rig.hear(1200, absent(rig.at(990), FIVE));
        assert_eq!(rig.get(1200), Presence::Unknown);
        rig.hear(1300, absent(rig.at(1101), FIVE));
        assert_eq!(rig.get(1300), Presence::Absent);
    }

    #[test]
    fn hearsay_of_a_plugin_that_lost_its_place_says_nothing_of_the_next() {
        let rig = Rig::new();
        rig.hear(1000, absent(rig.at(990), FIVE));
        let next = PluginPlace {
            generation: 1,
            ..rig.plugin.place()
        };
        assert_eq!(rig.node.get(next, rig.at(1000)), Presence::Unknown);
    }

    /// What happened to ourselves last: when, and until when an absence holds.
    #[derive(Clone, Copy, Debug)]
    struct Own {
        at: u64,
        absent_until: Option<u64>,
    }

    /// The plain truth, beside which a node is held.
    #[derive(Debug, Default)]
    struct Truth {
        own: Option<Own>,
        told: Option<Sight>,
        /// A newer absence was heard since we saw it: what we saw is gone, also when that word is.
        dropped: bool,
    }

    impl Truth {
        fn saw(&mut self, at: u64, absent_until: Option<u64>) {
            self.own = Some(Own { at, absent_until });
            self.dropped = false;
        }

        /// What we saw, what newer news says, and whether nothing may be known.
        fn allowed(&mut self, rig: &Rig, now: u64) -> [Option<Presence>; 3] {
            let ours = self.own.map(|own| match own.absent_until {
                None => Presence::Present,
                Some(until) if now < until => Presence::Absent,
                Some(_) => Presence::Unknown,
            });
            let newer = |told: &Sight| self.own.is_none_or(|own| told.at > rig.at(own.at));
            let theirs = self.told.filter(newer).map(|told| match told.present {
                true => Presence::Present,
                false => Presence::Absent,
            });
            self.dropped |= theirs == Some(Presence::Absent);
            let unknown = self.dropped || self.own.is_none();
            [ours, theirs, unknown.then_some(Presence::Unknown)]
        }
    }

    #[test]
    fn old_news_never_overrides_newer_knowledge_of_our_own() {
        let mut heard = 0;
        for seed in 0..400 {
            let (mut dice, rig) = (Dice::with_seed(seed), Rig::new());
            let (mut now, mut truth) = (1000, Truth::default());
            let place = rig.plugin.place();
            for step in 0..200 {
                now += dice.u64(..120);
                match dice.u8(..4) {
                    0 => {
                        rig.node.note_present(place);
                        truth.saw(now, None);
                    }
                    1 => {
                        // A success wipes the slate: so it lasts for five seconds each time.
                        rig.node.note_present(place);
                        rig.node.note_absent(place, rig.at(now), FIVE);
                        truth.saw(now, Some(now + 5000));
                    }
                    _ => {
                        let _ = rig.tell(now);
                        let at = rig.at(now - dice.u64(..400));
                        let sight = if dice.bool() {
                            absent(at, FIVE)
                        } else {
                            present(at)
                        };
                        rig.hear(now, sight);
                        truth.told = Some(sight);
                    }
                }
                let got = Some(rig.get(now));
                let allowed = truth.allowed(&rig, now);
                assert!(
                    allowed.contains(&got),
                    "seed {seed} step {step}: {got:?} of {allowed:?} at {now}: {truth:?}"
                );
                heard += u32::from(got == allowed[1] && got != allowed[0]);
            }
        }
        assert!(heard > 1000, "news changed something only {heard} times");
    }
}
