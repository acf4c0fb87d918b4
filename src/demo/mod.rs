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
mod race;
mod stage;
mod story;
mod table;
mod trace;

pub use board::{Learned, Now};
pub use stage::{Audience, NodeNow, Scene, Wanted};

use crate::model::clock;
use board::Summary;
use lane::Lane;
use race::Race;
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

/// A node that somebody kills is dead for so long, in real time.
const BY_HAND: Duration = Duration::from_secs(2);

/// The lanes of the race; the first is ours.
const STRATEGIES: [&str; 3] = ["adaptive", "least_in_flight", "round_robin"];

/// Runs the demo before an audience.
///
/// # Errors
/// When a port cannot be opened, or nothing can be shown.
pub async fn run(wish: Wish, audience: &mut (impl Audience + Send)) -> io::Result<Report> {
    let length = Duration::from_secs(wish.seconds).mul_f64(CLOCK);
    let trace = Arc::new(Trace::new(wish.seed, length));
    let mut lanes = Vec::new();
    for strategy in STRATEGIES {
        lanes.push(Arc::new(Lane::open(strategy).await?));
    }
    audience.hear(&story::opening(&wish, &trace, &lanes[0]).await);
    let mut race = Race::begin(&lanes, &trace, story::KILL.within(length));
    let mut story = Story::new(length);
    let mut scene = Scene {
        length: Duration::from_secs(wish.seconds),
        seed: wish.seed,
        address: format!("http://{}{}", lanes[0].admin(), lanes[0].page().await),
        ..Scene::default()
    };
    let begun = clock::now();
    let mut look = tokio::time::interval(audience.every());
    look.tick().await;
    loop {
        look.tick().await;
        let ended = race.is_over();
        scene.elapsed = begun.elapsed();
        for line in story.news(scene.elapsed, &lanes[0]) {
            scene.tell(&line);
            audience.hear(&line);
        }
        scene.lanes = lanes.iter().map(|lane| lane.board().now()).collect();
        scene.look(lanes[0].live(), lanes[0].learned());
        match audience.see(&scene)? {
            Some(Wanted::Burst) => {
                scene.tell("another burst of long calls, by hand");
                race.burst(&lanes, wish.seed + scene.elapsed.as_secs());
            }
            Some(Wanted::Kill) => {
                scene.tell("node-2 is killed in each lane, by hand");
                race.kill(&lanes, [Duration::ZERO, BY_HAND]);
            }
            Some(Wanted::End) => break,
            None => {}
        }
        if ended {
            break;
        }
    }
    race.end().await?;
    let lanes: Vec<_> = lanes.iter().map(|lane| lane.summary()).collect();
    audience.hear(&table::all(&lanes));
    audience.hear(&story::closing(&wish, &lanes));
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
