//! What does it cost to match a path to a pool?
#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use twolane::config::RouteEntry;
use twolane::route::Table;

fn route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for count in [1, 10, 100] {
        // Tenants with pools of their own: long prefixes that have much in common.
        let routes: Vec<_> = (0..count)
            .map(|n| RouteEntry {
                path: format!("/plugin/tenant-{n:04}/dispatch/"),
                pool: n.to_string(),
            })
            .collect();
        let table = Table::new(&routes, |name| name.parse().ok());
        let paths = [
            (
                "taken",
                format!("/plugin/tenant-{:04}/dispatch/tool/invoke", count - 1),
            ),
            (
                "not taken",
                "/plugin/tenant-none/dispatch/tool/invoke".to_owned(),
            ),
        ];
        for (what, path) in &paths {
            group.bench_function(BenchmarkId::new(*what, count), |bencher| {
                bencher.iter(|| table.find(black_box(path)));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = route
}
criterion_main!(benches);
