//! What does one sick node of three cost clients that send 200 calls a second, whatever becomes of
//! them? The figures that are owed, each over a thousand calls of which none may run twice.

use crate::alone;
use crate::load::{CALLS, CHECKS, Paced, Rig, Tally};
use crate::matrix::unreached;
use crate::relay::{Door, Relay};
use serde_json::json;
use twolane::demo::daemon::{Fail, Script, Stop};

/// Calls before the fault.
const BEFORE: usize = 100;

async fn finish(rig: &Rig, row: &str, load: Paced) -> Tally {
    let tally = load.end().await;
    let executed = rig.executed();
    let ran = |(id, _): &&(String, _)| executed.contains_key(id);
    println!(
        "owed {row:?}: {} answered, {} errors, of which {} ran",
        tally.answered.len(),
        tally.errors.len(),
        tally.errors.iter().filter(ran).count()
    );
    rig.expect_clean(&tally).await;
    tally
}

fn at_most(row: &str, most: usize, tally: &Tally) {
    let lost = tally.errors.len();
    assert!(
        lost <= most,
        "{row}: {lost} lost, {most} owed: {:?}",
        tally.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_accepts_and_never_answers_costs_two_at_most() {
    let _alone = alone().await;
    let patience = "timeouts: { connect: 200ms, read: 2s }\n";
    let rig = Rig::new(3, &format!("{CHECKS}{patience}")).await;
    rig.warm().await;
    let load = rig.paced(CALLS, &json!({}));
    load.until(BEFORE).await;
    rig.nodes[0].stop(Stop::Blackhole).await;
    let tally = finish(&rig, "accepts, never answers", load).await;
    at_most("accepts, never answers", 2, &tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_accepts_and_resets_or_closes_costs_nothing() {
    let _alone = alone().await;
    for door in [Door::Reset, Door::Close] {
        let row = format!("accepts, then {door:?}");
        let (rig, relays, load) = calls_through_a_door().await;
        // Owed is the call before whose first byte it happens. Of one that is under way nobody can
        // tell whether the node has read it.
        load.between(relays[0].turn_out(door)).await;
        let tally = finish(&rig, &row, load).await;
        at_most(&row, 0, &tally);
        let unreached = unreached(&rig).await;
        assert!(unreached > 0.0, "{row}: no call came to the door");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_resets_or_closes_under_calls_costs_none_that_come_later() {
    let _alone = alone().await;
    for door in [Door::Reset, Door::Close] {
        let row = format!("{door:?} under calls");
        let (rig, relays, load) = calls_through_a_door().await;
        relays[0].turn_out(door).await;
        let sent = load.sent();
        let tally = finish(&rig, &row, load).await;
        at_most(&row, sent - BEFORE, &tally);
        for (id, error) in &tally.errors {
            let number: usize = id[1..].parse().unwrap();
            assert!(number < sent, "{row}: {id} came later: {error:?}");
        }
    }
}

/// The load has gone through an open door before the first of three nodes for a while.
async fn calls_through_a_door() -> (Rig, Vec<Relay>, Paced) {
    let (rig, relays) = Rig::with_doors(3, 1, CHECKS).await;
    rig.warm().await;
    let load = rig.paced(CALLS, &json!({}));
    load.until(BEFORE).await;
    (rig, relays, load)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_resets_what_it_has_read_costs_eight_at_most() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    let load = rig.paced(CALLS, &json!({}));
    load.until(BEFORE).await;
    rig.nodes[0].script("tool/invoke", Script::reset_after(0));
    let tally = finish(&rig, "resets what it has read", load).await;
    at_most("resets what it has read", 8, &tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_mid_stream_costs_twelve_at_most() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    let load = rig.paced(CALLS, &json!({"events": 5, "gap_ms": 10}));
    load.until(BEFORE).await;
    rig.nodes[0].stop(Stop::Cut).await;
    let tally = finish(&rig, "dies mid stream", load).await;
    at_most("dies mid stream", 12, &tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_a_restarting_and_a_killed_node_cost_only_what_they_ran() {
    let _alone = alone().await;
    for (row, cuts, down, comes_back) in [
        ("flaps", 10, 30, true),
        ("restarts", 3, 0, true),
        ("killed", 1, 0, false),
    ] {
        let rig = Rig::new(3, CHECKS).await;
        rig.warm().await;
        let load = rig.paced(CALLS, &json!({}));
        for cut in 1..=cuts {
            load.until(cut * 80).await;
            rig.nodes[0].stop(Stop::Cut).await;
            load.until(cut * 80 + down).await;
            if comes_back {
                rig.nodes[0].restart().await.unwrap();
            }
        }
        let tally = finish(&rig, row, load).await;
        expect_only_run(&rig, row, &tally, cuts);
    }
}

/// What was lost had run, but for the few bytes that lie in a socket when its process dies: nobody
/// can tell that they were never read.
fn expect_only_run(rig: &Rig, row: &str, tally: &Tally, cuts: usize) {
    let executed = rig.executed();
    let (ran, unread): (Vec<_>, Vec<_>) = tally
        .errors
        .iter()
        .partition(|(id, _)| executed.contains_key(id));
    let most = cuts.div_ceil(3);
    assert!(
        ran.len() <= cuts && unread.len() <= most,
        "{row}: {ran:?} ran, {unread:?} did not, in {cuts} cuts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_killed_at_once_draws_no_load() {
    let _alone = alone().await;
    let rig = Rig::new(3, CHECKS).await;
    rig.warm().await;
    let load = rig.paced(CALLS, &json!({"ttfb_ms": 20}));
    load.until(BEFORE).await;
    rig.nodes[0].script("tool/invoke", Script::failing(Fail::KilledByTimeout));
    let tally = finish(&rig, "a runtime killed at once", load).await;
    at_most("a runtime killed at once", CALLS / 50, &tally);
}
