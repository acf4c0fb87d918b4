//! Explanations that are what then happens, decisions that are found again, a shadow that only
//! watches, and what an operator programs in YAML.

use crate::rig::{Rig, UNCHECKED, ask, basis_of, class_of, node_of, tool};
use crate::support::client::Dify;
use crate::support::stream::Response;
use crate::support::within;
use crate::{PLUGIN, sim};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use twolane::learn::{Classifier, Running};
use twolane::model::{Class, Dice, Operation, Request, Sample, Verdict, clock};
use twolane::nodes::{Candidates, Hand};
use twolane::select::{Choice, Strategy};
use twolane::server::Options;

const TOOL: &str = "/plugin/tenant/dispatch/tool/invoke";

async fn post(rig: &Rig, path: &str, body: &Value) -> Response {
    let admin = Dify::new(rig.gateway.embedded.admin(), None);
    let body = body.to_string();
    let answer = admin.raw("POST", path, &[], body.as_bytes());
    within("the operator's answer", answer).await.unwrap()
}

/// What would happen to a tool call of this plugin.
async fn explain(rig: &Rig, plugin: &str) -> Value {
    let body = json!({"user_id": "user", "data": sim(json!({}))}).to_string();
    let question = json!({
        "method": "POST", "path": TOOL, "headers": {"X-Plugin-ID": plugin}, "body": body,
    });
    let answer = post(rig, "/api/v1/explain", &question).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn call(rig: &Rig, plugin: &str) -> Response {
    ask(&rig.dify(), plugin, sim(json!({}))).await
}

async fn decisions(rig: &Rig, of: &str) -> Response {
    let path = format!("/api/v1/decisions{of}");
    rig.gateway.admin(&path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f110_an_explanation_is_what_then_happens_and_changes_nothing() {
    for strategy in ["round_robin", "weighted_round_robin", "seed"] {
        let yaml = format!("{UNCHECKED}strategy: {strategy}\nlearn: {{ unknown: long }}\n");
        let rig = Rig::new(4, &yaml).await;
        for _ in 0..7 {
            let told = explain(&rig, PLUGIN).await;
            let again = explain(&rig, PLUGIN).await;
            assert_eq!(told["choice"], again["choice"], "it takes no turn");
            assert_eq!(rig.gateway.in_flight(), 0, "and no lease");
            let answer = call(&rig, PLUGIN).await;
            assert_eq!(told["choice"]["node"], node_of(&answer), "{strategy}");
            assert_eq!(
                told["choice"]["why"].as_str(),
                answer.header("X-Twolane-Why")
            );
            assert_eq!(told["class"]["class"], class_of(&answer));
            assert_eq!(told["class"]["basis"], basis_of(&answer));
            rig.quiet().await;
        }
        let live = rig.gateway.embedded.live();
        assert_eq!(live.plugins.len(), 1, "only requests make plugins known");
        let before = live.learner.len();
        explain(&rig, "never/seen").await;
        assert_eq!((live.plugins.len(), live.learner.len()), (1, before));
        let sent = rig.ledger().executions().len();
        assert_eq!(sent, 7, "nothing was sent for an explanation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f110_each_node_says_why_it_may_not_serve_and_scores_are_shown() {
    let rig = Rig::new(5, UNCHECKED).await;
    let (node, now) = (|id: &str| rig.node(id), clock::now());
    call(&rig, PLUGIN).await;
    rig.quiet().await;
    let place = rig.gateway.embedded.live().plugins.find(Some(PLUGIN));
    for id in ["n1", "n5"] {
        node(id).note_present(place.place());
    }
    node("n2").set_hand(Hand::Drain);
    node("n3").set_healthy(false);
    node("n4").note_absent(place.place(), now, Duration::from_secs(60));
    let held = rig.hold(PLUGIN, 0).await;
    let told = explain(&rig, PLUGIN).await;
    let against: Vec<_> = told["nodes"].as_array().unwrap().iter().collect();
    let words = ["n1", "n2", "n3", "n4", "n5"].map(|id| {
        let row = against.iter().find(|row| row["node"] == id).unwrap();
        row["against"].as_str().map(str::to_owned)
    });
    assert_eq!(
        words.each_ref().map(|word| word.as_deref()),
        [
            None,
            Some("draining"),
            Some("unhealthy"),
            Some("said that the plugin is not there"),
            None
        ]
    );
    let row = |id: &str| against.iter().find(|row| row["node"] == id).unwrap();
    let busy = row(&held.node);
    assert_eq!(busy["in_flight"]["same_plugin"], 1);
    assert_eq!(busy["presence"], "present");
    let free = if held.node == "n1" { "n5" } else { "n1" };
    let score = |id: &str| row(id)["score"].as_f64().unwrap();
    assert!(score(free) < score(&held.node), "{told:#}");
    assert_eq!(told["choice"]["node"], free);
    assert_eq!(told["least_in_flight"]["node"], free);
    assert!(row("n2")["score"].is_null(), "who may not serve has none");
    rig.let_go(held).await;

    for id in ["n1", "n4", "n5"] {
        node(id).set_hand(Hand::Maint);
    }
    node("n3").set_hand(Hand::Maint);
    let told = explain(&rig, PLUGIN).await;
    assert!(told["choice"].is_null());
    assert_eq!(told["nobody"], "5 nodes: 1 draining, 4 in maintenance");
}

#[tokio::test(flavor = "multi_thread")]
async fn f110_what_would_be_refused_or_is_no_question_is_said() {
    let rig = Rig::new(1, UNCHECKED).await;
    let denied = json!({"method": "GET", "path": "/metrics?token=hunter2"});
    let told = post(&rig, "/api/v1/explain", &denied).await;
    assert!(!told.text().contains("hunter2"), "a query is not repeated");
    let refused = told.json()["refused"].as_str().unwrap().to_owned();
    assert!(refused.contains("kinds.denied"), "{refused}");
    for (question, what) in [
        (json!({"path": "/x"}), "missing field `method`"),
        (json!({"method": "GET", "path": "x"}), "begins with `/`"),
        (
            json!({"method": "GET", "path": "/x", "headers": {"a b": "c"}}),
            "not a header",
        ),
    ] {
        let answer = post(&rig, "/api/v1/explain", &question).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(what), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_is_shown_level_by_level() {
    let rig = Rig::new(1, &format!("{UNCHECKED}learn: {{ min_samples: 2 }}\n")).await;
    for _ in 0..3 {
        ask(&rig.dify(), PLUGIN, tool("t", json!({}))).await;
    }
    rig.quiet().await;
    let told = explain(&rig, PLUGIN).await;
    let class = &told["class"];
    assert_eq!(
        (class["class"].as_str(), class["basis"].as_str()),
        (Some("short"), Some("learned"))
    );
    assert_eq!(class["samples"], 3);
    assert_eq!(class["threshold_ms"], 5000.0);
    let keys: Vec<_> = class["keys"].as_array().unwrap().iter().collect();
    assert_eq!(keys.len(), 3, "{told:#}");
    assert_eq!(keys[0]["says"], "short");
    assert_eq!(keys[2]["key"], "tool/invoke");
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_found_by_the_clients_id_or_ours_and_the_oldest_go() {
    let yaml = format!("{UNCHECKED}debug: {{ headers: true, decisions: 3 }}\n");
    let rig = Rig::new(2, &yaml).await;
    let with_id = |id: &str| rig.dify().with("X-Request-Id", id);
    let answer = ask(&with_id("req-1.a_B"), PLUGIN, sim(json!({}))).await;
    assert_eq!(answer.header("X-Twolane-Request-Id"), Some("req-1.a_B"));
    let found = decisions(&rig, "/req-1.a_B").await.json();
    let row = &found["decisions"][0];
    assert_eq!(row["node"], node_of(&answer));
    assert_eq!(row["why"].as_str(), answer.header("X-Twolane-Why"));
    assert_eq!(row["operation"], "tool/invoke|langgenius/openai|demo|t");
    assert_eq!(row["attempt"], 1);

    let forged = ask(&with_id("a b=c"), PLUGIN, sim(json!({}))).await;
    let own = forged.header("X-Twolane-Request-Id").unwrap().to_owned();
    assert_ne!(own, "a b=c", "what could forge a log line is not taken");
    let found = decisions(&rig, &format!("/{own}")).await;
    assert_eq!(found.status, 200, "{}", found.text());
    for _ in 0..2 {
        call(&rig, PLUGIN).await;
    }
    assert_eq!(decisions(&rig, "/req-1.a_B").await.status, 404, "gone");
    let all = decisions(&rig, "?limit=9").await.json();
    assert_eq!(all["decisions"].as_array().unwrap().len(), 3);
    let one = decisions(&rig, "?limit=1").await.json();
    assert_eq!(one["decisions"][0], all["decisions"][0], "the newest first");
    assert_eq!(decisions(&rig, "?limit=x").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_of_a_request_is_kept_and_so_is_nobody() {
    let rig = Rig::first_is_dead("debug: { headers: true }\n").await;
    let dify = rig.dify().with("X-Request-Id", "twice");
    let answer = ask(&dify, PLUGIN, sim(json!({}))).await;
    assert_eq!(node_of(&answer), "n2");
    let found = decisions(&rig, "/twice").await.json();
    let nodes: Vec<_> = found["decisions"].as_array().unwrap().iter().collect();
    assert_eq!(nodes.len(), 2, "{found:#}");
    assert_eq!(
        (&nodes[0]["node"], &nodes[1]["node"]),
        (&json!("n1"), &json!("n2"))
    );
    assert_eq!(nodes[1]["attempt"], 2);

    for id in ["n1", "n2"] {
        rig.node(id).set_hand(Hand::Maint);
    }
    let dify = rig.dify().with("X-Request-Id", "nobody");
    ask(&dify, PLUGIN, sim(json!({}))).await;
    let found = decisions(&rig, "/nobody").await.json();
    assert_eq!(found["decisions"][0]["why"], "no_node");
    assert!(found["decisions"][0]["node"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_decisions_none_are_kept() {
    let rig = Rig::new(1, &format!("{UNCHECKED}debug: {{ decisions: 0 }}\n")).await;
    let answer = call(&rig, PLUGIN).await;
    assert_eq!(answer.header("X-Twolane-Request-Id"), None);
    let all = decisions(&rig, "").await.json();
    assert_eq!(all["decisions"], json!([]));
    let none = decisions(&rig, "/x").await;
    assert!(none.text().contains("none are kept"), "{}", none.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_counted_where_it_agrees_and_where_it_does_not() {
    let yaml =
        format!("{UNCHECKED}strategy: seed\nshadow: round_robin\nlearn: {{ unknown: short }}\n");
    let rig = Rig::new(4, &yaml).await;
    for _ in 0..8 {
        let answer = call(&rig, PLUGIN).await;
        assert_eq!(node_of(&answer), "n1", "the shadow changes nothing");
    }
    let count = async |agrees: &str| rig.metric("twolane_shadow_total", &[agrees]).await;
    assert_eq!(count("agrees=\"true\"").await, 2.0);
    assert_eq!(count("agrees=\"false\"").await, 6.0);
    let rows = decisions(&rig, "").await.json();
    let shadows: Vec<_> = rows["decisions"].as_array().unwrap().iter().collect();
    assert_eq!(shadows.len(), 8);
    let agreeing = shadows.iter().filter(|row| row["shadow_agrees"] == true);
    assert_eq!(agreeing.count(), 2);
    let told = explain(&rig, PLUGIN).await;
    assert_eq!(told["choice"]["node"], "n1");
    assert_eq!(told["shadow"]["node"], "n1", "its next turn: {told:#}");
}

/// From outside, and broken.
#[derive(Clone, Copy, Debug)]
struct Broken;

impl Strategy for Broken {
    fn choose(&self, _: &Request, _: &Candidates<'_>, _: &mut Dice) -> Choice {
        panic!("a strategy from outside is broken")
    }
}

impl Classifier for Broken {
    fn classify(&self, _: &Operation, _: Class, _: std::time::Instant) -> Verdict {
        panic!("a classifier from outside is broken")
    }

    fn begin(&self, _: &Operation, _: std::time::Instant) -> Running {
        panic!("a classifier from outside is broken")
    }

    fn learn(&self, _: &Operation, _: Sample, _: std::time::Instant) {
        panic!("a classifier from outside is broken")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f059_broken_parts_from_outside_cost_no_request_and_are_counted() {
    let options = || Options {
        strategies: vec![("mine".to_owned(), Box::new(|_| Arc::new(Broken)))],
        classifiers: vec![("mine".to_owned(), Arc::new(Broken))],
        ..Options::default()
    };
    // As a shadow first: it is never obeyed.
    for (choice, fallbacks) in [
        ("strategy: seed\nshadow: mine\n", 0.0),
        ("strategy: mine\n", 6.0),
    ] {
        let yaml = format!("{UNCHECKED}{choice}learn: {{ classifier: mine, unknown: short }}\n");
        let rig = Rig::with(3, &yaml, options()).await;
        for _ in 0..6 {
            let answer = call(&rig, PLUGIN).await;
            assert_eq!(class_of(&answer), "short", "what was learned decides");
        }
        rig.quiet().await;
        let why = rig.metric("twolane_choices_total", &["why=\"fallback\""]);
        assert_eq!(why.await, fallbacks);
        let failures = rig.metric("twolane_strategy_failures_total", &["pool=\"main\""]);
        assert_eq!(failures.await, 6.0);
        let failures = rig.metric("twolane_classifier_failures_total", &[]);
        assert_eq!(failures.await, 18.0, "classify, begin and learn");
        let told = explain(&rig, PLUGIN).await;
        if fallbacks > 0.0 {
            let note = told["notes"].to_string();
            assert!(note.contains("cannot be asked"), "{note}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_pin_a_class_and_a_pool_before_routes_and_pins() {
    let nodes = crate::daemons(2).await;
    let yaml = format!(
        "{UNCHECKED}pools:\n\
         - {{ name: main, nodes: [{{ id: n1, address: \"{}\" }}] }}\n\
         - {{ name: heavy, nodes: [{{ id: n2, address: \"{}\" }}] }}\n\
         learn: {{ unknown: short, pins: [{{ operation: '*', class: short }}] }}\n\
         rules:\n\
         - {{ plugin: 'a/*', header: {{ X-Team: 'batch*' }}, class: long, pool: heavy }}\n\
         - {{ tenant: tenant, op: 'tool/*', plugin: 'b/*', pool: heavy }}\n\
         - {{ op: management, class: long }}\n",
        nodes[0].addr(),
        nodes[1].addr()
    );
    let all: Vec<_> = nodes.iter().collect();
    let gateway = crate::support::gateway::Gateway::before(&all, &yaml).await;
    let rig = Rig { nodes, gateway };
    let batch = rig.dify().with("X-Team", "batch-7");
    for (dify, plugin, node, class, basis) in [
        (&batch, "a/x", "n2", "long", "pinned"),
        (&rig.dify(), "a/x", "n1", "short", "pinned"),
        (&rig.dify(), "b/x", "n2", "short", "pinned"),
        (&batch, "c/x", "n1", "short", "pinned"),
    ] {
        let answer = ask(dify, plugin, sim(json!({}))).await;
        assert_eq!(
            (node_of(&answer), class_of(&answer), basis_of(&answer)),
            (node, class, basis),
            "{plugin}"
        );
    }
    let list = rig.dify().get("/plugin/tenant/management/list").await;
    assert_eq!(
        class_of(&list),
        "long",
        "what is not learned can be pinned too"
    );
    assert_eq!(explain(&rig, "b/x").await["rule"], 2);
    let told = explain(&rig, "b/x").await;
    assert_eq!(told["pool"], "heavy");
    let advice = told["advice"].as_str().unwrap();
    assert!(advice.contains("plugin_caps: too few requests"), "{advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_says_so_and_a_request_that_would_wait_does_too() {
    let rig = Rig::new(2, &format!("{UNCHECKED}max_in_flight: 1\n")).await;
    let first = rig.hold(PLUGIN, 0).await;
    let told = explain(&rig, PLUGIN).await;
    let rows = told["nodes"].as_array().unwrap();
    let full = rows.iter().find(|row| row["node"] == first.node.as_str());
    assert_eq!(full.unwrap()["against"], "full", "{told:#}");
    assert_ne!(told["choice"]["node"], first.node.as_str());
    let second = rig.hold(PLUGIN, 0).await;
    let told = explain(&rig, PLUGIN).await;
    assert_eq!(told["nobody"], "2 nodes: 2 full");
    assert!(told["notes"].to_string().contains("would wait"), "{told:#}");
    for held in [first, second] {
        rig.let_go(held).await;
    }
}
