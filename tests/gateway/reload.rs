//! A file that changes while requests run.

use crate::support::client::{Dify, expect_events};
use crate::support::filed::Filed;
use crate::support::gate::{Gate, HOLD};
use crate::support::gateway::{Gateway, yaml};
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons, sim};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;
use twolane::demo::daemon::{Daemon, Health};
use twolane::nodes::{Hand, Node};

/// Nothing is reloaded unless the test says so.
const BY_HAND: &str = "reload: { poll: \"off\" }\n";

fn file(nodes: &[&Daemon], more: &str) -> String {
    let named: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    named_file(&named, more)
}

fn named_file(nodes: &[(String, SocketAddr)], more: &str) -> String {
    yaml(nodes, &[BY_HAND, more].concat())
}

fn live_nodes(filed: &Filed) -> Vec<Arc<Node>> {
    filed.gateway.embedded.live().snapshot().nodes()
}

async fn call(dify: &Dify, script: Value) {
    let answer = dify.all("tool/invoke", PLUGIN, sim(script));
    expect_events(within("an answer", answer).await);
}

/// A header of the answer to one call.
async fn header_of(dify: &Dify, name: &str) -> Option<String> {
    let target = "/plugin/t/dispatch/tool/invoke";
    let json = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
    ];
    let body = json!({"user_id": "u", "data": sim(json!({}))}).to_string();
    let answer = dify.raw("POST", target, &json, body.as_bytes());
    let answer = within("an answer", answer).await.unwrap();
    answer.header(name).map(str::to_owned)
}

