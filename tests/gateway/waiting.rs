//! Who waits here when the nodes are full, for how long, and who goes next?

use crate::rig::{Held, Rig, UNCHECKED, ask, class_of, expect_rejection, node_of};
use crate::support::client::Dify;
use crate::support::filed::Filed;
use crate::support::gate::{Gate, HOLD};
use crate::support::gateway::{Gateway, yaml};
use crate::support::stream::Response;
use crate::support::{eventually, within};
use crate::{PLUGIN, sim};
use serde_json::json;
use tokio::task::JoinHandle;
use twolane::model::Class;

/// A test that waits for the end of a hold would look like one that hangs.
const FOR_EVER: &str = "max_hold: 600s\n";
/// *long* is long, everything else is short.
const PINS: &str = "learn: { pins: [{ operation: \"*long*\", class: long }, \
                    { operation: \"*\", class: short }] }\n";

async fn capped(caps: &str) -> Rig {
    Rig::new(1, &format!("{UNCHECKED}{PINS}{FOR_EVER}{caps}")).await
}

fn waiting(rig: &Rig) -> usize {
    let snapshot = rig.gateway.embedded.live().snapshot();
    let room = snapshot.pools()[0].waiting.as_ref();
    let room = room.expect("a pool with caps has a room");
    Class::ALL.iter().map(|&class| room.waiting(class)).sum()
}

async fn until_waiting(rig: &Rig, many: usize) {
    eventually(&format!("{many} wait"), async || waiting(rig) == many).await;
}

/// A call of its own task; its answer once it has one.
fn call(rig: &Rig, op: &'static str, plugin: &'static str) -> JoinHandle<Response> {
    let dify = rig.dify();
    tokio::spawn(async move {
        let stream = dify.open(op, plugin, sim(json!({}))).await;
        let whole = stream.expect("the call should be sent").whole();
        within("the whole answer", whole)
            .await
            .expect("the answer should come to its end")
    })
}

async fn answer(call: JoinHandle<Response>) -> Response {
    within("the call ends", call).await.expect("no panic")
}

