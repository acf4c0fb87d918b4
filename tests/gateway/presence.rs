//! Dify never sees "no available node" while a node of the pool can run the plugin.

use crate::support::client::{DifyError, expect_events};
use crate::support::gateway::Gateway;
use crate::support::within;
use crate::{PLUGIN, daemons, sim};
use serde_json::json;
use std::collections::HashSet;
use twolane::demo::daemon::{Daemon, Fail, Plugin, Script};

/// Leaves the plugin on one node only.
fn only_on(nodes: &[twolane::demo::daemon::Daemon], at: usize) {
    for (n, node) in nodes.iter().enumerate() {
        if n != at {
            node.put_plugin(Plugin::absent(PLUGIN));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f222_f237_a_plugin_on_one_of_three_nodes_a_thousand_calls_no_error_each_once() {
    let nodes = daemons(3).await;
    only_on(&nodes, 1);
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "").await;
    let dify = gateway.dify();
    for n in 0..1000 {
        let script = sim(json!({"id": format!("{n}")}));
        expect_events(within("an answer", dify.all("tool/invoke", PLUGIN, script)).await);
    }
    let ledger = nodes[0].ledger();
    assert_eq!(ledger.len(), 1000);
    assert_eq!(ledger.duplicates().len(), 0);
    let served: HashSet<_> = ledger
        .executions()
        .into_iter()
        .map(|entry| entry.node)
        .collect();
    assert_eq!(served, HashSet::from(["n2".to_owned()]));
    let missed = nodes[0].calls_seen() + nodes[2].calls_seen();
    assert!(
        missed < 40,
        "misses decay once the nodes are known, but there were {missed}"
    );
    assert_eq!(gateway.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_go_to_the_node_that_has_the_plugin() {
    for size in [10, 60_000, 66_000, 300_000, 3_000_000] {
        let nodes = daemons(3).await;
        only_on(&nodes, 2);
        let all: Vec<_> = nodes.iter().collect();
        let gateway = Gateway::before(&all, "").await;
        let dify = gateway.dify();
        for n in 0..6 {
            let mut data = sim(json!({"id": format!("{size}-{n}")}));
            data["padding"] = json!("x".repeat(size));
            let answer = dify.all("tool/invoke", PLUGIN, data);
            expect_events(within("an answer", answer).await);
        }
        let ledger = nodes[0].ledger();
        assert_eq!(ledger.len(), 6, "each of {size} bytes ran once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_node_has_it_the_answer_is_one_that_dify_understands() {
    let nodes = daemons(3).await;
    only_on(&nodes, 7);
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "").await;
    for _ in 0..5 {
        let answer = gateway
            .dify()
            .all("tool/invoke", PLUGIN, sim(json!({})))
            .await;
        let Err(DifyError::Unavailable(message)) = answer else {
            panic!("Dify would not see that it may try again: {answer:?}");
        };
        assert!(message.contains("no available node"), "{message}");
    }
    assert_eq!(nodes[0].ledger().len(), 0);
    nodes[1].put_plugin(Plugin::running(PLUGIN));
    let dify = gateway.dify();
    let answer = dify.all("tool/invoke", PLUGIN, sim(json!({})));
    expect_events(within("an answer from the node that has it now", answer).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_installed_or_not_valid_passes_as_it_came() {
    let nodes = daemons(2).await;
    for node in &nodes {
        node.put_plugin(Plugin {
            installed: false,
            ..Plugin::absent("nobody/has")
        });
    }
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "").await;
    let json = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", "nobody/has"),
    ];
    let target = "/plugin/t/dispatch/tool/invoke";
    let body = br#"{"user_id":"u","data":{}}"#;
    let through = gateway
        .dify()
        .raw("POST", target, &json, body)
        .await
        .unwrap();
    let direct = crate::support::client::Dify::new(nodes[0].addr(), None);
    let direct = direct.raw("POST", target, &json, body).await.unwrap();
    assert_eq!(
        (through.status, through.text()),
        (direct.status, direct.text())
    );
    assert!(
        through.text().contains("PluginNotFoundError"),
        "{}",
        through.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_runtime_is_asked_for_elsewhere_and_a_broken_one_is_not() {
    let nodes = daemons(2).await;
    nodes[0].script("tool/invoke", Script::failing(Fail::RuntimeVanished));
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "strategy: seed").await;
    let events = gateway.dify().all("tool/invoke", PLUGIN, json!({})).await;
    assert_eq!(expect_events(events)[0]["node"], "n2");

    nodes[0].script("llm/invoke", Script::failing(Fail::Reset));
    nodes[1].script("llm/invoke", Script::failing(Fail::Reset));
    let before = nodes[0].ledger().len();
    let answer = gateway
        .dify()
        .all("llm/invoke", "other/plugin", json!({}))
        .await;
    assert!(
        matches!(answer, Err(DifyError::DaemonInternal(_))),
        "{answer:?}"
    );
    assert_eq!(
        nodes[0].ledger().len() - before,
        1,
        "what may have run is not repeated"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f182_a_node_that_fails_three_times_rests_and_the_vendors_failures_do_not_count() {
    let nodes = daemons(2).await;
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "strategy: round_robin").await;
    let dify = gateway.dify();
    for node in &nodes {
        node.script("llm/invoke", Script::failing(Fail::PluginError));
    }
    for _ in 0..20 {
        let answer = dify.all("llm/invoke", PLUGIN, json!({})).await;
        assert!(
            matches!(answer, Err(DifyError::Plugin { .. })),
            "{answer:?}"
        );
    }
    let page = gateway.admin("/cluster/nodes").await.json();
    assert_eq!(
        page["nodes"][0]["resting_ms"], 0.0,
        "a vendor's failure is not the node's"
    );

    nodes[0].script(
        "tool/invoke",
        Script::status(502, "<html>bad gateway</html>"),
    );
    let mut failed = 0;
    for _ in 0..40 {
        failed += usize::from(dify.all("tool/invoke", PLUGIN, json!({})).await.is_err());
    }
    assert_eq!(failed, 3, "after three failures the node rests");
    let page = gateway.admin("/cluster/nodes").await.json();
    assert!(page["nodes"][0]["resting_ms"].as_f64().unwrap() > 0.0);
    let page = gateway.admin("/metrics").await;
    let failing = format!("twolane_node_failing_ratio{{node=\"{}\"}} 0.27", "n1");
    assert!(page.text().contains(&failing), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_errors_are_too_large_to_be_read_rests_too() {
    let nodes = daemons(2).await;
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "strategy: round_robin").await;
    let dify = gateway.dify();
    let page = "x".repeat(70_000);
    nodes[0].script("tool/invoke", Script::status(500, &page));
    let mut failed = 0;
    for _ in 0..40 {
        failed += usize::from(dify.all("tool/invoke", PLUGIN, json!({})).await.is_err());
    }
    assert_eq!(failed, 3, "after three failures the node rests");
}

/// A call of `/v2/invoke/`, which names the version; the node that answered.
async fn of_version(gateway: &Gateway, identifier: &str) -> String {
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-Unique-Identifier", identifier),
    ];
    let body = json!({"tenant_id": "t", "user_id": "u", "data": sim(json!({}))}).to_string();
    let target = "/v2/invoke/dispatch/tool/invoke";
    let dify = gateway.dify();
    let answer = dify.raw("POST", target, &headers, body.as_bytes());
    let answer = within("an answer", answer).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        !answer.text().contains("no available node"),
        "{}",
        answer.text()
    );
    answer.header("X-Twolane-Node").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn f038_each_version_of_a_plugin_goes_to_the_node_that_runs_it() {
    const NAME: &str = "langgenius/openai_api_compatible";
    let versions = ["0.0.12", "0.0.17"].map(|version| format!("{NAME}:{version}"));
    let identifiers = versions.clone().map(|it| format!("{it}@0a1b2c"));
    let nodes = daemons(4).await;
    // One version each on n1 and n2; n3 and n4 have other plugins alone.
    for (n, node) in nodes.iter().enumerate() {
        for (v, version) in versions.iter().enumerate() {
            let plugin = if n == v {
                Plugin::running(version)
            } else {
                Plugin::absent(version)
            };
            node.put_plugin(plugin);
        }
    }
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "strategy: round_robin\n").await;
    for _ in 0..30 {
        assert_eq!(of_version(&gateway, &identifiers[0]).await, "n1");
        assert_eq!(of_version(&gateway, &identifiers[1]).await, "n2");
    }
    assert_eq!(nodes[0].ledger().len(), 60, "each ran once");
    // Known by version: each node misses the other's version, and nobody looks for it there any more.
    let asked = || -> u64 { nodes.iter().map(Daemon::calls_seen).sum() };
    let before = asked();
    for _ in 0..20 {
        of_version(&gateway, &identifiers[0]).await;
        of_version(&gateway, &identifiers[1]).await;
    }
    assert!(
        asked() <= before + 40 + 12,
        "{} questions for 40 calls",
        asked() - before
    );
    let live = gateway.embedded.live();
    let now = twolane::model::clock::now();
    let presence = |version: &str, node: usize| {
        let place = live.plugins.find(Some(version)).place();
        live.snapshot().nodes()[node].presence(place, now)
    };
    use twolane::nodes::Presence::{Absent, Present};
    for (v, version) in versions.iter().enumerate() {
        assert_eq!(presence(version, v), Present, "{version}");
        assert_eq!(presence(version, 1 - v), Absent, "{version}");
    }
}
