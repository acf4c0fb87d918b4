//! Whatever the nodes do: no dispatch runs twice, and every request has one end that Dify
//! understands.

use crate::alone;
use crate::load::{Rig, is_understood};
use crate::sim;
use crate::support::client::Dify;
use crate::support::within;
use serde_json::json;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Fail, Plugin, Script, Stop};

const SEEDS: u64 = 60;
const REQUESTS: usize = 30;
const PLUGINS: [&str; 3] = ["a/one", "b/two", "c/three"];
const OPERATIONS: [&str; 3] = ["tool/invoke", "llm/invoke", "text_embedding/invoke"];
const CHECKS: &str = "health: { interval: 100ms, timeout: 50ms, fall: 2 }\n\
                      cooldown: { base: 100ms, absent: 100ms }\n\
                      timeouts: { connect: 60ms, read: 150ms }\n\
                      kinds: { management: { read: 150ms } }\n";

fn envelope(message: &str) -> String {
    let inner = json!({"error_type": "PluginDaemonInternalServerError", "message": message});
    json!({"code": -500, "message": inner.to_string(), "data": null}).to_string()
}

/// How a node plays an operation from now on.
fn any_script(rng: &mut fastrand::Rng) -> Script {
    let events = rng.u32(0..3);
    match rng.u8(0..14) {
        0 => Script::reset_after(events),
        1 => Script {
            fail: Fail::Close,
            fail_after: events,
            ..Script::default()
        },
        2 => Script::failing(Fail::RuntimeVanished),
        3 => Script::failing(Fail::PluginError),
        4 => Script::failing(Fail::KilledByTimeout),
        5 => Script::status(
            rng.choice([500, 502, 503]).unwrap(),
            &envelope("redis is down"),
        ),
        6 => Script::status(429, &envelope("slow down")),
        7 => Script::status(
            500,
            &envelope("redirect request failed: dial tcp: connection refused"),
        ),
        8 => Script {
            fail: Fail::Hang,
            fail_after: events,
            ..Script::default()
        },
        _ => Script {
            events: 1 + events,
            gap_ms: rng.u64(0..3),
            event_bytes: rng.usize(0..3000),
            ..Script::default()
        },
    }
}

/// Something happens to a node.
async fn disturb(rig: &Rig, rng: &mut fastrand::Rng) {
    let node = &rig.nodes[rng.usize(..rig.nodes.len())];
    let plugin = PLUGINS[rng.usize(..PLUGINS.len())];
    match rng.u8(0..8) {
        0 => node.stop(Stop::Cut).await,
        1 => node.stop(Stop::Blackhole).await,
        2 | 3 => node.restart().await.unwrap(),
        4 => node.put_plugin(Plugin::absent(plugin)),
        5 => node.put_plugin(Plugin::running(plugin)),
        _ => node.script(OPERATIONS[rng.usize(..OPERATIONS.len())], any_script(rng)),
    }
}

/// One dispatch: its id, if it was answered well.
async fn dispatch(dify: Dify, mut rng: fastrand::Rng, id: String) -> Option<String> {
    let operation = OPERATIONS[rng.usize(..OPERATIONS.len())];
    let plugin = PLUGINS[rng.usize(..PLUGINS.len())];
    let mut data = sim(json!({"id": id}));
    data["padding"] = json!("x".repeat(rng.choice([0, 100, 70_000]).unwrap()));
    let answer = within("an end", dify.all(operation, plugin, data)).await;
    match answer {
        Ok(_events) => Some(id),
        Err(error) => {
            assert!(
                is_understood(&error),
                "Dify should understand the end of {id}: {error:?}"
            );
            None
        }
    }
}

/// One read: a list, or one line that says why not; or the connection broke in the middle.
async fn list(dify: Dify) {
    let answer = dify.raw("GET", "/plugin/t/management/list", &[], b"");
    if let Ok(answer) = within("an end", answer).await {
        let code = answer.json()["code"].as_i64();
        let good = answer.status == 200 && code == Some(0);
        let bad = answer.status >= 500 && code.is_some_and(|code| code < 0);
        assert!(good || bad, "{}: {}", answer.status, answer.text());
    }
}

async fn play(seed: u64) -> (usize, usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let rig = Rig::new(3, CHECKS).await;
    for _ in 0..4 {
        disturb(&rig, &mut rng).await;
    }
    let mut answered = Vec::new();
    let mut sent = 0;
    while sent < REQUESTS {
        let mut calls = JoinSet::new();
        for _ in 0..rng.usize(1..6) {
            sent += 1;
            let (dify, id) = (rig.dify(), format!("{seed}.{sent}"));
            let rng = rng.fork();
            if sent % 4 == 0 {
                calls.spawn(async move {
                    list(dify).await;
                    None
                });
            } else {
                calls.spawn(dispatch(dify, rng, id));
            }
        }
        disturb(&rig, &mut rng).await;
        answered.extend(calls.join_all().await.into_iter().flatten());
    }
    rig.quiet().await;
    let executed = rig.executed();
    assert!(
        executed.values().all(|&times| times == 1),
        "no dispatch may run twice: {executed:?}"
    );
    for id in &answered {
        assert!(
            executed.contains_key(id),
            "{id} was answered, so it should have run"
        );
    }
    for id in ["n1", "n2", "n3"] {
        let held = rig.node(id).total_in_flight();
        assert_eq!(held, 0, "{id} should hold nothing");
    }
    (answered.len(), sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_script_of_faults_makes_a_call_run_twice_or_end_in_riddles() {
    let _alone = alone().await;
    let (mut answered, mut sent) = (0, 0);
    let mut failed = Vec::new();
    for seed in 0..SEEDS {
        // In a task of its own, so that a failure is reported with its seed.
        match tokio::spawn(play(seed)).await {
            Ok((well, all)) => {
                answered += well;
                sent += all;
            }
            Err(error) => failed.push((seed, error.to_string())),
        }
    }
    println!("scripts: {answered} dispatches answered of {sent} requests");
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
    assert!(
        answered > 200,
        "most faults leave somebody to answer, and only {answered} calls were answered"
    );
}
