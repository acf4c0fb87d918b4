//! What does it cost to find out who may serve?
#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use twolane::model::{PluginPlace, Role, clock};
use twolane::nodes::{ComebackRules, Hand, Node, Screening, Tried, screen};

fn pool(count: u16) -> Vec<Arc<Node>> {
    (0..count)
        .map(|n| {
            let address = SocketAddr::from(([127, 0, 0, 1], 20_000 + n));
            let node = Node::new(
                format!("n{n}").into(),
                address,
                (Role::Secondary, 1),
                clock::now(),
            );
            Arc::new(node)
        })
        .collect()
}

fn question(tried: &Tried) -> Screening<'_> {
    Screening {
        tried,
        plugin: PluginPlace {
            index: 1,
            generation: 0,
        },
        now: clock::now(),
        fail_open: true,
        all_backups: false,
        once: false,
        comeback: ComebackRules::default(),
        limits: None,
    }
}

fn screening(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("screen");
    for count in [3, 10, 50, 500] {
        let nodes = pool(count);
        let none = Tried::new();
        group.bench_function(BenchmarkId::new("all well", count), |bencher| {
            bencher.iter(|| screen(black_box(&nodes), &question(&none)).map(|them| them.len()));
        });
        // A second attempt in a bad hour: one was tried, a third is unhealthy, one is drained.
        let tried: Tried = std::iter::once(nodes[0].id().clone()).collect();
        nodes[1].set_hand(Hand::Drain);
        let sick = nodes.iter().skip(2).step_by(3);
        sick.for_each(|node| node.set_healthy(false));
        group.bench_function(BenchmarkId::new("a bad hour", count), |bencher| {
            bencher.iter(|| screen(black_box(&nodes), &question(&tried)).map(|them| them.len()));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = screening
}
criterion_main!(benches);
