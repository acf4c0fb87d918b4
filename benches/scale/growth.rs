//! What does one step cost as its table grows?
//!
//! Processor time of this thread for one step, over tables of 10 to 10,000 rows, the least of several
//! rounds: whatever else runs on the machine can only add.

use super::rig::owed;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use twolane::learn::{Classifier, Learner};
use twolane::model::{Class, LearnRules, Operation, Outcome, Role, Sample, clock};
use twolane::nodes::{Lease, Node, Plugins};
use twolane::observe::Metrics;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// The kernel counts a thread's time every few milliseconds.
const STEPS: usize = 1_000_000;
const ROUNDS: usize = 5;
/// Where the number changes meanwhile, so many steps at each.
const TURN: usize = 1_000;
/// Flat or logarithmic: a thousand times the rows may cost so many times as much.
const OWED: f64 = 4.0;

pub(crate) fn measure() {
    println!(
        "\nns of processor time for one step\n{:<32} {:>8} {:>8} {:>8} {:>8}",
        "rows", SIZES[0], SIZES[1], SIZES[2], SIZES[3]
    );
    row("ask, begin and learn by operation", learning);
    row("take and end a lease beside others", |rows| {
        ledger(rows, 0, 1)
    });
    row("the same, by turns ten more", |rows| ledger(rows, 10, 1));
    row("the same, ends within a minute", |rows| {
        ledger(rows, 0, 60_000)
    });
    row("count an attempt by node", metrics);
}

fn row(what: &str, each: fn(usize) -> f64) {
    let nanos = SIZES.map(each);
    let text = nanos.map(|it| format!("{it:>8.0}")).join(" ");
    println!("{what:<32} {text}");
    let times = nanos[SIZES.len() - 1] / nanos[0];
    let what = format!("{what}: 10,000 rows / 10 rows");
    owed::at_most("scale", &what, times, OWED, "");
}

fn least(mut step: impl FnMut(usize)) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = processor_time();
        (0..STEPS).for_each(&mut step);
        let spent = processor_time().saturating_sub(before);
        best = best.min(spent.as_nanos() as f64 / STEPS as f64);
    }
    best
}

/// Of this thread, as far as the kernel has counted.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("Linux counts it"))
}

fn learning(rows: usize) -> f64 {
    let now = clock::now();
    let learner = Learner::new(LearnRules {
        max_keys: 3 * rows + 100,
        ..LearnRules::default()
    });
    let operations: Vec<_> = (0..rows)
        .map(|at| {
            let mut operation = Operation::new("tool/invoke");
            operation.push(&format!("langgenius/plugin{}", at % 50));
            operation.push(&format!("provider|tool{at}"));
            operation
        })
        .collect();
    let sample = Sample {
        duration: Duration::from_millis(130),
        censored: false,
    };
    for operation in operations.iter().cycle().take(10 * rows) {
        learner.learn(operation, sample, now);
    }
    least(|step| {
        let operation = &operations[step * 7 % rows];
        black_box(learner.classify(operation, Class::Short, now));
        drop(learner.begin(operation, now));
        learner.learn(operation, sample, now);
    })
}

/// Leases end after five seconds or later, within so many milliseconds. In one instant they are added and
/// taken away at one end of a tree, and at few sizes, of which 10,000 is one, each splits several of its
/// nodes and joins them again: 520 ns there, and 180 to 220 at the fifteen sizes around it. What comes with
/// the size alone is seen where there are by turns up to `more` than it says.
fn ledger(rows: usize, more: usize, within: usize) -> f64 {
    let now = clock::now();
    let address = "127.0.0.1:1".parse().expect("an address");
    let place = (Role::Secondary, 1);
    let node = Arc::new(Node::new("n1".into(), address, place, now));
    let plugin = Plugins::new().find(Some("langgenius/google"));
    let take = |class, at: usize| {
        let expected = Duration::from_millis((5_000 + at * 7_919 % within) as u64);
        Lease::take(&node, &plugin, class, now).expecting(Some(expected))
    };
    let mut held: Vec<_> = (0..rows).map(|at| take(Class::Long, at)).collect();
    least(|step| {
        if step % TURN == TURN - 1 {
            if held.len() < rows + more {
                held.push(take(Class::Long, held.len()));
            } else {
                held.truncate(rows);
            }
        }
        let lease = take(Class::Short, step);
        black_box(lease.settle(Outcome::Answered, now));
    })
}

fn metrics(rows: usize) -> f64 {
    let metrics = Metrics::new().expect("every family has a name of its own");
    let nodes: Vec<_> = (0..rows).map(|n| format!("n{n}").as_str().into()).collect();
    for node in &nodes {
        metrics.attempt(node, Outcome::Answered);
    }
    least(|step| metrics.attempt(&nodes[step * 7 % rows], Outcome::Answered))
}
