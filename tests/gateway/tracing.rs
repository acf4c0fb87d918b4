//! By which names a request is known to the node, to the client and here.

use crate::rig::{Rig, ask, expect_rejection, node_of};
use crate::support::gateway::Gateway;
use crate::support::stream::Response;
use crate::{PLUGIN, sim};
use serde_json::json;
use std::collections::BTreeSet;
use twolane::demo::daemon::{Script, Seen, Stop};

const TARGET: &str = "/plugin/tenant/dispatch/tool/invoke";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn post(rig: &Rig, headers: &[(&str, &str)]) -> Response {
    let mut all = vec![
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
    ];
    all.extend(headers);
    let body = json!({"user_id": "u", "data": sim(json!({}))}).to_string();
    let answer = rig.dify().raw("POST", TARGET, &all, body.as_bytes()).await;
    answer.expect("the call should be answered")
}

/// What the nodes saw of calls, the latest last.
fn seen(rig: &Rig) -> Vec<Seen> {
    let all = rig.nodes.iter().flat_map(|node| node.requests());
    all.filter(|seen| seen.path().contains("/dispatch/"))
        .collect()
}

fn last(rig: &Rig) -> Seen {
    seen(rig).pop().expect("a node saw the call")
}

#[tokio::test(flavor = "multi_thread")]
async fn f215_the_same_id_is_in_the_decisions_at_the_node_and_in_the_answer() {
    let rig = Rig::new(1, "").await;
    let mut ids = BTreeSet::new();
    for given in [None, Some("req-1.a_B"), Some("two words"), Some(""), None] {
        let header = given.map(|given| ("X-Request-Id", given));
        let answer = post(&rig, header.as_slice()).await;
        let told = answer
            .header("X-Request-Id")
            .expect("the client is told")
            .to_owned();
        assert_eq!(
            last(&rig).values("X-Request-Id"),
            [&told],
            "and the node, once"
        );
        if given == Some("req-1.a_B") {
            assert_eq!(told, "req-1.a_B", "a usable id is kept");
        } else {
            assert!(!told.is_empty() && Some(told.as_str()) != given, "{told}");
        }
        let decisions = rig
            .gateway
            .admin(&format!("/api/v1/decisions/{told}"))
            .await;
        assert_eq!(
            decisions.status,
            200,
            "and it can be looked up: {}",
            decisions.text()
        );
        assert!(ids.insert(told), "each request has its own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f215_our_own_answers_and_a_nodes_errors_carry_the_id_too() {
    let rig = Rig::new(1, "").await;
    let id = [("X-Request-Id", "mine")];
    let told = |answer: &Response| answer.header("X-Request-Id").map(str::to_owned);
    let health = rig
        .dify()
        .raw("GET", "/health/check", &id, b"")
        .await
        .unwrap();
    assert_eq!(told(&health).as_deref(), Some("mine"));
    rig.nodes[0].script("tool/invoke", Script::status(500, "broken\n"));
    let error = post(&rig, &id).await;
    assert_eq!(told(&error).as_deref(), Some("mine"), "{}", error.text());
    let denied = rig.dify().raw("GET", "/metrics", &id, b"").await.unwrap();
    expect_rejection(&denied, 404, "denied");
    assert_eq!(told(&denied).as_deref(), Some("mine"));
    rig.nodes[0].stop(Stop::Cut).await;
    let nobody = post(&rig, &id).await;
    expect_rejection(&nobody, 503, "no_node");
    assert_eq!(told(&nobody).as_deref(), Some("mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_passed_on_or_begun() {
    let rig = Rig::new(1, "").await;
    let state = ("tracestate", "vendor=1");
    post(&rig, &[("traceparent", TRACE), state]).await;
    let passed = last(&rig);
    assert_eq!(passed.values("traceparent"), [TRACE], "untouched");
    assert_eq!(passed.values("tracestate"), ["vendor=1"]);
    let mut traces = BTreeSet::new();
    for bad in [None, Some("00-0-0-0"), Some(&TRACE.to_uppercase())] {
        let given: Vec<_> = bad.into_iter().map(|bad| ("traceparent", bad)).collect();
        post(&rig, &[&given[..], &[state]].concat()).await;
        let begun = last(&rig);
        let [trace] = begun.values("traceparent")[..] else {
            panic!("one trace is begun, not {:?}", begun.values("traceparent"));
        };
        assert!(twolane::model::is_trace_parent(trace.as_bytes()), "{trace}");
        assert!(traces.insert(trace.to_owned()), "each its own");
        assert!(
            begun.values("tracestate").is_empty(),
            "it belonged to no trace"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_goes_to_another_node_keeps_its_names() {
    let rig = Rig::new(3, "retry: { attempts: 3 }\n").await;
    let elsewhere = r#"{"code":-500,"message":"{\"message\":\"no available node, plugin runtime not found\",\"error_type\":\"PluginDaemonInternalServerError\",\"args\":null}","data":null}"#;
    for node in &rig.nodes {
        node.script("tool/invoke", Script::status(404, elsewhere));
    }
    post(&rig, &[]).await;
    let seen = seen(&rig);
    assert!(seen.len() > 1, "several nodes were asked");
    for name in ["X-Request-Id", "traceparent"] {
        let names: BTreeSet<_> = seen.iter().flat_map(|seen| seen.values(name)).collect();
        assert_eq!(names.len(), 1, "{name} is the same at each: {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_nothing_is_added() {
    let off = "tracing: { request_id: false, traceparent: false }\n";
    let rig = Rig::new(1, off).await;
    let answer = post(&rig, &[]).await;
    assert_eq!(answer.header("X-Request-Id"), None);
    for name in ["X-Request-Id", "traceparent"] {
        assert!(last(&rig).values(name).is_empty(), "{name}");
    }
    post(&rig, &[("X-Request-Id", "two words"), ("traceparent", "x")]).await;
    assert_eq!(
        last(&rig).values("X-Request-Id"),
        ["two words"],
        "and nothing is taken away"
    );
    assert_eq!(last(&rig).values("traceparent"), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f090_who_holds_the_admin_token_sees_what_becomes_of_his_request() {
    let guarded = "admin: { listen: 127.0.0.1:0, token: s3cret }\ndebug: { headers: false }\n";
    let rig = Rig::new(2, guarded).await;
    let shown = |answer: &Response| answer.header("X-Twolane-Node").is_some();
    assert!(!shown(&post(&rig, &[]).await), "the others see nothing");
    for (trace, sees) in [("s3cret", true), ("s3cre", false), ("1", false)] {
        let answer = post(&rig, &[("X-Twolane-Trace", trace)]).await;
        assert_eq!(shown(&answer), sees, "{trace}");
        assert_eq!(answer.header("X-Twolane-Why").is_some(), sees);
        let forwarded = seen(&rig);
        let forwarded = forwarded
            .iter()
            .flat_map(|seen| seen.values("X-Twolane-Trace"));
        assert_eq!(forwarded.count(), 0, "no node is told a token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f152_who_holds_the_admin_token_tries_one_node_and_no_other_steps_in() {
    let guarded = "admin: { listen: 127.0.0.1:0, token: s3cret }\ndebug: { headers: true }\n";
    let rig = Rig::new(3, guarded).await;
    let to = |node: &'static str| [("X-Twolane-Trace", "s3cret"), ("X-Twolane-Node", node)];
    for node in ["n2", "n3", "n2", "n1", "n2"] {
        assert_eq!(node_of(&post(&rig, &to(node)).await), node);
    }
    let seen = seen(&rig);
    let told = seen.iter().flat_map(|seen| seen.values("X-Twolane-Node"));
    assert_eq!(told.count(), 0, "no node is told");
    let mut others = BTreeSet::new();
    for _ in 0..30 {
        let ignored = post(&rig, &[("X-Twolane-Node", "n2")]).await;
        others.insert(node_of(&ignored).to_owned());
    }
    assert!(
        others.len() > 1,
        "without the token it is ignored: {others:?}"
    );
    rig.nodes[1].stop(Stop::Cut).await;
    let told = expect_rejection(&post(&rig, &to("n2")).await, 503, "no_node");
    assert!(told.contains("n2 was asked for"), "{told}");
    let told = expect_rejection(&post(&rig, &to("n9")).await, 503, "no_node");
    assert!(told.contains("n9 was asked for"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f090_without_an_admin_token_nobody_holds_it() {
    let nodes = crate::daemons(1).await;
    let gateway = Gateway::before(&[&nodes[0]], "debug: { headers: false }\n").await;
    let dify = gateway.dify().with("X-Twolane-Trace", "");
    let answer = ask(&dify, PLUGIN, sim(json!({}))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("X-Twolane-Node"), None);
}
