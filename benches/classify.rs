//! What does it cost to ask whether a request will be long, and to learn from it?
#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use twolane::learn::{Classifier, Learner};
use twolane::model::{Class, LearnRules, Operation, Sample, clock};

/// So many operations of three levels each, as Dify's requests have them.
fn operations(many: usize) -> Vec<Operation> {
    (0..many)
        .map(|at| {
            let mut operation = Operation::new("tool/invoke");
            operation.push(&format!("langgenius/plugin{}", at % 50));
            operation.push(&format!("provider|tool{at}"));
            operation
        })
        .collect()
}

fn classify(criterion: &mut Criterion) {
    let now = clock::now();
    let sample = Sample {
        duration: Duration::from_millis(130),
        censored: false,
    };
    for many in [10, 1000, 4096] {
        let operations = operations(many);
        let learner = Learner::new(LearnRules {
            max_keys: 2 * many + 100,
            ..LearnRules::default()
        });
        for operation in operations.iter().cycle().take(10 * many) {
            learner.learn(operation, sample, now);
        }
        let mut group = criterion.benchmark_group("learn");
        let mut next = operations.iter().cycle();
        let mut operation = move || next.next().expect("a cycle never ends");
        group.bench_function(BenchmarkId::new("classify", many), |bencher| {
            bencher.iter(|| learner.classify(black_box(operation()), Class::Short, now));
        });
        group.bench_function(BenchmarkId::new("begin and drop", many), |bencher| {
            bencher.iter(|| learner.begin(black_box(operation()), now));
        });
        group.bench_function(BenchmarkId::new("learn", many), |bencher| {
            bencher.iter(|| learner.learn(black_box(operation()), sample, now));
        });
        group.bench_function(BenchmarkId::new("all three", many), |bencher| {
            bencher.iter(|| {
                let operation = black_box(operation());
                let verdict = learner.classify(operation, Class::Short, now);
                drop(learner.begin(operation, now));
                learner.learn(operation, sample, now);
                verdict
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = classify
}
criterion_main!(benches);
