//! What does the access log cost a request? The line is made in the request's own time; writing it
//! is the business of another thread.
#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use twolane::model::{Basis, Class, LogFormat, LogRules, Notable, RequestId, Verdict};
use twolane::observe::access::{Marks, Place, Record, Routed, Sinks, judge};
use twolane::observe::{Ending, Metrics};

fn record() -> Record<'static> {
    Record {
        ended: SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123),
        id: Some(RequestId::Own {
            gateway: 0x0123_4567,
            number: 89_012,
        }),
        client: Some((Ipv4Addr::new(10, 0, 0, 7).into(), Some(43_210))),
        forwarded_for: None,
        method: "POST",
        path: "/plugin/8d6c1f0e-2b4a-4c1d-9e3f-0a1b2c3d4e5f/dispatch/tool/invoke",
        protocol: "HTTP/1.1",
        tls: None,
        user_agent: Some(b"python-httpx/0.28.1"),
        trace: None,
        ending: Ending::Answered(200),
        status: Some(200),
        node_status: Some(200),
        bytes_in: 2048,
        bytes_out: 4096,
        took: Duration::from_micros(123_456),
        waited: Duration::ZERO,
        first_byte: Some(Duration::from_micros(45_678)),
        node: Some("daemon-2"),
        attempts: 1,
        routed: Some(Routed {
            pool: "main",
            verdict: Verdict {
                class: Class::Short,
                basis: Basis::Prior,
            },
            operation: "tool/invoke|langgenius/comfyui|comfyui|txt2img",
            plugin: Some("langgenius/comfyui"),
        }),
        why: Some("least_loaded"),
        rejection: None,
    }
}

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
    let record = record();
    criterion.bench_function("access: judged, not written", |bencher| {
        bencher.iter(|| judge(black_box(&rules), black_box(&record), 0.5));
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
