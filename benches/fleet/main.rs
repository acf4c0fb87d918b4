//! Does a request feel that Redis is broken? A gateway whose Redis is, beside one that has none.
//!
//! Daemons and gateways are processes of their own, started from this program as in `through`; Redis
//! is a real one, behind a wire of this process that can be made slow. While a fault lasts, both
//! gateways are asked in turns, a few dozen requests at a time, so that a noisy moment of the machine
//! meets both, and their percentiles are compared within each round.
//!
//! `FLEET_ROUNDS` and `FLEET_REQUESTS` change how much is measured; how to read what is printed is in
//! `benches/README.md`. What is exact again after each fault is a matter of `tests/fleet`.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]
#![allow(clippy::unwrap_used, reason = "the parts of tests that it uses do")]

/// What lies between the gateway and Redis.
#[path = "../../tests/fleet/wire.rs"]
#[allow(
    dead_code,
    clippy::cognitive_complexity,
    reason = "of use to the test it comes from"
)]
mod between;
#[path = "../../tests/fleet/redis.rs"]
#[allow(dead_code, reason = "of use to the test it comes from")]
mod redis;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../../tests/support/mod.rs"]
mod support;

mod faults;

use faults::{FAULTS, Fault, Scene};
use rig::caller::{Call, Callers};
use rig::figures::{median, setting};
use rig::process::{self, Child, free};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// However slow the machine is, it ends.
const LONGEST: Duration = Duration::from_secs(600);
/// So many requests go to one gateway before the other one is asked.
const TURN: usize = 25;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--as") => process::play(&arguments.collect::<Vec<_>>()),
        // `cargo bench` says --bench; `cargo test --benches` does not, and only wants to know
        // that this starts.
        Some("--bench") => {
            // Two threads: the wire must not stand still while a caller waits.
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
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

/// Sorted latencies of one gateway.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    /// In microseconds.
    fn at(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last as f64 * share) as usize].as_secs_f64() * 1e6
    }
}

async fn measure() {
    let rounds = setting("FLEET_ROUNDS", 9).max(1);
    let requests = setting("FLEET_REQUESTS", 3000).max(TURN);
    let daemon = free(1)[0];
    let _daemons = Child::start("daemons", &[daemon], &[]);
    process::answers(daemon).await;
    let start = async |more: &str| {
        let at = free(1)[0];
        let child = Child::start_with("twolane", &[at], &[daemon], more);
        process::answers(at).await;
        (child, at)
    };
    let (_alone, alone) = start("").await;
    println!("{rounds} rounds, {requests} requests each to both, {TURN} in turn");
    println!(
        "{:<22} {:>10} {:>10} {:>8} {:>8} {:>8} {:>10}",
        "Redis", "alone p99", "p99", "ratio", "least", "most", "p50 ratio"
    );
    for fault in FAULTS {
        let mut scene = Scene::new().await;
        let more = match fault {
            Fault::None => String::new(),
            _ => format!("share: {{ redis: \"{}\" }}\n", scene.wire.url()),
        };
        let (_shared, shared) = start(&more).await;
        scene.met(fault).await;
        scene.begin(fault).await;
        let mut pairs = Vec::new();
        // Round 0 opens connections and warms caches; it does not count.
        for round in 0..=rounds {
            let pair = one_round(&scene, fault, [alone, shared], requests).await;
            if round > 0 {
                pairs.push(pair);
            }
        }
        print(fault, &pairs);
    }
}

async fn one_round(
    scene: &Scene,
    fault: Fault,
    gateways: [SocketAddr; 2],
    requests: usize,
) -> [Latencies; 2] {
    let call = Call::invoke();
    let mut callers = [
        Callers::connect(gateways[0], 1).await,
        Callers::connect(gateways[1], 1).await,
    ];
    let mut latencies = [Latencies::default(), Latencies::default()];
    for turn in 0..requests.div_ceil(TURN) {
        scene.again(fault, turn);
        // Who goes first changes: what the first does to the second, the second does to the first.
        for at in [turn % 2, 1 - turn % 2] {
            let took = callers[at].alone(&call, TURN).await;
            latencies[at].0.extend(took);
        }
    }
    for gateway in &mut latencies {
        gateway.0.sort_unstable();
    }
    latencies
}

fn print(fault: Fault, pairs: &[[Latencies; 2]]) {
    let of = |at: usize| median(pairs.iter().map(|pair| pair[at].at(0.99)).collect());
    let ratios = |share: f64| {
        let ratio = |pair: &[Latencies; 2]| pair[1].at(share) / pair[0].at(share);
        pairs.iter().map(ratio).collect::<Vec<_>>()
    };
    let p99 = ratios(0.99);
    println!(
        "{:<22} {:>10.0} {:>10.0} {:>8.3} {:>8.3} {:>8.3} {:>10.3}",
        fault.name(),
        of(0),
        of(1),
        median(p99.clone()),
        p99.iter().copied().fold(f64::INFINITY, f64::min),
        p99.iter().copied().fold(0.0, f64::max),
        median(ratios(0.5)),
    );
}
