//! Which operation is long? Learned from what really passes.

use crate::rig::{Rig, UNCHECKED, ask, ask_at_once, basis_of, class_of, learned, node_of, tool};
use crate::support::within;
use crate::{PLUGIN, sim};
use serde_json::{Value, json};

/// A threshold that tests can reach, the seed's window and mean: 5 samples decide.
const LEARN: &str =
    "learn: { long_threshold: 200ms, score: mean, window: 5, min_samples: 3, unknown: short }\n";
/// Comfortably above the threshold.
const SLOW_MS: u64 = 400;

fn yaml(strategy: &str) -> String {
    format!("{UNCHECKED}strategy: {strategy}\n{LEARN}")
}

fn slow() -> Value {
    json!({"ttfb_ms": SLOW_MS, "events": 1})
}

fn key(plugin: &str, tool: &str) -> String {
    format!("tool/invoke|{plugin}|demo|{tool}")
}

/// Teaches the gateway that a tool is long.
async fn teach_long(rig: &Rig, plugin: &str, name: &str) {
    ask_at_once(&rig.dify(), plugin, &tool(name, slow()), 5).await;
    let known = learned(&rig.gateway, &key(plugin, name)).expect("it was called");
    assert!(
        known.long && known.total == 5,
        "five slow calls should have taught: {known:?}"
    );
}

