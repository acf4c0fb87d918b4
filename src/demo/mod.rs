//! What does it look like at work?
//!
//! Stand-in plugin daemons, a seeded trace of Dify-like calls, and the production gateway between
//! them, once under `adaptive` and once under `round_robin`, on the same trace at the same time.

mod board;
mod caller;
pub mod daemon;
mod lane;
mod trace;

use board::{Board, Summary};
use lane::Lane;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::time::Duration;
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
    lanes: Vec<Summary>,
}

impl Report {
    /// Whether every call of every lane was answered.
    #[must_use]
    pub fn is_flawless(&self) -> bool {
        self.lanes.iter().all(|lane| lane.failures == 0)
    }
}

/// The lanes of the race; the first is ours.
const STRATEGIES: [&str; 2] = ["adaptive", "round_robin"];

/// Runs the demo; lines for people go to `say`.
///
/// # Errors
/// When a port cannot be opened.
pub async fn run(wish: Wish, say: impl Fn(String)) -> io::Result<Report> {
    let trace = Arc::new(Trace::new(
        wish.seed,
        Duration::from_secs(wish.seconds).mul_f64(CLOCK),
    ));
    say(opening(&wish, &trace));
    let mut lanes = Vec::new();
    for strategy in STRATEGIES {
        lanes.push(Arc::new(Lane::open(strategy).await?));
    }
    let races: Vec<_> = lanes
        .iter()
        .map(|lane| tokio::spawn(Arc::clone(lane).race(Arc::clone(&trace))))
        .collect();
    let boards: Vec<Arc<Board>> = lanes.iter().map(|lane| lane.board()).collect();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    for elapsed in 1.. {
        second.tick().await;
        let ended = races.iter().all(tokio::task::JoinHandle::is_finished);
        let lines: Vec<_> = boards.iter().map(|board| board.line()).collect();
        say(format!("{elapsed:>3} s  {}", lines.join("   |   ")));
        if ended {
            break;
        }
    }
    for race in races {
        race.await.map_err(io::Error::other)?;
    }
    let lanes: Vec<_> = lanes.iter().map(|lane| lane.summary()).collect();
    say(board::table(&lanes));
    Ok(Report {
        seed: wish.seed,
        seconds: wish.seconds,
        clock: CLOCK,
        calls: trace.calls.len(),
        lanes,
    })
}

fn opening(wish: &Wish, trace: &Trace) -> String {
    format!(
        "twolane demo: {} calls of {} kinds in {} s, seed {}, against 3 stand-in plugin daemons a \
         lane.\nThe demo's clock runs {CLOCK} times as fast: what is shown as 5 s ran as 0.5 s.\n\
         Both lanes get the same calls at the same time; latency counts from the intended arrival.\n",
        trace.calls.len(),
        trace::KINDS.len(),
        wish.seconds,
        wish.seed,
    )
}
