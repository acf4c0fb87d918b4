//! Nodes that register over the admin API.

use crate::rig::{become_members, daemons, id, node, works};
use crate::support::client::Dify;
use crate::support::eventually;
use crate::support::filed::Filed;
use crate::support::stream::Response;
use serde_json::{Value, json};
use std::net::SocketAddr;
use twolane::demo::daemon::Daemon;

const TOKEN: &str = "hunter2-hunter2";

/// One listed node, and a pool that takes registrations, beside one that does not.
async fn open(listed: &Daemon) -> Filed {
    let address = listed.addr();
    Filed::start(&format!(
        "listen: 127.0.0.1:0\n\
         admin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
         health: {{ interval: 200ms, timeout: 1s }}\n\
         debug: {{ headers: true }}\n\
         pools:\n\
         - name: main\n  nodes: [{{ id: n1, address: \"{address}\" }}]\n\
         \x20 discover: {{ register: true, refresh: 1h, allow: [127.0.0.0/16, 169.254.0.0/16] }}\n\
         - name: closed\n  nodes: [{{ id: other, address: \"{address}\" }}]\n"
    ))
    .await
}

async fn send(filed: &Filed, method: &str, name: &str, body: &Value) -> Response {
    let admin = Dify::new(filed.gateway.embedded.admin(), None);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let target = format!("/api/v1/nodes/{name}");
    let body = body.to_string();
    let answer = admin.raw(method, &target, &headers, body.as_bytes());
    answer.await.unwrap()
}

async fn put(filed: &Filed, name: &str, body: &Value) -> u16 {
    send(filed, "PUT", name, body).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_node_gets_traffic_until_it_leaves() {
    let all = daemons(2).await;
    let filed = open(&all[0]).await;
    let body = json!({"address": id(&all[1]), "weight": 3, "ttl": "1h"});
    assert_eq!(put(&filed, "n2", &body).await, 201, "it is new");
    become_members(&filed.gateway, &["n1", "n2", "other"]).await;
    assert_eq!(node(&filed.gateway, "n2").weight(), 3);
    assert_eq!(put(&filed, "n2", &body).await, 200, "it is renewed");
    eventually("n2 has a call", async || {
        works(&filed.gateway).await;
        all[0].ledger().per_node().contains_key("n2")
    })
    .await;
    let row = send(&filed, "GET", "n2", &Value::Null).await.json();
    assert_eq!(row["pool"], "main");
    let answer = send(&filed, "DELETE", "n2", &Value::Null).await;
    assert_eq!(answer.status, 200);
    become_members(&filed.gateway, &["n1", "other"]).await;
    let answer = send(&filed, "DELETE", "n1", &Value::Null).await;
    assert_eq!(answer.status, 404, "n1 is listed, not registered");
    works(&filed.gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_not_renewed_ends() {
    let all = daemons(2).await;
    let filed = open(&all[0]).await;
    let body = json!({"address": id(&all[1]), "ttl": "1s"});
    assert_eq!(put(&filed, "n2", &body).await, 201);
    become_members(&filed.gateway, &["n1", "n2", "other"]).await;
    // The pool looks once an hour: the end itself wakes it.
    become_members(&filed.gateway, &["n1", "other"]).await;
    assert_eq!(put(&filed, "n2", &body).await, 201, "it is new again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_register_is_refused() {
    let all = daemons(2).await;
    let filed = open(&all[0]).await;
    let own = filed.gateway.embedded.admin();
    let free: SocketAddr = "127.0.0.77:5002".parse().unwrap();
    for (name, body, status) in [
        ("a%0d%0ab", json!({"address": free}), 400),
        ("a@b", json!({"address": free}), 400),
        (&*"n".repeat(129), json!({"address": free}), 400),
        ("n2", json!({"address": "daemon:5002"}), 400),
        ("n2", json!({"address": free, "wieght": 1}), 400),
        ("n2", json!({"address": free, "weight": 0}), 400),
        ("n2", json!({"address": free, "role": "boss"}), 400),
        ("n2", json!({"address": free, "ttl": "1ms"}), 400),
        ("n2", json!({"address": free, "ttl": "2h"}), 400),
        ("n2", json!({"address": "10.0.0.1:5002"}), 403),
        ("n2", json!({"address": "169.254.169.254:80"}), 403),
        ("n2", json!({"address": "0.0.0.0:5002"}), 403),
        ("n2", json!({"address": free, "pool": "closed"}), 403),
        ("n1", json!({"address": free}), 409),
        ("other", json!({"address": free}), 409),
    ] {
        let answer = send(&filed, "PUT", name, &body).await;
        assert_eq!(answer.status, status, "{name} {body}: {}", answer.text());
    }
    assert_eq!(put(&filed, "n2", &json!({"address": free})).await, 201);
    assert_eq!(put(&filed, "n3", &json!({"address": free})).await, 409);
    let unknown = Dify::new(own, None);
    let answer = unknown.raw("PUT", "/api/v1/nodes/n4", &[], b"{}").await;
    assert_eq!(answer.unwrap().status, 401, "only who has the token");
}
