//! Which node takes it? The seed's rule on real nodes, and the others.

use crate::rig::{Held, Rig, UNCHECKED, ask, class_of, node_of, nodes_yaml};
use crate::support::client::expect_events;
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::within;
use crate::{PLUGIN, daemons, sim};
use serde_json::json;
use std::sync::Arc;
use twolane::demo::daemon::{Health, Stop};
use twolane::model::{Dice, Request};
use twolane::nodes::{Candidates, Hand};
use twolane::select::{Choice, Strategy, WORDS, Why};
use twolane::server::Options;

/// a/long is long, everything else is short.
const PINS: &str = "learn: { pins: [{ operation: \"*a/long*\", class: long }, \
                    { operation: \"*\", class: short }] }\n";

fn seed(reading: &str) -> String {
    format!("{UNCHECKED}strategy: seed\nstrategies: {{ seed: {{ two_nodes: {reading} }} }}\n{PINS}")
}

async fn chosen(rig: &Rig, plugin: &str) -> String {
    let answer = ask(&rig.dify(), plugin, sim(json!({}))).await;
    assert_eq!(
        answer.status,
        200,
        "the call should be served: {}",
        answer.text()
    );
    node_of(&answer).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn f026_one_node_takes_everything() {
    for strategy in WORDS {
        let rig = Rig::new(1, &format!("{UNCHECKED}strategy: {strategy}\n{PINS}")).await;
        for plugin in ["a/short", "a/long", "a/short", "a/long"] {
            assert_eq!(chosen(&rig, plugin).await, "n1", "{strategy}");
        }
        let why = rig
            .metric("twolane_choices_total", &["why=\"only_candidate\""])
            .await;
        assert!(
            why >= 4.0 || *strategy == "round_robin",
            "{strategy} should say that nobody else may serve"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f027_short_requests_stay_on_the_main_node() {
    let rig = Rig::new(2, &seed("prose")).await;
    for _ in 0..20 {
        assert_eq!(chosen(&rig, "a/short").await, "n1");
    }
    let main = rig.metric("twolane_choices_total", &["why=\"main\""]);
    assert_eq!(main.await, 20.0);
}

/// A call held on the second of two nodes, whatever its class: the first is drained meanwhile.
async fn occupy_other(rig: &Rig, plugin: &str) -> Held {
    rig.node("n1").set_hand(Hand::Drain);
    let held = rig.hold(plugin, 0).await;
    rig.node("n1").set_hand(Hand::Ready);
    assert_eq!(held.node, "n2", "only the other node was open");
    held
}

/// One row of the decision table: what runs on the other node, does anything run on the main one,
/// and where does the next long request go?
async fn decides(reading: &str, other: Option<&str>, main_busy: bool, expected: &str) {
    let rig = Rig::new(2, &seed(reading)).await;
    let mut held = Vec::new();
    if let Some(plugin) = other {
        held.push(occupy_other(&rig, plugin).await);
    }
    if main_busy {
        let call = rig.hold("a/short", 0).await;
        assert_eq!(call.node, "n1", "short requests go to the main node");
        held.push(call);
    }
    let answer = ask(&rig.dify(), "a/long", sim(json!({}))).await;
    assert_eq!(class_of(&answer), "long");
    assert_eq!(
        node_of(&answer),
        expected,
        "{reading}: other node busy with {other:?}, main node busy: {main_busy}"
    );
    for call in held {
        rig.let_go(call).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f028_a_long_request_goes_to_the_other_node_while_it_is_idle() {
    for reading in ["diagram", "prose"] {
        decides(reading, None, false, "n2").await;
        decides(reading, None, true, "n2").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f029_f030_the_readings_differ_when_the_other_node_runs_a_long_request() {
    decides("diagram", Some("a/long"), false, "n2").await;
    decides("prose", Some("a/long"), false, "n1").await;
    for reading in ["diagram", "prose"] {
        decides(reading, Some("a/long"), true, "n2").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f031_a_long_request_goes_to_the_idle_main_node_while_the_other_runs_a_short_one() {
    for reading in ["diagram", "prose"] {
        decides(reading, Some("a/short"), false, "n1").await;
        decides(reading, Some("a/short"), true, "n2").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f034_with_one_of_two_nodes_out_the_other_takes_both_classes() {
    for reading in ["diagram", "prose"] {
        let rig = Rig::new(2, &seed(reading)).await;
        for (out, left) in [("n1", "n2"), ("n2", "n1")] {
            rig.node(out).set_hand(Hand::Drain);
            for plugin in ["a/short", "a/long"] {
                assert_eq!(chosen(&rig, plugin).await, left, "{reading} without {out}");
            }
            rig.node(out).set_hand(Hand::Ready);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f033_long_requests_take_turns_over_all_but_the_main_node() {
    let rig = Rig::new(4, &seed("prose")).await;
    for _ in 0..9 {
        chosen(&rig, "a/long").await;
        chosen(&rig, "a/short").await;
    }
    let executions = rig.ledger().executions();
    let count = |node: &str, plugin: &str| {
        let on = executions
            .iter()
            .filter(|entry| entry.node == node && entry.plugin == plugin);
        on.count()
    };
    let long = ["n1", "n2", "n3", "n4"].map(|node| count(node, "a/long"));
    let short = ["n1", "n2", "n3", "n4"].map(|node| count(node, "a/short"));
    assert_eq!((long, short), ([0, 3, 3, 3], [9, 0, 0, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn f035_the_main_node_is_the_one_that_the_file_names() {
    let nodes = daemons(3).await;
    let row = |n: usize, role| (nodes[n].id(), nodes[n].addr(), role);
    let orders = [
        [row(0, "secondary"), row(1, "secondary"), row(2, "primary")],
        [row(2, "primary"), row(1, "secondary"), row(0, "secondary")],
    ];
    for order in orders {
        let yaml = format!("{}{}", seed("prose"), nodes_yaml(&order));
        let gateway = Gateway::before(&[], &yaml).await;
        for _ in 0..5 {
            let answer = ask(&gateway.dify(), "a/short", sim(json!({}))).await;
            assert_eq!(
                node_of(&answer),
                "n3",
                "gateways must agree whatever the order"
            );
        }
        let page = gateway.admin("/cluster/master").await.json();
        assert_eq!(page["primary_node"], "n3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f036_when_the_main_node_dies_the_next_one_steps_in_without_an_error() {
    let yaml = format!("strategy: seed\n{PINS}");
    let rig = Rig::new(3, &yaml).await;
    assert_eq!(chosen(&rig, "a/short").await, "n1");
    rig.nodes[0].stop(Stop::Cut).await;
    for _ in 0..30 {
        assert_eq!(
            chosen(&rig, "a/short").await,
            "n2",
            "the next one is the main node now"
        );
    }
    let down = rig.gateway.until(|_| !rig.node("n1").is_healthy());
    within("the checks find the main node dead", down).await;
    rig.nodes[0].restart().await.unwrap();
    let back = rig.gateway.until(|_| rig.node("n1").is_healthy());
    within("the main node is found alive again", back).await;
    within("a probe finds the plugin there, and it steps back", async {
        while chosen(&rig, "a/short").await != "n1" {}
    })
    .await;
    assert!(
        rig.ledger().duplicates().is_empty(),
        "nothing should run twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f008_load_that_a_node_reports_counts_as_its_load() {
    let nodes_before = Rig::new(3, PINS).await;
    let rig = nodes_before;
    for (busy, word) in [(1, "n2"), (2, "n3")] {
        let well = rig.nodes[busy].health();
        rig.nodes[busy].set_health(Health {
            extra_dispatch: 50,
            ..well.clone()
        });
        let noticed = rig.gateway.until(|_| rig.node(word).beyond() >= 50);
        within("the probe sees the load of strangers", noticed).await;
        for _ in 0..20 {
            assert_ne!(
                chosen(&rig, "a/long").await,
                word,
                "a busy node should be left alone"
            );
        }
        rig.nodes[busy].set_health(well);
        let over = rig.gateway.until(|_| rig.node(word).beyond() == 0);
        within("the probe sees that they are gone", over).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f008_the_load_of_strangers_can_be_ignored() {
    let yaml = format!("health: {{ interval: 100ms, use_daemon_load: false }}\n{PINS}");
    let rig = Rig::new(2, &yaml).await;
    let well = rig.nodes[1].health();
    rig.nodes[1].set_health(Health {
        extra_dispatch: 50,
        ..well
    });
    let checks = rig.nodes[1].health_checks();
    within(
        "two more probes",
        rig.nodes[1].until(|node| node.health_checks() >= checks + 3),
    )
    .await;
    assert_eq!(rig.node("n2").beyond(), 0);
}

/// Strategies that must not be trusted.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nowhere,
    Panics,
}

impl Strategy for Wrong {
    fn choose(&self, _: &Request, among: &Candidates<'_>, _: &mut Dice) -> Choice {
        match self {
            Self::Nowhere => Choice {
                at: among.len(),
                why: Why::Custom,
            },
            Self::Panics => panic!("a strategy from outside is broken"),
        }
    }
}

/// A strategy from outside that works.
#[derive(Clone, Copy, Debug)]
struct Last;

impl Strategy for Last {
    fn choose(&self, _: &Request, among: &Candidates<'_>, _: &mut Dice) -> Choice {
        Choice {
            at: among.len() - 1,
            why: Why::Custom,
        }
    }
}

async fn with_strategy(strategy: impl Strategy + Copy + 'static) -> Rig {
    // Strategies from outside win over built-in ones of the same name.
    let options = Options {
        strategies: vec![("adaptive".to_owned(), Box::new(move |_| Arc::new(strategy)))],
        ..Options::default()
    };
    Rig::with(3, &format!("{UNCHECKED}{PINS}"), options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f059_a_strategy_that_fails_costs_no_request() {
    for wrong in [Wrong::Nowhere, Wrong::Panics] {
        let rig = with_strategy(wrong).await;
        for served in 1..=6 {
            chosen(&rig, "a/short").await;
            let fallbacks = rig.metric("twolane_choices_total", &["why=\"fallback\""]);
            assert_eq!(
                fallbacks.await,
                f64::from(served),
                "each failure should be counted"
            );
            let failures = rig.metric("twolane_strategy_failures_total", &["pool=\"main\""]);
            assert_eq!(failures.await, f64::from(served));
        }
        let per_node = rig.ledger().per_node();
        assert!(
            per_node.len() == 3 && per_node.values().all(|count| *count == 2),
            "round robin should choose in its place: {per_node:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f059_a_strategy_from_outside_is_obeyed() {
    let rig = with_strategy(Last).await;
    for _ in 0..5 {
        assert_eq!(chosen(&rig, PLUGIN).await, "n3");
    }
    let custom = rig.metric("twolane_choices_total", &["why=\"custom\""]);
    assert_eq!(custom.await, 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f002_every_strategy_serves() {
    for strategy in WORDS {
        let rig = Rig::new(3, &format!("strategy: {strategy}\n")).await;
        let dify = rig.dify();
        for n in 0..100 {
            let script = sim(json!({"id": format!("{n}")}));
            expect_events(within("events", dify.all("tool/invoke", PLUGIN, script)).await);
        }
        rig.quiet().await;
        assert_eq!(rig.ledger().len(), 100, "{strategy} should serve all");
        assert!(
            rig.ledger().duplicates().is_empty(),
            "{strategy}: nothing runs twice"
        );
    }
}

/// A filter of candidates without code: a node behind a list of tenants is in a pool of its own, to
/// which a rule sends those on the list.
#[tokio::test(flavor = "multi_thread")]
async fn f142_a_tenant_that_is_not_on_the_list_never_gets_the_node_behind_it() {
    let nodes = daemons(2).await;
    let (open, listed) = (nodes[0].addr(), nodes[1].addr());
    let pools = format!(
        "{UNCHECKED}pools:\n\
         - {{ name: everybody, nodes: [{{ id: n1, address: \"{open}\" }}] }}\n\
         - {{ name: listed, nodes: [{{ id: n2, address: \"{listed}\" }}] }}\n\
         rules: [{{ tenant: a, pool: listed }}, {{ tenant: b, pool: listed }}]\n"
    );
    let gateway = Gateway::start(parse(&yaml(&[], &pools))).await;
    for (tenant, node) in [("a", "n2"), ("b", "n2"), ("stranger", "n1"), ("ab", "n1")] {
        for _ in 0..5 {
            let path = format!("/plugin/{tenant}/management/list");
            let answer = within("an answer", gateway.dify().get(&path)).await;
            assert_eq!((answer.status, node_of(&answer)), (200, node), "{tenant}");
        }
    }
}