/// The newest samples of the operation that the calls of this file are.
async fn samples(filed: &Filed) -> Vec<Value> {
    let page = filed
        .gateway
        .admin("/cluster/stats?prefix=tool/invoke")
        .await;
    let page = page.json();
    let samples = page["endpoints"][0]["samples_ms"].as_array();
    samples.cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn f092_a_new_threshold_holds_from_the_next_request_on() {
    let node = daemons(1).await.remove(0);
    let filed = Filed::start(&file(&[&node], "")).await;
    let dify = filed.gateway.dify();
    for _ in 0..4 {
        call(&dify, json!({"ttfb_ms": 30})).await;
    }
    let class = header_of(&dify, "X-Twolane-Class").await;
    assert_eq!(class.as_deref(), Some("short"), "30 ms are short for 5 s");
    let changes = filed
        .take(&file(&[&node], "learn: { long_threshold: 10ms }\n"))
        .await;
    assert_eq!(
        changes,
        ["learn.long_threshold: 5s -> 10ms"],
        "the answer says what changed, and nothing else"
    );
    let class = header_of(&dify, "X-Twolane-Class").await;
    assert_eq!(class.as_deref(), Some("long"), "and long for 10 ms");
    let page = filed.gateway.admin("/cluster/stats").await.json();
    assert_eq!(page["threshold_ms"], 10.0, "the page shows the new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn f093_a_smaller_window_keeps_the_newest_samples() {
    let node = daemons(1).await.remove(0);
    let filed = Filed::start(&file(&[&node], "learn: { window: 5 }\n")).await;
    let dify = filed.gateway.dify();
    for n in 0..7 {
        call(&dify, json!({"ttfb_ms": n * 3})).await;
    }
    let before = samples(&filed).await;
    assert_eq!(before.len(), 5, "the window is full");
    filed.take(&file(&[&node], "learn: { window: 2 }\n")).await;
    assert_eq!(samples(&filed).await, before[3..], "the newest two stay");
    filed.take(&file(&[&node], "learn: { window: 4 }\n")).await;
    call(&dify, json!({})).await;
    let after = samples(&filed).await;
    assert_eq!(after[..2], before[3..], "they stay when it grows again");
    assert_eq!(after.len(), 3, "and a new one comes after them");
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_broken_file_is_refused_with_its_places_and_the_old_one_serves_on() {
    let nodes = daemons(2).await;
    let good = file(&[&nodes[0]], "");
    let filed = Filed::start(&good).await;
    let broken = format!("{good}learn:\n  windw: 7\n  min_samples: many\n");
    let answer = filed.reload(&broken).await;
    assert_eq!(answer.status, 400, "a broken file is refused");
    let line = good.lines().count() + 2;
    for (line, column, word) in [(line, 3, "windw"), (line + 1, 16, "min_samples")] {
        let place = format!("twolane.yaml:{line}:{column}: learn.");
        assert!(
            answer
                .text()
                .lines()
                .any(|told| told.contains(&place) && told.contains(word)),
            "every problem is told with its place, {place} too: {}",
            answer.text()
        );
    }
    assert_eq!(filed.version(), 1, "nothing was swapped");
    call(&filed.gateway.dify(), json!({"id": "old"})).await;
    let page = filed.gateway.metrics().await;
    assert_eq!(
        page.get("twolane_config_last_reload_successful"),
        Some(0.0),
        "an alert can see it"
    );
    let answer = filed.reload("nodes: [\n").await;
    assert_eq!(answer.status, 400, "half a file is refused too");
    assert!(
        answer.text().contains("twolane.yaml:"),
        "with its place: {}",
        answer.text()
    );
    filed.take(&file(&[&nodes[1]], "")).await;
    let page = filed.gateway.metrics().await;
    assert_eq!(
        page.get("twolane_config_last_reload_successful"),
        Some(1.0),
        "the alert ends"
    );
    assert_eq!(
        page.get("twolane_config_reloads_total{result=\"failure\"}"),
        Some(2.0),
        "both refusals were counted"
    );
    call(&filed.gateway.dify(), json!({"id": "new"})).await;
    let all = nodes[0].ledger().executions();
    let went: Vec<_> = all.iter().map(|entry| entry.node.as_str()).collect();
    assert_eq!(went, ["n1", "n2"], "the new node serves from then on");
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_file_that_vanished_is_refused_and_the_old_one_serves_on() {
    let node = daemons(1).await.remove(0);
    let filed = Filed::start(&file(&[&node], "")).await;
    std::fs::remove_file(&filed.file).unwrap();
    assert_eq!(
        filed.post("/-/reload").await.status,
        400,
        "there is no file"
    );
    call(&filed.gateway.dify(), json!({})).await;
    filed.write(&file(&[&node], "debug: { headers: false }\n"));
    assert_eq!(
        filed.post("/-/reload").await.status,
        200,
        "now there is one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_without_a_file_there_is_nothing_to_reload() {
    let node = daemons(1).await.remove(0);
    let gateway = Gateway::before(&[&node], "").await;
    let refused = gateway.embedded.reload().await.unwrap_err();
    assert!(
        refused.contains("did not come from a file"),
        "the refusal says why: {refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_changed_content_is_noticed_without_being_told() {
    let nodes = daemons(2).await;
    let poll = "reload: { poll: 100ms }\n";
    let text = |node: &Daemon| yaml(&[(node.id().to_owned(), node.addr())], poll);
    let filed = Filed::start(&text(&nodes[0])).await;
    filed.write("nodes: [\n");
    let failures = "twolane_config_reloads_total{result=\"failure\"}";
    eventually("a broken content is noticed", async || {
        filed.gateway.metrics().await.get(failures) == Some(1.0)
    })
    .await;
    filed.write(&text(&nodes[1]));
    eventually("a good content is noticed", async || filed.version() == 2).await;
    call(&filed.gateway.dify(), json!({})).await;
    assert_eq!(ran_on(&nodes[0]), ["n2"], "the new node serves");
    let page = filed.gateway.metrics().await;
    assert_eq!(
        page.get(failures),
        Some(1.0),
        "the broken one was told once"
    );
}

fn ran_on(daemon: &Daemon) -> Vec<String> {
    daemon.ledger().per_node().into_keys().collect()
}

/// What a ConfigMap looks like to its pod: the file is a link through `..data`, which is swapped.
fn link_data(folder: &Path, version: &str, text: &str) {
    std::fs::create_dir(folder.join(version)).unwrap();
    std::fs::write(folder.join(version).join("twolane.yaml"), text).unwrap();
    std::os::unix::fs::symlink(version, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_config_maps_symlink_swap_is_noticed() {
    let nodes = daemons(2).await;
    let poll = "reload: { poll: 100ms }\n";
    let text = |node: &Daemon| yaml(&[(node.id().to_owned(), node.addr())], poll);
    let folder = tempfile::tempdir().unwrap();
    link_data(folder.path(), "..2026_1", &text(&nodes[0]));
    let link = folder.path().join("twolane.yaml");
    std::os::unix::fs::symlink("..data/twolane.yaml", &link).unwrap();
    let filed = Filed::start_in(folder, link).await;
    link_data(filed.folder(), "..2026_2", &text(&nodes[1]));
    eventually("the swap is noticed", async || filed.version() == 2).await;
    call(&filed.gateway.dify(), json!({})).await;
    assert_eq!(ran_on(&nodes[0]), ["n2"], "the new node serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_reloads_at_once_come_one_after_the_other() {
    let node = daemons(1).await.remove(0);
    let filed = Arc::new(Filed::start(&file(&[&node], "")).await);
    let mut reloads = JoinSet::new();
    for _ in 0..20 {
        let filed = Arc::clone(&filed);
        reloads.spawn(async move { filed.post("/-/reload").await.status });
    }
    while let Some(status) = within("reloads end", reloads.join_next()).await {
        assert_eq!(status.unwrap(), 200, "each of them is answered");
    }
    assert_eq!(filed.version(), 21, "and each of them counted");
}

/// Streams that stand still until the gate opens.
async fn hold(gateway: &Gateway, gates: &[Gate], count: usize) -> JoinSet<usize> {
    let mut held = JoinSet::new();
    for _ in 0..count {
        let dify = gateway.dify();
        held.spawn(async move {
            let answer = dify.all("tool/invoke", PLUGIN, json!({"x": HOLD})).await;
            expect_events(answer).len()
        });
    }
    eventually("all are held", async || {
        gates.iter().map(Gate::held).sum::<usize>() == count
    })
    .await;
    held
}

/// Short calls, one after the other, until told to stop; each must work.
fn short_load(dify: Dify, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<usize> {
    tokio::spawn(async move {
        let mut answered = 0;
        while !stop.load(Ordering::Acquire) {
            call(&dify, json!({})).await;
            answered += 1;
        }
        answered
    })
}

async fn all_answered(load: Vec<tokio::task::JoinHandle<usize>>) {
    for client in load {
        let answered = within("the load ends", client).await.unwrap();
        assert!(answered > 0, "the load ran through the reloads");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_hundred_reloads_under_fifty_streams_and_load_harm_nobody() {
    const STREAMS: usize = 50;
    let gates = [Gate::start("g1").await, Gate::start("g2").await];
    let sick = daemons(1).await.remove(0);
    sick.set_health(Health {
        status: 500,
        ..Health::default()
    });
    let mut named: Vec<_> = gates.iter().map(Gate::named).collect();
    named.push(("n1".to_owned(), sick.addr()));
    let rules = [
        "learn: { window: 3 }\n",
        "learn: { window: 4 }\ntimeouts: { read: 700s }\n",
    ];
    let filed = Filed::start(&named_file(&named, rules[0])).await;
    let before = live_nodes(&filed);
    let mut held = hold(&filed.gateway, &gates, STREAMS).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..3)
        .map(|_| short_load(filed.gateway.dify(), Arc::clone(&stop)))
        .collect();
    for n in 1..=100 {
        filed.take(&named_file(&named, rules[n % 2])).await;
        assert!(
            !before[2].is_healthy(),
            "the sick node stays out, reload {n}"
        );
        let leases: u32 = before.iter().map(|node| node.total_in_flight()).sum();
        assert!(
            leases as usize >= STREAMS,
            "the streams stay counted through reload {n}: {leases}"
        );
    }
    stop.store(true, Ordering::Release);
    all_answered(load).await;
    assert_eq!(filed.version(), 101, "all hundred were taken");
    for (old, new) in before.iter().zip(live_nodes(&filed)) {
        assert!(Arc::ptr_eq(old, &new), "{} stays the same node", old.id());
    }
    let leases = filed.gateway.in_flight();
    assert_eq!(leases as usize, STREAMS, "the streams and nothing else run");
    assert_eq!(
        held.try_join_next().map(Result::unwrap),
        None,
        "no stream ended"
    );
    gates.iter().for_each(Gate::open);
    while let Some(events) = within("the streams end", held.join_next()).await {
        assert_eq!(events.unwrap(), 2, "every stream came to its end");
    }
    assert!(
        sick.ledger().is_empty(),
        "nothing was sent to the sick node"
    );
    within(
        "all counted down",
        filed.gateway.until(|gateway| gateway.in_flight() == 0),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_running_request_keeps_the_rules_it_came_in_with() {
    let node = daemons(1).await.remove(0);
    let filed = Filed::start(&file(&[&node], "debug: { headers: true }\n")).await;
    let dify = filed.gateway.dify();
    let body = json!({"user_id": "u", "data": sim(json!({})), "pad": "x".repeat(5000)}).to_string();
    let length = body.len().to_string();
    let (first, rest) = body.split_at(10);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        ("Content-Length", &length),
    ];
    let target = "/plugin/t/dispatch/tool/invoke";
    let mut running = dify
        .open_raw("POST", target, &headers, first.as_bytes())
        .await
        .unwrap();
    let inside = |gateway: &Gateway| gateway.embedded.live().lifecycle.open() == 1;
    within("its header was read", filed.gateway.until(inside)).await;
    let stricter = "debug: { headers: false }\nlimits: { body: 1KiB }\n";
    filed.take(&file(&[&node], stricter)).await;
    let late = dify.raw("POST", target, &headers, body.as_bytes()).await;
    let late = within("the late one is answered", async { late })
        .await
        .unwrap();
    assert_eq!(late.status, 413, "what comes now is too large");
    assert_eq!(
        header_of(&dify, "X-Twolane-Node").await,
        None,
        "and answers carry no debug headers any more"
    );
    running.send(rest.as_bytes()).await.unwrap();
    let answer = within("the running one is answered", running.whole())
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "the old limit holds for it");
    assert_eq!(
        answer.header("X-Twolane-Node"),
        Some("n1"),
        "and its answer carries what was asked for when it came"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_removed_node_ends_its_stream_and_is_the_same_when_it_returns() {
    let gates = [Gate::start("g1").await];
    let other = daemons(1).await.remove(0);
    let both = [gates[0].named(), ("n1".to_owned(), other.addr())];
    let filed = Filed::start(&named_file(&both[..1], "")).await;
    let mut held = hold(&filed.gateway, &gates, 1).await;
    let removed = live_nodes(&filed).remove(0);
    filed.take(&named_file(&both[1..], "")).await;
    let page = filed.gateway.admin("/cluster/nodes").await;
    assert!(!page.text().contains("g1"), "the removed node is not shown");
    let dify = filed.gateway.dify();
    for _ in 0..10 {
        call(&dify, json!({})).await;
    }
    assert_eq!(gates[0].taken(), 1, "nothing new goes to the removed node");
    filed.take(&named_file(&both, "")).await;
    let returned = live_nodes(&filed).remove(0);
    assert!(
        Arc::ptr_eq(&removed, &returned),
        "it returns as the same node"
    );
    assert_eq!(returned.total_in_flight(), 1, "with its running stream");
    filed.take(&named_file(&both[1..], "")).await;
    gates[0].open();
    let events = within("the stream ends", held.join_next()).await.unwrap();
    assert_eq!(events.unwrap(), 2, "it was served to its end");
    within("it is counted down", async {
        while returned.total_in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_what_needs_a_restart_is_named_and_not_half_done() {
    let node = daemons(1).await.remove(0);
    let filed = Filed::start(&file(&[&node], "")).await;
    let moved = "listen: 127.0.0.1:1\nadmin: { listen: 127.0.0.1:2 }\nthreads: 7\n";
    let changes = filed.take(&file(&[&node], moved)).await;
    for key in ["listen", "admin.listen", "threads"] {
        let told = format!("{key}: needs a restart");
        assert!(changes.contains(&told), "{told:?} is in {changes:?}");
    }
    assert_eq!(changes.len(), 3, "nothing else changed: {changes:?}");
    call(&filed.gateway.dify(), json!({})).await;
    assert_eq!(
        filed.gateway.admin("/livez").await.status,
        200,
        "both listeners are where they were"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f138_a_drain_by_hand_survives_a_reload_that_does_not_speak_of_it() {
    let nodes = daemons(2).await;
    let both = [&nodes[0], &nodes[1]];
    let filed = Filed::start(&file(&both, "")).await;
    live_nodes(&filed)[0].set_hand(Hand::Drain);
    filed.take(&file(&both, "learn: { window: 9 }\n")).await;
    let page = filed.gateway.admin("/cluster/nodes").await.json();
    assert_eq!(page["nodes"][0]["state"], "drain", "the hand stays on it");
    let dify = filed.gateway.dify();
    for _ in 0..20 {
        call(&dify, json!({})).await;
    }
    assert_eq!(ran_on(&nodes[0]), ["n2"], "nothing new goes there");
}

#[tokio::test(flavor = "multi_thread")]
async fn f138_draining_by_the_file_ends_in_peace_and_can_be_taken_back() {
    let gates = [Gate::start("g1").await];
    let other = daemons(1).await.remove(0);
    let (gate, other_at) = (gates[0].addr, other.addr());
    let wanted = |drain: bool| {
        format!(
            "{BY_HAND}nodes:\n  - {{ id: g1, address: \"{gate}\", drain: {drain} }}\n  \
             - {{ id: n1, address: \"{other_at}\", role: backup }}\n"
        )
    };
    let filed = Filed::start(&yaml(&[], &wanted(false))).await;
    let mut held = hold(&filed.gateway, &gates, 5).await;
    let changes = filed.take(&yaml(&[], &wanted(true))).await;
    assert_eq!(
        changes,
        ["pools.main.nodes.g1.drain: false -> true"],
        "the change is named"
    );
    let dify = filed.gateway.dify();
    for _ in 0..10 {
        call(&dify, json!({})).await;
    }
    assert_eq!(gates[0].taken(), 5, "nothing new goes to the draining node");
    gates[0].open();
    while let Some(events) = within("the streams end", held.join_next()).await {
        assert_eq!(events.unwrap(), 2, "what ran there ended in peace");
    }
    within(
        "it is empty",
        filed.gateway.until(|gateway| gateway.in_flight() == 0),
    )
    .await;
    filed.take(&yaml(&[], &wanted(false))).await;
    call(&dify, json!({})).await;
    assert_eq!(gates[0].taken(), 6, "it works again");
}

#[tokio::test(flavor = "multi_thread")]
async fn f119_a_fourth_node_comes_and_goes_under_load_and_no_call_fails() {
    let nodes = daemons(4).await;
    let all: Vec<_> = nodes.iter().collect();
    let text = |many: usize| file(&all[..many], "strategy: round_robin\n");
    let filed = Filed::start(&text(3)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..6)
        .map(|_| short_load(filed.gateway.dify(), Arc::clone(&stop)))
        .collect();
    let served = |node: &str| nodes[0].ledger().per_node().get(node).copied().unwrap_or(0);
    // Many times, one right after the other: the turns of three nodes are never taken for those of four.
    for many in [4, 3, 4, 3, 4] {
        filed.take(&text(many)).await;
        let before = [served("n3"), served("n4")];
        let last = many - 3;
        eventually("the last one serves", async || {
            served(["n3", "n4"][last]) > before[last] + 20
        })
        .await;
    }
    // All four in turn: none has more than one in four and what is under way.
    let ran = || nodes[0].ledger().executions();
    let before = ran().len();
    eventually("four hundred more", async || ran().len() >= before + 400).await;
    for node in ["n1", "n2", "n3", "n4"] {
        let next = &ran()[before..before + 400];
        let took = next.iter().filter(|entry| entry.node == node).count();
        assert!((80..=120).contains(&took), "{node} took {took} of 400");
    }
    stop.store(true, Ordering::Release);
    all_answered(load).await;
}
