//! What does it cost to choose a node, and how much of that is the way through Pingora's hook?
//!
//! `strategy` is the rule alone on nodes that were screened; `direct` is what a gateway without
//! Pingora's hook would do: screen, choose, copy the way to the node; `pool` is what a request
//! does. `pool` less `direct` is the price of the adapter. `round` is the whole of it for one
//! request without the learner: chosen among screened nodes, leased, ended, the strategy told;
//! `learned` is the same with it.
#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

#[path = "rig/pool.rs"]
mod pool;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use pingora::upstreams::peer::HttpPeer;
use pool::{crowd, snapshot};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use twolane::config::Strategies;
use twolane::learn::{Classifier, Learner, Running};
use twolane::model::{
    Basis, Class, Dice, LearnRules, NodeId, Operation, Outcome, Request, RequestId, Sample,
    Verdict, clock,
};
use twolane::nodes::{Candidates, ComebackRules, Lease, Plugins, Screening, Tried, screen};
use twolane::observe::{Brief, Decision, Decisions, Metrics};
use twolane::select::{self, Guarded, Strategy};
use twolane::upstream::{Ask, Pick, Pool};

/// A learner that knows how long the operation takes, so that nodes are compared, and learns no more.
#[derive(Debug)]
struct Knows(f64);

impl Classifier for Knows {
    fn classify(&self, _: &Operation, prior: Class, _: Instant) -> Verdict {
        Verdict {
            class: prior,
            basis: Basis::Prior,
        }
    }

    fn begin(&self, _: &Operation, _: Instant) -> Running {
        Running::unwatched()
    }

    fn expected(&self, _: &Operation) -> Option<f64> {
        Some(self.0)
    }

    fn learn(&self, _: &Operation, _: Sample, _: Instant) {}
}

fn round(
    group: &mut BenchmarkGroup<'_, WallTime>,
    count: u16,
    (strategy, among): (&dyn Strategy, &Candidates<'_>),
    plugins: &Plugins,
) {
    let plugin = plugins.find(Some("a/b"));
    let mut operation = Operation::new("tool/invoke");
    operation.push("a/b");
    let learner = Learner::new(LearnRules::default());
    let classifiers: [(&str, &dyn Classifier); 2] =
        [("round", &Knows(-7.0)), ("learned", &learner)];
    for (name, classifier) in classifiers {
        let mut dice = Dice::with_seed(1);
        let mut now = clock::now();
        group.bench_function(BenchmarkId::new(name, count), |bencher| {
            bencher.iter(|| {
                let class = Class::ALL[usize::from(dice.u8(..8) == 0)];
                let request = Request::new(class, plugin.place());
                let choice = strategy.choose(black_box(&request), among, &mut dice);
                let node = among.get(choice.at).expect("one of the candidates");
                let lease = Lease::take(node, &plugin, class, now);
                now += Duration::from_millis(1);
                let outcome = Outcome::Answered;
                select::settle(lease, strategy, classifier, Some(&operation), outcome, now);
            });
        });
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}

fn guarded(strategy: &Arc<dyn Strategy>) -> Guarded {
    let metrics = Metrics::new().expect("every family has a name of its own");
    let failures = metrics.pool("main", std::iter::empty()).strategy_failures;
    Guarded::new(Arc::clone(strategy), failures)
}

/// What it costs to keep a choice for whoever asks about its request.
fn kept(criterion: &mut Criterion) {
    let decisions = Decisions::default();
    decisions.resize(1000);
    let (pool, node, now): (Arc<str>, NodeId, _) = ("main".into(), "n1".into(), clock::now());
    let mut number = 0;
    criterion.bench_function("decisions/note", |bencher| {
        bencher.iter(|| {
            number += 1;
            decisions.note(|| Decision {
                request: RequestId::Own { gateway: 1, number },
                at: now,
                attempt: 1,
                pool: Arc::clone(&pool),
                operation: Brief::new(black_box("tool/invoke|langgenius/google|google|search")),
                verdict: Verdict {
                    class: Class::Short,
                    basis: Basis::Prior,
                },
                node: Some(node.clone()),
                why: "least_loaded",
                shadow: None,
            });
        });
    });
}

fn choose(criterion: &mut Criterion) {
    let runtime = runtime();
    let plugins = Plugins::new();
    // With a key, so that the ring is walked; other strategies do not look at it.
    let request = Request::new(Class::Short, plugins.find(Some("a/b")).place());
    let request = request.keyed(Some(black_box(0x5bd1_e995)));
    for row in select::TABLE {
        let mut group = criterion.benchmark_group(format!("choose/{}", row.word));
        for count in [3, 10, 64, 500] {
            let snapshot = runtime.block_on(snapshot(row.word, count));
            let pool = &snapshot.pools()[0];
            let nodes = pool.nodes();
            let _held = crowd(&nodes, &plugins);
            let none = Tried::new();
            let screening = Screening {
                tried: &none,
                plugin: request.plugin,
                now: clock::now(),
                fail_open: true,
                all_backups: false,
                once: false,
                comeback: ComebackRules::default(),
                limits: None,
            };
            let strategy = (row.build)(&Strategies::default());
            strategy.members(&nodes);
            let among = screen(&nodes, &screening).expect("all may serve");
            let mut dice = Dice::with_seed(1);
            group.bench_function(BenchmarkId::new("strategy", count), |bencher| {
                bencher.iter(|| {
                    let request = request.keyed(Some(dice.u32(..)));
                    strategy.choose(black_box(&request), &among, &mut dice)
                });
            });

            round(&mut group, count, (&*strategy, &among), &plugins);

            let guarded = guarded(&strategy);
            let peers: Vec<_> = nodes
                .iter()
                .map(|node| HttpPeer::new(node.address(), false, String::new()))
                .collect();
            group.bench_function(BenchmarkId::new("direct", count), |bencher| {
                bencher.iter(|| {
                    let among = screen(&nodes, &screening).expect("all may serve");
                    let choice = guarded.choose(black_box(&request), &among, &mut dice);
                    let at = among.pool_position(choice.at);
                    (Arc::clone(&nodes[at]), peers[at].clone(), choice.why)
                });
            });

            group.bench_function(BenchmarkId::new("pool", count), |bencher| {
                bencher.iter(|| through_pingora(pool, black_box(request), &none, dice.u64(..)));
            });
        }
        group.finish();
    }
}

/// Through the hook of Pingora's balancer, as requests go.
fn through_pingora(pool: &Pool, request: Request, tried: &Tried, luck: u64) -> Pick {
    let ask = Ask {
        request,
        tried,
        luck,
        affinity: None,
        owner: None,
        once: false,
        limits: None,
        overdue: false,
        now: clock::now(),
    };
    pool.choose(&ask).expect("all may serve")
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    targets = kept, choose
}
criterion_main!(benches);
