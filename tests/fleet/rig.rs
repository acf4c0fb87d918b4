//! What several tests need: nodes, gateways that share a Redis, held calls.

use crate::support::client::Dify;
use crate::support::gateway::{Gateway, config};
use crate::support::stream::Stream;
use crate::support::{eventually, within};
use serde_json::{Value, json};
use std::time::Duration;
use twolane::demo::daemon::{Daemon, Settings, World};
use twolane::learn::{Classifier, KeyView};
use twolane::model::{Class, Operation, Sample, clock};
use twolane::nodes::Hand;
use twolane::server::Embedded;

pub(crate) const PLUGIN: &str = "langgenius/openai";

/// Daemons that share a ledger, named n1, n2, ...
pub(crate) async fn daemons(count: usize) -> Vec<Daemon> {
    let world = World::default();
    let mut daemons = Vec::new();
    for n in 1..=count {
        let settings = Settings::named(&format!("n{n}"), &world);
        daemons.push(Daemon::start(settings).await.unwrap());
    }
    daemons
}

/// A gateway of the fleet that meets at this URL.
pub(crate) async fn member(nodes: &[Daemon], url: &str, more: &str) -> Gateway {
    let nodes: Vec<_> = nodes.iter().collect();
    let share = format!("share: {{ redis: \"{url}\", interval: 100ms }}\n");
    // A test's own section takes the place of this one.
    let share = if more.contains("share:") { "" } else { &share };
    Gateway::start(config(&nodes, &format!("{share}{more}"))).await
}

/// The body of a tool call that the stand-in plays by this script.
pub(crate) fn sim(script: Value) -> Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": script}})
}

/// A call that runs until it is dropped.
pub(crate) async fn hold(dify: &Dify) -> Stream {
    let script = sim(json!({"fail": "hang", "fail_after": 1}));
    let mut stream = dify.open("tool/invoke", PLUGIN, script).await.unwrap();
    let head = within("the held call runs", stream.head());
    assert_eq!(head.await.unwrap().0, 200);
    stream
}

/// A call that must work.
pub(crate) async fn call(dify: &Dify) {
    let events = dify.all("tool/invoke", PLUGIN, sim(json!({}))).await;
    assert!(events.is_ok(), "a client's call failed: {events:?}");
}

/// A whole answer's debug header.
pub(crate) async fn header_of(dify: &Dify, name: &str) -> String {
    let stream = dify
        .open("tool/invoke", PLUGIN, sim(json!({})))
        .await
        .unwrap();
    let answer = within("the whole answer", stream.whole()).await.unwrap();
    answer.header(name).unwrap_or_default().to_owned()
}

/// Samples as if requests had run for so long.
pub(crate) fn learn(gateway: &Embedded, key: &str, times: usize, took: Duration) {
    let sample = Sample {
        duration: took,
        censored: false,
    };
    for _ in 0..times {
        gateway
            .live()
            .learner
            .learn(&Operation::new(key), sample, clock::now());
    }
}

pub(crate) fn known(gateway: &Embedded, key: &str) -> Option<KeyView> {
    let view = gateway.live().learner.view(usize::MAX, clock::now());
    view.into_iter().find(|row| row.key == key)
}

pub(crate) fn count(gateway: &Embedded, key: &str) -> u64 {
    known(gateway, key).map_or(0, |row| row.total)
}

/// What a gateway believes that the others hold on a node, short and long together.
pub(crate) fn elsewhere(gateway: &Embedded, node: &str) -> u32 {
    let others = gateway.live().fleet.others(clock::now());
    let held = others.iter().flat_map(|other| &other.leases);
    held.filter(|held| held.node.as_str() == node)
        .map(|held| held.short + held.long)
        .sum()
}

/// The same over all nodes.
pub(crate) fn all_elsewhere(gateway: &Embedded) -> u32 {
    let others = gateway.live().fleet.others(clock::now());
    let held = others.iter().flat_map(|other| &other.leases);
    held.map(|held| held.short + held.long).sum()
}

pub(crate) fn in_flight(gateway: &Embedded, node: &str) -> u32 {
    let nodes = gateway.live().snapshot().nodes();
    let node = nodes.iter().find(|it| it.id().as_str() == node).unwrap();
    Class::ALL.iter().map(|class| node.in_flight(*class)).sum()
}

pub(crate) fn hand(gateway: &Embedded, node: &str) -> Hand {
    let nodes = gateway.live().snapshot().nodes();
    nodes
        .iter()
        .find(|it| it.id().as_str() == node)
        .unwrap()
        .hand()
}

/// The operator's wish through one gateway.
pub(crate) async fn wish(gateway: &Gateway, node: &str, state: &str) {
    let admin = Dify::new(gateway.embedded.admin(), None);
    let body = json!({"state": state}).to_string();
    let path = format!("/api/v1/nodes/{node}/state");
    let answer = admin.raw("PUT", &path, &[], body.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Waits until each of these gateways knows all the others.
pub(crate) async fn met(gateways: &[&Gateway]) {
    for gateway in gateways {
        let fleet = &gateway.embedded.live().fleet;
        eventually("all gateways know each other", async || {
            fleet.others(clock::now()).len() == gateways.len() - 1
        })
        .await;
    }
}
