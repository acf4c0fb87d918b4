//! What does a request do on its way, step by step?

use super::pool::{crowd, snapshot};
use super::record::record;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use twolane::config::RouteEntry;
use twolane::dify::{Names, describe};
use twolane::learn::{Classifier, Learner};
use twolane::model::{Class, LearnRules, LogFormat, Operation, Outcome, Request, Sample, clock};
use twolane::nodes::{Lease, Plugins, Tried};
use twolane::observe::Metrics;
use twolane::observe::access::{Marks, Place, Sinks};
use twolane::route::Table;
use twolane::select;
use twolane::upstream::Ask;

/// The first has nothing of twolane in it.
pub(crate) const NAMES: [&str; 8] = [
    "reference",
    "describe and route",
    "classify",
    "choose among 10",
    "choose among 64",
    "begin and end",
    "learn",
    "access line",
];

/// Does one so many times.
pub(crate) fn run(name: &str, times: u32) {
    match name {
        "reference" => reference(times),
        "describe and route" => route(times),
        "classify" => classify(times),
        "choose among 10" => choose(10, times),
        "choose among 64" => choose(64, times),
        "begin and end" => lease(times),
        "learn" => learn(times),
        "access line" => line(times),
        other => panic!("no step {other}"),
    }
}

/// What the compiler makes of other people's generic code.
fn reference(times: u32) {
    for n in 0..times {
        let mut words: Vec<_> = (0..20)
            .map(|at| format!("{}", (at * 37 + n) % 23))
            .collect();
        words.sort();
        black_box(words.concat());
    }
}

fn route(times: u32) {
    let routes: Vec<_> = (0..10)
        .map(|n| RouteEntry {
            path: format!("/plugin/tenant-{n:04}/dispatch/"),
            pool: n.to_string(),
        })
        .collect();
    let table = Table::new(&routes, |name| name.parse().ok());
    for _ in 0..times {
        let path = black_box("/plugin/7f6b3c1e-0d2a-4f5b-9a3e-1c2d3e4f5a6b/dispatch/tool/invoke");
        let names = Names {
            plugin_id: Some("langgenius/google"),
            ..Names::default()
        };
        black_box(describe("POST", path, names));
        black_box(table.find(path));
    }
}

/// A learner that knows so many operations, of three levels each.
fn learned(many: usize) -> (Learner, Vec<Operation>) {
    let learner = Learner::new(LearnRules::default());
    let operations: Vec<_> = (0..many)
        .map(|at| {
            let mut operation = Operation::new("tool/invoke");
            operation.push(&format!("langgenius/plugin{}", at % 50));
            operation.push(&format!("provider|tool{at}"));
            operation
        })
        .collect();
    for operation in operations.iter().cycle().take(8 * many) {
        learner.learn(operation, sample(), clock::now());
    }
    (learner, operations)
}

fn sample() -> Sample {
    Sample {
        duration: Duration::from_millis(130),
        censored: false,
    }
}

fn classify(times: u32) {
    let (learner, operations) = learned(100);
    let now = clock::now();
    let cycle = operations.iter().cycle();
    for operation in cycle.take(times as usize) {
        black_box(learner.classify(black_box(operation), Class::Short, now));
    }
}

fn learn(times: u32) {
    let (learner, operations) = learned(100);
    let now = clock::now();
    let cycle = operations.iter().cycle();
    for operation in cycle.take(times as usize) {
        drop(learner.begin(operation, now));
        learner.learn(black_box(operation), sample(), now);
    }
}

fn choose(nodes: u16, times: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime starts");
    let snapshot = runtime.block_on(snapshot("adaptive", nodes));
    let (pool, plugins) = (&snapshot.pools()[0], Plugins::new());
    let _held = crowd(&pool.nodes(), &plugins);
    let request = Request::new(Class::Short, plugins.find(Some("a/b")).place());
    for luck in 0..times {
        let ask = Ask {
            request,
            tried: &Tried::new(),
            luck: luck.into(),
            affinity: None,
            owner: None,
            once: false,
            limits: None,
            overdue: false,
            now: clock::now(),
        };
        black_box(pool.choose(black_box(&ask))).expect("all may serve");
    }
}

/// From the claim on a chosen node to its end, with what it teaches.
fn lease(times: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime starts");
    let snapshot = runtime.block_on(snapshot("adaptive", 10));
    let (pool, plugins) = (&snapshot.pools()[0], Plugins::new());
    let nodes = pool.nodes();
    let _held = crowd(&nodes, &plugins);
    let plugin = plugins.find(Some("a/b"));
    let (learner, operations) = learned(100);
    let mut now = clock::now();
    for n in 0..times as usize {
        let operation = &operations[n % operations.len()];
        let lease = Lease::take(&nodes[n % 10], &plugin, Class::Short, now);
        let expected = Some(Duration::from_millis(130));
        let mut lease = lease.expecting(expected).reaching();
        lease.note_reached();
        now += Duration::from_millis(1);
        let (strategy, outcome) = (pool.chooser(), Outcome::Answered);
        select::settle(lease, strategy, &learner, Some(operation), outcome, now);
    }
    black_box(Arc::strong_count(&plugin));
}

/// From what is known of a request to its line, on the way to the disk; in both threads.
fn line(times: u32) {
    let metrics = Metrics::new().expect("every family has a name of its own");
    let sinks = Sinks::new(metrics.access().clone());
    let place = Place::File("/dev/null".into());
    let sink = sinks.open(&place, 8192).expect("it takes everything");
    let record = record();
    for _ in 0..times {
        sink.take(LogFormat::Json, black_box(&record), Marks::default());
    }
    sink.flush(Duration::from_secs(60));
}
