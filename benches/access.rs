//! What does the access log cost a request? Its record is copied in the request's own time; to make the
//! line and to write it is the business of another thread.
#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

#[path = "rig/record.rs"]
mod record;

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;
use twolane::model::{LogFormat, LogRules, Notable};
use twolane::observe::Metrics;
use twolane::observe::access::{Marks, Place, Sinks, judge};

fn access(criterion: &mut Criterion) {
    let rules = LogRules {
        format: LogFormat::Json,
        always: vec![
            Notable::Slow,
            Notable::Large,
            Notable::Retried,
            Notable::Rejected,
            Notable::ClientGone,
            Notable::Broken,
            Notable::Hundred(5),
        ],
        sample: 0.0,
        slow: Duration::from_secs(1),
        large: 10 << 20,
    };
    let record = record::record();
    criterion.bench_function("access: judged, not written", |bencher| {
        bencher.iter(|| judge(black_box(&rules), black_box(&record.facts), 0.5));
    });
    let metrics = Metrics::new().expect("the families have names of their own");
    let sinks = Sinks::new(metrics.access().clone());
    let place = Place::File(PathBuf::from("/dev/null"));
    let sink = sinks.open(&place, 8192).expect("it takes everything");
    for (name, format) in LogFormat::WORDS {
        criterion.bench_function(&format!("access: written as {name}"), |bencher| {
            bencher.iter(|| sink.take(format, black_box(&record), Marks::default()));
        });
    }
}

criterion_group!(benches, access);
criterion_main!(benches);
