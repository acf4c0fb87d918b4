//! Whose key, which pool, which node's own key; and what a stranger is told.

use crate::rig::{UNCHECKED, expect_rejection, node_of};
use crate::support::api::Api;
use crate::support::client::Dify;
use crate::support::gateway::{Gateway, parse};
use crate::support::program::free;
use crate::support::stream::Response;
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons};
use serde_json::json;
use std::net::SocketAddr;
use twolane::demo::daemon::Stop;

const CHAT: &str = "/v1/chat-messages";
const TOOL: &str = "/plugin/tenant/dispatch/tool/invoke";
const CLIENT_KEYS: [&str; 3] = ["app-chat-key-1", "app-chat-key-2", "app-batch-key"];

async fn gateway(yaml: &str) -> Gateway {
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndebug: {{ headers: true }}\n{yaml}"
    );
    Gateway::start(parse(&text)).await
}

/// Two pools of Dify's API with an application each, and keys of the nodes' own.
fn two_pools(chat: SocketAddr, batch: SocketAddr, fallback: &str) -> String {
    format!(
        "{UNCHECKED}pools:
  - name: chat
    kind: dify_api
    fail_open: false
    {fallback}
    nodes: [{{ id: c1, address: \"{chat}\", upstream_key: node-key-of-c1 }}]
  - name: batch
    kind: dify_api
    upstream_key: pool-key-of-batch
    nodes: [{{ id: b1, address: \"{batch}\" }}]
applications:
  - {{ name: chat, keys: [app-chat-key-1, app-chat-key-2], pool: chat }}
  - {{ name: batch, keys: [app-batch-key], pool: batch }}
"
    )
}

async fn ask(dify: &Dify, path: &str, headers: &[(&str, &str)]) -> Response {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    let answer = dify.raw("POST", path, &headers, b"{\"user\":\"u\"}");
    within("an answer", answer).await.unwrap()
}

fn bearer(key: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {key}"))
}

async fn with_key(dify: &Dify, key: &str) -> Response {
    let (name, value) = bearer(key);
    ask(dify, CHAT, &[(name, &value)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f156_f157_f158_a_key_leads_to_its_pool_and_the_node_is_sent_its_own() {
    let (chat, batch) = (Api::start("c1").await, Api::start("b1").await);
    let gateway = gateway(&two_pools(chat.address, batch.address, "")).await;
    let dify = gateway.dify();
    for (key, node) in [
        ("app-chat-key-1", "c1"),
        ("app-chat-key-2", "c1"),
        ("app-batch-key", "b1"),
    ] {
        let answer = with_key(&dify, key).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["answered_by"], node);
        let plain = ask(&dify, CHAT, &[("X-Api-Key", key)]).await;
        assert_eq!(plain.json()["answered_by"], node, "either header tells");
    }
    for (api, key) in [(&chat, "node-key-of-c1"), (&batch, "pool-key-of-batch")] {
        for came in api.came() {
            assert_eq!(came.values("Authorization"), [format!("Bearer {key}")]);
            assert!(came.values("X-Api-Key").is_empty());
            let wire = format!("{came:?}");
            let leaked = CLIENT_KEYS.iter().find(|key| wire.contains(**key));
            assert_eq!(leaked, None, "a client's key reaches no node");
        }
    }
    assert_eq!((chat.came().len(), batch.came().len()), (4, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn f158_a_retry_carries_the_key_of_the_node_that_it_goes_to() {
    let second = Api::start("n2").await;
    let yaml = format!(
        "{UNCHECKED}pools:
  - name: chat
    kind: dify_api
    strategy: seed
    nodes:
      - {{ id: n1, address: \"{}\", upstream_key: node-key-of-n1, role: primary }}
      - {{ id: n2, address: \"{}\", upstream_key: node-key-of-n2 }}
applications: [{{ name: chat, keys: [app-chat-key-1] }}]
",
        free(),
        second.address
    );
    let gateway = gateway(&yaml).await;
    let answer = with_key(&gateway.dify(), "app-chat-key-1").await;
    assert_eq!(
        answer.header("X-Twolane-Attempts"),
        Some("2"),
        "n1 was tried"
    );
    assert_eq!(node_of(&answer), "n2");
    let came = second.came().pop().unwrap();
    assert_eq!(came.values("Authorization"), ["Bearer node-key-of-n2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f159_a_stranger_is_told_so_in_the_callers_own_words_and_no_node_is_asked() {
    let (chat, batch) = (Api::start("c1").await, Api::start("b1").await);
    let gateway = gateway(&two_pools(chat.address, batch.address, "")).await;
    let dify = gateway.dify();
    for value in [
        "Bearer app-chat-key-",
        "Bearer ",
        "Basic app-chat-key-1",
        "app-chat-key-1",
        "",
    ] {
        let api = ask(&dify, CHAT, &[("Authorization", value)]).await;
        assert_eq!(api.status, 401, "{value}");
        assert_eq!(api.json()["code"], "unauthorized");
        assert_eq!(api.json()["status"], 401);
        assert_eq!(
            api.header("WWW-Authenticate"),
            Some("Bearer realm=\"twolane\"")
        );
        let daemon = ask(&dify, TOOL, &[("X-Api-Key", &value.replace('1', "9"))]).await;
        let told = expect_rejection(&daemon, 401, "unauthorized");
        assert!(told.contains("key is missing or unknown"), "{told}");
        assert!(daemon.text().contains("PluginDaemonUnauthorizedError"));
    }
    assert_eq!((chat.came().len(), batch.came().len()), (0, 0));
    let right = with_key(&dify, "app-chat-key-1").await;
    assert_eq!(right.status, 200, "the scheme may be written as one likes");
    let odd = ask(&dify, CHAT, &[("Authorization", "bEARER app-chat-key-1")]).await;
    assert_eq!(odd.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f162_a_dead_pool_does_not_spill_into_another_unless_that_is_named() {
    let batch = Api::start("b1").await;
    let isolated = gateway(&two_pools(free(), batch.address, "")).await;
    let answer = with_key(&isolated.dify(), "app-chat-key-1").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(
        answer.json()["code"],
        "no_node",
        "in the words of Dify's API"
    );
    assert_eq!(batch.came().len(), 0, "the other pool is left alone");

    let shared = gateway(&two_pools(free(), batch.address, "fallback_pool: batch")).await;
    let answer = with_key(&shared.dify(), "app-chat-key-1").await;
    assert_eq!(answer.json()["answered_by"], "b1");
    let came = batch.came().pop().unwrap();
    assert_eq!(came.values("Authorization"), ["Bearer pool-key-of-batch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f156_rules_lead_by_host_path_method_and_application_and_open_what_needs_no_key() {
    let (chat, batch) = (Api::start("c1").await, Api::start("b1").await);
    let yaml = two_pools(chat.address, batch.address, "")
        + "rules:
  - { application: chat, host: \"batch.*\", method: POST, path: /v1/*, pool: batch }
  - { path: /v1/info, open: true }
";
    let gateway = gateway(&yaml).await;
    let dify = gateway.dify();
    let key = bearer("app-chat-key-1").1;
    let led = ask(
        &dify,
        CHAT,
        &[("Authorization", &key), ("Host", "Batch.example:80")],
    )
    .await;
    assert_eq!(led.json()["answered_by"], "b1");
    let not = ask(
        &dify,
        CHAT,
        &[("Authorization", &key), ("Host", "chat.example")],
    )
    .await;
    assert_eq!(not.json()["answered_by"], "c1");
    let open = ask(&dify, "/v1/info", &[]).await;
    assert_eq!(open.status, 200, "{}", open.text());
    let came = chat.came().pop().unwrap();
    assert!(
        came.values("Authorization").is_empty(),
        "who is nobody has no key"
    );
    assert_eq!(ask(&dify, "/v1/infos", &[]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_and_difys_apis_stand_side_by_side_behind_one_gateway() {
    let (api, nodes) = (Api::start("a1").await, daemons(2).await);
    let yaml = format!(
        "health: {{ interval: 100ms }}
pools:
  - name: daemons
    upstream_key: the-daemons-server-key
    nodes: [\"{}\", \"{}\"]
  - name: api
    kind: dify_api
    nodes: [{{ id: a1, address: \"{}\" }}]
routes: [{{ path: /v1/, pool: api }}]
applications:
  - {{ name: dify, keys: [what-dify-sends], pool: daemons }}
",
        nodes[0].addr(),
        nodes[1].addr(),
        api.address
    );
    let gateway = gateway(&yaml).await;
    let checked = eventually("the API is asked at its own route", async || {
        api.checks() > 1
    });
    checked.await;
    let healthy = gateway.until(|gateway| {
        let nodes = gateway.embedded.live().snapshot().nodes();
        nodes
            .iter()
            .all(|node| node.is_checked() && node.is_healthy())
    });
    within("all are found well", healthy).await;

    let dify = Dify::new(gateway.embedded.data(), Some("what-dify-sends"));
    let data = crate::sim(json!({"events": 1}));
    within("a call", dify.all("tool/invoke", PLUGIN, data))
        .await
        .unwrap();
    let seen: Vec<_> = nodes.iter().flat_map(|node| node.requests()).collect();
    let call = seen.iter().find(|seen| seen.path() == TOOL).unwrap();
    assert_eq!(call.values("X-Api-Key"), ["the-daemons-server-key"]);

    // The API's pool is nobody's: its own key passes as it came, and it checks it itself.
    let answer = with_key(&gateway.dify(), "app-of-this-dify").await;
    assert_eq!(answer.json()["answered_by"], "a1");
    let came = api.came().pop().unwrap();
    assert_eq!(came.values("Authorization"), ["Bearer app-of-this-dify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_applications_every_key_passes_as_it_came() {
    let nodes = daemons(1).await;
    let gateway = Gateway::before(&[&nodes[0]], UNCHECKED).await;
    let key = [("X-Api-Key", "any"), ("Authorization", "Bearer some")];
    ask(&gateway.dify(), TOOL, &key).await;
    let seen = nodes[0].requests().pop().unwrap();
    assert_eq!(seen.values("X-Api-Key"), ["any"]);
    assert_eq!(seen.values("Authorization"), ["Bearer some"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f136_f141_no_page_of_the_operators_shows_a_key() {
    let (chat, batch) = (Api::start("c1").await, Api::start("b1").await);
    let gateway = gateway(&two_pools(chat.address, batch.address, "")).await;
    for key in CLIENT_KEYS {
        with_key(&gateway.dify(), key).await;
    }
    let secrets = [
        "app-chat-key-1",
        "app-batch-key",
        "node-key-of-c1",
        "pool-key-of-batch",
    ];
    let mut read = 0;
    for page in [
        "/status",
        "/health",
        "/cluster/nodes",
        "/cluster/stats",
        "/cluster/gateways",
        "/metrics",
        "/api/v1/decisions",
        "/api/v1/nodes/c1",
    ] {
        let text = gateway.admin(page).await.text().to_owned();
        read += text.len();
        let shown = secrets.iter().find(|secret| text.contains(**secret));
        assert_eq!(shown, None, "{page}");
    }
    assert!(read > 1000, "the pages say something");
    let printed = twolane::config::masked(&gateway.embedded.live().snapshot().config);
    assert!(printed.contains("***") && !secrets.iter().any(|it| printed.contains(it)));
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_for_plugins_are_sent_the_nodes_own_key() {
    let nodes = daemons(2).await;
    nodes[1].set_running(PLUGIN, false);
    let yaml = format!(
        "health: {{ interval: 100ms }}
cooldown: {{ absent: 200ms }}
pools:
  - name: daemons
    strategy: seed
    upstream_key: the-daemons-server-key
    nodes:
      - {{ id: n2, address: \"{}\", role: primary }}
      - {{ id: n1, address: \"{}\" }}
applications: [{{ name: dify, keys: [what-dify-sends] }}]
learn: {{ unknown: short }}
",
        nodes[1].addr(),
        nodes[0].addr()
    );
    let gateway = gateway(&yaml).await;
    let dify = Dify::new(gateway.embedded.data(), Some("what-dify-sends"));
    let data = crate::sim(json!({"events": 1}));
    within("a call", dify.all("tool/invoke", PLUGIN, data))
        .await
        .unwrap();
    let probed = eventually("n2 is probed for the plugin", async || {
        let seen = nodes[1].requests();
        seen.iter()
            .filter(|seen| seen.values("User-Agent") == ["twolane-probe"])
            .count()
            > 1
    });
    probed.await;
    for seen in nodes.iter().flat_map(|node| node.requests()) {
        let keys = seen.values("X-Api-Key");
        assert!(
            keys.is_empty() || keys == ["the-daemons-server-key"],
            "{} {keys:?}",
            seen.target
        );
    }
    nodes[0].stop(Stop::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f171_difys_own_api_answers_in_blocks_and_in_streams() {
    let chat = Api::start("c1").await;
    let gateway = gateway(&two_pools(chat.address, free(), "")).await;
    let dify = gateway.dify();
    let (name, key) = bearer(CLIENT_KEYS[0]);
    let headers = [("Content-Type", "application/json"), (name, key.as_str())];
    let send = async |mode: &str| {
        let body = json!({"query": "q", "user": "u", "response_mode": mode}).to_string();
        let answer = dify.raw("POST", CHAT, &headers, body.as_bytes());
        within("an answer", answer).await.unwrap()
    };
    let block = send("blocking").await;
    assert_eq!(block.json()["answered_by"], "c1");
    let stream = send("streaming").await;
    assert_eq!(stream.header("Content-Type"), Some("text/event-stream"));
    let events: Vec<_> = stream.text().split_terminator("\n\n").collect();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[2], "data: {\"event\":\"message_end\",\"by\":\"c1\"}");
}
