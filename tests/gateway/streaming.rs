//! Answers on their way: events as they are made, ends as they are.

use crate::rig::{Rig, UNCHECKED, expect_rejection, learned};
use crate::support::client::{Dify, DifyError};
use crate::support::stream::Stream;
use crate::support::within;
use crate::{PLUGIN, sim};
use serde_json::json;
use twolane::demo::daemon::{Fail, Plugin, Script};

async fn next(stream: &mut Stream) -> serde_json::Value {
    let event = within("the next event", stream.next()).await;
    event
        .expect("the stream should go on")
        .expect("the stream should not end yet")
}

#[tokio::test(flavor = "multi_thread")]
async fn f053_f193_each_event_arrives_while_the_node_still_holds_the_next() {
    let rig = Rig::new(1, UNCHECKED).await;
    for made in 1..=4 {
        // Nothing after the last event is ever made: what arrives cannot have waited for it.
        let mut held = rig.hold(PLUGIN, made).await;
        for seq in 0..made {
            assert_eq!(
                next(&mut held.stream).await["seq"],
                seq,
                "events come in order"
            );
        }
        let executions = rig.ledger().executions();
        let last = executions.last().expect("the call is in the ledger");
        assert!(
            last.finished.is_none(),
            "all events that were made arrived before the call was over"
        );
        rig.let_go(held).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f053_no_header_comes_before_the_nodes_first_byte() {
    let rig = Rig::new(1, UNCHECKED).await;
    rig.nodes[0].put_plugin(Plugin::blocking(PLUGIN));
    let slow = sim(json!({"id": "slow", "ttfb_ms": 300, "events": 1}));
    let mut first = rig.dify().open("tool/invoke", PLUGIN, slow).await.unwrap();
    let runs = rig
        .ledger()
        .until(|all| all.len() == 1 && all[0].started.is_some());
    within("the first call occupies the plugin", runs).await;
    let quick = sim(json!({"id": "quick", "events": 1}));
    let mut second = rig.dify().open("tool/invoke", PLUGIN, quick).await.unwrap();
    let (status, _) = within("the header", second.head()).await.unwrap();
    assert_eq!(status, 200);
    let began = rig.ledger().executions()[1].started;
    assert!(
        began.is_some(),
        "a header that comes before the plugin began would be an answer of our own"
    );
    next(&mut first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f053_a_client_that_leaves_takes_its_request_off_the_node() {
    let rig = Rig::new(1, UNCHECKED).await;
    type Leave = fn(Stream);
    let ways: [(&str, Leave); 2] = [("FIN", Stream::abort), ("RST", Stream::reset)];
    let mut calls = 0;
    for (name, leave) in ways {
        // Before the first byte, after the first event, in the middle.
        for events in [0, 1, 3] {
            let mut held = rig.hold(PLUGIN, events).await;
            calls += 1;
            for _ in 0..events {
                next(&mut held.stream).await;
            }
            assert_eq!(rig.gateway.in_flight(), 1, "the call is in flight");
            leave(held.stream);
            let told = rig.ledger().until(|all| {
                all.iter()
                    .filter(|entry| entry.client_gone.is_some())
                    .count()
                    == calls
            });
            within(
                &format!("the node loses its client by {name} after {events}"),
                told,
            )
            .await;
            rig.quiet().await;
        }
    }
    let gone = rig.metric("twolane_requests_total", &["code=\"client_gone\""]);
    assert_eq!(
        gone.await,
        calls as f64,
        "each counts as a client that left"
    );
    assert_eq!(rig.node("n1").failed(), 0, "a client's leave is no fault");
}

/// All bytes of the body until it broke, and whether it broke.
async fn raw(dify: &Dify, script: serde_json::Value) -> (Vec<u8>, bool) {
    let stream = dify.open("llm/invoke", PLUGIN, sim(script)).await;
    let mut stream = stream.expect("the call should be sent");
    let mut bytes = Vec::new();
    loop {
        match within("the next part", stream.part()).await {
            Ok(Some(part)) => bytes.extend(part),
            Ok(None) => return (bytes, false),
            Err(_) => return (bytes, true),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f132_nothing_is_injected_into_a_stream_that_breaks() {
    let rig = Rig::new(1, UNCHECKED).await;
    let node = Dify::new(rig.nodes[0].addr(), None);
    for fail in ["reset", "close"] {
        for events in [1, 3] {
            // The pause lets the events out before the reset can overtake them.
            let script = json!({"fail": fail, "fail_after": events, "gap_ms": 20});
            let direct = raw(&node, script.clone()).await;
            let through = raw(&rig.dify(), script).await;
            assert!(direct.1, "the node should break off");
            assert_eq!(
                String::from_utf8_lossy(&through.0),
                String::from_utf8_lossy(&direct.0),
                "after {fail} the client should have the node's events and nothing else"
            );
            assert!(
                through.1,
                "an end that looks clean would turn a broken answer into a short one"
            );
            rig.quiet().await;
        }
    }
    let broken = rig.metric("twolane_requests_total", &["code=\"broken\""]);
    assert_eq!(broken.await, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f132_dify_sees_one_broken_end_and_nothing_runs_twice() {
    let rig = Rig::new(3, UNCHECKED).await;
    for n in 0..10 {
        let script = json!({"id": format!("{n}"), "fail": "reset", "fail_after": 2, "gap_ms": 20});
        let mut stream = rig
            .dify()
            .open("tool/invoke", PLUGIN, sim(script))
            .await
            .unwrap();
        for seq in 0..2 {
            assert_eq!(next(&mut stream).await["seq"], seq);
        }
        let end = within("the end", stream.next()).await;
        assert!(
            matches!(end, Err(DifyError::InnerError(_))),
            "Dify should raise its one error for a broken stream, not {end:?}"
        );
    }
    rig.quiet().await;
    assert!(
        rig.ledger().duplicates().is_empty(),
        "a call that began is never repeated"
    );
    assert_eq!(rig.ledger().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_a_node_that_breaks_off_before_it_answers_is_one_line_and_one_execution() {
    let rig = Rig::new(3, UNCHECKED).await;
    for n in 0..10 {
        let script = sim(json!({"id": format!("{n}"), "fail": "reset"}));
        let stream = rig
            .dify()
            .open("tool/invoke", PLUGIN, script)
            .await
            .unwrap();
        let answer = within("an answer", stream.whole()).await.unwrap();
        expect_rejection(&answer, 502, "node_broke");
    }
    let refused = rig
        .dify()
        .all("llm/invoke", PLUGIN, sim(json!({"fail": "close"})))
        .await;
    assert!(
        matches!(refused, Err(DifyError::DaemonInternal(_))),
        "Dify should show an error of the daemon, not {refused:?}"
    );
    rig.quiet().await;
    assert!(
        rig.ledger().duplicates().is_empty(),
        "what may have run is not sent to another node"
    );
    assert_eq!(rig.ledger().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_a_hook_post_that_breaks_off_runs_once_too() {
    let rig = Rig::new(3, UNCHECKED).await;
    for node in &rig.nodes {
        node.script("e/hook", Script::failing(Fail::Reset));
    }
    let id = [("X-Request-Id", "once")];
    let answer = rig.dify().raw("POST", "/e/hook/x", &id, b"{}").await;
    expect_rejection(&answer.unwrap(), 502, "node_broke");
    assert_eq!(rig.ledger().len(), 1, "a POST is never repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn f015_first_then_close_is_success_two_hundred_times() {
    let rig = Rig::new(1, UNCHECKED).await;
    let dify = rig.dify();
    let op = "text_embedding/invoke";
    for n in 0..200 {
        // Every other answer never comes to its end: the client leaves in the middle of the answer.
        let fail = if n % 2 == 0 { "none" } else { "hang" };
        let script = sim(json!({"id": format!("{n}"), "fail": fail, "fail_after": 1}));
        let event = within("the one event", dify.first(op, PLUGIN, script)).await;
        assert_eq!(event.expect("the call should work")["op"], op);
    }
    rig.quiet().await;
    let known = learned(&rig.gateway, "text_embedding/invoke|langgenius/openai")
        .expect("the operation should have been learned");
    assert_eq!(known.total, 200, "every one of them is a sample");
    for code in ["broken", "rejected", "5xx"] {
        let label = format!("code=\"{code}\"");
        let count = rig.metric("twolane_requests_total", &[&label]).await;
        assert_eq!(
            count, 0.0,
            "a client that has what it wanted is no error: {code}"
        );
    }
    let answered = rig.metric("twolane_attempts_total", &["outcome=\"answered\""]);
    assert_eq!(
        answered.await,
        200.0,
        "every attempt counts as answered in full"
    );
    assert_eq!(rig.node("n1").failed(), 0);
    assert!(
        rig.nodes[0].open_connections() < 20,
        "connections to the node should not pile up: {}",
        rig.nodes[0].open_connections()
    );
    assert_eq!(rig.ledger().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_a_hook_that_breaks_off_runs_once_whatever_its_method() {
    let rig = Rig::new(2, UNCHECKED).await;
    let dify = rig.dify();
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST"] {
        for node in &rig.nodes {
            node.unscript("e/hook");
        }
        // Connections that were used before: on them Pingora takes a reset for bad luck.
        for _ in 0..8 {
            let warm = dify.raw(method, "/e/hook/x", &[], b"").await.unwrap();
            assert_eq!(warm.status, 200);
        }
        for node in &rig.nodes {
            node.script("e/hook", Script::failing(Fail::Reset));
        }
        let id = [("X-Request-Id", method)];
        let answer = dify.raw(method, "/e/hook/x", &id, b"").await.unwrap();
        assert_eq!(answer.status, 502, "{method}");
    }
    assert_eq!(
        rig.ledger().duplicates(),
        std::collections::BTreeMap::new(),
        "a hook runs a plugin: what may have run is not sent again, whatever the method promises"
    );
}
