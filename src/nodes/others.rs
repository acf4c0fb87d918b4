//! What do others do on a node, and how much of that may still be true?
//!
//! Two views: what the other gateways tell (by class and plugin), and what the node itself reports
//! beyond our own requests (a bare count). The first wins while it is fresh. Both are old when
//! they arrive, and whoever acts on old counts as if they were new sends every request to the node
//! that was idle a second ago; so each view knows its age and how fast it changes.

use super::Plugins;
use crate::model::PluginPlace;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Older news is no news.
const FRESH: Duration = Duration::from_secs(5);
/// Rates of what nodes report are averaged over this time.
const MEMORY: f64 = 10.0;

/// What all other gateways together hold on one node: absolute counts, so that news which is
/// repeated or lost does no harm.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Requests in flight.
    pub total: u32,
    /// Long ones among them.
    pub long: u32,
    /// Those of single plugins, where there are any; each plugin once.
    pub plugins: Vec<(PluginPlace, u32)>,
    /// When they were counted. Of several gateways, the oldest.
    pub as_of: Instant,
    /// Requests per second that they begin on this node.
    pub rate: f64,
}

/// What others do on a node, as far as it is fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Burden {
    /// Requests in flight.
    pub total: u32,
    /// Requests of the plugin that was asked for.
    pub same: u32,
    /// Long requests.
    pub long: u32,
}

/// Both views of one node.
#[derive(Debug)]
pub struct Others {
    since: Instant,
    reported: View,
    told: View,
    told_long: AtomicU32,
    told_runtimes: Box<[AtomicU32]>,
    /// The places in `told_runtimes` that are not zero; held while news is written.
    filled: Mutex<Vec<u16>>,
}

#[derive(Debug, Default)]
struct View {
    total: AtomicU32,
    /// Microseconds since the node became known, from 1; 0 = never.
    as_of: AtomicU64,
    /// Requests per second, as the bits of an `f64`.
    rate: AtomicU64,
}

impl View {
    fn rate(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Relaxed))
    }

    fn set(&self, total: u32, as_of: u64, rate: f64) {
        self.total.store(total, Ordering::Relaxed);
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
        self.as_of.store(as_of, Ordering::Relaxed);
    }
}

