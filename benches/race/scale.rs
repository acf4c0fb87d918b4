//! Do thousands at once get their answers? B4 of seed 000: 1000, 2000 and 5000 callers at the same
//! time before two, three and five nodes that answer after 1.0 to 1.2 s, however many there are.
//!
//! Says nothing about the choice of nodes: any choice would do. It is about connections, descriptors
//! and memory.

use super::figures::Figures;
use super::lanes::Lane;
use super::{caller, header_name, process, trace};
use std::process::Command;

/// Callers at once, nodes, and the share of answers that seed 000 tells.
const SIZES: [(usize, usize, f64); 3] = [(1000, 2, 0.998), (2000, 3, 0.999), (5000, 5, 0.999)];
/// Each caller has two descriptors in the gateway, and some are its own.
const DESCRIPTORS: usize = 12_000;

pub(crate) fn run() {
    if let Err(why) = raise() {
        println!("5000 callers need {DESCRIPTORS} descriptors: {why}");
    }
    println!(
        "| at once | nodes | calls | answered | owed | mean, s | p50 | p99 | most | cpu us/call | memory, MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (callers, nodes, owed) in SIZES {
        one(callers, nodes, owed);
    }
}

/// For this process and those that it starts. Within the hard limit everybody may.
fn raise() -> Result<(), String> {
    let pid = std::process::id().to_string();
    let limit = format!("--nofile={DESCRIPTORS}:");
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .status();
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("prlimit: {status}; raise the hard limit")),
        Err(error) => Err(format!("prlimit of util-linux: {error}")),
    }
}

fn one(callers: usize, nodes: usize, owed: f64) {
    let race = trace::crowd(callers, nodes);
    let folder = tempfile::tempdir().expect("there is room for a file");
    let ports = process::free(nodes + 1);
    let (front, nodes) = ports.split_at(1);
    let header = header_name();
    let _nodes = process::nodes(race.kind, &header, nodes);
    process::wait_for(nodes);
    let proxy = Lane::Twolane.start(front[0], nodes, race.clock, folder.path());
    process::wait_for(front);
    let before = proxy.cpu();
    let outcomes = caller::run(&race, &header, front);
    let spent = proxy.cpu().saturating_sub(before).as_secs_f64() * 1e6;
    let figures = Figures::of(&outcomes, race.clock);
    let (calls, failed) = (outcomes.len(), figures.failures);
    let answered = (calls - failed) as f64 / calls as f64;
    let short = &figures.short;
    println!(
        "| {callers} | {} | {calls} | {:.2} % | {:.1} % | {:.3} | {:.3} | {:.3} | {:.3} | {:.0} | {} |",
        nodes.len(),
        100.0 * answered,
        100.0 * owed,
        short.mean,
        short.p50,
        short.p99,
        short.most,
        spent / calls as f64,
        proxy.peak_memory()
    );
    for why in outcomes.iter().filter_map(|it| it.failed.as_ref()).take(3) {
        println!("  {why}");
    }
}
