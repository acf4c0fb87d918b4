//! What is counted, and that nobody outside can make it more.

use crate::rig::Rig;
use crate::support::client::expect_events;
use crate::support::gateway::Gateway;
use crate::support::{eventually, within};
use crate::{PLUGIN, sim};
use serde_json::json;
use twolane::demo::daemon::{Daemon, Health, Plugin, Settings, Stop, World};

async fn call(rig: &Rig) {
    let dify = rig.dify();
    let answer = dify.all("tool/invoke", PLUGIN, sim(json!({})));
    expect_events(within("an answer", answer).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f256_each_daemons_own_metrics_come_through_the_admin_listener() {
    let rig = Rig::new(2, "").await;
    rig.nodes[0].put_plugin(Plugin::running("a/only-here"));
    for (path, here) in [
        ("/nodes/n1/metrics", true),
        ("/api/v1/nodes/n1/metrics", true),
        ("/nodes/n2/metrics", false),
    ] {
        let page = rig.gateway.admin(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        assert!(
            page.text().contains("plugin_runtime_status"),
            "{path} is a daemon's page"
        );
        assert_eq!(
            page.text().contains("a/only-here"),
            here,
            "{path} is the page of that daemon"
        );
    }
    let nobody = rig.gateway.admin("/nodes/n3/metrics").await;
    assert_eq!(nobody.status, 404);
    assert!(
        nobody.text().contains("n1, n2"),
        "it says who is there: {}",
        nobody.text()
    );
    rig.nodes[1].stop(Stop::Cut).await;
    let dead = rig.gateway.admin("/nodes/n2/metrics").await;
    assert_eq!(dead.status, 502);
    assert!(
        dead.text().contains("n2"),
        "it says whose page is missing: {}",
        dead.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f256_a_daemons_metrics_want_the_token_like_everything_else() {
    let rig = Rig::new(1, "admin: { listen: 127.0.0.1:0, token: s3cret }\n").await;
    assert_eq!(rig.gateway.admin("/nodes/n1/metrics").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn f256_a_daemon_without_a_metrics_page_is_told_so() {
    let settings = Settings {
        metrics: false,
        ..Settings::named("n1", &World::default())
    };
    let node = Daemon::start(settings).await.unwrap();
    let gateway = Gateway::before(&[&node], "").await;
    let page = gateway.admin("/nodes/n1/metrics").await;
    assert_eq!(page.status, 502);
    assert!(page.text().contains("404"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_are_counted_by_node_and_by_how_they_end() {
    let rig = Rig::new(3, "health: { interval: 50ms, timeout: 100ms }\n").await;
    rig.nodes[1].set_health(Health {
        status: 500,
        ..Health::default()
    });
    rig.nodes[2].stop(Stop::Cut).await;
    for (node, end) in [("n1", "passed"), ("n2", "unwell"), ("n3", "unreached")] {
        let labels = [&*format!("node=\"{node}\""), &*format!("result=\"{end}\"")];
        eventually("its checks are counted", async || {
            rig.metric("twolane_health_checks_total", &labels).await >= 2.0
        })
        .await;
        let took = rig.metric("twolane_health_check_duration_seconds", &labels[..1]);
        assert!(took.await > 0.0, "and timed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f254_requests_to_install_are_counted_by_their_end_and_nothing_else_is() {
    let rig = Rig::new(1, "").await;
    let dify = rig.dify();
    let manage = "/plugin/t/management";
    let wish =
        json!({"plugin_unique_identifiers": ["a/b:0.0.1@0123"], "source": "x", "metas": [{}]});
    for target in ["install/identifiers", "install/upgrade"] {
        dify.post(&format!("{manage}/{target}"), &wish).await;
    }
    rig.nodes[0].stop(Stop::Cut).await;
    dify.post(&format!("{manage}/install/identifiers"), &wish)
        .await;
    for other in ["install/tasks/delete_all", "uninstall"] {
        dify.post(&format!("{manage}/{other}"), &wish).await;
    }
    dify.get(&format!("{manage}/list")).await;
    eventually("all are over", async || {
        rig.metric("twolane_requests_total", &[]).await >= 6.0
    })
    .await;
    let count = async |status: &str| {
        rig.metric("twolane_install_requests_total", &[status])
            .await
    };
    assert_eq!(count("success").await + count("failure").await, 3.0);
    assert!(
        count("failure").await >= 1.0,
        "the one that nobody answered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f260_a_plugin_that_is_on_one_of_three_nodes_counts_as_divergent() {
    let rig = Rig::new(3, "").await;
    assert_eq!(rig.metric("twolane_plugin_set_divergence", &[]).await, 0.0);
    for node in &rig.nodes[1..] {
        node.put_plugin(Plugin::absent(PLUGIN));
    }
    // A few calls may all meet the node that has it.
    eventually("the difference is seen", async || {
        call(&rig).await;
        rig.metric("twolane_plugin_set_divergence", &[]).await == 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_and_what_went_on_elsewhere_is_counted() {
    let yaml = "strategy: seed\nhealth: { enabled: false }\n\
                learn: { min_samples: 1, unknown: short, long_threshold: 50ms }\n";
    let rig = Rig::new(2, yaml).await;
    rig.nodes[0].stop(Stop::Cut).await;
    let slow = sim(json!({"ttfb_ms": 120}));
    let dify = rig.dify();
    let answer = dify.all("tool/invoke", PLUGIN, slow);
    expect_events(within("an answer", answer).await);
    rig.quiet().await;
    assert_eq!(
        rig.metric("twolane_class_changes_total", &["to=\"long\""])
            .await,
        1.0
    );
    let of = ["operation=\"tool/invoke\""];
    assert_eq!(rig.metric("twolane_operation_long", &of).await, 1.0);
    assert!(rig.metric("twolane_operation_score_seconds", &of).await >= 0.1);
    assert_eq!(
        rig.metric("twolane_retries_total", &["after=\"unreached\""])
            .await,
        1.0
    );
    assert_eq!(
        rig.metric("twolane_leader", &[]).await,
        1.0,
        "alone, it does its own chores"
    );
    let build = rig
        .metric("twolane_build_info", &[env!("CARGO_PKG_VERSION")])
        .await;
    assert_eq!(build, 1.0);
    let taken = rig.metric("twolane_config_last_reload_success_timestamp_seconds", &[]);
    assert!(taken.await > 1.7e9, "in seconds since 1970");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_busy_while_a_long_request_runs_there() {
    let rig = Rig::new(1, "learn: { pins: [{ operation: \"*\", class: long }] }\n").await;
    assert_eq!(rig.metric("twolane_node_busy", &["n1"]).await, 0.0);
    let held = rig.hold(PLUGIN, 0).await;
    assert_eq!(rig.metric("twolane_node_busy", &["n1"]).await, 1.0);
    rig.let_go(held).await;
    assert_eq!(rig.metric("twolane_node_busy", &["n1"]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f217_the_mean_of_what_takes_200_ms_is_200_from_the_first_call_on() {
    let rig = Rig::new(1, "learn: { min_samples: 1 }\n").await;
    let dify = rig.dify();
    for calls in 1..=3 {
        let answer = dify.all("tool/invoke", PLUGIN, sim(json!({"ttfb_ms": 200})));
        expect_events(within("an answer", answer).await);
        rig.quiet().await;
        let stats = rig.gateway.admin("/cluster/stats").await.json();
        let rows = stats["endpoints"].as_array().unwrap();
        for row in rows {
            // Seed 002 began with 0 and halved: 100, 150, 175.
            assert_eq!(row["total"], calls);
            assert!(row["avg_ms"].as_f64().unwrap() >= 200.0, "{row}");
        }
        assert!(!rows.is_empty(), "something was learned");
        let of = ["operation=\"tool/invoke\""];
        let score = rig.metric("twolane_operation_score_seconds", &of).await;
        assert!(score >= 0.2, "{score} after {calls}");
    }
}
