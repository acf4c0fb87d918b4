//! The program itself: a real process, its signals, its exit codes, its words.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use support::client::{Dify, expect_events};
use support::gate::{Gate, HOLD};
use support::gateway::yaml;
use support::program::{Program, Serving, address, command, errors, free, output, said};
use support::stream::Stream;
use support::{eventually, within};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use twolane::demo::daemon::{Daemon, Settings};

const PLUGIN: &str = "langgenius/openai";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn node() -> Daemon {
    Daemon::start(Settings::default()).await.unwrap()
}

/// With one thread, whose runtime is another one than that of many; other tests have as many as the
/// machine has cores.
fn over(node: &Daemon, more: &str) -> String {
    let more = format!("threads: 1\n{more}");
    yaml(&[(node.id().to_owned(), node.addr())], &more)
}

fn sim(script: Value) -> Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": script}})
}

async fn call(dify: &Dify, script: Value) {
    let answer = dify.all("tool/invoke", PLUGIN, sim(script));
    expect_events(within("an answer", answer).await);
}

/// The class that the gateway gave to one call.
async fn class_of(dify: &Dify, script: Value) -> String {
    let mut stream = dify.open("tool/invoke", PLUGIN, sim(script)).await.unwrap();
    let (_, headers) = within("an answer", stream.head()).await.unwrap();
    let class = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-twolane-class"));
    let class = class.map(|(_, value)| value.clone()).unwrap_or_default();
    within("the rest", stream.whole()).await.unwrap();
    class
}

/// What one call's answer says about its connection.
async fn last_on_its_connection(dify: &Dify) -> Option<String> {
    let call = dify.open("tool/invoke", PLUGIN, sim(json!({}))).await;
    let answer = within("an answer", call.unwrap().whole()).await.unwrap();
    assert_eq!(answer.status, 200, "it is served");
    answer.header("Connection").map(str::to_owned)
}

/// Who comes during the delay is served; new to us or not, it is told not to come back this way, so
/// that no connection outlives the drain.
async fn expect_farewell(serving: &Serving, known: Dify) {
    let probed = serving.dify().get("/health/check").await;
    assert_eq!(probed.status, 503, "who probes the data port is told too");
    for dify in [serving.dify(), known] {
        assert_eq!(
            last_on_its_connection(&dify).await.as_deref(),
            Some("close"),
            "the answer says that it is the last one here"
        );
        assert_eq!(dify.pooled(), 0, "and is believed");
    }
}

/// A stream that stands still after its first event.
async fn hold(serving: &Serving, gate: &Gate) -> Stream {
    let before = gate.held();
    let mut stream = serving
        .dify()
        .open("tool/invoke", PLUGIN, json!({"x": HOLD}))
        .await
        .unwrap();
    within("its first event", stream.next()).await.unwrap();
    eventually("it is held", async || gate.held() > before).await;
    stream
}

