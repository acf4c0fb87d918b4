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

#[path = "../rig/mod.rs"]
mod rig;

use rig::caller::{Call, Callers, paced};
use rig::figures::{median, setting};
use rig::lanes::{self, Lane};
use rig::owed;
use rig::process::{self, Child, free};
use std::process::ExitCode;
use std::time::Duration;

/// Connections that are kept busy while throughput is measured.
const CONNECTIONS: usize = 32;
const DAEMONS: usize = 3;
/// A lane has so many requests before it is the next one's turn, some 15 ms: what else the machine does
/// changes more slowly, and is in all of them.
const TURN: usize = 15 * CONNECTIONS;
/// What a request may cost, as a share of what it costs the bare proxy.
const OWED: f64 = 1.10;
/// What it may cost to see everything, as a share of what it costs to see nothing, with the names that
/// a request has for its node and without.
const OWED_SEEN: f64 = 1.05;
/// What may be added at half load, at the 99th percentile, in microseconds.
const OWED_P99: f64 = 300.0;
/// Who is looked at under half load.
const AT_HALF: [&str; 6] = ["direct", "bare", "single", "twolane", "nginx", "haproxy"];
/// In so many steps a rate is found at which a process is busy for half of the time.
const STEPS: usize = 6;
/// A second of load scatters more than a round of requests: so many for each.
const SECONDS: usize = 3;

/// Who serves in a measurement: the first is nobody, the second is what others are compared to.
const LANES: [&str; 11] = [
    "direct", "bare", "single", "timed", "twolane", "quiet", "named", "watched", "told", "nginx",
    "haproxy",
];

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
    process::main(measure)
}

async fn measure() {
    let rounds = setting("THROUGH_ROUNDS", 7).max(1);
    // As many on each connection.
    let each = setting("THROUGH_REQUESTS", 15_000).div_ceil(CONNECTIONS);
    let requests = each * CONNECTIONS;
    let daemons = free(DAEMONS);
    let _daemons = Child::start("daemons", &daemons, &[]);
    for &daemon in &daemons {
        process::answers(daemon).await;
    }
    let lanes = lanes::start(&LANES, &daemons).await;
    println!("{rounds} rounds, {requests} requests each, {CONNECTIONS} connections");
    let mut most = Vec::new();
    let calls = [Call::list(), Call::invoke()];
    for call in &calls {
        let mut all: Vec<Vec<Figures>> = lanes.iter().map(|_| Vec::new()).collect();
        // Round 0 opens connections and warms caches; it does not count.
        for round in 0..=rounds {
            let figures = one_round(call, &lanes, requests).await;
            for (all, figures) in all.iter_mut().zip(figures).filter(|_| round > 0) {
                all.push(figures);
            }
        }
        print(call, &lanes, &all);
        let own = &all[place(&lanes)];
        most.push(median(own.iter().map(|it| it.per_second).collect()));
    }
    // Each that rests wakes a hundred times a second, and takes a core from those that are late
    // already: the others end.
    let lanes: Vec<_> = lanes
        .into_iter()
        .filter(|lane| AT_HALF.contains(&lane.name))
        .collect();
    for (call, most) in calls.iter().zip(most) {
        half(call, &lanes, most, rounds);
    }
}

/// Where the gateway as it is shipped stands among the lanes.
fn place(lanes: &[Lane]) -> usize {
    let own = lanes.iter().position(|lane| lane.name == "twolane");
    own.expect("it is built in")
}

async fn one_round(call: &Call, lanes: &[Lane], requests: usize) -> Vec<Figures> {
    let cpu = |lane: &Lane| lane.child.as_ref().map_or(Duration::ZERO, Child::cpu);
    let mut callers = Vec::new();
    for lane in lanes {
        callers.push(Callers::connect(lane.at, CONNECTIONS).await);
    }
    let turns = requests.div_ceil(TURN);
    let mut spent = vec![(Duration::ZERO, Duration::ZERO); lanes.len()];
    let mut order: Vec<_> = (0..lanes.len()).collect();
    for _ in 0..turns {
        // Nobody always follows the same one.
        fastrand::shuffle(&mut order);
        for &at in &order {
            let before = cpu(&lanes[at]);
            let took = callers[at].all(call, TURN).await;
            spent[at].0 += cpu(&lanes[at]).saturating_sub(before);
            spent[at].1 += took;
        }
    }
    let done = (turns * TURN) as f64;
    let mut figures = Vec::new();
    for (mut callers, (cpu, took)) in callers.into_iter().zip(spent) {
        let mut latencies = callers.alone(call, requests / 10).await;
        latencies.sort_unstable();
        let at_share = |share: usize| latencies[(latencies.len() - 1) * share / 100];
        figures.push(Figures {
            cpu: cpu.as_secs_f64() * 1e6 / done,
            per_second: done / took.as_secs_f64(),
            p50: at_share(50).as_secs_f64() * 1e6,
            p99: at_share(99).as_secs_f64() * 1e6,
        });
    }
    figures
}

