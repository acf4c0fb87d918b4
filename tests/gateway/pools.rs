//! Other nodes for a pool, and its balancing off and on, while requests run.

use crate::rig::node_of;
use crate::support::client::{Dify, expect_events};
use crate::support::filed::Filed;
use crate::support::gateway::yaml;
use crate::support::stream::Response;
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons, sim};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use twolane::demo::daemon::{Daemon, Stop};

const NODES: &str = "/api/v1/pools/main/nodes";
const BALANCING: &str = "/api/v1/pools/main/balancing";
const TOOL: &str = "/plugin/t/dispatch/tool/invoke";

fn entry(node: &Daemon) -> Value {
    json!({ "id": node.id(), "address": node.addr().to_string() })
}

fn file(nodes: &[&Daemon]) -> String {
    let named: Vec<_> = (nodes.iter())
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    yaml(&named, "strategy: round_robin\nreload: { poll: \"off\" }\n")
}

async fn admin(filed: &Filed, method: &str, target: &str, body: &str) -> Response {
    let admin = Dify::new(filed.gateway.embedded.admin(), None);
    let json = [("Content-Type", "application/json")];
    let answer = admin.raw(method, target, &json, body.as_bytes());
    within("the admin listener answers", answer).await.unwrap()
}

async fn done(filed: &Filed, method: &str, target: &str, body: &Value) -> Value {
    let answer = admin(filed, method, target, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn refused(filed: &Filed, method: &str, target: &str, body: &str) -> (u16, String) {
    let before = filed.version();
    let answer = admin(filed, method, target, body).await;
    assert_ne!(answer.status, 200, "{}", answer.text());
    assert_eq!(filed.version(), before, "nothing is half applied");
    (answer.status, answer.text().to_owned())
}

/// How many of so many calls each node took.
async fn shares(filed: &Filed, calls: usize) -> BTreeMap<String, usize> {
    let dify = filed.gateway.dify();
    let mut shares = BTreeMap::new();
    for _ in 0..calls {
        let json = [
            ("Content-Type", "application/json"),
            ("X-Plugin-ID", PLUGIN),
        ];
        let body = json!({"user_id": "u", "data": sim(json!({}))}).to_string();
        let answer = dify.raw("POST", TOOL, &json, body.as_bytes());
        let answer = within("an answer", answer).await.unwrap();
        *shares.entry(node_of(&answer).to_owned()).or_default() += 1;
    }
    shares
}

fn only(node: &str, calls: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(node.to_owned(), calls)])
}

#[tokio::test(flavor = "multi_thread")]
async fn f135_with_its_balancing_off_a_pool_is_its_primary_and_a_standby() {
    let nodes = daemons(3).await;
    let text = file(&nodes.iter().collect::<Vec<_>>()).replace("id: n2,", "id: n2, role: primary,");
    let filed = Filed::start(&text).await;
    assert_eq!(shares(&filed, 30).await.len(), 3, "each in turn");
    let told = done(&filed, "PUT", BALANCING, &json!({"enabled": false})).await;
    assert_eq!(
        told["changes"],
        json!(["pools.main.strategy: round_robin -> first"])
    );
    assert_eq!(
        shares(&filed, 30).await,
        only("n2", 30),
        "all to the primary"
    );
    done_by_reload(&filed, &text).await;
    assert_eq!(
        shares(&filed, 10).await,
        only("n2", 10),
        "over a reload too"
    );
    nodes[1].stop(Stop::Cut).await;
    assert_eq!(
        shares(&filed, 10).await,
        only("n1", 10),
        "the next stands by"
    );
    let page = filed.gateway.admin(NODES).await.json();
    assert_eq!(page["balancing"], false);
    done(&filed, "PUT", BALANCING, &json!({"enabled": true})).await;
    let both = shares(&filed, 20).await;
    assert_eq!(both.len(), 2, "in turn again: {both:?}");
}

