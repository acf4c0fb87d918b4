//! What is expected of every node is asked for on a schedule, without a single request.

use crate::support::client::{Dify, expect_events};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::{PLUGIN, daemons, sim};
use serde_json::{Value, json};
use twolane::demo::daemon::{Daemon, Plugin, Settings, World};

const OTHER: &str = "acme/other";

/// A schedule that a test does not wait for.
fn expects(more: &str) -> String {
    format!(
        "expects: {{ plugins: [{PLUGIN}, {OTHER}], every: 100ms{more} }}\n\
         cooldown: {{ absent: 100ms }}\n"
    )
}

async fn roll(gateway: &Gateway) -> Value {
    gateway.admin("/api/v1/plugins").await.json()
}

/// The state of a plugin on each node, in their order.
fn states(roll: &Value, plugin: &str) -> Vec<String> {
    let rows = roll["pools"][0]["plugins"].as_array().expect("rows");
    let rows = rows.iter().filter(|row| row["plugin"] == plugin);
    rows.map(|row| row["state"].as_str().expect("a word").to_owned())
        .collect()
}

async fn reaches(gateway: &Gateway, plugin: &str, expected: &[&str]) {
    eventually(&format!("{plugin} is {expected:?}"), async || {
        states(&roll(gateway).await, plugin) == expected
    })
    .await;
}

async fn nodes_with_other(count: usize) -> Vec<Daemon> {
    let nodes = daemons(count).await;
    for node in &nodes {
        node.put_plugin(Plugin::running(PLUGIN));
        node.put_plugin(Plugin::running(OTHER));
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn f248_a_node_that_lacks_an_expected_plugin_is_told_before_any_call_and_gets_none() {
    let nodes = nodes_with_other(2).await;
    nodes[1].put_plugin(Plugin::absent(PLUGIN));
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, &expects("")).await;
    reaches(&gateway, PLUGIN, &["present", "absent"]).await;
    reaches(&gateway, OTHER, &["present", "present"]).await;
    let page = gateway.metrics().await;
    let missing = |node: &Daemon| {
        let series = format!("twolane_plugins_missing{{node=\"{}\"}}", node.id());
        page.get(&series)
    };
    assert_eq!(missing(&nodes[0]), Some(0.0));
    assert_eq!(missing(&nodes[1]), Some(1.0));

    let dify = gateway.dify();
    for _ in 0..20 {
        expect_events(dify.all("tool/invoke", PLUGIN, sim(json!({}))).await);
    }
    let ran = nodes[0].ledger().executions();
    let elsewhere = ran.iter().filter(|entry| entry.node != nodes[0].id());
    assert_eq!((ran.len(), elsewhere.count()), (20, 0));
    let page = gateway.metrics().await;
    let retries = page.sum("twolane_retries_total", &[]);
    assert!(retries.abs() < f64::EPSILON, "no call was tried in vain");

    nodes[1].put_plugin(Plugin::running(PLUGIN));
    reaches(&gateway, PLUGIN, &["present", "present"]).await;
    assert_eq!(roll(&gateway).await["missing"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_metrics_page_is_asked_plugin_by_plugin_with_the_key() {
    let settings = Settings {
        metrics: false,
        api_key: Some("a-key-of-daemons".to_owned()),
        ..Settings::named("n1", &World::default())
    };
    let node = Daemon::start(settings).await.unwrap();
    node.put_plugin(Plugin::running(PLUGIN));
    node.put_plugin(Plugin::absent(OTHER));
    let gateway = Gateway::before(&[&node], &expects("")).await;
    reaches(&gateway, PLUGIN, &["unknown"]).await;
    drop(gateway);
    let more = ", tenant: t, key: \"a-wrong-key-of-daemons\"";
    let gateway = Gateway::before(&[&node], &expects(more)).await;
    reaches(&gateway, OTHER, &["unknown"]).await;
    drop(gateway);
    let more = ", tenant: t, key: a-key-of-daemons";
    let gateway = Gateway::before(&[&node], &expects(more)).await;
    reaches(&gateway, PLUGIN, &["present"]).await;
    reaches(&gateway, OTHER, &["absent"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_or_drained_is_unknown_and_not_missing_anything() {
    let nodes = nodes_with_other(2).await;
    nodes[1].put_plugin(Plugin::absent(PLUGIN));
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, &expects("")).await;
    reaches(&gateway, PLUGIN, &["present", "absent"]).await;
    let path = format!("/api/v1/nodes/{}/state", nodes[1].id());
    let drain = br#"{"state": "drain"}"#;
    let admin = Dify::new(gateway.embedded.admin(), None);
    let drained = admin.raw("PUT", &path, &[], drain).await.unwrap();
    assert_eq!(drained.status, 200);
    reaches(&gateway, PLUGIN, &["present", "unknown"]).await;
    let told = roll(&gateway).await;
    assert_eq!((&told["missing"], &told["unknown"]), (&json!(0), &json!(2)));
}
