//! What the gateway holds, and that it lets go of everything.

use crate::rig::{Rig, UNCHECKED, held, open};
use crate::support::client::{Dify, DifyError, expect_events};
use crate::support::within;
use crate::{PLUGIN, sim};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use twolane::model::Class;

const PINS: &str = "learn: { pins: [{ operation: \"tool/invoke|a/long*\", class: long }, \
                    { operation: \"tool/invoke|a/short*\", class: short }] }\n";

async fn row(rig: &Rig, id: &str) -> Value {
    let page = rig.gateway.admin("/cluster/nodes").await.json();
    let rows = page["nodes"].as_array().expect("a list of nodes").clone();
    rows.into_iter()
        .find(|row| row["id"] == id)
        .expect("the node should be on the page")
}

async fn expect_row(rig: &Rig, short: u32, long: u32) {
    let row = row(rig, "n1").await;
    let expected = json!({"short": short, "long": long, "total": short + long});
    assert_eq!(
        row["in_flight"], expected,
        "the page should count what is held"
    );
    assert_eq!(
        row["is_working"],
        short + long > 0,
        "working means anything in flight"
    );
    assert_eq!(
        row["is_long_request"],
        long > 0,
        "long means a long one in flight"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f041_f043_f044_three_at_once_are_three_in_flight() {
    let rig = Rig::new(1, &format!("{UNCHECKED}{PINS}")).await;
    expect_row(&rig, 0, 0).await;
    let first = rig.hold("a/short", 0).await;
    let second = rig.hold("a/short", 1).await;
    let third = rig.hold("a/short", 2).await;
    expect_row(&rig, 3, 0).await;
    assert_eq!(
        rig.runtimes_in_flight(),
        3,
        "the plugin's process holds three"
    );
    for (left, call) in [(2, first), (1, second), (0, third)] {
        rig.let_go(call).await;
        expect_row(&rig, left, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f042_d01_d02_the_end_of_one_call_does_not_hide_another() {
    let rig = Rig::new(1, &format!("{UNCHECKED}{PINS}")).await;
    let long = rig.hold("a/long", 0).await;
    expect_row(&rig, 0, 1).await;
    let short = rig.hold("a/short", 0).await;
    expect_row(&rig, 1, 1).await;
    // D01: the seed's flag says idle as soon as the first of two ends.
    rig.let_go(short).await;
    expect_row(&rig, 0, 1).await;
    // D02: the seed's flag says short as soon as a short one begins.
    let short = rig.hold("a/short", 0).await;
    expect_row(&rig, 1, 1).await;
    rig.let_go(long).await;
    expect_row(&rig, 1, 0).await;
    rig.let_go(short).await;
    expect_row(&rig, 0, 0).await;
    assert_eq!(held(&rig, "n1", Class::Long), 0);
}

/// Where a client leaves.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Body,
    Sent,
    Head,
    Event,
}

/// Leaves at some stage, with FIN or RST.
async fn leave(dify: &Dify, rng: &mut fastrand::Rng, id: &str) {
    let stages = [Stage::Body, Stage::Sent, Stage::Head, Stage::Event];
    let stage = stages[rng.usize(..stages.len())];
    let script = json!({"id": id, "events": 20, "gap_ms": 2, "event_bytes": rng.usize(0..5000)});
    let body = json!({"data": sim(script), "pad": "z".repeat(rng.usize(0..100_000))}).to_string();
    let mut sent = body.as_bytes();
    if matches!(stage, Stage::Body) {
        sent = &sent[..rng.usize(0..sent.len())];
    }
    let length = body.len().to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        ("Content-Length", length.as_str()),
    ];
    let target = "/plugin/tenant/dispatch/tool/invoke";
    let stream = dify.open_raw("POST", target, &headers, sent).await;
    let mut stream = stream.expect("the gateway should take the request");
    match stage {
        Stage::Body | Stage::Sent => {}
        Stage::Head => {
            let head = within("the header", stream.head()).await;
            head.expect("the call should be answered");
        }
        Stage::Event => {
            for _ in 0..rng.u32(1..5) {
                let event = within("an event", stream.next()).await;
                event.expect("the call should be answered");
            }
        }
    }
    if rng.bool() {
        stream.abort();
    } else {
        stream.reset();
    }
}

async fn breaks(dify: &Dify, rng: &mut fastrand::Rng, id: &str) {
    let script = sim(json!({"id": id, "fail": "reset", "fail_after": rng.u32(0..4), "gap_ms": 1}));
    let result = within("an end", dify.all("tool/invoke", PLUGIN, script)).await;
    assert!(
        matches!(
            result,
            Err(DifyError::InnerError(_) | DifyError::DaemonInternal(_))
        ),
        "a reset should be an error: {result:?}"
    );
}

async fn works(dify: &Dify, rng: &mut fastrand::Rng, id: &str) {
    match rng.u8(..7) {
        0 => {
            let script = sim(json!({"id": id}));
            expect_events(within("events", dify.all("tool/invoke", PLUGIN, script)).await);
        }
        1 => {
            let script = sim(json!({"id": id, "events": 10, "gap_ms": 2}));
            let events =
                expect_events(within("events", dify.all("llm/invoke", PLUGIN, script)).await);
            assert_eq!(events.len(), 10, "the stream should be whole");
        }
        2 => {
            let script = sim(json!({"id": id, "fail": "plugin_error"}));
            let raised = within("an error", dify.all("tool/invoke", PLUGIN, script)).await;
            assert!(
                matches!(raised, Err(DifyError::Plugin { .. })),
                "{raised:?}"
            );
        }
        3 => assert_eq!(within("404", dify.get("/nowhere")).await.status, 404),
        4 => {
            let sent = vec![b'x'; rng.usize(0..200_000)];
            let answer = within("a hook", dify.raw("PUT", "/e/hook/x", &[], &sent)).await;
            let answer = answer.expect("the hook should answer");
            assert_eq!(answer.json()["body_bytes"], sent.len());
        }
        5 => {
            let list = within("a list", dify.get("/plugin/t/management/list")).await;
            assert_eq!(list.status, 200);
        }
        _ => {
            let script = sim(json!({"id": id}));
            let event = within(
                "an event",
                dify.first("text_embedding/invoke", PLUGIN, script),
            );
            event.await.expect("the call should work");
        }
    }
}

/// One of many workers; every fifth request is left, every fifth breaks.
async fn work(dify: Dify, worker: usize) {
    let mut rng = fastrand::Rng::with_seed(worker as u64);
    for n in 0..25 {
        let id = format!("{worker}.{n}");
        match n % 5 {
            0 => leave(&dify, &mut rng, &id).await,
            1 => breaks(&dify, &mut rng, &id).await,
            _ => works(&dify, &mut rng, &id).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f042_a_thousand_mixed_requests_leave_nothing_behind() {
    let rig = Rig::new(3, "").await;
    let mut workers = JoinSet::new();
    for worker in 0..40 {
        workers.spawn(work(rig.dify(), worker));
    }
    workers.join_all().await;
    rig.quiet().await;
    for id in ["n1", "n2", "n3"] {
        for class in Class::ALL {
            assert_eq!(
                held(&rig, id, class),
                0,
                "{id} should hold no {class} request"
            );
        }
    }
    assert_eq!(
        rig.runtimes_in_flight(),
        0,
        "no plugin's process should be held"
    );
    assert_eq!(open(&rig.gateway), 0, "nobody should be inside");
    assert!(
        rig.ledger().duplicates().is_empty(),
        "nothing should run twice"
    );
    let failed = rig.metric("twolane_attempts_total", &["outcome=\"failed\""]);
    assert_eq!(
        failed.await,
        200.0,
        "the resets count against the nodes, and the clients that left do not"
    );
    let gone = rig.metric("twolane_attempts_total", &["outcome=\"abandoned\""]);
    assert!(gone.await > 50.0, "many clients left while a node worked");
}
