//! How much memory does an open stream hold, in the gateway and in others?
//!
//! Every proxy is a process of its own with one thread, started anew for each cell, so that nothing of
//! the last one is left in it; the daemons are another process, this one reads. A stream that is idle
//! has had its first event and says no more; an active one goes on. What is shown is what of the
//! proxy's memory is in RAM with the streams open, less what was before, for each of them.
//!
//! Then streams come and go, a thousand at a time, and the memory in between must not grow.
//!
//! `MEMORY_STREAMS` and `MEMORY_SOAK` change how much is measured; how to read what is
//! printed is in `benches/README.md`.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

#[path = "../rig/mod.rs"]
mod rig;

use rig::daemon::Wish;
use rig::figures::{median, setting};
use rig::lanes::{self, Lane};
use rig::owed;
use rig::process::{self, Child, free, until};
use rig::streams::Streams;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::sleep;

const DAEMONS: usize = 3;
const LANES: [&str; 4] = ["bare", "twolane", "nginx", "haproxy"];
const FEW: usize = 1000;
/// What a stream may hold when there are many, in KiB.
const OWED: f64 = 32.0;
/// A stream is quiet for so long before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(1);
/// A silent stream: one event, and then none until the reader leaves.
const IDLE: Wish = Wish {
    events: 1,
    gap: Duration::ZERO,
    seed: 0,
    hold: true,
};
/// Streams that come and go at the same time.
const WAVE: usize = 1000;

fn main() -> ExitCode {
    rig::process::main(measure)
}

async fn measure() {
    let wanted = setting("MEMORY_STREAMS", 10_000).max(FEW);
    let many = process::streams(wanted);
    let ports = free(DAEMONS);
    let _daemons = Child::start("daemons", &ports, &[]);
    for &port in &ports {
        process::answers(port).await;
    }
    println!(
        "\nKiB per open stream\n{:<8} {:>9} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "lane",
        "at rest",
        format!("{FEW} idle"),
        format!("{many} idle"),
        format!("{FEW} active"),
        format!("{many} active"),
        "descriptors"
    );
    for name in LANES {
        let Some((rest, idle, left)) = idle(name, &ports, [FEW, many]).await else {
            continue;
        };
        let few = active(name, &ports, FEW, Duration::from_millis(200)).await;
        let all = active(name, &ports, many, Duration::from_secs(2)).await;
        println!(
            "{name:<8} {:>5.1} MiB {:>10.1} {:>10.1} {few:>10.1} {all:>10.1} {left:>12}",
            rest as f64 / 1024.0,
            idle[0],
            idle[1],
        );
        if name == "twolane" {
            for (what, kib) in [("idle", idle[1]), ("active", all)] {
                let what = format!("KiB per {what} stream at {many}");
                owed::at_most("memory", &what, kib, OWED, " KiB");
            }
            let back = left == "back";
            let what = format!("descriptors after {many} streams");
            owed::note("memory", &what, &left, "back", back);
        }
    }
    soak(&ports).await;
}

/// A lane that has served some, and its memory.
async fn fresh(name: &'static str, daemons: &[SocketAddr]) -> Option<(Lane, u64)> {
    let lane = lanes::one(name, free(1)[0], daemons).await?;
    let brief = Wish {
        hold: false,
        ..IDLE
    };
    let mut streams = Streams::none();
    streams.open_to(20, lane.at, brief).await;
    streams.ended().await;
    sleep(SETTLE).await;
    let rest = child(&lane).resident();
    Some((lane, rest))
}

fn child(lane: &Lane) -> &Child {
    lane.child.as_ref().expect("a proxy is a process")
}

/// At rest in KiB, per idle stream, and whether all descriptors were given back.
async fn idle(
    name: &'static str,
    daemons: &[SocketAddr],
    counts: [usize; 2],
) -> Option<(u64, Vec<f64>, String)> {
    let (lane, rest) = fresh(name, daemons).await?;
    let before = child(&lane).descriptors();
    let (mut streams, mut each) = (Streams::none(), Vec::new());
    for count in counts {
        streams.open_to(count, lane.at, IDLE).await;
        assert_eq!(streams.failed(), 0, "{name}: every stream begins");
        sleep(SETTLE).await;
        let more = child(&lane).resident().saturating_sub(rest);
        each.push(more as f64 / count as f64);
    }
    drop(streams);
    // Connections to nodes may be kept.
    let back = until(|| child(&lane).descriptors() <= before + 64).await;
    let left = if back {
        "back".to_owned()
    } else {
        format!("+{}", child(&lane).descriptors().saturating_sub(before))
    };
    Some((rest, each, left))
}

async fn active(name: &'static str, daemons: &[SocketAddr], count: usize, gap: Duration) -> f64 {
    let begun = fresh(name, daemons).await;
    let (lane, rest) = begun.expect("it was there before");
    let mut streams = Streams::none();
    let endless = Wish {
        events: usize::MAX >> 1,
        gap,
        ..IDLE
    };
    streams.open_to(count, lane.at, endless).await;
    sleep(4 * gap.max(SETTLE)).await;
    assert_eq!(streams.failed(), 0, "{name}: no stream is cut");
    let more = child(&lane).resident().saturating_sub(rest);
    more as f64 / count as f64
}

/// The gateway's memory while streams come and go.
async fn soak(daemons: &[SocketAddr]) {
    let waves = setting("MEMORY_SOAK", 100_000).div_ceil(WAVE).max(4);
    let (lane, _) = fresh("twolane", daemons).await.expect("it is built in");
    let brief = Wish {
        events: 5,
        gap: Duration::from_millis(5),
        seed: 0,
        hold: false,
    };
    let mut resident = Vec::new();
    for _ in 0..waves {
        let mut streams = Streams::none();
        streams.open_to(WAVE, lane.at, brief).await;
        streams.ended().await;
        assert_eq!(streams.failed(), 0, "no stream of the soak is cut");
        resident.push(child(&lane).resident() as f64 / 1024.0);
    }
    // The first waves fill what is kept for the next ones. A single look says little: an allocator
    // gives back in its own time.
    let quarter = |n: usize| median(resident[n * waves / 4..(n + 1) * waves / 4].to_vec());
    let (early, late) = (quarter(1), quarter(3));
    println!(
        "\n{} streams came and went, {WAVE} at a time: {early:.1} MiB in the second quarter, {late:.1} MiB in the last",
        waves * WAVE
    );
    let what = format!("growth while {} streams come and go", waves * WAVE);
    owed::at_most("memory", &what, (late / early - 1.0) * 100.0, 5.0, " %");
}
