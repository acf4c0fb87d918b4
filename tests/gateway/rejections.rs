//! What the gateway says in its own name, and how Dify reads it.

use crate::rig::{Rig, UNCHECKED, ask, expect_rejection, node_of};
use crate::support::client::{DifyError, expect_events};
use crate::support::{eventually, within};
use crate::{PLUGIN, sim};
use serde_json::json;
use twolane::demo::daemon::{Health, Stop};

const INVOKE: &str = "/plugin/tenant/dispatch/tool/invoke";

async fn all_dead(yaml: &str) -> Rig {
    let rig = Rig::new(3, yaml).await;
    for node in &rig.nodes {
        node.stop(Stop::Cut).await;
    }
    rig
}

/// Until the checks have found every node sick.
async fn found_sick(rig: &Rig) {
    let sick = rig.gateway.until(|_| {
        ["n1", "n2", "n3"]
            .iter()
            .all(|id| !rig.node(id).is_healthy())
    });
    within("every node is found sick", sick).await;
}

async fn expect_no_node(rig: &Rig) {
    let requests: [(&str, &str, &[u8]); 5] = [
        ("POST", INVOKE, b"{\"data\":{}}"),
        ("GET", "/plugin/tenant/management/list", b""),
        ("POST", "/e/hook/x", b"x"),
        ("GET", "/e/hook/x", b""),
        ("GET", "/nowhere", b""),
    ];
    for (method, target, body) in requests {
        let answer = within("503", rig.dify().raw(method, target, &[], body)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        let message = expect_rejection(&answer, 503, "no_node");
        assert!(
            message.contains("no available node"),
            "Dify knows a retryable error by this phrase: {message}"
        );
        assert_eq!(
            answer.header("Retry-After"),
            Some("1"),
            "trying again can help"
        );
        assert!(
            rig.nodes
                .iter()
                .all(|node| !answer.text().contains(&node.addr().to_string())),
            "addresses are nobody's business: {}",
            answer.text()
        );
    }
    for op in ["tool/invoke", "llm/invoke", "text_embedding/invoke"] {
        let result = rig.dify().all(op, PLUGIN, json!({})).await;
        assert!(
            matches!(result, Err(DifyError::Unavailable(_))),
            "Dify should call it retryable, not {result:?}"
        );
    }
    let head = within("503", rig.dify().raw("HEAD", "/e/hook/x", &[], b"")).await;
    let head = head.expect("HEAD should be answered");
    assert_eq!(
        (head.status, head.body.len(), head.header("X-Twolane-Error")),
        (503, 0, Some("no_node")),
        "an answer to HEAD has no body"
    );
    rig.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_nodes_that_all_refuse_are_one_line_that_dify_can_read() {
    let rig = all_dead(UNCHECKED).await;
    expect_no_node(&rig).await;
    let answer = ask(&rig.dify(), PLUGIN, json!({})).await;
    let message = expect_rejection(&answer, 503, "no_node");
    assert!(
        message.contains("3 nodes tried"),
        "it should be said how many were tried: {message}"
    );
    assert_eq!(rig.node("n1").taken(), rig.node("n2").taken());
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_nodes_that_are_all_sick_are_not_tried_unless_asked_for() {
    let rig = all_dead("fail_open: false\n").await;
    found_sick(&rig).await;
    let taken = || ["n1", "n2", "n3"].map(|id| rig.node(id).taken());
    let before = taken();
    expect_no_node(&rig).await;
    assert_eq!(taken(), before, "nobody should have been tried");
    let answer = ask(&rig.dify(), PLUGIN, json!({})).await;
    let message = expect_rejection(&answer, 503, "no_node");
    assert!(
        message.contains("3 nodes: 3 unhealthy"),
        "it should be said why: {message}"
    );
    expect_recovery(&rig).await;
}

/// Once one node is back, nobody is turned away any more.
async fn expect_recovery(rig: &Rig) {
    rig.nodes[1].restart().await.unwrap();
    let back = rig.gateway.until(|_| rig.node("n2").is_healthy());
    within("the checks find it well", back).await;
    for _ in 0..20 {
        let answer = ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
        assert_eq!(
            (answer.status, node_of(&answer)),
            (200, "n2"),
            "the one that is back serves"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_a_wrong_verdict_about_all_nodes_takes_nobody_down_when_failing_open() {
    for (fail_open, status) in [(true, 200), (false, 503)] {
        let rig = Rig::new(3, &format!("fail_open: {fail_open}\n")).await;
        for node in &rig.nodes {
            let well = node.health();
            node.set_health(Health {
                body: Some("{\"status\":\"bad\"}".to_owned()),
                ..well
            });
        }
        found_sick(&rig).await;
        for _ in 0..5 {
            let answer = ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
            assert_eq!(answer.status, status, "fail_open: {fail_open}");
            let why = fail_open.then_some("fail_open");
            assert_eq!(answer.header("X-Twolane-Why"), why);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_f148_a_node_that_says_nothing_is_a_504_of_one_line() {
    let rig = Rig::new(
        3,
        &format!("{UNCHECKED}timeouts: {{ connect: 100ms, read: 1s }}\n"),
    )
    .await;
    let hang = || sim(json!({"id": "once", "fail": "hang"}));
    let answer = ask(&rig.dify(), PLUGIN, hang()).await;
    expect_rejection(&answer, 504, "node_timeout");
    assert_eq!(
        rig.ledger().len(),
        1,
        "a call that may run is never sent again"
    );
    let result = rig.dify().all("llm/invoke", PLUGIN, hang()).await;
    assert!(
        matches!(result, Err(DifyError::DaemonInternal(_))),
        "Dify should show an error of the daemon, not {result:?}"
    );
    let left = rig
        .ledger()
        .until(|all| all.iter().all(|entry| entry.client_gone.is_some()));
    within("the nodes are told that nobody waits", left).await;
    rig.quiet().await;
}

/// Seed 002 cut calls off after 300 s of silence, though a daemon lets them run for 600; here, with
/// every time two hundred times as short, a call that is silent for 310 s of 660.
#[tokio::test(flavor = "multi_thread")]
async fn f197_a_call_that_is_silent_for_five_minutes_is_waited_for() {
    let scaled = format!("{UNCHECKED}timeouts: {{ connect: 100ms, read: 3300ms }}\n");
    let rig = Rig::new(1, &scaled).await;
    let silent = sim(json!({"ttfb_ms": 1550, "events": 1}));
    let answer = ask(&rig.dify(), PLUGIN, silent).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_silence_in_the_middle_of_a_stream_is_a_broken_end() {
    let rig = Rig::new(
        1,
        &format!("{UNCHECKED}timeouts: {{ connect: 100ms, read: 1s }}\n"),
    )
    .await;
    let script = sim(json!({"fail": "hang", "fail_after": 2}));
    let mut stream = rig.dify().open("llm/invoke", PLUGIN, script).await.unwrap();
    for _ in 0..2 {
        let event = within("an event", stream.next()).await;
        event.expect("two events come before the silence");
    }
    let end = within("the end", stream.next()).await;
    assert!(
        matches!(end, Err(DifyError::InnerError(_))),
        "a stream that fell silent should break, not {end:?}"
    );
    rig.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f055_too_many_gateways_behind_one_another_are_a_508_of_one_line() {
    let rig = Rig::new(1, &format!("{UNCHECKED}loops: {{ max_hops: 2 }}\n")).await;
    let passed = [
        ("Via", "1.1 twolane-00000001"),
        ("Via", "1.1 proxy, 1.1 twolane-00000002"),
    ];
    let answer = rig.dify().raw("POST", INVOKE, &passed, b"{}").await;
    expect_rejection(&answer.unwrap(), 508, "loop");
    assert_eq!(rig.nodes[0].requests_seen(), 0);
    let one = rig.dify().raw("GET", "/e/hook/x", &passed[..1], b"").await;
    assert_eq!(
        one.unwrap().status,
        200,
        "one gateway before this one is allowed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_daemon_that_restarts_is_waited_for_where_that_is_wanted() {
    let rig = Rig::new(1, &format!("{UNCHECKED}retry: {{ wait: 60s }}\n")).await;
    rig.nodes[0].stop(Stop::Cut).await;
    let dify = rig.dify();
    let call = tokio::spawn(async move {
        let script = sim(json!({"id": "patient"}));
        dify.all("tool/invoke", PLUGIN, script).await
    });
    eventually("the node is asked again and again", async || {
        let page = rig.gateway.metrics().await;
        page.sum("twolane_attempts_total", &["outcome=\"unreached\""]) > 4.0
    })
    .await;
    assert!(!call.is_finished(), "it waits");
    rig.nodes[0].restart().await.unwrap();
    expect_events(within("an answer", call).await.unwrap());
    assert_eq!(rig.ledger().len(), 1, "it ran once");
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends() {
    let rig = Rig::new(1, &format!("{UNCHECKED}retry: {{ wait: 50ms }}\n")).await;
    rig.nodes[0].stop(Stop::Cut).await;
    let answer = rig.dify().raw("POST", INVOKE, &[], b"{}").await.unwrap();
    expect_rejection(&answer, 503, "no_node");
}
