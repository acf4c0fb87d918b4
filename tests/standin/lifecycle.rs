//! Installing, spreading, uninstalling, and what several daemons share.
use crate::support::client::{Dify, DifyError, expect_events};
use crate::support::within;
use crate::{sim, start};
use serde_json::json;
use std::collections::BTreeMap;
use twolane::demo::daemon::{Daemon, Install, Plugin, Settings, Storage, World};

const NEW: &str = "author/new";

async fn pair(storage: Storage) -> [(Daemon, Dify); 2] {
    let world = World::default();
    let install = Install {
        storage,
        ..Install::default()
    };
    let settings = |id| Settings {
        accept_all_plugins: false,
        clock_scale: 0.001,
        install: install.clone(),
        ..Settings::named(id, &world)
    };
    [start(settings("n1")).await, start(settings("n2")).await]
}

async fn install(dify: &Dify) -> String {
    let body = json!({"plugin_unique_identifiers": ["author/new:0.0.1@abc"], "source": "s"});
    let answer = dify
        .post("/plugin/t/management/install/identifiers", &body)
        .await
        .json();
    assert_eq!(answer["data"]["all_installed"], false);
    answer["data"]["task_id"].as_str().unwrap().to_owned()
}

async fn until_success(dify: &Dify, task: &str) {
    let target = format!("/plugin/t/management/install/tasks/{task}");
    let success = async { while dify.get(&target).await.json()["data"]["status"] != "success" {} };
    within("the task succeeds", success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_works_here_first_and_spreads_with_shared_storage() {
    let [(_n1, here), (_n2, there)] = pair(Storage::Shared).await;
    let unknown = here.all("tool/invoke", NEW, json!({})).await.unwrap_err();
    assert!(matches!(unknown, DifyError::Refused { code: -404, .. }));
    let task = install(&here).await;
    until_success(&there, &task).await;
    assert_eq!(
        expect_events(here.all("tool/invoke", NEW, json!({})).await)[0]["node"],
        "n1"
    );
    let spread = async { while there.all("tool/invoke", NEW, json!({})).await.is_err() {} };
    within("the other daemon sweeps", spread).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_disk_keeps_a_plugin_where_it_is() {
    let [(_n1, here), (_n2, there)] = pair(Storage::PerNode).await;
    let task = install(&here).await;
    until_success(&here, &task).await;
    expect_events(here.all("tool/invoke", NEW, json!({})).await);
    let absent = there.all("tool/invoke", NEW, json!({})).await.unwrap_err();
    assert!(matches!(absent, DifyError::Unavailable(_)), "{absent:?}");
    // The row in the shared database says that there is nothing to do.
    let body = json!({"plugin_unique_identifiers": ["author/new:0.0.1@abc"]});
    let again = there
        .post("/plugin/t/management/install/identifiers", &body)
        .await
        .json();
    assert_eq!(again["data"]["all_installed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_fails_the_task_it_interrupts() {
    let world = World::default();
    let settings = |id| Settings {
        accept_all_plugins: false,
        ..Settings::named(id, &world)
    };
    let (n1, here) = start(settings("n1")).await;
    let (_n2, there) = start(settings("n2")).await;
    let task = install(&here).await;
    within("restart", n1.restart()).await.unwrap();
    let target = format!("/plugin/t/management/install/tasks/{task}");
    let failed = async { while there.get(&target).await.json()["data"]["status"] != "failed" {} };
    within("the task fails", failed).await;
    let deletion = format!("{target}/delete/author/new:0.0.1@abc");
    assert_eq!(there.post(&deletion, &json!({})).await.json()["data"], true);
    assert_eq!(there.get(&target).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_waits_for_running_calls() {
    let settings = Settings {
        plugins: vec![Plugin::running(NEW)],
        ..Settings::default()
    };
    let (daemon, dify) = start(settings).await;
    let script = sim(json!({"ttfb_ms": 200}));
    let mut held = dify.open("tool/invoke", NEW, script).await.unwrap();
    within("the call runs", daemon.until(|d| d.plugin_calls(NEW) == 1)).await;
    let body = json!({"plugin_installation_id": NEW});
    let done = within(
        "uninstall",
        dify.post("/plugin/t/management/uninstall", &body),
    )
    .await;
    assert_eq!(done.json()["data"], true);
    assert!(
        daemon.ledger().executions()[0].finished.is_some(),
        "it waited"
    );
    assert!(held.next().await.unwrap().is_some(), "the call was not cut");
    let gone = dify.all("tool/invoke", NEW, json!({})).await.unwrap_err();
    assert!(matches!(gone, DifyError::Refused { code: -404, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_can_come_and_go_at_run_time() {
    let (daemon, dify) = start(Settings::default()).await;
    daemon.set_running(NEW, false);
    let absent = dify.all("tool/invoke", NEW, json!({})).await.unwrap_err();
    assert!(
        matches!(absent, DifyError::Unavailable(message) if message.contains("no available node"))
    );
    daemon.set_running(NEW, true);
    expect_events(dify.all("tool/invoke", NEW, json!({})).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_shared_and_finds_what_ran_twice() {
    let world = World::default();
    let (_n1, first) = start(Settings::named("n1", &world)).await;
    let (_n2, second) = start(Settings::named("n2", &world)).await;
    for (dify, id) in [(&first, "once"), (&first, "twice"), (&second, "twice")] {
        expect_events(dify.all("tool/invoke", NEW, sim(json!({"id": id}))).await);
    }
    let by_header = second.clone().with("X-Request-Id", "from the header");
    expect_events(by_header.all("llm/invoke", NEW, json!({})).await);
    let ledger = world.ledger();
    assert_eq!(
        ledger.duplicates(),
        BTreeMap::from([("twice".to_owned(), 2)])
    );
    assert_eq!(
        ledger.per_node(),
        BTreeMap::from([("n1".to_owned(), 2), ("n2".to_owned(), 2)])
    );
    assert_eq!(
        ledger.executions()[3].id.as_deref(),
        Some("from the header")
    );
}