impl Others {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            reported: View::default(),
            told: View::default(),
            told_long: AtomicU32::new(0),
            told_runtimes: (0..Plugins::CAPACITY).map(|_| AtomicU32::new(0)).collect(),
            filled: Mutex::default(),
        }
    }

    fn clock(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.since).as_micros();
        u64::try_from(since).map_or(u64::MAX, |us| us.saturating_add(1))
    }

    /// Takes what the other gateways hold, and says how many that are now. News that is older than what
    /// is known changes nothing.
    pub(super) fn note_remote(&self, remote: &Remote) -> u32 {
        let as_of = self.clock(remote.as_of);
        let mut filled = self.filled.lock();
        if as_of < self.told.as_of.load(Ordering::Relaxed) {
            return self.told.total.load(Ordering::Relaxed);
        }
        for place in filled.drain(..) {
            self.told_runtimes[usize::from(place)].store(0, Ordering::Relaxed);
        }
        for &(plugin, count) in remote.plugins.iter().filter(|(_, count)| *count > 0) {
            self.told_runtimes[usize::from(plugin.index)].store(count, Ordering::Relaxed);
            filled.push(plugin.index);
        }
        self.told_long.store(remote.long, Ordering::Relaxed);
        let rate = if remote.rate.is_finite() {
            remote.rate.max(0.0)
        } else {
            0.0
        };
        self.told.set(remote.total, as_of, rate);
        remote.total
    }

    /// Nobody tells any more: what the node itself reports counts again.
    pub(super) fn forget_remote(&self) {
        if self.told.as_of.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut filled = self.filled.lock();
        for place in filled.drain(..) {
            self.told_runtimes[usize::from(place)].store(0, Ordering::Relaxed);
        }
        self.told_long.store(0, Ordering::Relaxed);
        self.told.set(0, 0, 0.0);
    }

    /// Takes how many requests the node itself reports beyond ours. How fast they change it does
    /// not say, but a count that new arrivals replace at a rate wanders: the square of its step
    /// is, in the mean, twice as many as came meanwhile. No step says more than that all that are
    /// there are new.
    pub(super) fn note_reported(&self, beyond: u32, now: Instant) {
        let before = self.reported.as_of.load(Ordering::Relaxed);
        let at = self.clock(now);
        let seconds = at.saturating_sub(before) as f64 / 1e6;
        let mut rate = self.reported.rate();
        if before > 0 && seconds > 0.0 {
            let (old, new) = (f64::from(self.beyond()), f64::from(beyond));
            let came = ((new - old).powi(2) / 2.0).min(new.max(old));
            let found = came / seconds;
            rate += (found - rate) * (1.0 - (-seconds / MEMORY).exp());
        }
        self.reported.set(beyond, at, rate);
    }

    /// Requests the node reports beyond ours.
    #[must_use]
    pub fn beyond(&self) -> u32 {
        self.reported.total.load(Ordering::Relaxed)
    }

    /// The view that counts now, and how old it is in seconds.
    fn view(&self, now: Instant) -> Option<(&View, f64)> {
        let mut clock = None;
        let mut fresh = |view: &View| {
            let as_of = view.as_of.load(Ordering::Relaxed);
            if as_of == 0 {
                return None;
            }
            let now = *clock.get_or_insert_with(|| self.clock(now));
            let age = now.saturating_sub(as_of);
            (u128::from(age) <= FRESH.as_micros()).then_some(age as f64 / 1e6)
        };
        if let Some(age) = fresh(&self.told) {
            return Some((&self.told, age));
        }
        fresh(&self.reported).map(|age| (&self.reported, age))
    }

    /// What others do on the node: nothing, when the news is older than 5 s.
    #[must_use]
    pub fn burden(&self, plugin: PluginPlace, now: Instant) -> Burden {
        let Some((view, _)) = self.view(now) else {
            return Burden::default();
        };
        let total = view.total.load(Ordering::Relaxed);
        if total == 0 || std::ptr::eq(view, &self.reported) {
            return Burden {
                total,
                ..Burden::default()
            };
        }
        Burden {
            total,
            same: self.told_runtimes[usize::from(plugin.index)].load(Ordering::Relaxed),
            long: self.told_long.load(Ordering::Relaxed),
        }
    }

    /// How many requests others have probably begun here since the news was made; `None` while
    /// there is no fresh news.
    #[must_use]
    pub fn unseen(&self, now: Instant) -> Option<f64> {
        self.view(now).map(|(view, age)| view.rate() * age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;

    const PLUGIN: PluginPlace = PluginPlace {
        index: 3,
        generation: 0,
    };

    fn remote(total: u32, as_of: Instant) -> Remote {
        Remote {
            total,
            long: total / 2,
            plugins: vec![(PLUGIN, total)],
            as_of,
            rate: 4.0,
        }
    }

    fn all(total: u32) -> Burden {
        Burden {
            total,
            same: total,
            long: total / 2,
        }
    }

    #[test]
    fn news_may_come_twice_late_and_out_of_order() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let others = Others::new(start);
        let now = at(1000);
        assert_eq!(others.burden(PLUGIN, now), Burden::default());
        for news in [remote(8, at(600)), remote(8, at(600)), remote(2, at(100))] {
            others.note_remote(&news);
            assert_eq!(others.burden(PLUGIN, now), all(8));
        }
        others.note_remote(&Remote {
            plugins: Vec::new(),
            ..remote(6, at(700))
        });
        assert_eq!(
            others.burden(PLUGIN, now),
            Burden {
                total: 6,
                same: 0,
                long: 3
            }
        );
        let unseen = others.unseen(now).expect("fresh");
        assert!((unseen - 4.0 * 0.3).abs() < 1e-9);
    }

    #[test]
    fn old_news_is_no_news_and_what_the_node_reports_takes_its_place() {
        let start = clock::now();
        let others = Others::new(start);
        others.note_remote(&remote(8, start));
        others.note_reported(3, start + Duration::from_secs(4));
        assert_eq!(others.burden(PLUGIN, start + FRESH), all(8));
        let later = start + FRESH + Duration::from_millis(1);
        let bare = Burden {
            total: 3,
            ..Burden::default()
        };
        assert_eq!(others.burden(PLUGIN, later), bare);
        let end = start + Duration::from_secs(10);
        assert_eq!(others.burden(PLUGIN, end), Burden::default());
        assert_eq!(others.unseen(end), None);
    }

    #[test]
    fn the_rate_of_what_a_node_reports_is_read_from_how_it_wanders() {
        // Ten requests at a time, each for ten seconds: one a second, counted every two seconds.
        let start = clock::now();
        let others = Others::new(start);
        let mut dice = crate::model::Dice::with_seed(5);
        let mut count = 10u32;
        let mut rates = Vec::new();
        let mut now = start;
        for _ in 0..2000 {
            for _ in 0..20 {
                let arrived = u32::from(dice.f64() < 0.1);
                let left = (0..count).filter(|_| dice.f64() < 0.01).count();
                count = count + arrived - u32::try_from(left).unwrap();
            }
            now += Duration::from_secs(2);
            others.note_reported(count, now);
            rates.push(others.reported.rate());
        }
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!((0.7..1.3).contains(&mean), "{mean}");
    }
}
