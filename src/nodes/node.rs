//! What do we know of one plugin daemon?

use super::comeback::Comeback;
use super::cooldown::Cooldown;
use super::expected::Expected;
use super::front::{Front, REPORTED, TOLD};
use super::health_route::HealthRoutes;
use super::marks::Marks;
use super::others::{Others, Remote};
use super::places::Places;
use super::presence::Presences;
use super::shown::Shown;
use super::speed::Speed;
use super::telling::Telling;
use super::{CooldownRules, Plugins};
use crate::model::{Class, NodeId, Role};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One plugin daemon. All counters are atomics: requests read and write them without a lock.
///
/// A node whose address changes is another node; role, weight and the operator's hand may change
/// while it serves.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    address: SocketAddr,
    pub(super) since: Instant,
    /// What every choice reads.
    pub(super) front: Front,
    /// The name in its certificate; none = it is reached without TLS.
    pub(super) server_name: Option<Arc<str>>,
    /// Whether any check has ended yet.
    checked: AtomicBool,
    /// True while the verdict rests on a failed first check alone.
    doubted: AtomicBool,
    /// When those of its leases that have an expected end should end.
    pub(super) expected: Expected,
    /// What other gateways and direct clients do there.
    others: Others,
    /// What is known of each plugin's runtime here.
    pub(super) presences: Presences,
    /// Strikes, and the rest they led to.
    cooldown: Cooldown,
    /// Whether it came up not long ago.
    pub(super) comeback: Comeback,
    /// Its pace against what is usual.
    speed: Speed,
    /// What strategies note.
    marks: Marks,
    /// Whether its trouble is worth a line now.
    telling: Telling,
    /// How many requests it may have in flight.
    places: Places,
    /// Leases ever taken.
    taken: AtomicU64,
    /// Attempts that failed on this node.
    failed: AtomicU64,
    /// Where it is asked whether it is well.
    health_route: HealthRoutes,
    /// For the pages.
    pub(super) shown: Shown,
}

impl Node {
    /// The weights that there are.
    pub const WEIGHTS: RangeInclusive<u16> = 1..=1000;

    /// A node about which nothing is known yet: taken for healthy until a check says otherwise,
    /// so that a gateway serves from its first moment.
    #[must_use]
    pub fn new(id: NodeId, address: SocketAddr, place: (Role, u16), now: Instant) -> Self {
        let (role, weight) = place;
        Self {
            id,
            address,
            since: now,
            front: Front::new(role, weight),
            server_name: None,
            checked: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            expected: Expected::default(),
            others: Others::new(now),
            presences: Presences::new(Plugins::CAPACITY, now),
            cooldown: Cooldown::new(now),
            comeback: Comeback::new(now),
            speed: Speed::new(now),
            marks: Marks::new(now),
            telling: Telling::new(now),
            places: Places::default(),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            health_route: HealthRoutes::default(),
            shown: Shown::new(now),
        }
    }

    /// Where it is asked whether it is well, when not where daemons are.
    #[must_use]
    pub const fn health_route(&self) -> &HealthRoutes {
        &self.health_route
    }

    /// The name in its certificate; none = it is reached without TLS.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The node's name.
    #[must_use]
    pub const fn id(&self) -> &NodeId {
        &self.id
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether any check has ended yet.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.checked.load(Ordering::Relaxed)
    }

    /// Notes how a check ended. The very first one decides at once: a gateway that has just
    /// started must not send requests to a dead node until `fall` probes have passed. A first
    /// failure is withdrawn by the next success; from there on the thresholds decide.
    pub fn note_check(&self, passed: bool) {
        let first = !self.checked.swap(true, Ordering::Relaxed);
        if first || (passed && self.doubted.load(Ordering::Relaxed)) {
            self.set_healthy(passed);
            self.doubted.store(!passed, Ordering::Relaxed);
        }
    }

    /// Sets the verdict of the active checks. A node that comes back was probably restarted: which
    /// plugins run there is not known any more.
    pub fn set_healthy(&self, healthy: bool) {
        self.doubted.store(false, Ordering::Relaxed);
        if self.turn_healthy(healthy) && healthy {
            self.presences.forget();
            self.cooldown.wake();
            self.speed.forget(&self.front.pace);
            self.marks.forget();
        }
    }

    /// It came up: new among the others, or well again; say so before [`Node::set_healthy`] lets
    /// requests in. Until more is known it gets no plugin that others are known to have, and less
    /// than its share.
    pub fn note_came_up(&self, now: Instant) {
        self.comeback.note(now);
        self.look_closely(now);
    }

    /// Its process is another one than before, although it may never have been seen down: what was
    /// known of its plugins, and of its failures, was known of the old one.
    pub fn note_restarted(&self, now: Instant) {
        self.note_came_up(now);
        self.presences.forget();
        self.cooldown.wake();
    }

    /// Tells one time it came up from the next; `None` when it was there from the start.
    #[must_use]
    pub fn came_up(&self) -> Option<u64> {
        self.comeback.came_up()
    }

    /// Whether it came up less than `warmup` ago.
    #[must_use]
    pub fn is_warming(&self, now: Instant, warmup: Duration) -> bool {
        self.comeback.is_warming(now, warmup)
    }

    /// How much of its share it takes, from 0.1 when it has just come up to 1 after `slow_start`.
    #[must_use]
    pub fn share(&self, now: Instant, slow_start: Duration) -> f64 {
        self.comeback.share(now, slow_start)
    }

