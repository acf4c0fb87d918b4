//! Did the way of a request become longer? Instructions are counted, which do not depend on what else
//! the machine does, and compared with `bounds.tsv`.
//!
//! Each step is done by this same program under valgrind, once a few hundred times and once two
//! thousand times more; the difference has no start in it. A step that takes over 5 % more than its
//! bound fails the test: mend it, or say in the commit what it buys and write the new bounds, which
//! `cargo test --test cost -- record` prints.
//!
//! Counts belong to one compiler and one profile, so each line of `bounds.tsv` says how it was
//! compiled, told by a reference step that has nothing of twolane in it. Compiled otherwise, there is
//! nothing to compare with, and the test says so; with `COST=strict` it fails then.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it has no harness: what it found is printed"
)]

#[path = "../../benches/rig/pool.rs"]
mod pool;
#[path = "../../benches/rig/record.rs"]
mod record;
mod steps;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

const BOUNDS: &str = "tests/cost/bounds.tsv";
/// A step may take so much more than its bound.
const TOLERANCE: f64 = 1.05;
/// The reference may differ by so much within one compiler and profile.
const SAME: f64 = 0.005;
const FEW: u32 = 200;
const MORE: u32 = 2000;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--step", name, times] => {
            steps::run(name, times.parse().unwrap());
            ExitCode::SUCCESS
        }
        ["record"] => {
            let counts = count();
            println!("{}", line("how it was compiled", &counts));
            ExitCode::SUCCESS
        }
        // What a harness would list.
        [.., "--list"] => ExitCode::SUCCESS,
        _ => judge(),
    }
}

fn judge() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: there is no valgrind, nothing was counted: sh deploy/setup.sh valgrind");
        return if strict() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    let counts = count();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(BOUNDS);
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<(&str, Vec<f64>)> = lines.filter_map(parsed).collect();
    assert!(!rows.is_empty(), "{BOUNDS} has bounds");
    let same = |row: &&(&str, Vec<f64>)| (row.1[0] / counts[0] - 1.0).abs() < SAME;
    let Some((compiled, bounds)) = rows.iter().find(same) else {
        println!(
            "SKIPPED: compiled in a way that {BOUNDS} does not know, nothing was compared. Its line:\n{}",
            line("how it was compiled", &counts)
        );
        return if strict() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    };
    println!("instructions for one step, compiled by {compiled}");
    let mut kept = true;
    for ((name, count), bound) in steps::NAMES.iter().zip(&counts).zip(bounds).skip(1) {
        let fine = *count <= bound * TOLERANCE;
        kept &= fine;
        let verdict = if fine { "" } else { "  TOO MANY" };
        println!("{name:<24} {count:>8.0} of {bound:>8.0}{verdict}");
    }
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn strict() -> bool {
    std::env::var("COST").is_ok_and(|how| how == "strict")
}

fn parsed(line: &str) -> Option<(&str, Vec<f64>)> {
    let mut cells = line.split('\t');
    let name = cells.next()?;
    let numbers: Vec<_> = cells.filter_map(|cell| cell.trim().parse().ok()).collect();
    (numbers.len() == steps::NAMES.len()).then_some((name, numbers))
}

fn line(compiled: &str, counts: &[f64]) -> String {
    let cells = counts.iter().map(|count| format!("\t{count:.0}"));
    format!("{compiled}{}", cells.collect::<String>())
}

/// Instructions of each step, in the order of their names.
fn count() -> Vec<f64> {
    thread::scope(|scope| {
        let one = |name: &'static str| {
            scope.spawn(move || {
                let (few, many) = (instructions(name, FEW), instructions(name, FEW + MORE));
                (many - few) as f64 / f64::from(MORE)
            })
        };
        let threads: Vec<_> = steps::NAMES.iter().map(|name| one(name)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn instructions(name: &str, times: u32) -> u64 {
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--step", name, &times.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{name}: {said}");
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.unwrap_or_else(|| panic!("valgrind counts: {said}"));
    number.trim().parse().unwrap()
}