fn print(call: &Call, lanes: &[Lane], all: &[Vec<Figures>]) {
    let of =
        |lane: usize, pick: fn(&Figures) -> f64| all[lane].iter().map(pick).collect::<Vec<_>>();
    println!("\n{}", call.name());
    println!(
        "{:<8} {:>10} {:>12} {:>10} {:>9} {:>9} {:>10} {:>10}",
        "lane", "cpu us", "ratio", "req/s", "p50 us", "p99 us", "added p50", "added p99"
    );
    let bare = of(1, |figures| figures.cpu);
    let (p50, p99) = (of(0, |figures| figures.p50), of(0, |figures| figures.p99));
    for (lane, Lane { name, .. }) in lanes.iter().enumerate() {
        let cpu = of(lane, |figures| figures.cpu);
        let share = |other: &[f64]| pairs(cpu.clone(), other, |own, other| own / other);
        let ratio = share(&bare);
        println!(
            "{name:<8} {:>10.1} {ratio:>12.3} {:>10.0} {:>9.0} {:>9.0} {:>10.0} {:>10.0}",
            median(cpu.clone()),
            median(of(lane, |figures| figures.per_second)),
            median(of(lane, |figures| figures.p50)),
            median(of(lane, |figures| figures.p99)),
            pairs(of(lane, |it| it.p50), &p50, |own, direct| own - direct),
            pairs(of(lane, |it| it.p99), &p99, |own, direct| own - direct),
        );
        if *name == "twolane" {
            let what = format!("processor time / bare Pingora, {}", call.name());
            owed::at_most("through", &what, ratio, OWED, "");
        }
        let seen = [("named", "no log"), ("quiet", "no log, no names")];
        for (other, less) in seen.into_iter().filter(|_| *name == "watched") {
            let other = lanes.iter().position(|lane| lane.name == other);
            let ratio = share(&of(other.expect("it is built in"), |figures| figures.cpu));
            let what = format!("processor time, everything seen / {less}, {}", call.name());
            owed::at_most("through", &what, ratio, OWED_SEEN, "");
        }
    }
}

/// Rounds are compared pair by pair: a noisy minute is in both.
fn pairs(own: Vec<f64>, other: &[f64], how: fn(f64, f64) -> f64) -> f64 {
    let pairs = own.iter().zip(other);
    median(pairs.map(|(own, other)| how(*own, *other)).collect())
}

/// How long requests take that come at fixed times: so many that the gateway's process is busy for half of
/// the time, and half as many as it served when it was kept busy. That is more: it costs more to be
/// woken for one request than to find several. `most`: so many it served.
fn half(call: &Call, lanes: &[Lane], most: f64, rounds: usize) {
    let own = place(lanes);
    let mut rate = most / 2.0;
    for _ in 0..STEPS {
        let (busy, _) = load(&lanes[own], call, rate);
        rate *= (0.5 / busy).clamp(0.5, 2.0);
    }
    // What a request costs drifts, so the rate follows: slowly, for a second is no measure.
    let follow = |rate: f64, busy: f64| rate * (0.5 / busy).clamp(0.5, 2.0).powf(0.25);
    let way = "busy half of its time";
    at_rate(call, lanes, way, (rate, rounds * SECONDS), follow);
    let way = "half as many";
    at_rate(call, lanes, way, (most / 2.0, rounds), |rate, _| rate);
}

/// Every lane for so many seconds. `next` says the rate of the following one, by the rate of the last and for
/// which share of it the gateway was busy.
fn at_rate(
    call: &Call,
    lanes: &[Lane],
    way: &str,
    (mut rate, seconds): (f64, usize),
    next: impl Fn(f64, f64) -> f64,
) {
    let mut found = vec![(Vec::new(), Vec::new()); lanes.len()];
    let mut rates = Vec::new();
    for _ in 0..seconds {
        rates.push(rate);
        let now = rate;
        for (lane, (busy, p99)) in lanes.iter().zip(&mut found) {
            let (share, late) = load(lane, call, now);
            busy.push(share);
            p99.push(late);
            if lane.name == "twolane" {
                rate = next(now, share);
            }
        }
    }
    let rate = median(rates);
    println!(
        "\n{}, {way}, {rate:.0} requests a second: p99 us, added to direct, share of the time that it is busy",
        call.name()
    );
    let direct = found[0].1.clone();
    for (lane, (busy, p99)) in lanes.iter().zip(found) {
        let added = pairs(p99.clone(), &direct, |own, direct| own - direct);
        let (p99, busy) = (median(p99), median(busy));
        println!("{:<8} {p99:>10.0} {added:>12.0} {busy:>10.2}", lane.name);
        if lane.name == "twolane" {
            let what = format!("added p99, {way}, {}", call.name());
            owed::at_most("through", &what, added, OWED_P99, " us");
        }
    }
}

/// For which share of the time a lane is busy at this rate, and the 99th percentile of what its answers
/// took, in microseconds.
fn load(lane: &Lane, call: &Call, rate: f64) -> (f64, f64) {
    let cpu = || lane.child.as_ref().map_or(Duration::ZERO, Child::cpu);
    let before = cpu();
    let mut took = paced(lane.at, call, rate, CONNECTIONS);
    took.sort_unstable();
    let p99 = took[(took.len() - 1) * 99 / 100].as_secs_f64() * 1e6;
    let lasted = took.len() as f64 / rate;
    let busy = cpu().saturating_sub(before).as_secs_f64() / lasted;
    (busy, p99)
}
