//! What one sick node of three costs a thousand calls.

use crate::load::{CALLERS, CALLS, CHECKS, Rig, Steady, Tally, UNCHECKED};
use crate::relay::{Door, Relay};
use crate::support::client::DifyError;
use crate::support::within;
use crate::{PLUGIN, alone, sim};
use serde_json::json;
use std::collections::HashSet;
use twolane::demo::daemon::{Fail, Health, Script, Stop};
use twolane::model::clock;

/// An error in the daemon's own words.
const INTERNAL: &str = r#"{"code":-500,"message":"{\"error_type\":\"PluginDaemonInternalServerError\",\"message\":\"redis is down\"}","data":null}"#;

fn report(row: &str, tally: &Tally) {
    let (answered, errors) = (tally.answered.len(), tally.errors.len());
    println!("row {row:?}: {answered} answered, {errors} errors");
}

fn unhealthy() -> Health {
    Health {
        status: 503,
        ..Health::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_refuses_connections_costs_nothing() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    rig.nodes[0].stop(Stop::Cut).await;
    let tally = rig.load("c", CALLS, json!({})).await;
    report("refuses connections", &tally);
    rig.expect_clean(&tally).await;
    assert_eq!(tally.errors, [], "another node could serve each of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_costs_each_call_at_most_one_patience_and_none_its_answer() {
    let _alone = alone().await;
    for checks in [CHECKS, UNCHECKED] {
        let rules = format!("{checks}timeouts: {{ connect: 200ms }}\n");
        let (rig, relays) = Rig::with_doors(3, 1, &rules).await;
        rig.warm().await;
        let _hole = relays[0].wall_up().await;
        let calls = async |name: &str, calls| {
            let before = (unreached(&rig).await, rig.node("n1").taken());
            let tally = rig.load(name, calls, json!({})).await;
            report("black hole", &tally);
            rig.expect_clean(&tally).await;
            assert_eq!(tally.errors, [], "another node could serve each of them");
            let after = (unreached(&rig).await, rig.node("n1").taken());
            (after.0 - before.0, after.1 - before.1)
        };
        let (waits, taken) = calls("c", CALLS).await;
        println!("row \"black hole\": {waits} of {CALLS} calls waited once");
        assert_eq!(waits, taken as f64, "nothing was sent into the hole");
        assert!(
            waits <= CALLERS as f64 + 3.0,
            "after three failures only who waits already may wait: {waits}"
        );
        let node = rig.node("n1");
        assert!(
            !node.is_healthy() || !node.resting(clock::now()).is_zero(),
            "the node is out"
        );
        assert_eq!(calls("d", 100).await, (0.0, 0), "nobody tries it any more");
    }
}

/// Attempts that did not reach the first node.
pub(crate) async fn unreached(rig: &Rig) -> f64 {
    let page = rig.gateway.metrics().await;
    let labels = ["node=\"n1\"", "outcome=\"unreached\""];
    page.sum("twolane_attempts_total", &labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_accepts_and_never_answers_costs_what_was_on_it() {
    let _alone = alone().await;
    let rig = Rig::new(
        3,
        &format!("{CHECKS}timeouts: {{ connect: 200ms, read: 1s }}\n"),
    )
    .await;
    rig.warm().await;
    rig.nodes[0].stop(Stop::Blackhole).await;
    let tally = rig.load("c", CALLS, json!({})).await;
    report("accepts, never answers", &tally);
    rig.expect_clean(&tally).await;
    let lost = tally.errors.len();
    assert!(
        (1..=CALLERS).contains(&lost),
        "only what was on the silent node when it was found out may be lost, and {lost} were"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_or_closed_before_a_byte_costs_few_and_none_runs_twice() {
    let _alone = alone().await;
    for door in [Door::Reset, Door::Close] {
        let (rig, relays) = Rig::with_doors(3, 1, CHECKS).await;
        rig.warm().await;
        relays[0].turn(door);
        let tally = rig.load("c", CALLS, json!({})).await;
        report(&format!("accepts, then {door:?}"), &tally);
        rig.expect_clean(&tally).await;
        // Whether the request was read cannot be known once it was written, so a few calls pay.
        let lost = tally.errors.len();
        assert!(
            lost <= CALLERS,
            "the node should rest after three failures, and {lost} calls were lost by {door:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f265_a_node_that_resets_what_it_has_read_rests_and_nothing_runs_twice() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    rig.nodes[0].script("tool/invoke", Script::reset_after(0));
    let tally = rig.load("c", CALLS, json!({})).await;
    report("resets after the request was sent", &tally);
    rig.expect_clean(&tally).await;
    let lost = tally.errors.len();
    assert!(
        (3..=CALLERS).contains(&lost),
        "after three failures only what was on the node already may be lost, and {lost} calls were"
    );
    let executed = rig.executed();
    for (id, error) in &tally.errors {
        assert_eq!(
            executed.get(id),
            Some(&1),
            "{id} ran once on the node that reset it: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_5xx_rests_whatever_its_health_says() {
    let _alone = alone().await;
    for (health, code) in [
        (unhealthy(), 502),
        (Health::default(), 502),
        (Health::default(), 503),
        (Health::default(), 500),
    ] {
        let rig = Rig::new(3, CHECKS).await;
        rig.warm().await;
        let row = format!("{code} with health {}", health.status);
        rig.nodes[0].set_health(health);
        rig.nodes[0].script("tool/invoke", Script::status(code, INTERNAL));
        let tally = rig.load("c", CALLS, json!({})).await;
        report(&row, &tally);
        rig.expect_clean(&tally).await;
        let lost = tally.errors.len();
        assert!(
            lost <= 30,
            "passive ejection bounds the loss of {row}: {lost}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_5xx_without_a_word_counts_against_its_node_and_is_no_success() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    rig.nodes[0].script("tool/invoke", Script::status(502, ""));
    let tally = rig.load("c", CALLS, json!({})).await;
    report("502 with an empty body", &tally);
    rig.expect_clean(&tally).await;
    let lost = tally.errors.len();
    assert!(lost <= 30, "passive ejection bounds the loss: {lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_node_gets_the_fewest() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    let before = rig.ledger().per_node();
    let slow = Script {
        ttfb_ms: 200,
        ..Script::default()
    };
    rig.nodes[0].script("tool/invoke", slow);
    let tally = rig.load("c", CALLS, json!({})).await;
    report("slow", &tally);
    rig.expect_clean(&tally).await;
    assert_eq!(tally.errors, [], "slowness is no failure");
    let after = rig.ledger().per_node();
    let given = |id: &str| after[id] - before[id];
    println!("shares: {} {} {}", given("n1"), given("n2"), given("n3"));
    assert!(
        given("n1") * 2 < given("n2").min(given("n3")),
        "load should move away from the slow node: {before:?} {after:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_breaks_its_streams_once_each_and_no_others() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    let steady = Steady::start(&rig, CALLERS, &json!({"events": 5, "gap_ms": 4}));
    steady.more(300).await;
    rig.nodes[0].stop(Stop::Cut).await;
    steady.more(CALLS - 300).await;
    let tally = steady.end().await;
    report("dies mid stream", &tally);
    rig.expect_clean(&tally).await;
    let lost = tally.errors.len();
    assert!(
        (1..=CALLERS).contains(&lost),
        "only streams of the dead node may break, and {lost} of {CALLERS} did"
    );
    for (id, error) in &tally.errors {
        assert!(
            matches!(
                error,
                DifyError::InnerError(_) | DifyError::DaemonInternal(_)
            ),
            "{id} should end by one broken end: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_and_a_restarting_node_cost_only_what_they_were_given() {
    let _alone = alone().await;
    for (row, cuts, down) in [("flaps", 10, 60), ("restarts", 3, 0)] {
        let rig = Rig::new(3, CHECKS).await;
        rig.warm().await;
        let steady = Steady::start(&rig, CALLERS, &json!({}));
        for _ in 0..cuts {
            steady.more(40).await;
            rig.nodes[0].stop(Stop::Cut).await;
            steady.more(down).await;
            rig.nodes[0].restart().await.unwrap();
        }
        steady.more(CALLS.saturating_sub(cuts * (40 + down))).await;
        let tally = steady.end().await;
        report(row, &tally);
        rig.expect_clean(&tally).await;
        expect_only_given(&rig, row, &tally, cuts);
    }
}

/// Each call that failed was in the hands of a node that was cut: it was executed, or its head was
/// read, or (at most the callers' number for each cut, in all) it lay in the node's socket.
pub(crate) fn expect_only_given(rig: &Rig, row: &str, tally: &Tally, cuts: usize) {
    let executed = rig.executed();
    let (ran, not): (Vec<_>, Vec<_>) = tally
        .errors
        .iter()
        .partition(|(id, _)| executed.contains_key(id));
    println!(
        "row {row:?}: of the errors {} ran, {} did not",
        ran.len(),
        not.len()
    );
    for (id, error) in &not {
        assert!(
            matches!(error, DifyError::DaemonInternal(_)),
            "{id} never ran, so only a connection that broke after it was sent excuses {error:?}"
        );
    }
    assert!(
        tally.errors.len() <= cuts * CALLERS.div_ceil(2),
        "{row}: {} calls were lost in {cuts} cuts",
        tally.errors.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_answers_5xx_is_not_stormed() {
    let _alone = alone().await;
    for code in [500, 502, 503] {
        let rig = Rig::new(3, &format!("{CHECKS}retry: {{ budget_floor: 0 }}\n")).await;
        for node in &rig.nodes {
            node.script("tool/invoke", Script::status(code, INTERNAL));
        }
        let before = rig.sent();
        let tally = rig.load("c", CALLS, json!({})).await;
        let sent = rig.sent() - before;
        println!("row \"all nodes {code}\": {sent} requests sent for {CALLS}");
        rig.expect_clean(&tally).await;
        assert_eq!(tally.errors.len(), CALLS, "nobody can be served");
        assert!(
            sent * 10 <= CALLS as u64 * 11,
            "the budget bounds repetition to a tenth: {sent} for {CALLS}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_break_everywhere_are_repeated_within_the_budget() {
    let _alone = alone().await;
    let rules = "retry: { budget_floor: 0 }\ncooldown: { max_fails: 0 }\n";
    let (rig, relays) = Rig::with_doors(3, 3, &format!("{UNCHECKED}{rules}")).await;
    relays.iter().for_each(|relay| relay.turn(Door::Close));
    let dify = rig.dify();
    for _ in 0..200 {
        let answer = dify.raw("GET", "/plugin/t/management/list", &[], b"");
        let answer = within("an end", answer).await.unwrap();
        assert_eq!(answer.status, 502, "nobody answers, and one line says so");
    }
    rig.quiet().await;
    let sent: usize = relays.iter().map(Relay::knocks).sum();
    println!("row \"reads break everywhere\": {sent} requests sent for 200");
    assert!(
        (201..=220).contains(&sent),
        "a read may go again, on the account of the budget: {sent} for 200"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_refuses_is_answered_for_in_one_line() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    for node in &rig.nodes {
        node.stop(Stop::Cut).await;
    }
    let tally = rig.load("c", 200, json!({})).await;
    report("all refuse", &tally);
    let kinds: HashSet<_> = tally
        .errors
        .iter()
        .map(|(_, error)| matches!(error, DifyError::Unavailable(_)))
        .collect();
    assert_eq!(
        (tally.errors.len(), kinds),
        (200, HashSet::from([true])),
        "each call is told that it may come again"
    );
    let dify = rig.dify();
    let stream = dify.open("tool/invoke", PLUGIN, sim(json!({}))).await;
    let answer = within("an answer", stream.unwrap().whole()).await.unwrap();
    assert_eq!(answer.status, 503, "nobody is there");
    assert_eq!(
        answer.text().trim_end().lines().count(),
        1,
        "Dify reads line by line"
    );
    assert!(rig.ledger().is_empty(), "nothing was executed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_fails_sends_no_node_to_rest() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.nodes[0].script("tool/invoke", Script::failing(Fail::PluginError));
    let tally = rig.load("c", CALLS, json!({})).await;
    report("a plugin that raises", &tally);
    rig.expect_clean(&tally).await;
    let share = rig.ledger().per_node()["n1"];
    assert!(
        share > CALLS / 5,
        "the node is as good as the others, and got {share} calls"
    );
    assert_eq!(
        tally.errors.len(),
        share,
        "every call the node ran was refused by its plugin, and no other"
    );
}
