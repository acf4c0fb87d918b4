//! What does the operator see?

use super::entry::{Entry, State};
use super::estimate::Gauge;
use super::learner::Learner;
use super::pins::matches;
use crate::model::{Basis, Class, Unknown};
use serde::Serialize;
use std::time::Instant;

/// One key, for the admin page and `/cluster/stats`. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyView {
    /// The key; it may be given to a pin as it stands.
    pub key: String,
    /// How many samples it ever had.
    pub total: u64,
    /// How many requests run under it now; requests count under their finest key only.
    pub running: usize,
    /// The mean of the last window.
    pub avg_ms: f64,
    /// The longest sample ever.
    pub max_ms: f64,
    /// The shortest sample ever.
    pub min_ms: f64,
    /// Half of the recent samples were faster; exact to 12 %.
    pub p50_ms: f64,
    /// 95 % of the recent samples were faster; exact to 12 %.
    pub p95_ms: f64,
    /// What is compared with the threshold.
    pub score_ms: f64,
    /// Is it called long now?
    pub long: bool,
    /// The ground: `pinned`, `learned`, `promoted`; `prior` if it knows too little to decide.
    pub basis: &'static str,
    /// Who pinned it: `hand`, `configuration`; none if nobody did.
    pub pin: Option<&'static str>,
    /// The samples of the window, oldest first.
    pub samples_ms: Vec<f64>,
    /// Seconds since a request of it began or ended.
    pub last_seen_s: f64,
}

fn ms(ns: f64) -> f64 {
    ns / 1e6
}

impl Learner {
    /// The keys that most work was done for, at most `limit` of them.
    #[must_use]
    pub fn view(&self, limit: usize, now: Instant) -> Vec<KeyView> {
        let mut entries: Vec<_> = self
            .entries()
            .into_iter()
            .map(|entry| {
                let work = entry.state.lock().estimate.work;
                (work, entry)
            })
            .collect();
        entries.sort_by(|(work, one), (more, other)| {
            more.total_cmp(work).then_with(|| one.key.cmp(&other.key))
        });
        let rules = self.rules();
        let gauge = self.gauge(&rules, 0.0);
        let by_hand = self.pins_by_hand().len();
        let top = entries.iter().take(limit);
        top.map(|(_, entry)| {
            let mut pins = rules.pins.iter();
            let pin = pins.position(|pin| matches(&pin.operation, &entry.key));
            let who = |at| {
                if at < by_hand {
                    "hand"
                } else {
                    "configuration"
                }
            };
            KeyView {
                pin: pin.map(who),
                ..KeyView::of(entry, gauge, now)
            }
        })
        .collect()
    }
}

impl Learner {
    /// What is known of one key.
    #[must_use]
    pub fn view_of(&self, key: &str, now: Instant) -> Option<KeyView> {
        let entry = self.keys.lock().peek(key)?;
        let rules = self.rules();
        Some(KeyView::of(&entry, self.gauge(&rules, 0.0), now))
    }
}

impl KeyView {
    fn of(entry: &Entry, gauge: Gauge<'_>, now: Instant) -> Self {
        let mut state = entry.state.lock();
        let (class, basis) = decided(entry, &mut state, gauge, now);
        let known = &state.estimate;
        let least = known.least.min(known.most) as f64;
        let within = |ns: f64| ms(ns.min(known.most as f64).max(least));
        Self {
            key: entry.key.to_string(),
            total: known.count,
            running: state.running(),
            avg_ms: ms(known.window_mean() as f64),
            max_ms: ms(known.most as f64),
            min_ms: ms(least),
            p50_ms: within(known.histogram.quantile(0.50)),
            p95_ms: within(known.histogram.quantile(0.95)),
            score_ms: ms(known.score()),
            long: class == Class::Long,
            basis: basis.word(),
            pin: None,
            samples_ms: known.window.iter().map(|&ns| ms(ns as f64)).collect(),
            last_seen_s: now.saturating_duration_since(state.last_seen).as_secs_f64(),
        }
    }
}

/// What a request whose finest key this is would be called.
fn decided(entry: &Entry, state: &mut State, gauge: Gauge<'_>, now: Instant) -> (Class, Basis) {
    let mut pins = gauge.rules.pins.iter();
    let pin = pins.find(|pin| matches(&pin.operation, &entry.key));
    if let Some(class) = pin.and_then(|pin| pin.class) {
        return (class, Basis::Pinned);
    }
    if let Some(verdict) = state.verdict(now, gauge) {
        return (verdict.class, verdict.basis);
    }
    match gauge.rules.unknown {
        Unknown::Always(class) => (class, Basis::Prior),
        Unknown::Prior => (Class::Short, Basis::Prior),
    }
}