async fn expect_class(rig: &Rig, plugin: &str, name: &str, class: &str, basis: &str) {
    let answer = ask(&rig.dify(), plugin, tool(name, json!({}))).await;
    assert_eq!(
        (class_of(&answer), basis_of(&answer)),
        (class, basis),
        "{plugin} {name} should be called {class}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f002_slow_calls_leave_the_main_node_and_fast_ones_stay() {
    let rig = Rig::new(3, &yaml("seed")).await;
    let dify = rig.dify();
    for _ in 0..4 {
        ask_at_once(&dify, "a/slow", &tool("t", slow()), 5).await;
    }
    for _ in 0..20 {
        ask(&dify, "a/fast", sim(json!({}))).await;
    }
    let slow = ask_at_once(&dify, "a/slow", &tool("t", slow()), 50).await;
    let away = slow.iter().filter(|answer| node_of(answer) != "n1").count();
    assert!(
        away >= 48,
        "95 of 100 slow calls should leave the main node: {away} of 50 did"
    );
    let mut stayed = 0;
    for _ in 0..50 {
        let answer = ask(&dify, "a/fast", sim(json!({}))).await;
        stayed += usize::from(node_of(&answer) == "n1");
    }
    assert!(
        stayed >= 48,
        "95 of 100 fast calls should stay: {stayed} of 50 did"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f010_the_debug_header_names_the_main_node_for_short_and_others_for_long() {
    let pins = "learn: { pins: [{ operation: \"*a/long*\", class: long }], unknown: short }\n";
    let rig = Rig::new(3, &format!("{UNCHECKED}strategy: seed\n{pins}")).await;
    for turn in 0..4 {
        let short = ask(&rig.dify(), "a/short", sim(json!({}))).await;
        assert_eq!(node_of(&short), "n1");
        assert_eq!(short.header("X-Twolane-Why"), Some("main"));
        assert_eq!(short.header("X-Twolane-Attempts"), Some("1"));
        let long = ask(&rig.dify(), "a/long", sim(json!({}))).await;
        assert_eq!(
            node_of(&long),
            ["n2", "n3"][turn % 2],
            "long ones take turns over the others"
        );
        assert_eq!(long.header("X-Twolane-Why"), Some("turn"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f014_two_plugins_under_one_path_are_told_apart() {
    let rig = Rig::new(2, &yaml("adaptive")).await;
    ask_at_once(&rig.dify(), "a/slow", &tool("t", slow()), 10).await;
    for _ in 0..10 {
        ask(&rig.dify(), "a/fast", sim(json!({}))).await;
    }
    expect_class(&rig, "a/slow", "t", "long", "learned").await;
    expect_class(&rig, "a/fast", "t", "short", "learned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f014_two_tools_of_one_plugin_are_told_apart_by_the_body() {
    let rig = Rig::new(2, &yaml("adaptive")).await;
    teach_long(&rig, PLUGIN, "draw").await;
    for _ in 0..5 {
        ask(&rig.dify(), PLUGIN, tool("list", json!({}))).await;
    }
    expect_class(&rig, PLUGIN, "draw", "long", "learned").await;
    expect_class(&rig, PLUGIN, "list", "short", "learned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f014_fifty_tenants_share_one_set_of_keys() {
    let rig = Rig::new(2, &yaml("adaptive")).await;
    let body = json!({"data": sim(json!({}))}).to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
    ];
    for tenant in 0..50 {
        let target = format!("/plugin/tenant-{tenant}/dispatch/tool/invoke");
        let answer = rig
            .dify()
            .raw("POST", &target, &headers, body.as_bytes())
            .await;
        assert_eq!(answer.unwrap().status, 200);
    }
    rig.quiet().await;
    let page = rig.gateway.admin("/cluster/stats").await.json();
    let rows = page["endpoints"].as_array().unwrap();
    let mut keys: Vec<_> = rows
        .iter()
        .map(|row| (row["key"].as_str().unwrap(), row["total"].as_u64()))
        .collect();
    keys.sort_unstable();
    let full = key(PLUGIN, "t");
    assert_eq!(
        keys,
        [
            ("tool/invoke", Some(50)),
            ("tool/invoke|langgenius/openai", Some(50)),
            (full.as_str(), Some(50)),
        ],
        "a tenant should not make a key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f015_a_client_that_reads_slowly_does_not_lengthen_the_sample() {
    let rig = Rig::new(1, &yaml("adaptive")).await;
    let script = json!({"events": 10, "gap_ms": 20, "event_bytes": 20_000});
    let before = twolane::model::clock::now();
    let stream = rig.dify().open("tool/invoke", PLUGIN, sim(script)).await;
    let full = key(PLUGIN, "t");
    let sampled = rig
        .gateway
        .until(|gateway| learned(gateway, &full).is_some_and(|row| row.total == 1));
    within(
        "the sample is taken although the client has not read a byte",
        sampled,
    )
    .await;
    let outer = before.elapsed();
    let row = learned(&rig.gateway, &full).unwrap();
    let entry = rig.ledger().executions().remove(0);
    let inner = entry
        .finished
        .expect("the node was through")
        .duration_since(entry.accepted);
    let sample = row.max_ms / 1e3;
    assert!(
        inner.as_secs_f64() <= sample && sample <= outer.as_secs_f64(),
        "the sample of {sample} s should cover the node's {inner:?} and stay within {outer:?}"
    );
    let answer = stream.unwrap().whole().await.unwrap();
    assert!(answer.body.len() > 200_000, "and the client still gets all");
    assert_eq!(
        learned(&rig.gateway, &full).unwrap().total,
        1,
        "one call is one sample"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f015_f025_a_stream_counts_until_its_end() {
    let rig = Rig::new(1, &yaml("adaptive")).await;
    let script = json!({"events": 5, "gap_ms": 60});
    for _ in 0..3 {
        ask(&rig.dify(), PLUGIN, sim(script.clone())).await;
    }
    let row = learned(&rig.gateway, &key(PLUGIN, "t")).unwrap();
    assert!(
        row.min_ms >= 240.0 && row.long,
        "four pauses of 60 ms are at least 240 ms: {row:?}"
    );
    assert_eq!((row.total, row.samples_ms.len(), row.running), (3, 3, 0));
    assert!(row.min_ms <= row.avg_ms && row.avg_ms <= row.max_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn f018_a_long_operation_that_becomes_fast_is_short_again() {
    let rig = Rig::new(1, &yaml("adaptive")).await;
    teach_long(&rig, PLUGIN, "t").await;
    for _ in 0..5 {
        ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
    }
    expect_class(&rig, PLUGIN, "t", "short", "learned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f019_a_call_that_runs_too_long_makes_the_next_one_long() {
    let rig = Rig::new(2, &yaml("seed")).await;
    let first = rig.hold("a/new", 0).await;
    assert_eq!(
        first.node, "n1",
        "nothing is known, so the first call is short"
    );
    let full = key("a/new", "t");
    let promoted = rig
        .gateway
        .until(|gateway| learned(gateway, &full).is_some_and(|row| row.basis == "promoted"));
    within("the running call passes the threshold", promoted).await;
    let second = ask(&rig.dify(), "a/new", sim(json!({}))).await;
    assert_eq!(
        (class_of(&second), basis_of(&second), node_of(&second)),
        ("long", "promoted", "n2"),
        "while the first still runs, the second should go to the other node"
    );
    assert_eq!(rig.gateway.in_flight(), 1, "the first still runs");
    expect_class(&rig, "a/other", "t", "short", "prior").await;
    rig.let_go(first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f020_two_samples_prove_nothing_and_three_do() {
    let rig = Rig::new(1, &yaml("adaptive")).await;
    for _ in 0..2 {
        let answer = ask(&rig.dify(), PLUGIN, sim(slow())).await;
        assert_eq!((class_of(&answer), basis_of(&answer)), ("short", "prior"));
    }
    let third = ask(&rig.dify(), PLUGIN, sim(slow())).await;
    assert_eq!(
        (class_of(&third), basis_of(&third)),
        ("short", "prior"),
        "two slow calls should not decide yet"
    );
    expect_class(&rig, PLUGIN, "t", "long", "learned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f021_fast_failures_do_not_make_a_long_operation_short() {
    let rig = Rig::new(1, &yaml("adaptive")).await;
    teach_long(&rig, PLUGIN, "t").await;
    let failures = [
        json!({"fail": {"status": {"code": 500, "body": "{}"}}}),
        json!({"fail": {"status": {"code": 429, "body": "{}"}}}),
        json!({"fail": "runtime_vanished"}),
        json!({"fail": "plugin_error"}),
        json!({"fail": "killed_by_timeout"}),
        json!({"fail": "reset"}),
    ];
    for failure in failures {
        for _ in 0..20 {
            ask(&rig.dify(), PLUGIN, sim(failure.clone())).await;
        }
        let row = learned(&rig.gateway, &key(PLUGIN, "t")).unwrap();
        assert!(row.long, "20 times {failure} should not teach: {row:?}");
    }
    expect_class(&rig, PLUGIN, "t", "long", "learned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f022_clients_that_leave_early_do_not_make_a_long_operation_short() {
    let rig = Rig::new(1, &yaml("adaptive")).await;
    teach_long(&rig, PLUGIN, "t").await;
    for events in [0, 1] {
        for _ in 0..10 {
            let mut held = rig.hold(PLUGIN, events).await;
            if events > 0 {
                let event = within("the first event", held.stream.next()).await;
                event.expect("the call should be answered");
            }
            rig.let_go(held).await;
        }
    }
    rig.quiet().await;
    expect_class(&rig, PLUGIN, "t", "long", "learned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f023_a_pin_decides_from_the_first_call_on() {
    let pins = "learn: { long_threshold: 200ms, score: mean, min_samples: 1, unknown: short, pins: [\
                { operation: \"tool/invoke|a/pinned|demo|free\", class: auto }, \
                { operation: \"tool/invoke|a/pinned*\", class: long }, \
                { operation: \"*|a/quick*\", class: short }] }\n";
    let rig = Rig::new(2, &format!("{UNCHECKED}strategy: seed\n{pins}")).await;
    let first = ask(&rig.dify(), "a/pinned", sim(json!({}))).await;
    assert_eq!(
        (class_of(&first), basis_of(&first), node_of(&first)),
        ("long", "pinned", "n2")
    );
    expect_class(&rig, "a/other", "t", "short", "learned").await;
    ask_at_once(&rig.dify(), "a/quick", &tool("t", slow()), 5).await;
    expect_class(&rig, "a/quick", "t", "short", "pinned").await;
    expect_class(&rig, "a/pinned", "free", "short", "learned").await;
}
