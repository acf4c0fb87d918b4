//! What does a request cost on its way through the gateway, beside a bare Pingora proxy?
//!
//! Every part is a process of its own, started from this program: three tiny daemons that answer
//! at once, the bare proxy, and the gateway as it is shipped, each proxy with one thread. This
//! process asks. Rounds alternate, so that whatever else runs on the machine disturbs all alike,
//! and the time that a proxy's process spent on a processor is compared, not the time that passed.
//!
//! `THROUGH_ROUNDS` and `THROUGH_REQUESTS` change how much is measured; how to read what is
//! printed is in `benches/README.md`.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

/// In every part, so that both proxies have it or neither.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bare;
mod caller;
mod daemon;
mod figures;
mod process;
mod wire;

use caller::{Call, Callers};
use figures::{median, setting};
use process::{Child, free};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// However slow the machine is, it ends.
const LONGEST: Duration = Duration::from_secs(300);
/// Connections that are kept busy while throughput is measured.
const CONNECTIONS: usize = 32;
const DAEMONS: usize = 3;

/// Who serves in a measurement.
const LANES: [&str; 4] = ["direct", "bare", "timed", "twolane"];

/// One lane's figures of one round.
struct Figures {
    /// Processor time of the proxy per request, in microseconds.
    cpu: f64,
    per_second: f64,
    /// With one connection and nothing else to do, in microseconds.
    p50: f64,
    p99: f64,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--as") => process::play(&arguments.collect::<Vec<_>>()),
        // `cargo bench` says --bench; `cargo test --benches` does not, and only wants to know
        // that this starts.
        Some("--bench") => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts");
            let measured =
                runtime.block_on(async { tokio::time::timeout(LONGEST, measure()).await });
            if measured.is_err() {
                println!("not measured: it took longer than {LONGEST:?}");
                return ExitCode::FAILURE;
            }
        }
        _ => {}
    }
    ExitCode::SUCCESS
}

async fn measure() {
    let rounds = setting("THROUGH_ROUNDS", 7).max(1);
    // As many on each connection.
    let each = setting("THROUGH_REQUESTS", 15_000).div_ceil(CONNECTIONS);
    let requests = each * CONNECTIONS;
    let ports = free(DAEMONS + LANES.len());
    let (daemons, lanes) = ports.split_at(DAEMONS);
    let _daemons = Child::start("daemons", daemons, &[]);
    for &daemon in daemons {
        process::answers(daemon).await;
    }
    let mut children = Vec::new();
    for (name, &at) in LANES.iter().zip(lanes) {
        if *name == "direct" {
            children.push((*name, daemons[0], None));
        } else {
            children.push((*name, at, Some(Child::start(name, &[at], daemons))));
            process::answers(at).await;
        }
    }
    println!("{rounds} rounds, {requests} requests each, {CONNECTIONS} connections");
    for call in [Call::list(), Call::invoke()] {
        let mut all: Vec<Vec<Figures>> = LANES.iter().map(|_| Vec::new()).collect();
        // Round 0 opens connections and warms caches; it does not count.
        for round in 0..=rounds {
            for (lane, (_, at, child)) in children.iter().enumerate() {
                let figures = one_round(&call, *at, child.as_ref(), requests).await;
                if round > 0 {
                    all[lane].push(figures);
                }
            }
        }
        print(&call, &all);
    }
}

async fn one_round(call: &Call, at: SocketAddr, child: Option<&Child>, requests: usize) -> Figures {
    let cpu = || child.map_or(Duration::ZERO, Child::cpu);
    let mut callers = Callers::connect(at, CONNECTIONS).await;
    let before = cpu();
    let took = callers.all(call, requests).await;
    let spent = cpu().saturating_sub(before);
    let mut latencies = callers.alone(call, requests / 10).await;
    latencies.sort_unstable();
    let at_share = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    Figures {
        cpu: spent.as_secs_f64() * 1e6 / requests as f64,
        per_second: requests as f64 / took.as_secs_f64(),
        p50: at_share(50).as_secs_f64() * 1e6,
        p99: at_share(99).as_secs_f64() * 1e6,
    }
}

fn print(call: &Call, all: &[Vec<Figures>]) {
    let of =
        |lane: usize, pick: fn(&Figures) -> f64| all[lane].iter().map(pick).collect::<Vec<_>>();
    println!("\n{}", call.name());
    println!(
        "{:<8} {:>10} {:>12} {:>10} {:>9} {:>9} {:>10} {:>10}",
        "lane", "cpu us", "ratio", "req/s", "p50 us", "p99 us", "added p50", "added p99"
    );
    let bare = of(1, |figures| figures.cpu);
    let (p50, p99) = (of(0, |figures| figures.p50), of(0, |figures| figures.p99));
    for (lane, name) in LANES.iter().enumerate() {
        // Rounds are compared pair by pair: a noisy minute is in both.
        let pairs = |own: Vec<f64>, other: &[f64], how: fn(f64, f64) -> f64| {
            median(
                own.iter()
                    .zip(other)
                    .map(|(own, other)| how(*own, *other))
                    .collect(),
            )
        };
        let cpu = of(lane, |figures| figures.cpu);
        println!(
            "{name:<8} {:>10.1} {:>12.3} {:>10.0} {:>9.0} {:>9.0} {:>10.0} {:>10.0}",
            median(cpu.clone()),
            pairs(cpu, &bare, |own, bare| own / bare),
            median(of(lane, |figures| figures.per_second)),
            median(of(lane, |figures| figures.p50)),
            median(of(lane, |figures| figures.p99)),
            pairs(of(lane, |figures| figures.p50), &p50, |own, direct| own
                - direct),
            pairs(of(lane, |figures| figures.p99), &p99, |own, direct| own
                - direct),
        );
    }
}