async fn behind_gate(more: &str) -> (TempDir, Gate, Serving) {
    let (folder, gate) = (folder(), Gate::start("g1").await);
    let serving = Serving::with_file(folder.path(), &yaml(&[gate.named()], more)).await;
    (folder, gate, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn f001_the_program_starts_and_serves() {
    let (folder, node) = (folder(), node().await);
    let serving = Serving::with_file(folder.path(), &over(&node, "")).await;
    for _ in 0..5 {
        call(&serving.dify(), json!({})).await;
    }
    assert_eq!(node.ledger().len(), 5, "the calls arrived at the node");
    assert_eq!(
        serving.ask("/readyz").await.unwrap().status,
        200,
        "it says that it is ready"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f099_a_hangup_reloads_and_a_broken_file_only_says_so() {
    let (folder, node) = (folder(), node().await);
    let mut serving = Serving::with_file(folder.path(), &over(&node, "")).await;
    let file = folder.path().join("gateway.yaml");
    let off = "reload: { poll: \"off\" }\n";
    std::fs::write(
        &file,
        over(&node, &format!("{off}learn: {{ window: 9 }}\n")),
    )
    .unwrap();
    serving.program.signal("HUP");
    let line = serving.program.line("configuration reloaded").await;
    assert!(
        line.contains("learn.window: 5 -> 9"),
        "the log says what changed: {line}"
    );
    let page = serving.ask("/cluster/stats").await.unwrap().json();
    assert_eq!(page["window"], 9, "and it is in force");
    let good = over(&node, off);
    let at = good.lines().count() + 1;
    std::fs::write(&file, format!("{good}windw: 7\n")).unwrap();
    serving.program.signal("HUP");
    serving.program.line("reload refused").await;
    let place = format!("gateway.yaml:{at}:1: windw");
    let line = serving.program.line(&place).await;
    assert!(
        line.contains("unknown"),
        "the place is told with what is wrong: {line}"
    );
    call(&serving.dify(), json!({})).await;
    assert!(serving.program.runs(), "a broken file ends nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn f006_what_was_learned_survives_kill_nine_and_no_lease_does() {
    let (folder, node) = (folder(), node().await);
    let rules = "learn: { long_threshold: 20ms, unknown: short }\n\
                 state: { file: state.json, interval: 100ms }\n";
    let mut first = Serving::with_file(folder.path(), &over(&node, rules)).await;
    let slow = || json!({"ttfb_ms": 40});
    for _ in 0..4 {
        class_of(&first.dify(), slow()).await;
    }
    let hang = sim(json!({"fail": "hang"}));
    let held = first.dify().open("llm/invoke", PLUGIN, hang).await.unwrap();
    within(
        "a call runs",
        node.until(|node| node.active_dispatch() == 1),
    )
    .await;
    let state = folder.path().join("state.json");
    eventually("the state file has all of it", async || {
        learned(&state) >= 4
    })
    .await;
    first.program.signal("KILL");
    assert!(!first.program.exit().await.success(), "it was killed");
    drop(held);

    let second = Serving::with_file(folder.path(), &over(&node, rules)).await;
    second.program.line("recalled operations=").await;
    let page = second.ask("/cluster/nodes").await.unwrap().json();
    assert_eq!(
        page["nodes"][0]["in_flight"]["total"], 0,
        "nothing that ran then is believed to run now"
    );
    assert_eq!(
        class_of(&second.dify(), slow()).await,
        "long",
        "the very first call is known to be long"
    );
    std::fs::remove_file(&state).unwrap();
    let third = folder_of_its_own(&node, rules).await;
    assert_eq!(
        class_of(&third.1.dify(), slow()).await,
        "short",
        "a gateway without that file would not have known"
    );
}

async fn folder_of_its_own(node: &Daemon, rules: &str) -> (TempDir, Serving) {
    let folder = folder();
    let serving = Serving::with_file(folder.path(), &over(node, rules)).await;
    (folder, serving)
}

/// The samples that the state file has of the operation that these tests call.
fn learned(state: &Path) -> u64 {
    let text = std::fs::read_to_string(state).unwrap_or_default();
    let state: Value = serde_json::from_str(&text).unwrap_or_default();
    let keys = state["keys"].as_array().cloned().unwrap_or_default();
    let ours = keys.iter().filter(|known| {
        let key = known["key"].as_str().unwrap_or_default();
        key.starts_with("tool/invoke|langgenius/openai|")
    });
    ours.filter_map(|known| known["count"].as_u64())
        .max()
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn f006_what_was_learned_is_saved_at_the_end() {
    for signal in ["TERM", "INT"] {
        let (folder, node) = (folder(), node().await);
        let rules = "state: { file: state.json, interval: 1h }\n";
        let mut serving = Serving::with_file(folder.path(), &over(&node, rules)).await;
        for _ in 0..3 {
            call(&serving.dify(), json!({})).await;
        }
        let state = folder.path().join("state.json");
        assert!(!state.exists(), "the hour is not over");
        serving.program.signal(signal);
        assert_eq!(
            serving.program.exit().await.code(),
            Some(0),
            "{signal} is no failure"
        );
        assert_eq!(learned(&state), 3, "all of it was written after {signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_refuses_readiness_first_and_exits_when_the_last_stream_ended() {
    let rules = "shutdown: { pre_stop_delay: 5s, deadline: 600s }\n";
    let (_folder, gate, mut serving) = behind_gate(rules).await;
    let mut held = hold(&serving, &gate).await;
    let known = serving.dify();
    assert_eq!(
        last_on_its_connection(&known).await.as_deref(),
        Some("keep-alive"),
        "connections are kept while nobody speaks of an end"
    );
    assert_eq!(known.pooled(), 1, "the next call comes on the same one");
    serving.program.signal("TERM");
    eventually("it is not ready any more", async || {
        let ready = serving.ask("/readyz").await;
        ready.is_some_and(|ready| ready.status == 503)
    })
    .await;
    let ready = serving.ask("/readyz").await.unwrap().json();
    assert_eq!(ready["draining"], true, "it says why");
    assert_eq!(
        serving.ask("/livez").await.unwrap().status,
        200,
        "and is alive"
    );
    expect_farewell(&serving, known).await;
    assert_eq!(gate.taken(), 4, "nobody was turned away");
    eventually("the listener closes after the delay", async || {
        tokio::net::TcpStream::connect(serving.data).await.is_err()
    })
    .await;
    assert!(serving.program.runs(), "the stream holds it");
    let ready = serving.ask("/readyz").await;
    assert!(
        ready.is_none_or(|ready| ready.status == 503),
        "nobody is told that it is ready"
    );
    gate.open();
    let last = within("the last event", held.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(last["n"], 2, "the stream goes on");
    assert_eq!(held.next().await, Ok(None), "and ends well");
    let exit = serving.program.exit().await;
    assert_eq!(exit.code(), Some(0), "the end is no failure: {exit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_place_when_sigterm_comes_is_served_before_the_end() {
    let rules = "health: { enabled: false }\nmax_in_flight: 1\nmax_hold: 600s\n\
                 shutdown: { deadline: 600s }\n";
    let (_folder, gate, mut serving) = behind_gate(rules).await;
    let mut held = hold(&serving, &gate).await;
    let dify = serving.dify();
    let waits = dify.open("tool/invoke", PLUGIN, json!({})).await.unwrap();
    eventually("it waits", async || {
        let page = serving.ask("/status").await.unwrap().json();
        page["pools"][0]["waiting"]["long"] == 1 || page["pools"][0]["waiting"]["short"] == 1
    })
    .await;
    serving.program.signal("TERM");
    serving.program.line("draining").await;
    assert_eq!(gate.taken(), 1, "it still waits");
    gate.open();
    while within("the rest of the stream", held.next())
        .await
        .unwrap()
        .is_some()
    {}
    let answer = within("its answer", waits.whole()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let exit = serving.program.exit().await;
    assert_eq!(exit.code(), Some(0), "nothing was cut: {exit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_nobody_inside_exits_at_once() {
    let rules = "shutdown: { deadline: 600s }\n";
    let (_folder, _gate, mut serving) = behind_gate(rules).await;
    serving.program.signal("TERM");
    let exit = serving.program.exit().await;
    assert_eq!(
        exit.code(),
        Some(0),
        "an idle gateway waits for nobody: {exit}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_exits_at_once_although_a_stream_runs() {
    let (_folder, gate, mut serving) = behind_gate("shutdown: { deadline: 600s }\n").await;
    let held = hold(&serving, &gate).await;
    serving.program.signal("TERM");
    eventually("the listener closes", async || {
        tokio::net::TcpStream::connect(serving.data).await.is_err()
    })
    .await;
    assert!(serving.program.runs(), "the stream holds it");
    serving.program.signal("TERM");
    let exit = serving.program.exit().await;
    assert_eq!(
        exit.code(),
        Some(1),
        "work was cut, and the code says so: {exit}"
    );
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_the_delay_before_the_stop() {
    let rules = "shutdown: { pre_stop_delay: 600s, deadline: 600s }\n";
    let (_folder, gate, mut serving) = behind_gate(rules).await;
    let held = hold(&serving, &gate).await;
    serving.program.signal("TERM");
    serving.program.line("draining").await;
    serving.program.signal("TERM");
    serving.program.exit().await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_exits_fast_although_a_stream_runs() {
    let (_folder, gate, mut serving) = behind_gate("shutdown: { deadline: 600s }\n").await;
    let held = hold(&serving, &gate).await;
    serving.program.signal("INT");
    serving.program.exit().await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_what_does_not_end() {
    let (_folder, gate, mut serving) = behind_gate("shutdown: { deadline: 300ms }\n").await;
    let mut held = hold(&serving, &gate).await;
    serving.program.signal("TERM");
    serving.program.exit().await;
    // It says who was cut; what it said last is read after its end.
    serving.program.line("deadline reached open=1").await;
    assert!(
        within("the stream breaks", held.next()).await.is_err(),
        "a cut stream must not look like one that ended well"
    );
}

/// What the program says and does with a configuration that it refuses.
async fn refused(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = output(command(folder, arguments)).await;
    (output.status.code(), errors(&output))
}

fn write(folder: &TempDir, text: &str) -> String {
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, text).unwrap();
    file.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_ends_the_program_at_once_with_a_cure() {
    let folder = folder();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = busy.local_addr().unwrap();
    let node = "nodes: [127.0.0.1:1]\n";
    for text in [
        format!("{node}listen: \"{at}\"\nadmin: {{ listen: 127.0.0.1:0 }}\n"),
        format!("{node}listen: 127.0.0.1:0\nadmin: {{ listen: \"{at}\" }}\n"),
    ] {
        let file = write(&folder, &text);
        let (code, told) = refused(folder.path(), &["--config", &file]).await;
        assert_eq!(code, Some(1), "it cannot serve: {told}");
        assert!(
            told.contains(&at.to_string()) && told.contains("or stop it"),
            "the port and a cure are named: {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f219_a_bad_configuration_is_refused_with_every_problem() {
    let folder = folder();
    let file = write(
        &folder,
        "nodes: [127.0.0.1:1]\nlern: {}\nlearn:\n  window: 99\n",
    );
    for arguments in [
        &["--config", &file][..],
        &["run", "--config", &file],
        &["check", "--config", &file],
    ] {
        let (code, told) = refused(folder.path(), arguments).await;
        assert_eq!(code, Some(78), "{arguments:?} refuses: {told}");
        for place in ["gateway.yaml:2:1", "gateway.yaml:4:11"] {
            assert!(
                told.contains(place),
                "{arguments:?} tells the problem at {place}: {told}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_is_refused() {
    let folder = folder();
    let (code, told) = refused(folder.path(), &["--config", "nowhere.yaml"]).await;
    assert_eq!(code, Some(78), "there is nothing to run: {told}");
    assert!(told.contains("nowhere.yaml"), "the file is named: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f083_an_admin_port_open_to_others_needs_a_token() {
    let folder = folder();
    let file = write(
        &folder,
        "nodes: [127.0.0.1:1]\nadmin:\n  listen: 0.0.0.0:0\n",
    );
    let (code, told) = refused(folder.path(), &["--config", &file]).await;
    assert_eq!(code, Some(78), "it does not start: {told}");
    assert!(
        told.contains("without a token") && told.contains("TWOLANE_ADMIN_TOKEN"),
        "the danger and a cure are named: {told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f219_check_says_ok_and_prints_no_secret() {
    let folder = folder();
    let token = "correct-horse-battery";
    let text = format!("nodes: [127.0.0.1:1, 127.0.0.1:2]\nadmin: {{ token: {token} }}\n");
    let file = write(&folder, &text);
    let fine = output(command(folder.path(), &["check", "--config", &file])).await;
    assert!(
        fine.status.success(),
        "it is a good file: {}",
        errors(&fine)
    );
    assert!(
        said(&fine).contains("ok (2 nodes, strategy adaptive)"),
        "and in short, this: {}",
        said(&fine)
    );
    let arguments = ["check", "--print", "--config", &file];
    let printed = output(command(folder.path(), &arguments)).await;
    let all = said(&printed) + &errors(&printed);
    assert!(printed.status.success(), "printing is no failure");
    assert!(!all.contains(token), "the token is shown: {all}");
    assert!(all.contains("***"), "it is masked: {all}");
    assert!(all.contains("127.0.0.1:2"), "the rest is there: {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f139_without_a_file_the_environments_node_is_enough() {
    let folder = folder();
    let mut check = command(folder.path(), &["check"]);
    check.env("PLUGIN_DAEMON_URL", "http://127.0.0.1:5003");
    let fine = output(check).await;
    assert!(
        said(&fine).contains("the environment: ok (1 nodes"),
        "one node is known: {} {}",
        said(&fine),
        errors(&fine)
    );
    let (code, told) = refused(folder.path(), &["check"]).await;
    assert_eq!(code, Some(78), "without it there is no node: {told}");
    assert!(
        told.contains("PLUGIN_DAEMON_URL"),
        "the cure is named: {told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f139_the_shipped_file_is_found_and_serves_with_a_url_alone() {
    let (folder, node) = (folder(), node().await);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/twolane.yaml");
    std::fs::create_dir(folder.path().join("conf")).unwrap();
    std::fs::copy(shipped, folder.path().join("conf/twolane.yaml")).unwrap();
    let mut run = command(folder.path(), &[]);
    // Its default ports may be taken on this machine.
    run.env("TWOLANE_LISTEN", "127.0.0.1:0")
        .env("TWOLANE_ADMIN", "127.0.0.1:0")
        .env("PLUGIN_DAEMON_URL", format!("http://{}", node.addr()));
    let serving = Serving::start(run).await;
    call(&serving.dify(), json!({})).await;
    let page = serving.ask("/cluster/nodes").await.unwrap().json();
    assert_eq!(page["nodes"][0]["id"], "default", "it is called default");
    assert_eq!(page["nodes"].as_array().unwrap().len(), 1, "and is alone");
    assert_eq!(node.ledger().len(), 1, "the call went to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_there_and_an_unknown_command_is_not() {
    let folder = folder();
    let version = output(command(folder.path(), &["--version"])).await;
    assert!(version.status.success(), "the version is no failure");
    assert_eq!(
        said(&version).trim(),
        format!("twolane {}", env!("CARGO_PKG_VERSION")),
        "it is this package's"
    );
    let known = commands(folder.path()).await;
    for name in ["run", "check", "demo", "node"] {
        assert!(known.contains(name), "{name} is in the help: {known:?}");
        let help = output(command(folder.path(), &[name, "--help"])).await;
        assert!(help.status.success(), "{name} has a help of its own");
    }
    let (code, told) = refused(folder.path(), &["dmeo"]).await;
    assert_eq!(code, Some(2), "that is no command: {told}");
    assert!(told.contains("demo"), "the likely one is named: {told}");
}

/// The commands that the help names.
async fn commands(folder: &Path) -> BTreeSet<String> {
    let help = output(command(folder, &["--help"])).await;
    assert!(help.status.success(), "the help is no failure");
    let help = said(&help);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let names = list.lines().take_while(|line| line.starts_with("  "));
    names
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

async fn demo(folder: &Path, seconds: &str) -> Value {
    let arguments = ["demo", "--seconds", seconds, "--seed", "42", "--json"];
    let mut command = command(folder, &arguments);
    let ran = tokio::task::spawn_blocking(move || command.output());
    let output = ran.await.unwrap().unwrap();
    assert!(
        output.status.success(),
        "every call was answered: {} {}",
        said(&output),
        errors(&output)
    );
    serde_json::from_str(&said(&output)).expect("standard output is JSON and nothing else")
}

/// Every call of the report is answered, or died with the node that was killed.
fn expect_whole(report: &Value) {
    let calls = report["calls"].as_u64().unwrap();
    let lanes = report["lanes"].as_array().unwrap();
    let names: Vec<_> = lanes.iter().map(|lane| &lane["strategy"]).collect();
    assert_eq!(
        names,
        ["adaptive", "least_in_flight", "round_robin"],
        "all lanes ran"
    );
    for lane in lanes {
        let rows = lane["classes"].as_array().unwrap();
        let counted: u64 = rows.iter().filter_map(|row| row["count"].as_u64()).sum();
        let lost = lane["lost_with_a_node"].as_u64().unwrap();
        assert_eq!(
            counted + lost,
            calls,
            "none is missing in {}",
            lane["strategy"]
        );
        assert_eq!(lane["failures"], 0, "none failed in {}", lane["strategy"]);
        assert!(lost <= 30, "what ran on one node is a few: {lost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_answers_every_call_and_repeats_itself() {
    let folder = folder();
    let (one, other) = tokio::join!(demo(folder.path(), "2"), demo(folder.path(), "2"));
    assert!(
        one["calls"].as_u64().unwrap() > 20,
        "two seconds are worth some calls"
    );
    assert_eq!(one["calls"], other["calls"], "a seed repeats a run");
    expect_whole(&one);
    expect_whole(&other);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_demo_short_calls_wait_less_under_adaptive_than_under_round_robin() {
    let report = demo(folder().path(), "20").await;
    expect_whole(&report);
    let ratios = report["short_p99_ratio"].as_array().unwrap();
    let round_robin = ratios
        .iter()
        .find(|row| row["to"] == "round_robin")
        .unwrap();
    let ratio = round_robin["ratio"].as_f64().unwrap();
    assert!(
        ratio < 0.9,
        "the 99th percentile of short calls is {ratio} of round robin's"
    );
    let slow = |lane: usize| report["lanes"][lane]["short_over_1s"].as_f64().unwrap();
    assert!(
        slow(0) < 0.7 * slow(2),
        "short calls over a second: {} and {}",
        slow(0),
        slow(2)
    );
    let learned = report["lanes"][0]["learned"].as_array().unwrap();
    let class = |part: &str| {
        let row = learned
            .iter()
            .find(|row| row["operation"].as_str().unwrap().contains(part));
        row.map(|row| row["class"].clone())
    };
    assert_eq!(
        class("scan_document"),
        Some(json!("long")),
        "one tool of a plugin"
    );
    assert_eq!(
        class("detect_language"),
        Some(json!("short")),
        "and the other"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_node_answers_health_checks_and_calls() {
    let folder = folder();
    let arguments = [
        "node",
        "--listen",
        "127.0.0.1:0",
        "--id",
        "by-hand",
        "--api-key",
        "k",
    ];
    let program = Program::spawn(command(folder.path(), &arguments));
    let line = program.line("listening").await;
    let dify = Dify::new(address(&line, "addr="), Some("k"));
    let health = dify.get("/health/check").await;
    assert_eq!(health.status, 200, "it is well");
    assert_eq!(health.json()["status"], "ok", "in the daemon's word");
    call(&dify, json!({})).await;
    let stranger = Dify::new(address(&line, "addr="), None);
    let turned_away = stranger
        .post("/plugin/t/dispatch/tool/invoke", &json!({}))
        .await;
    assert_eq!(turned_away.status, 401, "its key is wanted");
}

/// What stands in code in a text, line by line.
fn code(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, block) in text.split("```").enumerate() {
        if at % 2 == 1 {
            lines.extend(block.lines().skip(1).map(str::to_owned));
        } else {
            lines.extend(block.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    lines
}

/// The commands of ours that a text tells its reader to type.
fn typed(text: &str) -> BTreeSet<String> {
    let mut typed = BTreeSet::new();
    for line in code(text) {
        let mut words = line.trim_start_matches(['$', ' ']).split_whitespace();
        let first = words.next().unwrap_or_default();
        let next = words.find(|word| !word.starts_with('-'));
        if first == "twolane" || first.ends_with("/twolane") {
            typed.extend(next.map(str::to_owned));
        }
    }
    typed
}

#[tokio::test(flavor = "multi_thread")]
async fn readme_and_docs_name_only_commands_that_exist() {
    let sample = "Try `twolane dmeo`:\n```sh\n$ ./twolane check --print\ntwolane\n```\n";
    let expected = ["check", "dmeo"].map(str::to_owned);
    assert_eq!(
        typed(sample),
        BTreeSet::from(expected),
        "this test can tell a command in a text"
    );
    let known = commands(folder().path()).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = support::page::documents(root);
    assert!(pages.len() > 10, "only {} pages were found", pages.len());
    for page in pages {
        let text = std::fs::read_to_string(root.join(&page)).unwrap();
        let names = typed(&text);
        if ["README.md", "README.zh-CN.md", "docs/operations.md"].contains(&page.as_str()) {
            assert!(!names.is_empty(), "{page} says how to use the program");
        }
        for name in names {
            assert!(known.contains(&name), "{page} says `twolane {name}`");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f110_explain_asks_the_running_gateway_and_sends_nothing() {
    let (folder, node) = (folder(), node().await);
    let token = "admin: { listen: 127.0.0.1:0, token: hunter2 }\n";
    let serving = Serving::with_file(folder.path(), &over(&node, token)).await;
    let body = folder.path().join("body.json");
    let data = json!({"user_id": "u", "data": {"provider": "demo", "tool": "t"}});
    std::fs::write(&body, data.to_string()).unwrap();
    let path = "/plugin/tenant/dispatch/tool/invoke?secret=1";
    let admin = serving.admin.to_string();
    let (file, body) = (folder.path().join("gateway.yaml"), body.to_string_lossy());
    let file = file.to_string_lossy();
    let typed = [
        "--config",
        &file,
        "explain",
        "POST",
        path,
        "-H",
        "X-Plugin-ID: a/b",
        "--body",
        &body,
        "--admin",
        &admin,
    ];
    let told = output(command(folder.path(), &typed)).await;
    assert!(told.status.success(), "{}", errors(&told));
    let text = said(&told);
    for what in [
        "operation tool/invoke|a/b|demo|t",
        "long because prior",
        "strategy adaptive",
        "goes to",
    ] {
        assert!(text.contains(what), "`{what}` in:\n{text}");
    }
    assert!(!text.contains("secret"), "a query is nobody's business");
    let as_json = output(command(folder.path(), &[&typed[..], &["--json"]].concat())).await;
    let answer: Value = serde_json::from_str(&said(&as_json)).unwrap();
    assert_eq!(answer["choice"]["node"], node.id());
    assert_eq!(node.ledger().len(), 0, "nothing was sent");

    let wrong = output(command(
        folder.path(),
        &[&typed[..], &["-H", "none"]].concat(),
    ))
    .await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        errors(&wrong).contains("is no header"),
        "{}",
        errors(&wrong)
    );
    let nobody = free().to_string();
    let lost = output(command(
        folder.path(),
        &["explain", "GET", "/", "--admin", &nobody],
    ));
    assert_eq!(lost.await.status.code(), Some(69), "nobody answers there");
}

/// Memory of a process in RAM, in KiB: the most it ever had, or what it has now.
fn memory(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends a form with a user and a file of so many bytes, in pieces as a disk would give them.
async fn upload(dify: &Dify, size: usize) {
    let head = "--XX\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu1\r\n\
                --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
    let tail = "\r\n--XX--\r\n";
    let length = (head.len() + size + tail.len()).to_string();
    let headers = [
        ("Content-Type", "multipart/form-data; boundary=XX"),
        ("Content-Length", length.as_str()),
    ];
    let stream = dify.open_raw("POST", "/v1/files/upload", &headers, head.as_bytes());
    let mut stream = stream.await.unwrap();
    let piece = vec![b'x'; 64 * 1024];
    for at in (0..size).step_by(piece.len()) {
        let left = (size - at).min(piece.len());
        stream.send(&piece[..left]).await.unwrap();
    }
    stream.send(tail.as_bytes()).await.unwrap();
    let answer = within("an answer", stream.whole()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn f168_fifty_mib_through_the_gateway_add_less_than_two() {
    let (api, folder) = (support::api::Api::start("a1").await, folder());
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nkind: dify_api\n\
         strategy: consistent_hash\nhash: {{ by: user, required: true }}\n\
         nodes: [\"{}\"]\n",
        api.address
    );
    let serving = Serving::with_file(folder.path(), &text).await;
    let (dify, pid) = (serving.dify(), serving.program.id());
    // Whatever is allocated once is there by then.
    for _ in 0..5 {
        upload(&dify, 1 << 20).await;
    }
    let before = memory(pid, "VmRSS:");
    // The kernel forgets the peak so far.
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    upload(&dify, 50 << 20).await;
    let peak = memory(pid, "VmHWM:");
    let more = peak.saturating_sub(before);
    println!("before {before} KiB, peak {peak} KiB");
    assert!(more < 2048, "{more} KiB more than {before}");
    let came = api.came().pop().unwrap();
    assert!(came.length > 50 << 20, "all of it arrived");
}

/// How many lines a file has.
fn lines_of(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn f216_usr1_opens_the_access_log_again_after_it_was_moved() {
    let (folder, node) = (folder(), node().await);
    let (file, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
    let yaml = over(&node, "access_log: { to: ./a.log }\n");
    let mut serving = Serving::with_file(folder.path(), &yaml).await;
    call(&serving.dify(), json!({})).await;
    eventually("a line", async || lines_of(&file) == 1).await;
    std::fs::rename(&file, &moved).unwrap();
    call(&serving.dify(), json!({})).await;
    eventually("the name does not matter to it", async || {
        lines_of(&moved) == 2
    })
    .await;
    serving.program.signal("USR1");
    eventually("a new file", async || file.is_file()).await;
    call(&serving.dify(), json!({})).await;
    eventually("the next line is there", async || lines_of(&file) == 1).await;
    assert_eq!(lines_of(&moved), 2, "and not there");
    // The last lines are not lost with the process.
    let calls: Vec<_> = (0..20).map(|_| serving.dify()).collect();
    for dify in &calls {
        call(dify, json!({})).await;
    }
    serving.program.signal("TERM");
    assert_eq!(serving.program.exit().await.code(), Some(0));
    assert_eq!(lines_of(&file), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn f216_standard_output_takes_the_access_log_and_usr1_does_no_harm() {
    let (folder, node) = (folder(), node().await);
    let yaml = over(&node, "access_log: { to: stdout }\n");
    std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let out = folder.path().join("out");
    let command = command(folder.path(), &["--config", "gateway.yaml"]);
    let stdout = std::fs::File::create(&out).unwrap();
    let mut serving = Serving::of(Program::spawn_into(command, stdout.into())).await;
    for _ in 0..2 {
        call(&serving.dify(), json!({})).await;
        serving.program.signal("USR1");
        serving.program.line("opened again").await;
    }
    eventually("both lines", async || lines_of(&out) == 2).await;
    for line in std::fs::read_to_string(&out).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["status"], 200);
    }
    assert!(serving.program.runs());
}

/// In a terminal of its own; what it draws is read from `script`'s output.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_terminal_the_demo_is_a_whole_screen_that_keys_steer() {
    let folder = folder();
    let program = env!("CARGO_BIN_EXE_twolane");
    let demo = format!("stty rows 30 cols 120; {program} demo --seconds 4 --save kept.json");
    let mut terminal = tokio::process::Command::new("script")
        .args(["-qfec", &demo, "/dev/null"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("`script` is of every Debian (bsdutils)");
    let mut screen = terminal.stdout.take().unwrap();
    let mut drawn = Vec::new();
    within("the first frame", async {
        while !String::from_utf8_lossy(&drawn).contains("q quit") {
            assert_ne!(screen.read_buf(&mut drawn).await.unwrap(), 0, "it ended");
        }
    })
    .await;
    let keys = terminal.stdin.as_mut().unwrap();
    keys.write_all(b"xb").await.unwrap();
    keys.flush().await.unwrap();
    let rest = tokio::time::timeout(Duration::from_secs(60), screen.read_to_end(&mut drawn));
    rest.await.expect("it ends by itself").unwrap();
    assert!(terminal.wait().await.unwrap().success());
    let drawn = String::from_utf8_lossy(&drawn);
    assert!(drawn.contains("Reproduce it: twolane demo --seed 42 --seconds 4"));
    let kept = std::fs::read_to_string(folder.path().join("kept.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let lane = &kept["lanes"][0];
    let rows = lane["classes"].as_array().unwrap();
    let counted: u64 = rows.iter().filter_map(|row| row["count"].as_u64()).sum();
    let lost = lane["lost_with_a_node"].as_u64().unwrap();
    let burst = counted + lost - kept["calls"].as_u64().unwrap();
    assert_eq!(burst, 12, "the burst by hand came on top");
}
