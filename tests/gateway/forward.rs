//! What goes through, unchanged.

use crate::rig::{Rig, UNCHECKED, ask, expect_rejection};
use crate::support::client::{Dify, expect_events};
use crate::support::gateway::Gateway;
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons, sim};
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use twolane::demo::daemon::{Stop, checksum};

#[tokio::test(flavor = "multi_thread")]
async fn f001_a_hundred_requests_through_three_nodes_without_redis() {
    let nodes = daemons(3).await;
    let all: Vec<_> = nodes.iter().collect();
    let gateway = Gateway::before(&all, "").await;
    let dify = gateway.dify();
    for n in 0..100 {
        let script = sim(json!({"id": format!("{n}")}));
        expect_events(within("an answer", dify.all("tool/invoke", PLUGIN, script)).await);
    }
    assert_eq!(nodes[0].ledger().len(), 100);
    assert_eq!(nodes[0].ledger().duplicates().len(), 0);
    let status = gateway.admin("/status").await.json();
    assert_eq!(status["redis"], "disabled");
    assert_eq!(gateway.in_flight(), 0);
}

/// A gateway that shows nothing of itself, before one daemon that nobody else asks.
async fn bare() -> Rig {
    let trusting = "debug: { headers: false }\ntrusted_proxies: [127.0.0.1]\n";
    Rig::new(1, &format!("{UNCHECKED}{trusting}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_the_gateway_answers_health_checks_in_the_daemons_shape() {
    let rig = Rig::new(2, "").await;
    let direct = Dify::new(rig.nodes[0].addr(), None)
        .get("/health/check")
        .await;
    let checks = rig.nodes[0].health_checks();
    let ours = rig.dify().get("/health/check").await;
    assert_eq!(ours.status, 200);
    assert_eq!(
        ours.header("Content-Type"),
        direct.header("Content-Type"),
        "probes written for a daemon should not see another type"
    );
    let (ours, direct) = (ours.json(), direct.json());
    for key in [
        "active_dispatch_requests",
        "active_requests",
        "platform",
        "status",
        "version",
    ] {
        assert!(
            direct.get(key).is_some() && ours.get(key).is_some(),
            "{key} should be in both answers"
        );
    }
    assert_eq!(ours["status"], "ok");
    assert_eq!(ours["platform"], "gateway", "a node would say local");
    assert_eq!(ours["nodes"], json!({"healthy": 2, "total": 2}));
    assert!(
        checks >= 1,
        "the gateway's own checks should reach the daemon"
    );
    let held = rig.hold(PLUGIN, 0).await;
    // Checks that were answered may not have left yet; in the end this one counts itself alone.
    eventually("only the held call and the check are inside", async || {
        let busy = rig.dify().get("/health/check").await.json();
        busy["active_dispatch_requests"] == 1 && busy["active_requests"] == 2
    })
    .await;
    rig.let_go(held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_health_checks_say_503_when_no_node_is_healthy() {
    let rig = Rig::new(2, "").await;
    for node in &rig.nodes {
        node.stop(Stop::Cut).await;
    }
    let dead = rig
        .gateway
        .until(|_| !rig.node("n1").is_healthy() && !rig.node("n2").is_healthy());
    within("both nodes are found dead", dead).await;
    let answer = rig.dify().get("/health/check").await;
    assert_eq!(answer.status, 503, "nobody can serve");
    assert_eq!(answer.json()["status"], "unavailable");
    assert_eq!(answer.json()["nodes"]["healthy"], 0);
    rig.nodes[1].restart().await.unwrap();
    let well = rig.gateway.until(|_| rig.node("n2").is_healthy());
    within("n2 is found alive again", well).await;
    assert_eq!(rig.dify().get("/health/check").await.status, 200);
}

/// What a node saw and answered, without what belongs to one connection or is added on purpose.
#[derive(Debug, PartialEq)]
struct Exchanged {
    status: u16,
    answered: Vec<(String, String)>,
    body: Vec<u8>,
    request_line: (String, String),
    headers: Vec<(String, String)>,
    request_body: (u64, u64),
}

fn end_to_end(headers: &[(String, String)]) -> Vec<(String, String)> {
    let added = [
        "connection",
        "via",
        "x-forwarded-for",
        "x-plugin-forwarded",
        "x-real-ip",
        "x-request-id",
    ];
    let lower = headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        // The second may change between the two answers; that there is a date may not.
        .map(|(name, value)| match name.as_str() {
            "date" => (name, "some second".to_owned()),
            _ => (name, value),
        });
    let mut kept: Vec<_> = lower
        .filter(|(name, _)| !added.contains(&name.as_str()))
        .collect();
    kept.sort();
    kept
}

async fn exchange(
    rig: &Rig,
    dify: &Dify,
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Exchanged {
    let answer = within("an answer", dify.raw(method, target, headers, body)).await;
    let answer = answer.unwrap_or_else(|error| panic!("{method} {target}: {error}"));
    let seen = rig.nodes[0]
        .requests()
        .pop()
        .expect("the node saw a request");
    Exchanged {
        status: answer.status,
        answered: end_to_end(&answer.headers),
        body: answer.body,
        request_line: (seen.method.clone(), seen.target.clone()),
        headers: end_to_end(&seen.headers),
        request_body: (seen.body_len, seen.body_checksum),
    }
}

/// Sends a request to the node and through the gateway, and compares all that either side saw.
async fn same(rig: &Rig, line: (&str, &str), headers: &[(&str, &str)], body: &[u8]) -> Exchanged {
    let mut all = vec![
        ("Host", "plugin-daemon.example:5002"),
        ("X-Request-Id", "the-same"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        // Of a proxy that is trusted, these are kept; `tests/hostile` is about all others.
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
    ];
    all.extend(headers);
    let node = Dify::new(rig.nodes[0].addr(), Some("a key"));
    let gateway = Dify::new(rig.gateway.embedded.data(), Some("a key"));
    let direct = exchange(rig, &node, line, &all, body).await;
    let before = rig.nodes[0].requests_seen();
    let through = exchange(rig, &gateway, line, &all, body).await;
    assert_eq!(
        rig.nodes[0].requests_seen(),
        before + 1,
        "{line:?} should reach the node exactly once"
    );
    assert_eq!(
        through, direct,
        "{line:?} should be the same through the gateway"
    );
    assert_eq!(
        through.request_line,
        (line.0.to_owned(), line.1.to_owned()),
        "the node should see method, path and query as the client wrote them"
    );
    through
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_calls_and_lists_are_the_same_through_the_gateway() {
    let rig = bare().await;
    let body = json!({"user_id": "u", "data": {"provider": "p", "tool": "t", "ünïcode": "→"}});
    let body = body.to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        ("X-Trace", "one"),
        ("X-Trace", "two"),
    ];
    for op in ["llm/invoke", "tool/invoke", "text_embedding/invoke"] {
        let target = format!("/plugin/a-tenant/dispatch/{op}");
        let call = same(&rig, ("POST", &target), &headers, body.as_bytes()).await;
        assert_eq!(call.status, 200);
        assert!(!call.body.is_empty(), "{op} should answer events");
        let framing = ("content-length".to_owned(), body.len().to_string());
        assert!(
            call.headers.contains(&framing),
            "a body with a length should reach the node with it: {:?}",
            call.headers
        );
        assert_eq!(
            call.request_body,
            (body.len() as u64, checksum(body.as_bytes()))
        );
    }
    let list = "/plugin/a-tenant/management/list?page=1&page_size=256";
    assert_eq!(same(&rig, ("GET", list), &[], b"").await.status, 200);
    let polling = "/plugin/a-tenant/dispatch/model/polling/start";
    same(&rig, ("POST", polling), &headers, body.as_bytes()).await;
    let package = vec![7_u8; 100_000];
    let upload = "/plugin/a-tenant/management/install/upload/package";
    same(&rig, ("POST", upload), &[], &package).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_every_method_of_a_webhook_is_the_same_through_the_gateway() {
    let rig = bare().await;
    let hook = [("X-Original-Host", "shop.example"), ("Cookie", "a=b; c=d")];
    for method in [
        "GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "PURGE",
    ] {
        let line = (method, "/e/hook/x?a=b&c=%20&d");
        let without = same(&rig, line, &hook, b"").await;
        assert_eq!(
            without.body.is_empty(),
            method == "HEAD",
            "only HEAD has no body"
        );
        let with = same(&rig, line, &hook, b"payload of any kind\0\r\n").await;
        if !["PATCH", "PURGE"].contains(&method) {
            assert_eq!(with.status, 200);
            assert_eq!(
                with.request_body,
                (22, checksum(b"payload of any kind\0\r\n")),
                "{method} should take its body along"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_f082_f252_f263_odd_and_unknown_paths_are_the_nodes_business() {
    let rig = bare().await;
    for (line, status) in [
        (("GET", "/e/hook/a%2Fb%20c"), 200),
        (("GET", "/e/hook/%E2%86%92"), 200),
        (("GET", "/e/hook/me@example.com:8080"), 200),
        (("GET", "/e/hook//double///slash"), 200),
        (("GET", "/e/hook/~!$&'()*+,;=-_."), 200),
        (("GET", "/e/hook/x?"), 200),
        (("GET", "/e/hook/x?a=http://b/?c"), 200),
        (("GET", "/e/hook"), 301),
        (("POST", "/e/hook"), 307),
        (("GET", "/health/check/?a=b"), 301),
        (("HEAD", "/health/check"), 404),
        (("GET", "/plugin/t/management/list/?page=1"), 301),
        (("POST", "/plugin/t/dispatch/tool/invoke/"), 307),
        (("GET", "//e/hook/x"), 404),
        (("GET", "/"), 404),
        (("GET", "/nowhere/at/all"), 404),
        (("POST", "/plugins/invoke"), 404),
        (("POST", "/plugin/t/dispatch/tool/unheard"), 404),
        (("GET", "/plugin/t/dispatch/tool/invoke"), 404),
        (("GET", "/cluster/nodes"), 404),
    ] {
        let answer = same(&rig, line, &[], b"").await;
        assert_eq!(answer.status, status, "{line:?}");
    }
    let deletion = "/plugin/t/management/install/tasks/7/delete/langgenius/openai:0.0.1@abcd";
    assert_eq!(same(&rig, ("POST", deletion), &[], b"").await.status, 200);
    let unknown = rig.dify().get("/nowhere").await;
    assert_eq!(
        unknown.text(),
        r#"{"code":"not_found","message":"route not found"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f054_a_node_sees_exactly_one_mark_whatever_the_client_sent() {
    let rig = bare().await;
    let dify = rig.dify();
    let cases: [&[(&str, &str)]; 3] = [
        &[],
        &[("X-Plugin-Forwarded", "false")],
        &[("X-Plugin-Forwarded", "0"), ("x-plugin-forwarded", "true")],
    ];
    for sent in cases {
        for (method, target) in [("GET", "/e/hook/x"), ("GET", "/plugin/t/management/list")] {
            let answer = dify.raw(method, target, sent, b"").await.unwrap();
            assert_eq!(
                answer.status, 200,
                "a client that sends the mark is still served"
            );
            let seen = rig.nodes[0].requests().pop().unwrap();
            assert_eq!(
                seen.values("X-Plugin-Forwarded"),
                ["true"],
                "{target} with {sent:?} should carry one mark"
            );
            assert_eq!(seen.values("Via").len(), 1, "one gateway was passed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f055_a_client_that_sends_the_mark_is_balanced_all_the_same() {
    let rig = Rig::new(3, &format!("{UNCHECKED}strategy: round_robin\n")).await;
    let dify = rig.dify().with("X-Plugin-Forwarded", "true");
    for _ in 0..6 {
        let answer = ask(&dify, PLUGIN, sim(json!({}))).await;
        assert_eq!(answer.status, 200);
    }
    let per_node = rig.ledger().per_node();
    assert!(
        ["n1", "n2", "n3"].iter().all(|node| per_node[*node] == 2),
        "the mark should change nothing about the choice: {per_node:?}"
    );
}

/// Connects whoever comes with the gateway.
async fn lead_back(detour: TcpListener, gateway: SocketAddr) {
    while let Ok((mut inbound, _)) = detour.accept().await {
        tokio::spawn(async move {
            let mut outbound = TcpStream::connect(gateway).await?;
            tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f055_a_gateway_among_its_own_nodes_answers_508_and_no_storm() {
    // Its configuration refuses its own address, so the way back is a detour, as in life.
    let detour = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = detour.local_addr().unwrap();
    let yaml = format!("nodes: [\"{address}\"]\n{UNCHECKED}");
    let rig = Rig {
        nodes: daemons(1).await,
        gateway: Gateway::before(&[], &yaml).await,
    };
    tokio::spawn(lead_back(detour, rig.gateway.embedded.data()));
    for (n, method) in (1..).zip(["POST", "GET"]) {
        let target = "/plugin/t/dispatch/tool/invoke";
        let answer = within("508", rig.dify().raw(method, target, &[], b"{}")).await;
        let message = expect_rejection(&answer.unwrap(), 508, "loop");
        assert!(
            message.contains("passed this gateway before"),
            "it should be said what is wrong: {message}"
        );
        rig.quiet().await;
        let loops = rig
            .metric("twolane_rejections_total", &["reason=\"loop\""])
            .await;
        assert_eq!(loops, f64::from(n), "each request should come round once");
        assert_eq!(
            rig.node(&address.to_string()).taken(),
            u64::try_from(n).unwrap()
        );
    }
}
