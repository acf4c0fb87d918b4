//! What does an event of a stream cost on its way through the gateway, beside a bare Pingora proxy?
//!
//! The proxies are processes of their own, each with one thread: the bare one, and the gateway as it
//! is shipped. This process makes the events in one thread and reads them in another, so that one
//! clock says how long each was on its way. Rounds alternate, and every lane of a round gets streams
//! with the same pauses.
//!
//! `STREAM_ROUNDS`, `STREAM_EVENTS` and `STREAM_STREAMS` change how much is measured; how to read
//! what is printed is in `benches/README.md`.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

#[path = "../rig/mod.rs"]
mod rig;

mod caller;

use caller::Seen;
use rig::daemon;
use rig::figures::{median, setting};
use rig::lanes::{self, Lane};
use rig::owed;
use rig::process::{self, Child, free};
use std::process::ExitCode;
use std::time::Duration;

const DAEMONS: usize = 3;
/// Streams at once; the last make 15,000 events in a second.
const STREAMS: [usize; 4] = [2, 5, 20, 75];
/// Between two events of a stream, in the mean.
const GAP: Duration = Duration::from_millis(5);
/// What is promised of an event, at the 99th percentile.
const PROMISE: Duration = Duration::from_millis(1);

/// Who passes streams on: the first is nobody, the second is what the others are compared to.
const LANES: [&str; 5] = ["direct", "bare", "twolane", "nginx", "haproxy"];

/// One lane's figures of one round, in microseconds.
struct Figures {
    /// Processor time of the proxy per event.
    cpu: f64,
    p50: f64,
    p99: f64,
    /// Events that were on their way for longer than [`PROMISE`].
    late: usize,
    together: usize,
}

fn main() -> ExitCode {
    process::main(measure)
}

async fn measure() {
    let rounds = setting("STREAM_ROUNDS", 9).max(1);
    let events = setting("STREAM_EVENTS", 200).max(1);
    let lanes = start().await;
    println!("{rounds} rounds, {events} events a stream, {GAP:?} apart in the mean");
    let only = setting("STREAM_STREAMS", 0);
    let cells = STREAMS.into_iter().filter(|_| only == 0).chain(Some(only));
    for streams in cells.filter(|&streams| streams > 0) {
        let mut all: Vec<Vec<Figures>> = lanes.iter().map(|_| Vec::new()).collect();
        // Round 0 opens connections and warms caches; it does not count.
        for round in 0..=rounds {
            for n in 0..lanes.len() {
                // Each lane is first as often as any other.
                let n = (n + round) % lanes.len();
                let figures = one_round(&lanes[n], streams, events, round).await;
                if round > 0 {
                    all[n].push(figures);
                }
            }
        }
        print(&lanes, streams, &all, rounds * streams * events);
    }
}

/// The daemons are a thread of this process, so that one clock says when an event was made and read.
async fn start() -> Vec<Lane> {
    let daemons = free(DAEMONS);
    let listen = daemons.clone();
    std::thread::spawn(move || daemon::run(&listen));
    for &daemon in &daemons {
        process::answers(daemon).await;
    }
    lanes::start(&LANES, &daemons).await
}

async fn one_round(lane: &Lane, streams: usize, events: usize, round: usize) -> Figures {
    let cpu = || lane.child.as_ref().map_or(Duration::ZERO, Child::cpu);
    let before = cpu();
    let Seen {
        mut delays,
        together,
    } = caller::all(lane.at, streams, events, round).await;
    let spent = cpu().saturating_sub(before);
    delays.sort_unstable();
    let at_share = |share: usize| delays[(delays.len() - 1) * share / 100].as_secs_f64() * 1e6;
    Figures {
        cpu: spent.as_secs_f64() * 1e6 / delays.len() as f64,
        p50: at_share(50),
        p99: at_share(99),
        late: delays.iter().filter(|&&delay| delay > PROMISE).count(),
        together,
    }
}

fn print(lanes: &[Lane], streams: usize, all: &[Vec<Figures>], events: usize) {
    let of =
        |lane: usize, pick: fn(&Figures) -> f64| all[lane].iter().map(pick).collect::<Vec<_>>();
    // Rounds are compared pair by pair: a noisy minute is in both.
    let pairs = |lane: usize, other: usize, pick: fn(&Figures) -> f64, how: fn(f64, f64) -> f64| {
        let pairs = of(lane, pick).into_iter().zip(of(other, pick));
        pairs
            .map(|(own, other)| how(own, other))
            .collect::<Vec<_>>()
    };
    println!("\n{streams} streams at once");
    println!(
        "{:<8} {:>9} {:>7} {:>8} {:>8} {:>10} {:>10} {:>10} {:>9} {:>9}",
        "lane",
        "cpu us",
        "ratio",
        "p50 us",
        "p99 us",
        "added p50",
        "added p99",
        "worst p99",
        "over 1 ms",
        "together"
    );
    for (lane, Lane { name, .. }) in lanes.iter().enumerate() {
        let cpu = |figures: &Figures| figures.cpu;
        let added = pairs(lane, 0, |it| it.p99, |own, direct| own - direct);
        let share = |pick: fn(&Figures) -> usize| {
            let sum: usize = all[lane].iter().map(pick).sum();
            format!("{:.2} %", sum as f64 * 100.0 / events as f64)
        };
        println!(
            "{name:<8} {:>9.1} {:>7.3} {:>8.0} {:>8.0} {:>10.0} {:>10.0} {:>10.0} {:>9} {:>9}",
            median(of(lane, cpu)),
            median(pairs(lane, 1, cpu, |own, bare| own / bare)),
            median(of(lane, |it| it.p50)),
            median(of(lane, |it| it.p99)),
            median(pairs(lane, 0, |it| it.p50, |own, direct| own - direct)),
            median(added.clone()),
            added.into_iter().fold(f64::MIN, f64::max),
            share(|it| it.late),
            share(|it| it.together),
        );
        if *name == "twolane" {
            let ratio = median(pairs(lane, 1, cpu, |own, bare| own / bare));
            keep(streams, ratio, median(of(lane, |it| it.p99)));
        }
    }
}

/// What is owed of an event. With few streams, each event finds a sleeping processor: what is compared
/// then is how that wakes up.
fn keep(streams: usize, ratio: f64, p99: f64) {
    if streams >= 20 {
        let what = format!("processor time of an event / bare Pingora, {streams} streams");
        owed::at_most("stream", &what, ratio, 1.0, "");
    }
    if streams == STREAMS[STREAMS.len() - 1] {
        let what = "delay of an event at 15,000 a second, p99";
        owed::at_most("stream", what, p99, 1000.0, " us");
    }
}
