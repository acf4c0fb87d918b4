//! What does a scrape cost when there is much to show? 200 nodes, 10,000 operations, a thousand
//! plugins, and all that was ever counted.
//!
//! Processor time of the whole process, caller included, per page: other load does not disturb it.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

use http::Method;
use std::process::ExitCode;
use std::time::Duration;
use twolane::admin::ask;
use twolane::config;
use twolane::learn::Classifier;
use twolane::model::{Class, Operation, Outcome, Sample, clock};
use twolane::server::{Embedded, Options, known};

const NODES: usize = 200;
const OPERATIONS: usize = 10_000;
const PLUGINS: usize = 1_000;
const PAGES: u32 = 50;

fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that this starts.
    if std::env::args().any(|argument| argument == "--bench") {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        runtime.block_on(measure());
    }
    ExitCode::SUCCESS
}

async fn measure() {
    let gateway = gateway().await;
    fill(&gateway);
    // The first page makes series that the others find.
    let page = scrape(&gateway).await;
    let before = processor_time();
    for _ in 0..PAGES {
        scrape(&gateway).await;
    }
    let each = (processor_time() - before) / PAGES;
    println!(
        "{NODES} nodes, {OPERATIONS} operations: a page of {} lines, {} KiB takes {each:.1?} of processor time (target: 50 ms)",
        page.lines().count(),
        page.len() / 1024,
    );
}

async fn gateway() -> Embedded {
    let nodes: Vec<_> = (0..NODES)
        .map(|n| format!("127.0.0.1:{}", 20_000 + n))
        .collect();
    let yaml = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nhealth: {{ enabled: false }}\nnodes: [{}]\n",
        nodes.join(", ")
    );
    let config = match config::load(&yaml, "bench.yaml", &known(), &|_| None) {
        Ok(config) => config,
        Err(problems) => panic!("{}", problems.render()),
    };
    let started = Embedded::start(config, Options::default()).await;
    started.expect("free ports are found")
}

fn fill(gateway: &Embedded) {
    let (live, now) = (gateway.live(), clock::now());
    for n in 0..OPERATIONS {
        let mut operation = Operation::new("tool/invoke");
        operation.push(&format!("author/plugin{}", n % PLUGINS));
        operation.push(&format!("tool{n}"));
        let sample = Sample {
            duration: Duration::from_millis(n as u64),
            censored: false,
        };
        live.learner.learn(&operation, sample, now);
    }
    let places: Vec<_> = (0..PLUGINS)
        .map(|n| {
            live.plugins
                .find(Some(&format!("author/plugin{n}")))
                .place()
        })
        .collect();
    let outcomes = [
        Outcome::Answered,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Unreached,
        Outcome::Abandoned,
    ];
    for node in live.snapshot().nodes() {
        for outcome in outcomes {
            live.parts.metrics.attempt(node.id(), outcome);
        }
        places.iter().for_each(|&place| node.note_present(place));
        for end in twolane::observe::CheckEnd::ALL {
            let checks = &live.parts.metrics.checks;
            checks.checked(node.id(), end, Duration::from_millis(1));
        }
    }
    for pool in live.snapshot().pools() {
        for class in Class::ALL {
            pool.metrics.first_byte(class, Duration::from_millis(5));
        }
    }
}

async fn scrape(gateway: &Embedded) -> String {
    let answer = ask(gateway.admin(), None, Method::GET, "/metrics", "").await;
    let (status, page) = answer.expect("the admin listener answers");
    assert_eq!(status, 200, "{page}");
    page
}

/// Of every thread of this process; Linux.
fn processor_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux shows a process its threads");
    let run = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    };
    tasks.flatten().map(run).sum()
}