async fn done_by_reload(filed: &Filed, text: &str) {
    let changes = filed.take(text).await;
    assert_eq!(changes, [""; 0], "a reload of the same changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn f137_a_list_replaces_the_nodes_as_a_whole_and_no_call_is_lost() {
    let nodes = daemons(4).await;
    let filed = Arc::new(Filed::start(&file(&[&nodes[0], &nodes[1]])).await);
    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (filed, over) = (Arc::clone(&filed), Arc::clone(&over));
        async move {
            let mut calls = 0;
            while !over.load(Ordering::Relaxed) {
                let dify = filed.gateway.dify();
                let answer = dify.all("tool/invoke", PLUGIN, sim(json!({"ttfb_ms": 2})));
                expect_events(within("an answer", answer).await);
                calls += 1;
            }
            calls
        }
    });
    let rows = |which: &[usize]| which.iter().map(|&at| entry(&nodes[at])).collect::<Value>();
    for which in [&[1, 2][..], &[2, 3], &[0, 1, 2, 3]] {
        let told = done(&filed, "PUT", NODES, &rows(which)).await;
        assert_ne!(told["changes"], json!([]));
    }
    done(&filed, "PUT", NODES, &rows(&[2, 3])).await;
    over.store(true, Ordering::Relaxed);
    assert!(load.await.unwrap() > 0, "no call of many was lost");
    // A node that is new is checked before it is used.
    eventually("both of the list are used, and no other", async || {
        shares(&filed, 6).await.keys().eq(["n3", "n4"])
    })
    .await;
    let origin = filed.gateway.admin("/api/v1/config").await.json();
    let key = |row: &&Value| row["key"] == "pools.main.nodes.n3.address";
    let rows = origin["keys"].as_array().unwrap();
    assert_eq!(rows.iter().find(key).unwrap()["origin"], "hand");
    done(&filed, "DELETE", NODES, &Value::Null).await;
    let page = filed.gateway.admin(NODES).await.json();
    assert_eq!(page["by_hand"], false);
    assert_eq!(page["nodes"][0]["id"], "n1", "the file's again");
}

