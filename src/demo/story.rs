//! What happens on the way, and what is said about it?

use super::board::Summary;
use super::lane::Lane;
use super::trace::{self, Trace};
use super::{CLOCK, Wish};
use crate::model::Class;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where in the run something begins and ends, as shares of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    begin: f64,
    end: f64,
}

/// A node is dead in each lane for so long.
pub(super) const KILL: Stretch = Stretch {
    begin: 0.75,
    end: 0.85,
};
/// When the burst of long calls arrives.
pub(super) const BURST: f64 = 0.5;

impl Stretch {
    /// In real time, of a run of this length by the demo's clock.
    pub(super) fn within(self, length: Duration) -> [Duration; 2] {
        [self.begin, self.end].map(|share| length.mul_f64(share / CLOCK))
    }
}

/// What was told so far.
#[derive(Debug)]
pub(super) struct Story {
    /// In real time: what happens, and what is said then.
    due: Vec<(Duration, String)>,
    classes: BTreeMap<String, Class>,
}

impl Story {
    pub(super) fn new(length: Duration) -> Self {
        let [dead, back] = KILL.within(length);
        let due = vec![
            (
                length.mul_f64(BURST / CLOCK),
                format!("{} long calls arrive at once", trace::BURST.len()),
            ),
            (
                dead,
                "node-2 is killed in each lane; what runs there dies with it".to_owned(),
            ),
            (back, "node-2 is started again".to_owned()),
        ];
        Self {
            due,
            classes: BTreeMap::new(),
        }
    }

    /// What is new since the last time: what happened, and what our lane learned.
    pub(super) fn news(&mut self, now: Duration, ours: &Lane) -> Vec<String> {
        let happened: Vec<_> = self.due.extract_if(.., |(at, _)| *at <= now).collect();
        let mut told: Vec<_> = happened
            .into_iter()
            .map(|(_, what)| format!("        * {what}"))
            .collect();
        for row in ours.learned() {
            let before = self.classes.insert(row.operation.clone(), row.class);
            if before != Some(row.class) {
                told.push(format!(
                    "        + learned: {} is {} ({:.2} s after {} calls)",
                    row.operation,
                    row.class.word(),
                    row.score_s,
                    row.samples
                ));
            }
        }
        told
    }
}

/// What is said first.
pub(super) async fn opening(wish: &Wish, trace: &Trace, ours: &Lane) -> String {
    format!(
        "twolane demo: {} calls of {} kinds in {} s, seed {}, against 3 stand-in plugin daemons a \
         lane.\nThe demo's clock runs {CLOCK} times as fast: what is shown as 5 s ran as 0.5 s.\n\
         All lanes get the same calls at the same time; latency counts from the intended arrival.\n\
         Two plugins compute: their process does one call at a time, and a short call behind a \
         long one waits.\nWatch the adaptive lane: http://{}{}\n",
        trace.calls.len(),
        trace::KINDS.len(),
        wish.seconds,
        wish.seed,
        ours.admin(),
        ours.page().await,
    )
}

/// What is said last: what it means, and how to go on.
pub(super) fn closing(wish: &Wish, lanes: &[Summary]) -> String {
    let mut told = String::new();
    if let Some((ours, others)) = lanes.split_first() {
        for other in others {
            told.push_str(&format!(
                "short p99: {:.2} of {}'s; long p95, the price: {:.2}\n",
                ours.short_p99() / other.short_p99(),
                other.strategy,
                ours.long_p95() / other.long_p95(),
            ));
        }
    }
    format!(
        "{told}\nReproduce it: twolane demo --seed {} --seconds {} (twolane {}); the calls are the \
         same, the times differ a little.\nIt is a demonstration: durations and shares are assumed, \
         and all of it ran on one machine.\nIn front of your Dify: README.md, \"In front of Dify\".",
        wish.seed,
        wish.seconds,
        env!("CARGO_PKG_VERSION"),
    )
}
