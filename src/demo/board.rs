//! Who is ahead? What a lane's calls came to, second by second and at the end.

use super::caller::Answer;
use crate::model::{Class, clock};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One call that ended. Durations are of the demo's clock.
#[derive(Debug)]
pub(super) struct Result {
    pub(super) class: Class,
    /// It was due before the burst.
    pub(super) early: bool,
    /// When it was sent, in real time.
    pub(super) sent: Instant,
    pub(super) took: Duration,
    pub(super) answer: std::result::Result<Answer, String>,
}

/// One lane's calls so far.
#[derive(Debug)]
pub(super) struct Board {
    strategy: &'static str,
    opened: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The slowest short call that ended in each second of real time.
    worst: Vec<f64>,
    begun: usize,
    took: [Vec<f64>; Class::ALL.len()],
    /// Short calls that were due before the burst.
    early: Vec<f64>,
    failures: [usize; Class::ALL.len()],
    /// (true class, node) -> calls.
    went: BTreeMap<(Class, String), usize>,
    misjudged: usize,
    first_failure: Option<String>,
    /// When a node was killed.
    killed: Option<Instant>,
    /// Calls that ran then and failed.
    lost: usize,
}

/// How a lane is now. Durations are in seconds of the demo's clock.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// Its strategy.
    pub strategy: &'static str,
    /// Calls that run.
    pub running: usize,
    /// Calls that failed, those apart that ran on a node when it was killed.
    pub failures: usize,
    /// Calls that ran on a node when it was killed.
    pub lost: usize,
    /// Half of the short calls took at most so long.
    pub p50: f64,
    /// 99 of 100 short calls took at most so long.
    pub p99: f64,
    /// The share of short calls that took over a second.
    pub slow: f64,
    /// 95 of 100 long calls took at most so long: the price.
    pub long_p95: f64,
    /// The slowest short call that ended in each second of real time.
    pub worst: Vec<f64>,
}

impl State {
    fn note_worst(&mut self, elapsed: Duration, took: f64) {
        let second = usize::try_from(elapsed.as_secs()).unwrap_or(usize::MAX);
        // A demo lasts an hour at most.
        if second < 4000 {
            let seconds = self.worst.len().max(second + 1);
            self.worst.resize(seconds, 0.0);
            self.worst[second] = self.worst[second].max(took);
        }
    }
}

/// What a lane came to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) strategy: &'static str,
    /// Calls that failed, those apart that ran on a node when it was killed.
    pub(super) failures: usize,
    pub(super) lost_with_a_node: usize,
    pub(super) first_failure: Option<String>,
    pub(super) classes: Vec<Row>,
    /// The share of short calls that took over a second.
    pub(super) short_over_1s: f64,
    /// The 99th percentile of short calls that were due before the burst.
    pub(super) short_p99_before_burst_s: f64,
    /// Calls whose class the gateway did not know or guessed wrong.
    pub(super) misjudged: usize,
    pub(super) learned: Vec<Learned>,
}

impl Summary {
    /// The 99th percentile of short calls, in seconds.
    pub(super) fn short_p99(&self) -> f64 {
        self.classes[Class::Short.index()].p99_s
    }

    /// The 95th percentile of long calls, in seconds.
    pub(super) fn long_p95(&self) -> f64 {
        self.classes[Class::Long.index()].p95_s
    }
}

/// One class of one lane. Seconds of the demo's clock.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) class: &'static str,
    pub(super) count: usize,
    pub(super) p50_s: f64,
    pub(super) p95_s: f64,
    pub(super) p99_s: f64,
    pub(super) max_s: f64,
    pub(super) errors: usize,
    /// Calls per node.
    pub(super) went: BTreeMap<String, usize>,
}

/// An operation the gateway knows by now.
#[derive(Clone, Debug, Serialize)]
pub struct Learned {
    /// Its key.
    pub operation: String,
    /// Its class.
    #[serde(serialize_with = "word")]
    pub class: Class,
    /// What is compared with the threshold; the mean of a few samples need not explain the class.
    pub score_s: f64,
    /// How often it was seen.
    pub samples: u64,
}