async fn served(call: JoinHandle<Response>, why: &str) -> Response {
    let answer = answer(call).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("X-Twolane-Why"), Some(why));
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn f047_the_second_waits_for_the_only_place_and_has_it_when_the_first_ends() {
    let rig = capped("max_in_flight: 1\n").await;
    let first = rig.hold("a/one", 0).await;
    let second = call(&rig, "tool/invoke", "a/two");
    until_waiting(&rig, 1).await;
    assert_eq!(rig.gateway.in_flight(), 1);
    assert_eq!(rig.ledger().executions().len(), 1, "the node knows of one");
    first.stream.abort();
    let answer = served(second, "after_waiting").await;
    assert!(answer.header("X-Twolane-Waited-Ms").is_some());
    rig.quiet().await;
    let waits = ["pool=\"main\"", "class=\"short\""];
    let waits = rig.metric("twolane_wait_seconds_count", &waits).await;
    assert_eq!(waits, 2.0, "one of them waited 0 s");
    let waiting = rig.metric("twolane_waiting_requests", &["pool=\"main\""]);
    assert_eq!(waiting.await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f047_no_more_than_the_cap_are_on_a_node_and_all_are_served() {
    let rig = Rig::new(2, &format!("{UNCHECKED}{PINS}{FOR_EVER}max_in_flight: 2\n")).await;
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let dify = rig.dify();
            let script = sim(json!({"ttfb_ms": 20}));
            tokio::spawn(async move { ask(&dify, "a/one", script).await })
        })
        .collect();
    for call in calls {
        assert_eq!(answer(call).await.status, 200);
    }
    rig.quiet().await;
    let all = rig.ledger().executions();
    assert_eq!(all.len(), 12, "each ran once");
    for one in &all {
        let beside = all.iter().filter(|other| {
            let runs = |at| other.accepted <= at && other.finished.is_none_or(|end| at < end);
            other.node == one.node && runs(one.accepted)
        });
        assert!(beside.count() <= 2, "{one:?} was one too many");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_call_goes_after_max_hold_although_its_parent_still_runs() {
    let caps = format!("{UNCHECKED}{PINS}max_in_flight: 1\nmax_hold: 50ms\n");
    let rig = Rig::new(2, &caps).await;
    let parents = [rig.hold("a/agent", 0).await, rig.hold("a/agent", 0).await];
    let nested = ask(&rig.dify(), "a/tool", sim(json!({}))).await;
    assert_eq!(nested.status, 200, "{}", nested.text());
    assert_eq!(nested.header("X-Twolane-Why"), Some("overdue"));
    assert_eq!(rig.gateway.in_flight(), 2, "the parents still run");
    let overdue = rig.metric("twolane_wait_overdue_total", &["pool=\"main\""]);
    assert_eq!(overdue.await, 1.0);
    for parent in parents {
        rig.let_go(parent).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f047_beyond_max_queue_dify_reads_when_to_try_again() {
    let rig = capped("max_in_flight: 1\nmax_queue: 1\n").await;
    let first = rig.hold("a/one", 0).await;
    let second = call(&rig, "tool/invoke", "a/two");
    until_waiting(&rig, 1).await;
    let third = answer(call(&rig, "tool/invoke", "a/three")).await;
    let told = expect_rejection(&third, 503, "queue_full");
    assert!(told.contains("too many requests wait"), "{told}");
    let seconds: u64 = third
        .header("Retry-After")
        .expect("it says when")
        .parse()
        .expect("in seconds");
    assert!((1..=60).contains(&seconds));
    let refused = rig.metric("twolane_wait_refused_total", &["pool=\"main\""]);
    assert_eq!(refused.await, 1.0);
    first.stream.abort();
    served(second, "after_waiting").await;
    rig.quiet().await;
    assert_eq!(rig.ledger().executions().len(), 2, "the third never ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_waits_runs_nothing_and_makes_room() {
    let rig = capped("max_in_flight: 1\nmax_queue: 1\n").await;
    let first = rig.hold("a/one", 0).await;
    let open = rig
        .dify()
        .open("tool/invoke", "a/two", sim(json!({})))
        .await;
    let second = open.expect("the call should be sent");
    until_waiting(&rig, 1).await;
    second.abort();
    until_waiting(&rig, 0).await;
    let third = call(&rig, "tool/invoke", "a/three");
    until_waiting(&rig, 1).await;
    first.stream.abort();
    served(third, "after_waiting").await;
    rig.quiet().await;
    let ran: Vec<_> = rig.ledger().executions();
    let plugins: Vec<_> = ran.iter().map(|one| one.plugin.as_str()).collect();
    assert_eq!(plugins, ["a/one", "a/three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_per_class_holds_its_class_alone_and_nothing_that_waits_for_a_model() {
    let rig = capped("max_in_flight: { long: 1 }\n").await;
    let first = rig.hold("a/long", 0).await;
    let second = call(&rig, "tool/invoke", "a/long");
    until_waiting(&rig, 1).await;
    let short = answer(call(&rig, "tool/invoke", "a/other")).await;
    assert_eq!((short.status, class_of(&short)), (200, "short"));
    let model = answer(call(&rig, "llm/invoke", "b/long")).await;
    assert_eq!((model.status, class_of(&model)), (200, "long"));
    assert_eq!(waiting(&rig), 1);
    first.stream.abort();
    served(second, "after_waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_cap_holds_that_plugin_alone() {
    let rig = capped("plugin_caps: { a/one: 1 }\n").await;
    let first = rig.hold("a/one", 0).await;
    let second = call(&rig, "tool/invoke", "a/one");
    // It was named, so its model calls wait too.
    let third = call(&rig, "llm/invoke", "a/one");
    until_waiting(&rig, 2).await;
    let other = answer(call(&rig, "tool/invoke", "a/two")).await;
    assert_eq!(other.status, 200);
    assert_eq!(waiting(&rig), 2);
    first.stream.abort();
    served(second, "after_waiting").await;
    served(third, "after_waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_by_pattern_does_not_hold_what_waits_for_a_model() {
    let rig = capped("plugin_caps: { \"a/*\": 1 }\n").await;
    let first = rig.hold("a/one", 0).await;
    let second = call(&rig, "tool/invoke", "a/one");
    until_waiting(&rig, 1).await;
    for op in ["llm/invoke", "text_embedding/invoke", "rerank/invoke"] {
        assert_eq!(answer(call(&rig, op, "a/one")).await.status, 200, "{op}");
    }
    assert_eq!(waiting(&rig), 1);
    first.stream.abort();
    served(second, "after_waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_may_have_a_cap_of_its_own() {
    let nodes = crate::daemons(2).await;
    let [one, two] = [&nodes[0], &nodes[1]].map(|node| node.addr());
    let caps = format!(
        "{UNCHECKED}{PINS}{FOR_EVER}max_in_flight: 1\nnodes:\n  \
         - {{ id: n1, address: \"{one}\" }}\n  \
         - {{ id: n2, address: \"{two}\", max_in_flight: 2 }}\n"
    );
    let gateway = Gateway::before(&[&nodes[0], &nodes[1]], &caps).await;
    let rig = Rig { nodes, gateway };
    let mut held: Vec<Held> = Vec::new();
    for _ in 0..3 {
        held.push(rig.hold("a/one", 0).await);
    }
    let on_two = held.iter().filter(|call| call.node == "n2").count();
    assert_eq!((held.len(), on_two), (3, 2));
    let fourth = call(&rig, "tool/invoke", "a/one");
    until_waiting(&rig, 1).await;
    let left = held.pop().expect("one of three");
    let node = left.node.clone();
    left.stream.abort();
    assert_eq!(node_of(&served(fourth, "after_waiting").await), node);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_requests_leave_places_to_short_ones() {
    let rig = capped("max_in_flight: 4\n").await;
    // Short ones came: there is something to reserve for.
    for _ in 0..3 {
        assert_eq!(
            ask(&rig.dify(), "a/other", sim(json!({}))).await.status,
            200
        );
    }
    let mut long = Vec::new();
    for _ in 0..3 {
        long.push(rig.hold("a/long", 0).await);
    }
    let fourth = call(&rig, "tool/invoke", "a/long");
    until_waiting(&rig, 1).await;
    assert_eq!(rig.gateway.in_flight(), 3, "one of four places is kept");
    let short = ask(&rig.dify(), "a/other", sim(json!({}))).await;
    assert_eq!(short.status, 200, "and given to a short one at once");
    assert_eq!(short.header("X-Twolane-Waited-Ms"), None);
    assert_eq!(rig.metric("twolane_short_reserve", &[]).await, 1.0);
    long.pop().expect("one of three").stream.abort();
    served(fourth, "after_waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rules_limit_holds_what_it_matches_on_all_nodes_together_and_nothing_else() {
    let rule = "rules: [{ tenant: tenant, op: \"llm/*\", limit: 2 }]\n";
    let rig = Rig::new(3, &format!("{UNCHECKED}{PINS}{FOR_EVER}{rule}")).await;
    let hang = || async {
        let script = sim(json!({"fail": "hang"}));
        let open = rig.dify().open("llm/invoke", "a/one", script).await;
        open.expect("the call should be sent")
    };
    let (first, _second) = (hang().await, hang().await);
    eventually("two run", async || rig.gateway.in_flight() == 2).await;
    // It waits for a model and not for a node; the rule names it, so it waits.
    let third = call(&rig, "llm/invoke", "b/two");
    until_waiting(&rig, 1).await;
    let other = answer(call(&rig, "tool/invoke", "a/one")).await;
    assert_eq!(other.status, 200, "the rule is not for it");
    assert_eq!((waiting(&rig), rig.gateway.in_flight()), (1, 2));
    let told = asked(&rig, "llm/invoke").await;
    assert_eq!(told["rule"], 1);
    assert_eq!(told["limit"], json!({"most": 2, "here": 2, "in_flight": 2}));
    assert!(told["notes"].to_string().contains("would wait"), "{told:#}");
    assert!(asked(&rig, "tool/invoke").await["limit"].is_null());
    first.abort();
    served(third, "after_waiting").await;
}

/// What would be said of a call of this operation.
async fn asked(rig: &Rig, op: &str) -> serde_json::Value {
    let admin = Dify::new(rig.gateway.embedded.admin(), None);
    let path = format!("/plugin/tenant/dispatch/{op}");
    let question = json!({"method": "POST", "path": path}).to_string();
    let told = admin.raw("POST", "/api/v1/explain", &[], question.as_bytes());
    within("an explanation", told)
        .await
        .expect("it comes")
        .json()
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_rules_limit_the_queue_ends_too_and_a_nested_call_goes_on() {
    let rule = "rules: [{ header: { X-Team: batch }, limit: 1 }]\n";
    let rig = capped(&format!("max_queue: 1\n{rule}")).await;
    let batch = || rig.dify().with("X-Team", "batch");
    let hang = sim(json!({"fail": "hang"}));
    let _first = batch().open("tool/invoke", "a/one", hang).await;
    eventually("it runs", async || rig.gateway.in_flight() == 1).await;
    let second = batch();
    let second = tokio::spawn(async move { ask(&second, "a/two", sim(json!({}))).await });
    until_waiting(&rig, 1).await;
    let third = ask(&batch(), "a/three", sim(json!({}))).await;
    expect_rejection(&third, 503, "queue_full");
    assert!(third.header("Retry-After").is_some());
    second.abort();
    until_waiting(&rig, 0).await;

    let soon = format!("{UNCHECKED}max_hold: 50ms\n{rule}");
    let rig = Rig::new(1, &soon).await;
    let batch = || rig.dify().with("X-Team", "batch");
    let hang = sim(json!({"fail": "hang"}));
    let _parent = batch().open("tool/invoke", "a/agent", hang).await;
    eventually("it runs", async || rig.gateway.in_flight() == 1).await;
    let nested = ask(&batch(), "a/tool", sim(json!({}))).await;
    assert_eq!(nested.status, 200, "{}", nested.text());
    assert_eq!(nested.header("X-Twolane-Why"), Some("overdue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_counting_what_runs_under_a_rule_and_a_rule_that_is_gone_holds_nobody() {
    let gate = Gate::start("n1").await;
    let rules = |rule: &str| {
        let more = format!("reload: {{ poll: \"off\" }}\n{UNCHECKED}{FOR_EVER}{rule}");
        yaml(&[gate.named()], &more)
    };
    let limited = |limit: u32| format!("rules: [{{ op: \"tool/*\", limit: {limit} }}]\n");
    let filed = Filed::start(&rules(&limited(1))).await;
    let mut calls = Vec::new();
    for _ in 0..4 {
        let dify = filed.gateway.dify();
        let body = json!({ "hold": HOLD });
        calls.push(tokio::spawn(async move {
            let stream = dify.open("tool/invoke", PLUGIN, body).await;
            stream.expect("the call should be sent").whole().await
        }));
    }
    eventually("all are inside", async || {
        filed.gateway.embedded.live().lifecycle.open() == 4
    })
    .await;
    eventually("one runs", async || gate.held() == 1).await;
    filed.take(&rules(&limited(3))).await;
    eventually("three run", async || gate.held() == 3).await;
    assert_eq!(filed.gateway.in_flight(), 3, "what ran before is counted");
    filed.take(&rules("")).await;
    eventually("all run", async || gate.held() == 4).await;
    gate.open();
    for call in calls {
        let answer = within("an answer", call).await.expect("no panic");
        assert_eq!(answer.expect("the whole answer").status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_calls_no_plugin_is_never_held() {
    let rig = capped("max_in_flight: 1\n").await;
    let first = rig.hold("a/one", 0).await;
    let list = rig.dify().get("/plugin/t/management/list").await;
    assert_ne!(list.status, 503, "{}", list.text());
    assert_eq!(waiting(&rig), 0);
    rig.let_go(first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_when_no_node_is_left() {
    let rig = capped("max_in_flight: 1\n").await;
    let first = rig.hold("a/one", 0).await;
    let second = call(&rig, "tool/invoke", "a/two");
    until_waiting(&rig, 1).await;
    rig.node("n1").set_hand(twolane::nodes::Hand::Maint);
    let told = expect_rejection(&answer(second).await, 503, "no_node");
    assert!(told.contains("1 in maintenance"), "{told}");
    first.stream.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_raises_the_cap_lets_those_go_who_wait() {
    let gate = Gate::start("n1").await;
    let rules = |cap: &str| {
        let more = format!("reload: {{ poll: \"off\" }}\n{UNCHECKED}{FOR_EVER}{cap}");
        yaml(&[gate.named()], &more)
    };
    let filed = Filed::start(&rules("max_in_flight: 1\n")).await;
    let held = || filed.gateway.dify();
    let body = json!({ "hold": HOLD });
    let mut calls = Vec::new();
    for _ in 0..3 {
        let dify = held();
        let body = body.clone();
        calls.push(tokio::spawn(async move {
            let stream = dify.open("tool/invoke", PLUGIN, body).await;
            stream.expect("the call should be sent").whole().await
        }));
    }
    eventually("one runs", async || gate.held() == 1).await;
    eventually("and two are inside", async || {
        filed.gateway.embedded.live().lifecycle.open() == 3
    })
    .await;
    filed.take(&rules("max_in_flight: 2\n")).await;
    eventually("a second one runs", async || gate.held() == 2).await;
    // Without any cap, whoever waited under the old rules goes as well.
    filed.take(&rules("")).await;
    eventually("all run", async || gate.held() == 3).await;
    gate.open();
    for call in calls {
        let answer = within("an answer", call).await.expect("no panic");
        assert_eq!(answer.expect("the whole answer").status, 200);
    }
}
