//! How do other proxies choose? Their rules, from their documentation and published descriptions,
//! for comparison only: none of them can be configured.
//!
//! Durations are told to all of them to the last byte, which is kinder than what some of them
//! measure (the first byte).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use twolane::model::{Dice, Outcome, Request};
use twolane::nodes::{Candidates, Node};
use twolane::select::{Choice, Ended, Strategy, Why};

/// Makes a rule.
type Build = fn() -> Arc<dyn Strategy>;

/// Rules that are not the gateway's own.
pub(crate) const TABLE: &[(&str, Build)] = &[
    ("peer_round_robin", || Arc::new(Turns(AtomicUsize::new(0)))),
    ("peer_random", || Arc::new(Random)),
    ("peer_leastconn", || Arc::new(LeastConn::default())),
    ("peer_two_choices", || Arc::new(TwoChoices)),
    ("peer_peak_ewma", || Arc::new(Timed::new(peak_ewma, true))),
    ("peer_least_time", || Arc::new(Timed::new(nginx, false))),
    ("peer_mean_time", || Arc::new(Timed::new(traefik, false))),
    ("peer_hot_cold", || Arc::new(Timed::new(prequal, false))),
];

/// Makes one of [`TABLE`].
pub(crate) fn build(word: &str) -> Option<Arc<dyn Strategy>> {
    let found = TABLE.iter().find(|(own, _)| *own == word);
    found.map(|(_, build)| build())
}

const fn custom(at: usize) -> Choice {
    Choice {
        at,
        why: Why::Custom,
    }
}

/// Each in turn, whatever it is asked for.
#[derive(Debug)]
struct Turns(AtomicUsize);

impl Strategy for Turns {
    fn choose(&self, _: &Request, among: &Candidates<'_>, _: &mut Dice) -> Choice {
        custom(self.0.fetch_add(1, Ordering::Relaxed) % among.len())
    }
}

/// Any.
#[derive(Debug)]
struct Random;

impl Strategy for Random {
    fn choose(&self, _: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        custom(dice.usize(..among.len()))
    }
}

/// HAProxy's `leastconn`: nodes stand in a tree by their requests in flight, and who begins or ends one
/// is put behind its equals (`fwlc_srv_reposition`). So among equals it is who has changed longest ago.
#[derive(Debug, Default)]
struct LeastConn(Mutex<(u64, Vec<u64>)>);

impl LeastConn {
    /// Puts a node behind its equals.
    fn reposition(turns: &mut (u64, Vec<u64>), node: &Node) {
        turns.0 += 1;
        let turn = turns.0;
        if turns.1.len() <= place(node) {
            turns.1.resize(place(node) + 1, 0);
        }
        turns.1[place(node)] = turn;
    }
}

impl Strategy for LeastConn {
    fn choose(&self, _: &Request, among: &Candidates<'_>, _: &mut Dice) -> Choice {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |at: usize| {
            let node = among.get(at).expect("a candidate");
            let turn = turns.1.get(place(node)).copied().unwrap_or(0);
            // Unlike ours its key is a whole number: no weights here.
            (node.load(), turn, at)
        };
        let (_, _, at) = (0..among.len()).map(key).min().expect("never empty");
        Self::reposition(&mut turns, among.get(at).expect("a candidate"));
        custom(at)
    }

    fn ended(&self, end: &Ended<'_>) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self::reposition(&mut turns, end.node);
    }
}

/// The less loaded of two different ones.
#[derive(Debug)]
struct TwoChoices;

impl Strategy for TwoChoices {
    fn choose(&self, _: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let load = |at: usize| among.get(at).map_or(u32::MAX, |node| node.load());
        let (a, b) = two(among.len(), dice);
        custom(if load(b) < load(a) { b } else { a })
    }
}

/// Two places, different if there are two.
fn two(count: usize, dice: &mut Dice) -> (usize, usize) {
    let a = dice.usize(..count);
    if count == 1 {
        return (a, a);
    }
    let b = dice.usize(..count - 1);
    (a, if b < a { b } else { b + 1 })
}

/// What a rule that looks at times knows of a node.
#[derive(Clone, Debug, Default)]
struct Times {
    /// Peak EWMA, in seconds, and when it was last told something.
    peak: f64,
    told: Option<Instant>,
    /// nginx: an EWMA of a twentieth.
    twentieth: f64,
    /// The last hundred.
    last: VecDeque<f64>,
    sum: f64,
}

type Score = fn(&Times, &Node, &Shared) -> f64;

/// What such a rule knows of all nodes.
#[derive(Clone, Debug, Default)]
struct Shared {
    now: Option<Instant>,
    /// The last numbers of requests in flight, as Prequal's probes would have brought.
    counts: VecDeque<u32>,
}

