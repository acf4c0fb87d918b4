//! What does a choice read of every node? It lies side by side in one cache line: a choice among many
//! nodes costs what is read of each, and hardly more.
//!
//! Nearly always there is nothing to know about a node but how much runs there. So what is rare leaves a
//! trace here ([`Front::odd`]), and only where there is one does anybody look closely: at rests,
//! absences, slow starts, and what others do there.

use super::Node;
use super::hand::Hand;
use super::pair::Pair;
use super::runtimes::Runtimes;
use super::speed::unproven;
use crate::model::{Class, PluginPlace, Role};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One node's line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Front {
    /// Live leases by class.
    in_flight: [AtomicU32; Class::ALL.len()],
    /// Live leases by plugin: the contention inside one runtime.
    pub(super) runtimes: Runtimes,
    /// The mean of its pace, and what it is surely not faster than: see [`super::Speed::note`].
    pub(super) pace: Pair,
    /// Until when something that passes may be the matter, in milliseconds since the node became known,
    /// from 1; 0 = nothing is.
    passing: AtomicU64,
    /// Live leases whose request has not reached the node yet.
    pub(super) reaching: AtomicU32,
    state: AtomicU32,
    weight: AtomicU16,
}

/// The bits of a node's state.
const SICK: u32 = 1;
const DRAIN: u32 = 1 << 1;
const MAINT: u32 = 1 << 2;
const BACKUP: u32 = 1 << 3;
const PRIMARY: u32 = 1 << 4;
pub(super) const SERVERLESS: u32 = 1 << 5;
/// The other gateways hold requests there.
pub(super) const TOLD: u32 = 1 << 6;
/// The node reports requests that are not ours.
pub(super) const REPORTED: u32 = 1 << 7;

/// Who has one of these is not simply a node that may serve.
const TO_SCREEN: u32 = SICK | DRAIN | MAINT | BACKUP;
/// Who has one of these has other costs than its own requests.
const TO_WEIGH: u32 = SERVERLESS | TOLD | REPORTED;

/// A node at a glance: how busy it is for one plugin, and whether it must be looked at closely.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Live leases.
    pub all: u32,
    /// The long ones.
    pub long: u32,
    /// Those of the plugin.
    pub same: u32,
    /// The long ones of the plugin.
    pub same_long: u32,
    /// How far it is in turns of the plugin: see [`Node::stands`].
    pub stands: u32,
    /// Those whose request has not reached the node yet.
    pub reaching: u32,
    /// Its share of the work; at least 1.
    pub weight: u16,
    /// The mean of its pace; infinite while nothing is proven.
    pub pace: f32,
    /// It is surely no faster than this; negative infinity while nothing is proven. No node is slow
    /// as long as this is nowhere above the least `pace`.
    pub surely: f32,
    /// Zero when nothing but this matters: its share is whole, and nobody else uses it.
    pub odd: u64,
}

impl Front {
    pub(super) fn new(role: Role, weight: u16) -> Self {
        let front = Self {
            in_flight: Default::default(),
            runtimes: Runtimes::new(),
            pace: unproven(),
            passing: AtomicU64::new(0),
            reaching: AtomicU32::new(0),
            state: AtomicU32::new(0),
            weight: AtomicU16::new(weight.max(1)),
        };
        front.set_role(role);
        front
    }

    fn has(&self, bits: u32) -> bool {
        self.state.load(Ordering::Relaxed) & bits != 0
    }

    /// Sets or clears bits, and says whether any of them was set before.
    pub(super) fn set(&self, bits: u32, on: bool) -> bool {
        let before = if on {
            self.state.fetch_or(bits, Ordering::Relaxed)
        } else {
            self.state.fetch_and(!bits, Ordering::Relaxed)
        };
        before & bits != 0
    }

    /// Sets all bits of a group at once: nobody sees half of it.
    fn put(&self, group: u32, bits: u32) {
        let next = |state| Some(state & !group | bits);
        let _ = self
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    fn set_role(&self, role: Role) {
        let bits = match role {
            Role::Primary => PRIMARY,
            Role::Secondary => 0,
            Role::Backup => BACKUP,
        };
        self.put(PRIMARY | BACKUP, bits);
    }

    /// Zero when the screen need not look at it.
    pub(super) fn odd(&self) -> u64 {
        let state = self.state.load(Ordering::Relaxed) & TO_SCREEN;
        self.passing.load(Ordering::Relaxed) | u64::from(state)
    }
}

impl Node {
    /// What a choice for a plugin reads of it.
    #[must_use]
    pub fn glance(&self, plugin: PluginPlace) -> Glance {
        let front = &self.front;
        let long = self.in_flight(Class::Long);
        let (same, same_long, stands) = front.runtimes.glance(plugin);
        let (pace, surely) = front.pace.get();
        let state = front.state.load(Ordering::Relaxed) & TO_WEIGH;
        Glance {
            all: self.in_flight(Class::Short) + long,
            long,
            same,
            same_long,
            stands,
            reaching: front.reaching.load(Ordering::Relaxed),
            weight: self.weight(),
            pace,
            surely,
            odd: front.passing.load(Ordering::Relaxed) | u64::from(state),
        }
    }

    /// From now until then, and the time of any grace after it, it is looked at closely.
    pub(super) fn look_closely(&self, until: Instant) {
        let until = self.milliseconds(until);
        self.front.passing.fetch_max(until, Ordering::Relaxed);
    }