fn word<S: serde::Serializer>(class: &Class, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(class.word())
}

impl Board {
    pub(super) fn new(strategy: &'static str) -> Self {
        Self {
            strategy,
            opened: clock::now(),
            state: Mutex::default(),
        }
    }

    pub(super) fn begin(&self) {
        self.state.lock().begun += 1;
    }

    pub(super) fn end(&self, result: Result) {
        let mut state = self.state.lock();
        let class = result.class;
        match result.answer {
            Ok(answer) => {
                let took = result.took.as_secs_f64();
                state.took[class.index()].push(took);
                if class == Class::Short {
                    state.note_worst(self.opened.elapsed(), took);
                }
                if result.early && class == Class::Short {
                    state.early.push(took);
                }
                state.misjudged += usize::from(answer.class != class.word());
                *state.went.entry((class, answer.node)).or_default() += 1;
            }
            Err(_) if state.killed.is_some_and(|killed| result.sent < killed) => state.lost += 1,
            Err(why) => {
                state.failures[class.index()] += 1;
                state.first_failure.get_or_insert(why);
            }
        }
    }

    /// How it is now: calls that ended, that run and that failed, and the short ones' durations.
    pub(super) fn now(&self) -> Now {
        let state = self.state.lock();
        let mut short = state.took[Class::Short.index()].clone();
        short.sort_by(f64::total_cmp);
        let mut long = state.took[Class::Long.index()].clone();
        long.sort_by(f64::total_cmp);
        let ended = state.took.iter().map(Vec::len).sum::<usize>();
        let failures = state.failures.iter().sum::<usize>() + state.lost;
        Now {
            strategy: self.strategy,
            running: state.begun - ended - failures,
            failures: failures - state.lost,
            lost: state.lost,
            p50: quantile(&short, 0.50),
            p99: quantile(&short, 0.99),
            slow: slow(&short),
            long_p95: quantile(&long, 0.95),
            worst: state.worst.clone(),
        }
    }

    /// A node is killed now: calls that run may die with it.
    pub(super) fn note_kill(&self, at: Instant) {
        self.state.lock().killed = Some(at);
    }

    pub(super) fn summary(&self, strategy: &'static str, learned: Vec<Learned>) -> Summary {
        let state = self.state.lock();
        let mut early = state.early.clone();
        early.sort_by(f64::total_cmp);
        let classes = Class::ALL.map(|class| {
            let mut took = state.took[class.index()].clone();
            took.sort_by(f64::total_cmp);
            let went = state.went.iter().filter(|((of, _), _)| *of == class);
            Row {
                class: class.word(),
                count: took.len(),
                p50_s: quantile(&took, 0.50),
                p95_s: quantile(&took, 0.95),
                p99_s: quantile(&took, 0.99),
                max_s: quantile(&took, 1.0),
                errors: state.failures[class.index()],
                went: went
                    .map(|((_, node), count)| (node.clone(), *count))
                    .collect(),
            }
        });
        Summary {
            strategy,
            failures: state.failures.iter().sum(),
            lost_with_a_node: state.lost,
            short_p99_before_burst_s: quantile(&early, 0.99),
            short_over_1s: slow(&state.took[Class::Short.index()]),
            first_failure: state.first_failure.clone(),
            classes: classes.into(),
            misjudged: state.misjudged,
            learned,
        }
    }
}

/// The share of what took over a second; 0 of none.
fn slow(took: &[f64]) -> f64 {
    let slow = took.iter().filter(|took| **took > 1.0).count();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    let share = slow as f64 / took.len().max(1) as f64;
    share
}

/// The smallest value that `share` of all values do not exceed; 0 of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position in a list of a few thousand"
    )]
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&values, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((quantile(&values, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!((quantile(&values, 1.0) - 100.0).abs() < f64::EPSILON);
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
        assert!((quantile(&[7.0], 0.01) - 7.0).abs() < f64::EPSILON);
    }
}
