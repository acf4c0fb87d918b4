//! What does it look like at work?
//!
//! Stand-in plugin daemons, a seeded trace of Dify-like calls, and the production gateway between
//! them: once under `adaptive`, once under `least_in_flight` and once under `round_robin`, on the
//! same trace at the same time. Half way a burst of long calls arrives; later a node is killed in
//! each lane, and comes back.

mod board;
mod caller;
pub mod daemon;
mod lane;
mod story;
mod table;
mod trace;

use board::{Board, Summary};
use lane::Lane;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use story::Story;
use trace::Trace;

/// Time is compressed: what is shown as 5 s runs as 0.5 s.
pub(crate) const CLOCK: f64 = 10.0;

/// What was typed after `demo`.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Repeats a run.
    pub seed: u64,
    /// Real seconds of arrivals.
    pub seconds: u64,
    /// Only the summary, as JSON.
    pub json: bool,
}

/// What a run showed: one summary per lane.
#[derive(Debug, Serialize)]
pub struct Report {
    seed: u64,
    seconds: u64,
    clock: f64,
    calls: usize,
    /// The 99th percentile of short calls in our lane, divided by that in each other one.
    short_p99_ratio: Vec<Ratio>,
    lanes: Vec<Summary>,
}

/// Ours divided by another's.
#[derive(Debug, Serialize)]
struct Ratio {
    to: &'static str,
    ratio: f64,
}

impl Report {
    /// Whether every call of every lane was answered that did not die with a killed node.
    #[must_use]
    pub fn is_flawless(&self) -> bool {
        self.lanes.iter().all(|lane| lane.failures == 0)
    }
}

/// The lanes of the race; the first is ours.
const STRATEGIES: [&str; 3] = ["adaptive", "least_in_flight", "round_robin"];

/// Runs the demo; lines for people go to `say`.
///
/// # Errors
/// When a port cannot be opened.
pub async fn run(wish: Wish, say: impl Fn(String)) -> io::Result<Report> {
    let length = Duration::from_secs(wish.seconds).mul_f64(CLOCK);
    let trace = Arc::new(Trace::new(wish.seed, length));
    let mut lanes = Vec::new();
    for strategy in STRATEGIES {
        lanes.push(Arc::new(Lane::open(strategy).await?));
    }
    say(story::opening(&wish, &trace, &lanes[0]).await);
    let races: Vec<_> = lanes
        .iter()
        .map(|lane| tokio::spawn(Arc::clone(lane).race(Arc::clone(&trace))))
        .collect();
    let kills: Vec<_> = lanes
        .iter()
        .map(|lane| tokio::spawn(Arc::clone(lane).lose_a_node(story::KILL.within(length))))
        .collect();
    let boards: Vec<Arc<Board>> = lanes.iter().map(|lane| lane.board()).collect();
    let mut story = Story::new(length);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    for elapsed in 1.. {
        second.tick().await;
        let ended = races.iter().all(tokio::task::JoinHandle::is_finished);
        let now = Duration::from_secs(elapsed);
        story.news(now, &lanes[0]).into_iter().for_each(&say);
        say(table::line(now, &boards));
        if ended {
            break;
        }
    }
    for task in races {
        task.await.map_err(io::Error::other)?;
    }
    for task in kills {
        task.await.map_err(io::Error::other)??;
    }
    let lanes: Vec<_> = lanes.iter().map(|lane| lane.summary()).collect();
    say(table::all(&lanes));
    say(story::closing(&wish, &lanes));
    Ok(Report {
        seed: wish.seed,
        seconds: wish.seconds,
        clock: CLOCK,
        calls: trace.calls.len(),
        short_p99_ratio: ratios(&lanes),
        lanes,
    })
}

fn ratios(lanes: &[Summary]) -> Vec<Ratio> {
    let Some((ours, others)) = lanes.split_first() else {
        return Vec::new();
    };
    let ratio = |other: &Summary| Ratio {
        to: other.strategy,
        ratio: ours.short_p99() / other.short_p99(),
    };
    others.iter().map(ratio).collect()
}