#[tokio::test(flavor = "multi_thread")]
async fn f137_one_bad_node_refuses_the_list_and_every_mistake_is_told() {
    let nodes = daemons(2).await;
    let filed = Filed::start(&file(&[&nodes[0]])).await;
    let sent = format!(
        "[\n  {{\"id\": \"a\", \"address\": \"{}\"}},\n  {{\"id\": \"b b\", \"address\": \"10.0.0.1:5002\", \
         \"weight\": 0}},\n  {{\"addres\": \"10.0.0.2:5002\"}}\n]",
        nodes[1].addr()
    );
    let (status, told) = refused(&filed, "PUT", NODES, &sent).await;
    assert_eq!(status, 400);
    for place in [
        "the nodes sent:3:",
        "[1].weight",
        "the nodes sent:4:",
        "unknown key `addres`",
        "`address` is missing",
    ] {
        assert!(told.contains(place), "{place} is not in\n{told}");
    }
    for (sent, word) in [
        ("", "a list of nodes"),
        ("[", "the nodes sent:2:1"),
        ("{\"nodes\": 3}", "a list of nodes"),
        ("[]", "a pool without nodes"),
        (
            "[{\"address\": \"10.0.0.1:5002\", \"role\": \"backup\"}]",
            "only backups",
        ),
        ("[{\"address\": \"${HOME}:5002\"}]", "only the file may use"),
        (
            "[{\"id\": \"a\", \"address\": \"10.0.0.1:5002\", \"upstream_key\": \"***\"}]",
            "no key is known",
        ),
    ] {
        let (status, told) = refused(&filed, "PUT", NODES, sent).await;
        assert_eq!(status, 400, "{sent}");
        assert!(told.contains(word), "{sent}: {word} is not in\n{told}");
    }
    let (status, told) = refused(&filed, "PUT", "/api/v1/pools/mian/nodes", "[]").await;
    assert_eq!(
        (status, told.as_str()),
        (404, "no pool \"mian\"; there is main\n")
    );
    let (status, told) = refused(&filed, "PUT", BALANCING, "{\"on\": true}").await;
    assert_eq!(status, 400);
    assert!(told.contains("{\"enabled\": false}"), "{told}");
    assert_eq!(shares(&filed, 3).await, only("n1", 3), "all is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn f141_a_key_is_never_shown_and_is_kept_when_it_is_sent_back_hidden() {
    const KEY: &str = "the-node's-own-key";
    let nodes = daemons(2).await;
    let text = file(&[&nodes[0]]).replace("id: n1,", &format!("id: n1, upstream_key: {KEY},"))
        + "applications: [{ name: a, keys: [a-client's-key], pool: main }]\n";
    let filed = Filed::start(&text).await;
    let page = filed.gateway.admin(NODES).await;
    assert!(!page.text().contains(KEY), "it is hidden");
    let mut rows = page.json()["nodes"].clone();
    assert_eq!(rows[0]["upstream_key"], "***");
    rows[0]["weight"] = 5.into();
    let told = done(&filed, "PUT", NODES, &rows).await;
    assert_eq!(
        told["changes"],
        json!(["pools.main.nodes.n1.weight: 1 -> 5"])
    );
    let key_of = || {
        let snapshot = filed.gateway.embedded.live().snapshot();
        let key = snapshot.config.pools[0].nodes[0].upstream_key.clone();
        key.map(|key| key.expose().to_owned())
    };
    assert_eq!(key_of().as_deref(), Some(KEY), "it was kept");
    rows[0]["upstream_key"] = "another-key".into();
    let told = done(&filed, "PUT", NODES, &rows).await.to_string();
    assert!(!told.contains("another-key"), "{told}");
    assert_eq!(key_of().as_deref(), Some("another-key"));
    for page in [NODES, "/api/v1/config", "/api/v1/config/diff"] {
        let page = filed.gateway.admin(page).await;
        assert!(!page.text().contains("another-key"), "{}", page.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f140_what_is_validated_is_refused_when_a_node_does_not_answer() {
    let nodes = daemons(2).await;
    let filed = Filed::start(&file(&[&nodes[0]])).await;
    let both = file(&[&nodes[0], &nodes[1]]);
    nodes[1].stop(Stop::Cut).await;
    filed.write(&both);
    let (status, told) = refused(&filed, "POST", "/-/reload?validate=true", "").await;
    assert_eq!(status, 400);
    assert!(
        told.contains("node n2: ") && told.contains("connection refused"),
        "{told}"
    );
    let rows = json!([entry(&nodes[0]), entry(&nodes[1])]).to_string();
    let target = format!("{NODES}?validate=true");
    let (status, told) = refused(&filed, "PUT", &target, &rows).await;
    assert_eq!(status, 400);
    assert!(told.contains("allow_unhealthy=true"), "the cure: {told}");
    let (status, told) = refused(&filed, "POST", "/-/reload?validate=yes", "").await;
    assert_eq!(
        (status, told.as_str()),
        (400, "validate is true or false\n")
    );
    let target = "/-/reload?validate=true&allow_unhealthy=true";
    let told = done(&filed, "POST", target, &Value::Null).await;
    assert_eq!(told["unhealthy"].as_array().unwrap().len(), 1, "{told}");
    nodes[1].restart().await.unwrap();
    let told = done(&filed, "POST", "/-/reload?validate=true", &Value::Null).await;
    assert_eq!(told["unhealthy"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_by_hand_waits_for_its_pool_and_touches_no_other() {
    let nodes = daemons(2).await;
    let pool = |name: &str, node: &Daemon| {
        format!(
            "  - name: {name}\n    nodes: [{{ id: {name}1, address: \"{}\" }}]\n",
            node.addr()
        )
    };
    let (a, b) = (pool("a", &nodes[0]), pool("b", &nodes[1]));
    let text = |pools: &[&String]| {
        let pools: String = pools.iter().map(|pool| pool.as_str()).collect();
        yaml(
            &[],
            &format!("reload: {{ poll: \"off\" }}\npools:\n{pools}"),
        )
    };
    let filed = Filed::start(&text(&[&a, &b])).await;
    let other = json!([{"id": "b2", "address": nodes[1].addr().to_string(), "weight": 3}]);
    done(&filed, "PUT", "/api/v1/pools/b/nodes", &other).await;
    let (_, told) = refused(
        &filed,
        "PUT",
        "/api/v1/pools/a/nodes",
        &json!([{"id": "b2", "address": "10.0.0.1:5002"}]).to_string(),
    )
    .await;
    assert!(told.contains("a second node with this id"), "{told}");
    let ids = |filed: &Filed| -> Vec<String> {
        let snapshot = filed.gateway.embedded.live().snapshot();
        let nodes = snapshot.nodes();
        nodes.iter().map(|node| node.id().to_string()).collect()
    };
    assert_eq!(ids(&filed), ["a1", "b2"]);
    filed.take(&text(&[&a])).await;
    assert_eq!(ids(&filed), ["a1"], "its pool is gone from the file");
    filed.take(&text(&[&a, &b])).await;
    assert_eq!(ids(&filed), ["a1", "b2"], "and back");
}