    /// Was anything that passes the matter, and has it passed, with this grace? Then it is no longer
    /// looked at closely.
    pub(super) fn look_away(&self, now: Instant, grace: Duration) {
        let passing = &self.front.passing;
        let until = passing.load(Ordering::Relaxed);
        let Some(ended) = now.checked_sub(grace).filter(|_| until > 0) else {
            return;
        };
        if self.milliseconds(ended) > until {
            // Fails when something new has come, which then lasts.
            let _ = passing.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.since).as_millis();
        u64::try_from(since).map_or(u64::MAX, |ms| ms.saturating_add(1))
    }

    /// Its part in the pool.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.front.state.load(Ordering::Relaxed) & (PRIMARY | BACKUP) {
            0 => Role::Secondary,
            PRIMARY => Role::Primary,
            _ => Role::Backup,
        }
    }

    pub(super) fn set_role(&self, role: Role) {
        self.front.set_role(role);
    }

    /// Its share of the work; at least 1.
    #[must_use]
    pub fn weight(&self) -> u16 {
        self.front.weight.load(Ordering::Relaxed)
    }

    /// Sets its share of the work; at least 1.
    pub fn set_weight(&self, weight: u16) {
        self.front.weight.store(weight.max(1), Ordering::Relaxed);
    }

    /// The operator's hand.
    #[must_use]
    pub fn hand(&self) -> Hand {
        match self.front.state.load(Ordering::Relaxed) & (DRAIN | MAINT) {
            0 => Hand::Ready,
            DRAIN => Hand::Drain,
            _ => Hand::Maint,
        }
    }

    /// Sets the operator's hand.
    pub fn set_hand(&self, hand: Hand) {
        let bits = match hand {
            Hand::Ready => 0,
            Hand::Drain => DRAIN,
            Hand::Maint => MAINT,
        };
        self.front.put(DRAIN | MAINT, bits);
    }

    /// The verdict of the active checks. True until a first check said otherwise.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.front.has(SICK)
    }

    /// Notes the verdict, and says whether it was another one before.
    pub(super) fn turn_healthy(&self, healthy: bool) -> bool {
        self.front.set(SICK, !healthy) == healthy
    }

    /// Its plugins run elsewhere (`PLATFORM=serverless`), and it only passes calls on: any such node
    /// serves any plugin at once, and calls of one plugin do not contend there.
    #[must_use]
    pub fn is_serverless(&self) -> bool {
        self.front.has(SERVERLESS)
    }

    /// Notes what its last health answer said.
    pub fn note_serverless(&self, serverless: bool) {
        self.front.set(SERVERLESS, serverless);
    }

    /// Live leases of one class.
    #[must_use]
    pub fn in_flight(&self, class: Class) -> u32 {
        self.front.in_flight[class.index()].load(Ordering::Relaxed)
    }

    pub(super) fn count_up(&self, class: Class, plugin: PluginPlace) {
        self.front.in_flight[class.index()].fetch_add(1, Ordering::Relaxed);
        self.front.runtimes.count_up(class, plugin);
    }

    pub(super) fn count_down(&self, class: Class, plugin: PluginPlace) {
        let before = self.front.in_flight[class.index()].fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a lease ends once");
        self.front.runtimes.count_down(class, plugin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use crate::nodes::Remote;

    const GRACE: Duration = Duration::from_secs(60);

    fn node(now: Instant) -> Node {
        let address = "10.0.0.1:5002".parse().expect("an address");
        Node::new("n1".into(), address, (Role::Secondary, 1), now)
    }

    #[test]
    fn a_front_is_one_cache_line() {
        assert_eq!(size_of::<Front>(), 64);
    }

    #[test]
    fn role_hand_and_health_do_not_disturb_each_other() {
        let node = node(clock::now());
        for role in Role::ALL {
            for hand in [Hand::Maint, Hand::Drain, Hand::Ready] {
                for healthy in [false, true] {
                    node.set_role(role);
                    node.set_hand(hand);
                    node.set_healthy(healthy);
                    assert_eq!(
                        (node.role(), node.hand(), node.is_healthy()),
                        (role, hand, healthy)
                    );
                    let plain = hand == Hand::Ready && healthy && role != Role::Backup;
                    assert_eq!(node.front.odd() == 0, plain);
                }
            }
        }
    }

    #[test]
    fn what_passes_is_looked_at_until_its_grace_has_passed() {
        let now = clock::now();
        let node = node(now);
        let then = now + Duration::from_secs(10);
        node.look_closely(then);
        node.look_closely(now);
        for (later, odd) in [(0, true), (10, true), (70, true), (71, false)] {
            node.look_away(now + Duration::from_secs(later), GRACE);
            assert_eq!(node.front.odd() != 0, odd, "after {later} s");
        }
        node.look_closely(now + Duration::from_secs(300));
        node.look_away(now + Duration::from_secs(200), GRACE);
        assert!(node.front.odd() != 0, "something new lasts");
    }

    #[test]
    fn what_others_do_there_is_odd_only_for_a_choice() {
        let now = clock::now();
        let node = node(now);
        let odd = || node.glance(PluginPlace::NONE).odd != 0;
        let mut news = Remote {
            total: 3,
            long: 0,
            plugins: Vec::new(),
            as_of: now,
            rate: 0.0,
        };
        assert!(!odd());
        node.note_remote(&news);
        assert!(odd() && node.front.odd() == 0);
        news.total = 0;
        node.note_remote(&news);
        assert!(!odd());
        node.note_reported(2, 0, now);
        assert!(odd());
        node.forget_remote();
        assert!(odd(), "the node still reports somebody");
        node.note_reported(0, 0, now);
        assert!(!odd());
    }
}
