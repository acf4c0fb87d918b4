//! Rests and repetition, row by row: seed 001's cooldown and failover, seed 002's failures, and the
//! promises of the article about availability.

use crate::rig::{Rig, UNCHECKED, expect_rejection, node_of};
use crate::support::client::{Dify, DifyError, expect_events};
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::stream::Response;
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons, sim};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use twolane::demo::daemon::{Fail, Script, StatusAnswer, Stop};

const INVOKE: &str = "/plugin/tenant/dispatch/tool/invoke";
const LIST: &str = "/plugin/tenant/management/list";

/// Every request tries the first node first.
async fn rig(nodes: usize, more: &str) -> Rig {
    let first = "strategy: seed\nlearn: { unknown: short }\n";
    Rig::new(nodes, &format!("{UNCHECKED}{first}{more}")).await
}

fn status(code: u16, retry_after: Option<&str>) -> Script {
    let headers = retry_after.map(|seconds| ("Retry-After".to_owned(), seconds.to_owned()));
    Script::failing(Fail::Status(StatusAnswer {
        code,
        body: r#"{"code":-500,"message":"{}","data":null}"#.to_owned(),
        headers: headers.into_iter().collect::<BTreeMap<_, _>>(),
    }))
}

async fn call(dify: &Dify) -> Response {
    let body = json!({"user_id": "u", "data": sim(json!({}))}).to_string();
    let headers = [
        ("X-Plugin-ID", PLUGIN),
        ("Content-Type", "application/json"),
    ];
    let answer = dify.raw("POST", INVOKE, &headers, body.as_bytes());
    within("an answer", answer).await.unwrap()
}

/// The row of a node on `/cluster/nodes`.
async fn shown(rig: &Rig, id: &str) -> Value {
    let page = rig.gateway.admin("/cluster/nodes").await.json();
    let rows = page["nodes"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == id);
    row.expect("the node is on the page").clone()
}

