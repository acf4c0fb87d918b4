//! What operators do and what plugins do, while clients go on.

use crate::load::{CALLERS, CHECKS, Rig, Steady, UNCHECKED, is_understood};
use crate::matrix::expect_only_given;
use crate::relay::Door;
use crate::support::client::{DifyError, expect_events};
use crate::support::gate::{Gate, HOLD};
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::{eventually, within};
use crate::{PLUGIN, alone, descriptors, sim};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Plugin, Stop};
use twolane::model::clock;
use twolane::nodes::Hand;

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_tool_holds_nobody_but_itself() {
    let _alone = alone().await;
    let rig = Rig::new(3, UNCHECKED).await;
    for node in &rig.nodes {
        node.put_plugin(Plugin::blocking(PLUGIN));
    }
    let dify = rig.dify();
    let endless = sim(json!({"id": "endless", "fail": "hang"}));
    let held = dify.open("tool/invoke", PLUGIN, endless).await.unwrap();
    within("it runs", rig.ledger().until(|all| all.len() == 1)).await;
    let on = rig.ledger().executions()[0].node.clone();
    // A call of the same plugin on the same node would wait for ever.
    for n in 0..100 {
        for plugin in [PLUGIN, "other/one", "other/two"] {
            let script = sim(json!({"id": format!("{plugin}.{n}")}));
            let answer = dify.all("tool/invoke", plugin, script);
            expect_events(within("an answer while the tool is held", answer).await);
        }
    }
    let all = rig.ledger().executions();
    assert!(
        all[0].finished.is_none(),
        "the tool was held all the while, or nothing was shown"
    );
    let same = all[1..].iter().filter(|entry| entry.plugin == PLUGIN);
    let beside = same.filter(|entry| entry.node == on).count();
    assert_eq!(
        (all.len(), beside),
        (301, 0),
        "other calls of the plugin should go to other nodes than {on}"
    );
    held.abort();
    rig.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_drained_by_hand_ends_its_streams_in_peace() {
    let _alone = alone().await;
    let mut gates = Vec::new();
    for id in ["g1", "g2", "g3"] {
        gates.push(Gate::start(id).await);
    }
    let named: Vec<_> = gates.iter().map(Gate::named).collect();
    let gateway = Gateway::start(parse(&yaml(&named, CHECKS))).await;
    let (dify, mut streams) = (gateway.dify(), Vec::new());
    for _ in 0..50 {
        let call = dify.open("tool/invoke", PLUGIN, json!({"x": HOLD})).await;
        let mut stream = call.unwrap();
        let event = within("the first event", stream.next()).await.unwrap();
        streams.push((event.unwrap()["gate"].clone(), stream));
    }
    let held = gates[0].held();
    assert!(held > 10, "the drained node holds its share, not {held}");
    let nodes = gateway.embedded.live().snapshot().nodes();
    let drained = nodes.iter().find(|node| node.id().as_str() == "g1");
    drained.unwrap().set_hand(Hand::Drain);
    let before = gates[0].taken();
    for _ in 0..60 {
        let answer = dify.all("tool/invoke", PLUGIN, json!({}));
        let events = expect_events(within("an answer elsewhere", answer).await);
        assert_ne!(events[0]["gate"], "g1", "nothing new goes to the node");
    }
    assert_eq!(
        (gates[0].taken(), gates[0].held()),
        (before, held),
        "what runs there goes on, and nothing is added"
    );
    gates.iter().for_each(Gate::open);
    for (gate, mut stream) in streams {
        let event = within("the last event", stream.next()).await.unwrap();
        let event = event.expect("no stream should be cut");
        assert_eq!(
            (&event["gate"], &event["n"]),
            (&gate, &json!(2)),
            "each stream ends where it began"
        );
        let end = within("the end", stream.next()).await;
        assert_eq!(end, Ok(None), "each stream ends well");
    }
    let quiet = gateway.until(|gateway| gateway.in_flight() == 0);
    within("all is given back", quiet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_silence_before_the_first_byte_survives_and_a_longer_one_is_a_504() {
    let _alone = alone().await;
    let patience =
        |read: &str| format!("{UNCHECKED}timeouts: {{ connect: 100ms, read: {read} }}\n");
    let silent = |ms: u64| sim(json!({"id": format!("silent {ms}"), "ttfb_ms": ms}));
    let rig = Rig::new(2, &patience("15s")).await;
    let answer = rig.dify().all("tool/invoke", PLUGIN, silent(2500)).await;
    expect_events(answer);

    let rig = Rig::new(2, &patience("300ms")).await;
    let dify = rig.dify();
    let call = dify.open("tool/invoke", PLUGIN, silent(60_000)).await;
    let answer = within("an answer", call.unwrap().whole()).await.unwrap();
    assert_eq!(answer.status, 504, "the node was silent");
    assert_eq!(
        answer.text().trim_end().lines().count(),
        1,
        "Dify reads line by line"
    );
    let raised = dify.all("tool/invoke", PLUGIN, silent(50_000)).await;
    assert!(
        matches!(raised, Err(DifyError::DaemonInternal(_))),
        "Dify should show what happened: {raised:?}"
    );
    assert_eq!(
        rig.ledger().len(),
        2,
        "a call that may still run is not sent to another node"
    );
    rig.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_put_on_a_connection_from_before_its_node_was_down() {
    let _alone = alone().await;
    let rules = format!("{CHECKS}timeouts: {{ connect: 200ms, read: 2s }}\n");
    let (rig, relays) = Rig::with_doors(1, 1, &rules).await;
    // Connections are kept by each thread of the gateway.
    rig.warm().await;
    let node = rig.node("n1");
    relays[0].forget();
    relays[0].turn(Door::Reset);
    eventually("the node is down", async || !node.is_healthy()).await;
    relays[0].turn(Door::Open);
    eventually("it is up again", async || node.is_healthy()).await;
    let tally = rig.load("c", 200, json!({})).await;
    rig.expect_clean(&tally).await;
    assert_eq!(tally.errors, [], "the old connections are dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_is_not_overrun() {
    const HERD: usize = 30;
    const FAIR: f64 = 10.0;
    let _alone = alone().await;
    let slow_start = Duration::from_secs(2);
    let checks = "health: { interval: 200ms, fall: 2, slow_start: 2s }\n";
    let rig = Rig::new(3, checks).await;
    let steady = Steady::start(&rig, HERD, &json!({"ttfb_ms": 20}));
    steady.more(200).await;
    let node = rig.node("n1");
    rig.nodes[0].stop(Stop::Cut).await;
    eventually("the node is down", async || !node.is_healthy()).await;
    steady.more(200).await;
    rig.nodes[0].restart().await.unwrap();
    eventually("it is up again", async || node.is_healthy()).await;
    let (mut peak, mut young) = (0, 0);
    within("it takes its share again", async {
        loop {
            let share = node.share(clock::now(), slow_start);
            let held = node.total_in_flight();
            peak = peak.max(held);
            if share < 0.3 {
                young = young.max(held);
            }
            if share >= 1.0 && f64::from(held) >= FAIR * 0.7 {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let tally = steady.end().await;
    rig.expect_clean(&tally).await;
    println!("row \"herd\": fair {FAIR}, peak {peak}, below a share of 0.3 {young}");
    assert!(
        f64::from(peak) <= 2.0 * FAIR,
        "at most twice its fair share at once, not {peak}"
    );
    assert!(
        f64::from(young) <= 0.8 * FAIR,
        "less while it is young, not {young}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_clients_that_leave_after_the_first_event_leaves_nothing() {
    let _alone = alone().await;
    let rig = Rig::new(3, &format!("{UNCHECKED}timeouts: {{ node_idle: 1s }}\n")).await;
    let before = descriptors();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let dify = rig.dify();
        callers.spawn(async move {
            for n in 0..100 {
                // Half of the streams are over by themselves, the others are left.
                let script =
                    json!({"id": format!("{caller}.{n}"), "events": 1 + n % 2, "gap_ms": 5});
                let event = dify.first("text_embedding/invoke", PLUGIN, sim(script));
                let event = within("the first event", event).await;
                event.expect("every call has its first event");
            }
        });
    }
    callers.join_all().await;
    rig.quiet().await;
    assert_eq!(rig.ledger().len(), 2000, "each call ran once");
    let page = rig.gateway.metrics().await;
    for word in ["broken", "rejected", "5xx"] {
        let code = format!("code=\"{word}\"");
        let bad = page.sum("twolane_requests_total", &[&code]);
        assert_eq!(bad, 0.0, "leaving after the first event is not {word}");
    }
    for word in ["failed", "unreached", "refused"] {
        let outcome = format!("outcome=\"{word}\"");
        let bad = page.sum("twolane_attempts_total", &[&outcome]);
        assert_eq!(bad, 0.0, "no attempt {word}");
    }
    let strikes = page.sum("twolane_attempts_total", &["outcome=\"answered\""]);
    println!("storm: {strikes} attempts answered of 2000");
    eventually("descriptors return to where they were", async || {
        descriptors() <= before
    })
    .await;
    for node in &rig.nodes {
        let none = node.until(|node| node.open_connections() == 0);
        within("no connection to a node is left", none).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_node_is_killed_has_one_broken_end_and_nothing_added() {
    let _alone = alone().await;
    let rig = Rig::new(2, CHECKS).await;
    let mut streams = Vec::new();
    for n in 0..20 {
        let script = sim(json!({"id": n.to_string(), "fail": "hang", "fail_after": 3}));
        let call = rig.dify().open("tool/invoke", PLUGIN, script).await;
        let mut stream = call.unwrap();
        for seq in 0..3 {
            let event = within("an event", stream.next()).await.unwrap().unwrap();
            assert_eq!(event["seq"], seq, "the stream has begun");
        }
        streams.push(stream);
    }
    for node in &rig.nodes {
        node.stop(Stop::Cut).await;
    }
    for mut stream in streams {
        let end = within("an end", stream.part()).await;
        assert!(
            end.is_err(),
            "a broken end is the error, and nothing comes before it: {end:?}"
        );
    }
    rig.quiet().await;
    assert_eq!(
        (rig.ledger().len(), rig.ledger().duplicates().len()),
        (20, 0),
        "no stream began again elsewhere"
    );
    let page = rig.gateway.metrics().await;
    let broken = page.sum("twolane_requests_total", &["code=\"broken\""]);
    assert_eq!(broken, 20.0, "each broken stream is counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_under_short_calls_costs_only_what_it_was_given() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    let steady = Steady::start(&rig, CALLERS, &json!({}));
    steady.more(150).await;
    rig.nodes[2].stop(Stop::Cut).await;
    steady.more(400).await;
    let tally = steady.end().await;
    rig.expect_clean(&tally).await;
    expect_only_given(&rig, "kill under short calls", &tally, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_with_drain_is_noticed_by_nobody() {
    let _alone = alone().await;
    let rig = Rig::new(4, CHECKS).await;
    let steady = Steady::start(&rig, CALLERS, &json!({"events": 3, "gap_ms": 3}));
    steady.more(100).await;
    for daemon in &rig.nodes {
        let node = rig.node(daemon.id());
        node.set_hand(Hand::Drain);
        eventually("what runs on the node ends", async || {
            node.total_in_flight() == 0
        })
        .await;
        daemon.stop(Stop::Cut).await;
        steady.more(100).await;
        daemon.restart().await.unwrap();
        eventually("the node is well again", async || node.is_healthy()).await;
        node.set_hand(Hand::Ready);
        let before = rig.ledger().per_node()[daemon.id()];
        let works = rig
            .ledger()
            .until(|all| all.iter().filter(|entry| entry.node == daemon.id()).count() > before);
        within("the node works again", works).await;
    }
    steady.more(100).await;
    let tally = steady.end().await;
    println!("rolling restart: {} answered", tally.answered.len());
    rig.expect_clean(&tally).await;
    assert_eq!(tally.errors, [], "no call fails and no stream is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_on_the_way_to_a_503_is_never_an_empty_success() {
    let _alone = alone().await;
    let rules = format!("{UNCHECKED}timeouts: {{ connect: 100ms, read: 200ms }}\n");
    let rig = Rig::new(2, &rules).await;
    rig.nodes[0].stop(Stop::Cut).await;
    rig.nodes[1].stop(Stop::Blackhole).await;
    for n in 0..10 {
        let script = sim(json!({"id": n.to_string()}));
        let dify = rig.dify();
        let raised = dify.all("tool/invoke", PLUGIN, script);
        let raised = within("an end", raised).await.unwrap_err();
        assert!(
            is_understood(&raised),
            "Dify should show an error, not {raised:?}"
        );
    }
    let patience = Duration::from_millis(200);
    assert!(
        rig.ledger().is_empty(),
        "nobody ran anything within {patience:?}"
    );
}