/// A rule that scores by durations; the lowest score wins.
struct Timed {
    score: Score,
    /// Of two, or of all.
    of_two: bool,
    known: Mutex<(Vec<Times>, Shared)>,
}

impl std::fmt::Debug for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timed")
            .field("of_two", &self.of_two)
            .finish_non_exhaustive()
    }
}

impl Timed {
    fn new(score: Score, of_two: bool) -> Self {
        Self {
            score,
            of_two,
            known: Mutex::default(),
        }
    }
}

/// Nodes of the simulation are numbered by their port.
fn place(node: &Node) -> usize {
    usize::from(node.address().port())
}

impl Strategy for Timed {
    fn choose(&self, _: &Request, among: &Candidates<'_>, dice: &mut Dice) -> Choice {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, shared) = &mut *known;
        let score = |at: usize, times: &mut Vec<Times>, shared: &Shared| {
            let node = among.get(at).expect("a candidate");
            if times.len() <= place(node) {
                times.resize(place(node) + 1, Times::default());
            }
            (self.score)(&times[place(node)], node, shared)
        };
        for node in among.iter() {
            shared.counts.push_back(node.load());
        }
        while shared.counts.len() > REMEMBERED {
            shared.counts.pop_front();
        }
        if self.of_two {
            let (a, b) = two(among.len(), dice);
            let better = score(b, times, shared) < score(a, times, shared);
            return custom(if better { b } else { a });
        }
        // Ties by chance: begin anywhere, go round once.
        let from = dice.usize(..among.len());
        let mut best = (from, f64::INFINITY);
        for step in 0..among.len() {
            let at = (from + step) % among.len();
            let score = score(at, times, shared);
            if score < best.1 {
                best = (at, score);
            }
        }
        custom(best.0)
    }

    fn ended(&self, end: &Ended<'_>) {
        if end.outcome == Outcome::Unreached {
            return;
        }
        let took = end.duration.as_secs_f64();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, shared) = &mut *known;
        shared.now = Some(end.now);
        if let Some(times) = times.get_mut(place(end.node)) {
            times.note(took, end.now);
        }
    }
}

/// How long peak EWMA remembers, in seconds: the default of linkerd.
const DECAY: f64 = 10.0;
/// Traefik averages so many.
const LAST: usize = 100;
/// nginx gives nothing beyond this many seconds.
const NGINX_CAP: f64 = 5.0;
/// Prequal calls a node hot above this quantile of the requests in flight seen lately.
const HOT: f64 = 0.84;
const REMEMBERED: usize = 128;

impl Times {
    fn note(&mut self, took: f64, now: Instant) {
        let since = self.told.map_or(0.0, |told| {
            now.saturating_duration_since(told).as_secs_f64()
        });
        let kept = (-since / DECAY).exp();
        self.peak = if took > self.peak {
            took
        } else {
            self.peak * kept + took * (1.0 - kept)
        };
        self.told = Some(now);
        self.twentieth = if self.last.is_empty() {
            took
        } else {
            self.twentieth * 0.95 + took * 0.05
        };
        self.last.push_back(took);
        self.sum += took;
        if self.last.len() > LAST {
            self.sum -= self.last.pop_front().unwrap_or(0.0);
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.last.len().max(1) as f64
    }
}

fn weighed(node: &Node) -> f64 {
    (1.0 + f64::from(node.load())) / f64::from(node.weight())
}

/// Finagle's and linkerd's: the peak, which fades, times those pending. Until something is known a
/// node counts as answering in a second.
fn peak_ewma(times: &Times, node: &Node, shared: &Shared) -> f64 {
    let (Some(told), Some(now)) = (times.told, shared.now) else {
        return weighed(node);
    };
    let since = now.saturating_duration_since(told).as_secs_f64();
    times.peak * (-since / DECAY).exp() * weighed(node)
}

/// nginx `least_time last_byte`: capped, so that beyond the cap it is `least_conn`.
fn nginx(times: &Times, node: &Node, _: &Shared) -> f64 {
    times.twentieth.min(NGINX_CAP) * weighed(node)
}

/// Traefik `leasttime`.
fn traefik(times: &Times, node: &Node, _: &Shared) -> f64 {
    times.mean() * weighed(node)
}

/// Prequal's rule on exact counts: of cold nodes the fastest, of hot ones the least loaded.
fn prequal(times: &Times, node: &Node, shared: &Shared) -> f64 {
    let mut counts: Vec<_> = shared.counts.iter().copied().collect();
    counts.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (counts.len() as f64 * HOT) as usize;
    let limit = counts.get(place).copied().unwrap_or(u32::MAX);
    if node.load() > limit {
        1e9 + f64::from(node.load())
    } else {
        times.mean()
    }
}
