//! Do the examples do what they say? Each is a whole program; its gateway serves here.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[allow(dead_code, unreachable_pub, reason = "its `main` is the program's")]
#[path = "../examples/own_classifier.rs"]
mod own_classifier;
#[allow(dead_code, unreachable_pub, reason = "its `main` is the program's")]
#[path = "../examples/own_discovery.rs"]
mod own_discovery;
#[allow(dead_code, unreachable_pub, reason = "its `main` is the program's")]
#[path = "../examples/own_strategy.rs"]
mod own_strategy;
mod support;

use serde_json::json;
use support::client::{Dify, expect_events};
use support::gateway::yaml;
use support::within;
use twolane::config::Config;
use twolane::demo::daemon::{Daemon, Settings, World};
use twolane::server::Builder;

fn read(gateway: &Builder, nodes: &[&Daemon], more: &str) -> Config {
    let named: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    let config = gateway.read(&yaml(&named, more));
    config.unwrap_or_else(|problems| panic!("{}", problems.render()))
}

async fn call(dify: &Dify) {
    let data = json!({"provider": "demo", "tool": "t"});
    let answer = dify.all("tool/invoke", "a/b", data);
    expect_events(within("an answer", answer).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f107_f108_an_own_strategy_is_obeyed_and_its_metric_is_shown() {
    let world = World::default();
    let mut nodes = Vec::new();
    for name in ["n1", "n2", "n3"] {
        nodes.push(Daemon::start(Settings::named(name, &world)).await.unwrap());
    }
    let gateway = own_strategy::gateway().unwrap();
    let all: Vec<_> = nodes.iter().collect();
    let config = read(&gateway, &all, "strategy: sticky\n");
    let running = gateway.start(config).await.unwrap();
    let dify = Dify::new(running.data(), None);
    for _ in 0..6 {
        call(&dify).await;
    }
    let nodes = world.ledger().per_node();
    assert_eq!(nodes.len(), 1, "one call at a time, it stays: {nodes:?}");
    let page = Dify::new(running.admin(), None).get("/metrics").await;
    assert!(
        page.text().contains("\nacme_sticky_stays_total 6\n"),
        "its own metric is on the page"
    );
    let page = support::page::Page::read(page.text());
    assert_eq!(
        page.sum("twolane_choices_total", &["why=\"custom\""]),
        6.0,
        "and so are ours"
    );
    running.stop().await;
}

async fn class_at(hour: fn() -> u64) -> String {
    let node = Daemon::start(Settings::default()).await.unwrap();
    let gateway = own_classifier::gateway(hour);
    let config = read(&gateway, &[&node], "learn: { classifier: by_hour }\n");
    let running = gateway.start(config).await.unwrap();
    let dify = Dify::new(running.data(), None);
    let data = json!({"provider": "demo", "tool": "t"});
    let call = dify.open("tool/invoke", "a/b", data).await.unwrap();
    let answer = within("an answer", call.whole()).await.unwrap();
    running.stop().await;
    let header = |name| answer.header(name).unwrap_or_default().to_owned();
    format!(
        "{} {}",
        header("X-Twolane-Class"),
        header("X-Twolane-Basis")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn f107_an_own_classifier_says_what_is_long() {
    assert_eq!(class_at(|| 12).await, "long custom");
    assert_eq!(class_at(|| 3).await, "short custom");
}

#[tokio::test(flavor = "multi_thread")]
async fn f107_an_own_discovery_finds_the_nodes() {
    let node = Daemon::start(Settings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    std::fs::write(&file, format!("d1 {}\n", node.addr())).unwrap();
    let gateway = own_discovery::gateway(file);
    let config =
        gateway.read("listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\ndiscovery: hosts\n");
    let config = config.unwrap_or_else(|problems| panic!("{}", problems.render()));
    let running = gateway.start(config).await.unwrap();
    call(&Dify::new(running.data(), None)).await;
    let row = Dify::new(running.admin(), None)
        .get("/api/v1/nodes/d1")
        .await;
    assert_eq!(row.json()["served"], 1);
    running.stop().await;
}