    /// Nobody checks any more: the node counts as healthy, and the next check, should there be one,
    /// is a first one again.
    pub fn forget_checks(&self) {
        self.checked.store(false, Ordering::Relaxed);
        self.set_healthy(true);
    }

    /// Live leases of every class.
    #[must_use]
    pub fn total_in_flight(&self) -> u32 {
        Class::ALL.iter().map(|&class| self.in_flight(class)).sum()
    }

    /// When all our leases should have ended; `None` when that is not known of one of them.
    #[must_use]
    pub fn idle_in(&self, now: Instant) -> Option<Duration> {
        self.expected.idle_in(self.total_in_flight(), now)
    }

    /// Our leases and what the node serves beyond them.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.total_in_flight() + self.beyond()
    }

    /// Requests the node reports beyond those we sent.
    #[must_use]
    pub fn beyond(&self) -> u32 {
        self.others.beyond()
    }

    /// Takes the node's own count of running requests: what exceeds ours is somebody else's. The
    /// node counted at some moment since `ours_before` was read; a request of ours that ended in
    /// between must not look like a stranger's.
    pub fn note_reported(&self, running: u32, ours_before: u32, now: Instant) {
        let ours = self.total_in_flight().max(ours_before);
        let beyond = running.saturating_sub(ours);
        self.others.note_reported(beyond, now);
        self.front.set(REPORTED, beyond > 0);
    }

    /// Takes what the other gateways hold there.
    pub fn note_remote(&self, remote: &Remote) {
        let told = self.others.note_remote(remote);
        self.front.set(TOLD, told > 0);
    }

    /// The other gateways tell nothing any more.
    pub fn forget_remote(&self) {
        self.others.forget_remote();
        self.front.set(TOLD, false);
    }

    /// What others do there, and how much of that may still be true.
    #[must_use]
    pub const fn others(&self) -> &Others {
        &self.others
    }

    /// Its pace against what is usual.
    #[must_use]
    pub const fn speed(&self) -> &Speed {
        &self.speed
    }

    /// A request took `exp(residual)` times what is usual for its operation.
    pub fn note_pace(&self, residual: f64, now: Instant) {
        self.speed.note(residual, now, &self.front.pace);
    }

    /// What strategies note on it.
    #[must_use]
    pub const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// How long the node will still rest after failures; zero when it does not.
    #[must_use]
    pub fn resting(&self, now: Instant) -> Duration {
        self.cooldown.resting(now)
    }

    /// The same, but only because of what happened here.
    #[must_use]
    pub fn resting_here(&self, now: Instant) -> Duration {
        self.cooldown.remaining(now)
    }

    /// Takes how long the node rests because of what happened to other gateways.
    pub fn note_resting_elsewhere(&self, now: Instant, lasting: Duration) {
        self.cooldown.rest_elsewhere(now, lasting);
        if !lasting.is_zero() {
            self.look_closely(now + lasting);
        }
    }

    /// A failure that is the node's; returns the rest that begins with it, if one does.
    pub fn strike(&self, now: Instant, rules: &CooldownRules) -> Option<Duration> {
        let rest = self.cooldown.strike(now, rules);
        if let Some(rest) = rest {
            self.look_closely(now + rest);
        }
        rest
    }

    /// The share of its latest requests that failed by its own fault.
    #[must_use]
    pub fn failing(&self) -> f64 {
        self.cooldown.failing()
    }

    /// A request ended well here.
    pub fn note_success(&self) {
        self.cooldown.success();
    }

    /// The node asked for a pause.
    pub fn rest(&self, now: Instant, lasting: Duration) {
        self.cooldown.rest(now, lasting);
        self.look_closely(now + lasting);
    }

    /// Whether a line about its trouble may be written now: one in a second, with how many were left
    /// out since the last.
    pub fn may_tell(&self, now: Instant) -> Option<u32> {
        self.telling.may_tell(now)
    }

    /// Leases ever taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Requests that hold it and have not reached it yet: a moment each, unless nobody is there.
    pub(crate) const fn reaching(&self) -> &AtomicU32 {
        &self.front.reaching
    }

    /// Attempts that failed on this node.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn count_taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) const fn presences(&self) -> &Presences {
        &self.presences
    }

    pub(super) const fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn count_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    fn node() -> Node {
        let address = "10.0.0.1:5002".parse().expect("an address");
        Node::new("n1".into(), address, (Role::Secondary, 1), clock::now())
    }

    #[test]
    fn the_first_check_decides_at_once_and_later_ones_leave_it_to_the_thresholds() {
        let node = node();
        assert!(node.is_healthy(), "a gateway serves from its first moment");
        node.note_check(false);
        assert!(!node.is_healthy());
        node.note_check(true);
        assert!(node.is_healthy(), "one failure was not the threshold");
        node.note_check(false);
        assert!(node.is_healthy(), "from here on, rise and fall decide");
        node.set_healthy(false);
        node.note_check(true);
        assert!(!node.is_healthy(), "the thresholds have spoken");
    }

    #[test]
    fn f008_load_beyond_ours_counts_once() {
        let node = node();
        let now = clock::now();
        node.note_reported(50, 0, now);
        assert_eq!(node.load(), 50);
        node.note_reported(1, 1, now);
        assert_eq!(node.load(), 0, "ours ended since the node counted it");
        node.count_up(Class::Long, crate::model::PluginPlace::NONE);
        node.note_reported(50, 1, now);
        assert_eq!(node.load(), 50, "our own request is among the fifty");
    }
}