async fn resting(rig: &Rig, id: &str) -> f64 {
    shown(rig, id).await["resting_ms"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f122_f124_f125_a_node_that_asks_for_a_pause_gets_it_to_the_second() {
    let rig = rig(2, "").await;
    assert_eq!(resting(&rig, "n1").await, 0.0, "zero when it does not rest");
    rig.nodes[0].script("tool/invoke", status(429, Some("60")));
    assert_eq!(
        call(&rig.dify()).await.status,
        429,
        "a call is not repeated"
    );
    rig.nodes[0].unscript("tool/invoke");
    let first = resting(&rig, "n1").await;
    assert!((50_000.0..=60_000.0).contains(&first), "{first} ms");
    for _ in 0..20 {
        assert_eq!(node_of(&call(&rig.dify()).await), "n2", "it rests");
    }
    assert!(resting(&rig, "n1").await < first, "the time runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn f125_a_vendors_limit_rests_nobody_and_passes_unchanged() {
    let rig = rig(2, "cooldown: { max_fails: 1 }\n").await;
    rig.nodes[0].script("tool/invoke", Script::failing(Fail::PluginError));
    for _ in 0..5 {
        let answer = rig.dify().all("tool/invoke", PLUGIN, sim(json!({}))).await;
        assert!(
            matches!(answer, Err(DifyError::Plugin { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(resting(&rig, "n1").await, 0.0);
    assert_eq!(rig.ledger().per_node()["n1"], 5, "and it still gets calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn f126_f251_a_node_that_refuses_is_passed_over_at_once_and_rests() {
    let rig = rig(2, "cooldown: { max_fails: 1 }\n").await;
    rig.nodes[0].stop(Stop::Cut).await;
    let answer = call(&rig.dify()).await;
    assert_eq!((answer.status, node_of(&answer)), (200, "n2"));
    let rest = resting(&rig, "n1").await;
    assert!(rest > 0.0 && rest <= 10_000.0, "{rest} ms");
    let unreached = rig.metric("twolane_attempts_total", &["unreached"]).await;
    call(&rig.dify()).await;
    let after = rig.metric("twolane_attempts_total", &["unreached"]).await;
    assert_eq!(after, unreached, "nobody knocks while it rests");
}

#[tokio::test(flavor = "multi_thread")]
async fn f127_a_refusal_of_the_request_itself_is_final() {
    let rig = rig(3, "").await;
    for code in [400, 401, 403, 404, 413, 422] {
        rig.nodes[0].script("tool/invoke", status(code, None));
        let before: u64 = rig.nodes.iter().map(|node| node.requests_seen()).sum();
        assert_eq!(call(&rig.dify()).await.status, code, "as the node said it");
        let after: u64 = rig.nodes.iter().map(|node| node.requests_seen()).sum();
        assert_eq!(after - before, 1, "{code} is asked about once");
    }
    assert_eq!(resting(&rig, "n1").await, 0.0, "and is nobody's failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn f128_f129_with_one_node_resting_the_other_serves_and_with_both_somebody_does() {
    let rig = rig(2, "").await;
    rig.nodes[0].script("tool/invoke", status(503, Some("60")));
    call(&rig.dify()).await;
    rig.nodes[0].unscript("tool/invoke");
    let dify = rig.dify();
    let answers = crate::rig::ask_at_once(&dify, PLUGIN, &sim(json!({})), 200).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && node_of(answer) == "n2"),
        "one rests, so the other serves all"
    );
    rig.nodes[1].script("tool/invoke", status(503, Some("30")));
    call(&rig.dify()).await;
    rig.nodes[1].unscript("tool/invoke");
    let answer = call(&rig.dify()).await;
    assert_eq!(
        (answer.status, node_of(&answer)),
        (200, "n2"),
        "no more than half rest: the one with less left to rest is woken"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f131_f184_no_node_is_asked_twice_and_no_more_than_three() {
    let rig = rig(5, "").await;
    for node in &rig.nodes[..2] {
        node.stop(Stop::Cut).await;
    }
    let answer = call(&rig.dify()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("X-Twolane-Attempts"), Some("3"));
    for node in &rig.nodes[2..] {
        node.stop(Stop::Cut).await;
    }
    let before = rig.metric("twolane_attempts_total", &["unreached"]).await;
    expect_rejection(&call(&rig.dify()).await, 503, "no_node");
    let after = rig.metric("twolane_attempts_total", &["unreached"]).await;
    assert_eq!(after - before, 3.0, "exactly three attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn f133_f183_a_call_that_may_have_run_is_not_repeated_and_a_read_is() {
    let rig = rig(2, "").await;
    rig.nodes[0].script("tool/invoke", Script::failing(Fail::Reset));
    assert_eq!(call(&rig.dify()).await.status, 502);
    assert_eq!(rig.ledger().len(), 1, "one execution in all");
    rig.nodes[0].stop(Stop::Cut).await;
    let answer = rig.dify().get(LIST).await;
    assert_eq!((answer.status, node_of(&answer)), (200, "n2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f185_nothing_is_repeated_after_the_deadline() {
    for (deadline, status) in [("1ms", 502), ("10m", 200)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nodes = daemons(1).await;
        let named = [
            ("slow".to_owned(), listener.local_addr().unwrap()),
            ("n1".to_owned(), nodes[0].addr()),
        ];
        let rules = format!("{UNCHECKED}strategy: seed\nretry: {{ deadline: {deadline} }}\n");
        let gateway = Gateway::start(parse(&yaml(&named, &rules))).await;
        let slow = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            // Longer than the deadline; then it breaks off.
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        let answer = within("an answer", gateway.dify().get(LIST)).await;
        assert_eq!(answer.status, status, "with {deadline}");
        slow.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f188_without_any_node_the_answer_is_the_daemons_envelope() {
    let rig = rig(1, "fail_open: false\n").await;
    rig.nodes[0].stop(Stop::Cut).await;
    let message = expect_rejection(&call(&rig.dify()).await, 503, "no_node");
    assert!(message.contains("no available node"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f261_a_killed_primary_is_replaced_by_the_first_call_after_it() {
    let rig = rig(2, "cooldown: { base: 100ms }\n").await;
    expect_events(rig.dify().all("tool/invoke", PLUGIN, sim(json!({}))).await);
    rig.nodes[0].stop(Stop::Cut).await;
    for _ in 0..10 {
        assert_eq!(rig.dify().get(LIST).await.status, 200, "no read fails");
    }
    rig.nodes[0].restart().await.unwrap();
    eventually("the primary is back", async || {
        node_of(&call(&rig.dify()).await) == "n1"
    })
    .await;
}

/// A node that reads a call and answers it with these bytes.
async fn answering(answer: String) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let (mut held, mut part) = (Vec::new(), [0; 4096]);
                while !held.ends_with(b"}") {
                    match stream.read(&mut part).await {
                        Ok(read) if read > 0 => held.extend_from_slice(&part[..read]),
                        _ => return,
                    }
                }
                // Whoever hears enough may hang up.
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_no_told_length_is_read_too_and_rests_its_node() {
    let line = |message: &str| {
        let error = json!({"error_type": "PluginDaemonInternalServerError", "message": message});
        json!({"code": -500, "message": error.to_string(), "data": null}).to_string()
    };
    let chunked = |status: u16, body: &str| {
        let size = body.len();
        let piece = if body.is_empty() {
            String::new()
        } else {
            format!("{size:x}\r\n{body}\r\n")
        };
        format!("HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\n\r\n{piece}0\r\n\r\n")
    };
    let closed = |body: &str| format!("HTTP/1.1 502 x\r\nConnection: close\r\n\r\n{body}");
    // What it answers; what the client gets, and how many of ten calls are lost.
    for (answer, status, lost) in [
        (chunked(502, &line("it broke")), 502, 3),
        (chunked(500, &line("redis is down")), 200, 0),
        (chunked(502, ""), 502, 3),
        (closed("<html>bad gateway</html>"), 502, 3),
        (chunked(503, &"x".repeat(200_000)), 502, 3),
        (
            chunked(404, &line("no available node, plugin runtime not found")),
            200,
            0,
        ),
    ] {
        let what = answer.chars().take(60).collect::<String>();
        let (sick, well) = (answering(answer).await, daemons(1).await);
        let nodes = [("n1".to_owned(), sick), ("n2".to_owned(), well[0].addr())];
        let rules = format!("{UNCHECKED}strategy: round_robin\nlearn: {{ unknown: short }}\n");
        let gateway = Gateway::start(parse(&yaml(&nodes, &rules))).await;
        let mut failed = 0;
        for _ in 0..10 {
            let answer = call(&gateway.dify()).await;
            let text = answer.text();
            assert!(text.starts_with(['{', 'd']), "{what}: {text:?}");
            if answer.status != 200 {
                failed += 1;
                assert_eq!(answer.status, status, "{what}");
                assert_eq!(text.trim_end().lines().count(), 1, "{what}: {text:?}");
            }
        }
        assert_eq!(failed, lost, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d28_failures_now_and_then_on_both_nodes_take_neither_away() {
    let rig = rig(2, "").await;
    let mut rng = fastrand::Rng::with_seed(28);
    let mut failed = 0;
    for _ in 0..400 {
        for node in &rig.nodes {
            if rng.f64() < 0.05 {
                node.script("tool/invoke", status(502, None));
            } else {
                node.unscript("tool/invoke");
            }
        }
        let answer = call(&rig.dify()).await;
        assert!([200, 502].contains(&answer.status), "{}", answer.status);
        failed += usize::from(answer.status == 502);
    }
    assert!(
        (1..60).contains(&failed),
        "what failed did, and no more: {failed}"
    );
}
