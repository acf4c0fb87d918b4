//! One key, one node: `consistent_hash` on real requests.

use crate::rig::{Rig, UNCHECKED, ask, expect_rejection, node_of};
use crate::support::stream::Response;
use crate::support::within;
use crate::{PLUGIN, sim};
use serde_json::json;
use std::collections::BTreeSet;
use twolane::demo::daemon::Stop;

const LIST: &str = "management/list";

/// A management call of a tenant: nothing of it is in a body.
async fn of_tenant(rig: &Rig, tenant: &str) -> Response {
    let path = format!("/plugin/{tenant}/{LIST}");
    within("an answer", rig.dify().get(&path)).await
}

async fn home(rig: &Rig, tenant: &str) -> String {
    node_of(&of_tenant(rig, tenant).await).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn f172_each_key_has_one_node_in_every_algorithm_and_all_nodes_are_used() {
    for algorithm in ["crc32", "md5", "sha1", "xxh3", "ketama"] {
        let yaml = format!(
            "{UNCHECKED}strategy: consistent_hash\n\
             strategies: {{ consistent_hash: {{ algorithm: {algorithm} }} }}\n"
        );
        let rig = Rig::new(3, &yaml).await;
        let mut used = BTreeSet::new();
        for user in 0..30 {
            let tenant = format!("tenant-{user}");
            let first = home(&rig, &tenant).await;
            for _ in 0..3 {
                assert_eq!(home(&rig, &tenant).await, first, "{algorithm}");
            }
            used.insert(first);
        }
        assert_eq!(used.len(), 3, "{algorithm}");
        let homes = rig
            .metric("twolane_choices_total", &["why=\"affinity\""])
            .await;
        assert_eq!(homes, 120.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f181_a_dead_nodes_keys_go_to_the_next_and_come_home_again() {
    let yaml = "strategy: consistent_hash\nhealth: { interval: 100ms, fall: 1, warmup: 0s }\n";
    let rig = Rig::new(3, yaml).await;
    let tenants: Vec<_> = (0..12).map(|n| format!("t{n}")).collect();
    let mut homes = Vec::new();
    for tenant in &tenants {
        homes.push(home(&rig, tenant).await);
    }
    let dead = homes[0].clone();
    let daemon = rig.nodes.iter().find(|node| node.id() == dead).unwrap();
    daemon.stop(Stop::Cut).await;
    let ill = rig.gateway.until(|_| !rig.node(&dead).is_healthy());
    within("the dead node is found unhealthy", ill).await;
    for (tenant, before) in tenants.iter().zip(&homes) {
        let now = home(&rig, tenant).await;
        if *before == dead {
            assert_ne!(now, dead);
            assert_eq!(home(&rig, tenant).await, now, "one other node, not any");
        } else {
            assert_eq!(&now, before, "nobody else moves");
        }
    }
    daemon.restart().await.expect("its port is still free");
    let well = rig.gateway.until(|_| rig.node(&dead).is_healthy());
    within("the node is found well again", well).await;
    for (tenant, before) in tenants.iter().zip(&homes) {
        assert_eq!(&home(&rig, tenant).await, before, "home again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f169_a_request_without_a_key_goes_anywhere_or_is_refused_as_the_pool_says() {
    let loose = Rig::new(
        2,
        &format!("{UNCHECKED}strategy: consistent_hash\nhash: 'header:X-Team'\n"),
    )
    .await;
    let call = |rig: &Rig| {
        let dify = rig.dify();
        async move { ask(&dify, PLUGIN, sim(json!({}))).await }
    };
    assert_eq!(
        call(&loose).await.status,
        200,
        "by load, where nothing is hashed"
    );
    let yaml = format!(
        "{UNCHECKED}strategy: consistent_hash\nhash: {{ by: ['header:X-Team'], required: true }}\n"
    );
    let strict = Rig::new(2, &yaml).await;
    let refused = call(&strict).await;
    let told = expect_rejection(&refused, 400, "bad_request");
    assert!(told.contains("header:x-team"), "{told}");
    assert_eq!(strict.ledger().executions().len(), 0, "no node was asked");
    let dify = strict.dify().with("X-Team", "blue");
    let first = ask(&dify, PLUGIN, sim(json!({}))).await;
    for _ in 0..5 {
        let again = ask(&dify, PLUGIN, sim(json!({}))).await;
        assert_eq!(node_of(&again), node_of(&first));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f231_a_client_address_and_a_plugin_are_keys_too() {
    for by in ["address", "plugin"] {
        let yaml = format!("{UNCHECKED}strategy: consistent_hash\nhash: {by}\n");
        let rig = Rig::new(4, &yaml).await;
        let first = ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
        for _ in 0..8 {
            let again = ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
            assert_eq!(node_of(&again), node_of(&first), "{by}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_may_hash_as_well() {
    let rig = Rig::new(3, &format!("{UNCHECKED}shadow: consistent_hash\n")).await;
    for user in 0..20 {
        home(&rig, &format!("tenant-{user}")).await;
    }
    let asked = rig.metric("twolane_shadow_total", &[]).await;
    assert_eq!(asked, 20.0);
}
