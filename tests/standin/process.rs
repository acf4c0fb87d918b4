//! The plugin's process: its limit, its death, its slot, and clients that leave early.
use crate::support::client::{DifyError, expect_events};
use crate::support::within;
use crate::{PLUGIN, sim, start};
use serde_json::json;
use twolane::demo::daemon::{Plugin, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn the_execution_limit_kills_what_hangs() {
    let settings = Settings {
        max_execution_ms: 600_000,
        clock_scale: 0.0001,
        ..Settings::default()
    };
    let (_daemon, dify) = start(settings).await;
    let hung = dify
        .all("tool/invoke", PLUGIN, sim(json!({"fail": "hang"})))
        .await;
    assert_eq!(
        hung.unwrap_err(),
        DifyError::DaemonInternal("killed by timeout".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_of_the_process_takes_every_call_with_it() {
    let (daemon, dify) = start(Settings::default()).await;
    let mut bystander = dify
        .open("tool/invoke", PLUGIN, sim(json!({"fail": "hang"})))
        .await
        .unwrap();
    within("bystander runs", daemon.until(|d| d.active_dispatch() == 1)).await;
    let fatal = dify
        .all("tool/invoke", PLUGIN, sim(json!({"fail": "exit"})))
        .await;
    assert!(matches!(fatal, Err(DifyError::InnerError(_))));
    assert!(matches!(
        bystander.next().await,
        Err(DifyError::InnerError(_))
    ));
    within("dead", daemon.until(|d| d.open_connections() == 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_then_close_costs_a_connection_each_and_is_no_failure() {
    let (daemon, dify) = start(Settings::default()).await;
    for _ in 0..5 {
        let first = dify
            .first("text_embedding/invoke", PLUGIN, json!({}))
            .await
            .unwrap();
        assert_eq!(first["op"], "text_embedding/invoke");
    }
    within("all closed", daemon.until(|d| d.open_connections() == 0)).await;
    assert_eq!(dify.pooled(), 0);
    assert!(
        daemon
            .ledger()
            .executions()
            .iter()
            .all(|entry| entry.finished.is_some())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_plugin_keeps_its_slot_after_the_client_left() {
    let plugins = vec![Plugin::blocking("a/blocks"), Plugin::running("a/other")];
    let (daemon, dify) = start(Settings {
        plugins,
        ..Settings::default()
    })
    .await;
    let script = sim(json!({"ttfb_ms": 300, "id": "first"}));
    let first = dify.open("tool/invoke", "a/blocks", script).await.unwrap();
    within(
        "first runs",
        daemon
            .ledger()
            .until(|all| all.iter().any(|e| e.started.is_some())),
    )
    .await;
    first.reset();
    within(
        "its leaving is noted",
        daemon.ledger().until(|all| all[0].client_gone.is_some()),
    )
    .await;
    assert_eq!(daemon.plugin_calls("a/blocks"), 1);
    expect_events(dify.all("tool/invoke", "a/other", json!({})).await);
    expect_events(
        dify.all("tool/invoke", "a/blocks", sim(json!({"id": "second"})))
            .await,
    );
    let all = daemon.ledger().executions();
    let by_id = |id: &str| {
        all.iter()
            .find(|entry| entry.id.as_deref() == Some(id))
            .unwrap()
    };
    assert!(by_id("first").finished.unwrap() <= by_id("second").started.unwrap());
    assert!(by_id("first").client_gone.unwrap() < by_id("first").finished.unwrap());
    assert_eq!(by_id("second").client_gone, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooperative_plugin_serves_many_at_once() {
    let (daemon, dify) = start(Settings::default()).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(
            dify.open("tool/invoke", PLUGIN, sim(json!({"fail": "hang"})))
                .await
                .unwrap(),
        );
    }
    let all_started = daemon
        .ledger()
        .until(|all| all.len() == 8 && all.iter().all(|e| e.started.is_some()));
    within("all run", all_started).await;
    expect_events(dify.all("tool/invoke", PLUGIN, json!({})).await);
    assert_eq!(daemon.plugin_calls(PLUGIN), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_early_leavers_leaks_no_connection_and_loses_no_call() {
    let (daemon, dify) = start(Settings::default()).await;
    // Three descriptors each, in this process; many systems allow 1,024 unasked.
    for wave in [0..200, 200..400] {
        let mut leavers = tokio::task::JoinSet::new();
        for id in wave {
            let dify = dify.clone();
            let script = sim(json!({"id": id.to_string(), "events": 5}));
            leavers.spawn(async move { dify.first("tool/invoke", PLUGIN, script).await });
        }
        while let Some(first) = leavers.join_next().await {
            assert_eq!(first.unwrap().unwrap()["seq"], 0);
        }
    }
    within("all closed", daemon.until(|d| d.open_connections() == 0)).await;
    let ledger = daemon.ledger();
    within(
        "all ran on",
        ledger.until(|all| all.iter().all(|e| e.finished.is_some())),
    )
    .await;
    assert_eq!((ledger.len(), ledger.duplicates().len()), (400, 0));
    assert_eq!(
        (daemon.active_dispatch(), daemon.plugin_calls(PLUGIN)),
        (0, 0)
    );
}
