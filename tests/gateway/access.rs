//! One line for each request: which, with what in it, and what it costs when nobody takes it.

use crate::rig::{Rig, UNCHECKED, ask, expect_rejection};
use crate::support::filed::Filed;
use crate::support::gateway::{Gateway, yaml};
use crate::support::{eventually, within};
use crate::{PLUGIN, daemons, sim};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder, and where the log in it is.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    (folder, file)
}

fn to(file: &Path, more: &str) -> String {
    format!("access_log: {{ to: {}, {more} }}\n", file.display())
}

/// The first so many lines, once they are there, each of them read as JSON.
async fn lines(file: &Path, many: usize) -> Vec<Value> {
    let read = || fs::read_to_string(file).unwrap_or_default();
    let name = format!("{many} lines");
    eventually(&name, async || read().matches('\n').count() >= many).await;
    let text = read();
    assert_eq!(text.lines().count(), many, "and no more:\n{text}");
    let line = |line| serde_json::from_str(line).expect("every line is JSON");
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f212_f215_a_line_says_who_asked_for_what_and_how_it_ended() {
    let (_folder, file) = place();
    let rig = Rig::new(2, &to(&file, "slow: 100ms")).await;
    let dify = rig
        .dify()
        .with("X-Request-Id", "asked-1")
        .with("X-Forwarded-For", "203.0.113.9")
        .with(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
    let answer = ask(&dify, PLUGIN, sim(json!({"ttfb_ms": 20, "events": 3}))).await;
    let line = lines(&file, 1).await.remove(0);
    for (key, expected) in [
        ("id", json!("asked-1")),
        ("client", json!("127.0.0.1")),
        ("forwarded_for", json!("203.0.113.9")),
        ("method", json!("POST")),
        ("path", json!("/plugin/tenant/dispatch/tool/invoke")),
        ("protocol", json!("HTTP/1.1")),
        ("status", json!(200)),
        ("ending", json!("answered")),
        ("node_status", json!(200)),
        ("attempts", json!(1)),
        ("pool", json!("main")),
        ("plugin", json!(PLUGIN)),
        ("user_agent", json!("python-httpx/0.28.1")),
        ("bytes_out", json!(answer.body.len())),
        (
            "traceparent",
            json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
    ] {
        assert_eq!(line[key], expected, "{key} in {line}");
    }
    for (key, header) in [
        ("id", "X-Twolane-Request-Id"),
        ("node", "X-Twolane-Node"),
        ("class", "X-Twolane-Class"),
        ("basis", "X-Twolane-Basis"),
        ("why", "X-Twolane-Why"),
    ] {
        assert_eq!(line[key].as_str(), answer.header(header), "{key}");
    }
    let number = |key: &str| line[key].as_f64().unwrap();
    assert!(number("bytes_in") > 50.0);
    assert!(20.0 <= number("first_byte_ms") && number("first_byte_ms") <= number("took_ms"));
    assert!(
        line["operation"]
            .as_str()
            .unwrap()
            .starts_with("tool/invoke|")
    );
    documented(&line);
}

#[tokio::test(flavor = "multi_thread")]
async fn f089_every_request_has_one_line_whatever_became_of_it() {
    let (_folder, file) = place();
    let rig = Rig::new(2, &to(&file, "")).await;
    let dify = rig.dify();
    let scripts = [
        json!({"ttfb_ms": 3}),
        json!({"events": 4, "gap_ms": 2}),
        json!({"fail": {"status": {"code": 500}}}),
        json!({"events": 3, "fail": "reset", "fail_after": 1}),
    ];
    let mut asked = BTreeSet::new();
    for n in 0..80 {
        let id = format!("call-{n}");
        let headers = [("X-Request-Id", id.as_str()), ("X-Plugin-ID", PLUGIN)];
        let (method, target) = match n % 5 {
            4 => ("GET", "/metrics"),
            _ => ("POST", "/plugin/t/dispatch/tool/invoke"),
        };
        let body = json!({"user_id": "u", "data": sim(scripts[n % 4].clone())}).to_string();
        let headers = [&headers[..], &[("Content-Type", "application/json")]].concat();
        // Some are refused, some broken: each of them is a request.
        let answer = dify.raw(method, target, &headers, body.as_bytes());
        let _whatever_came = within("an end", answer).await;
        asked.insert(id);
    }
    let lines = lines(&file, asked.len()).await;
    let told: BTreeSet<_> = (lines.iter())
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, asked, "one each, and no other");
    let endings: BTreeSet<_> = (lines.iter())
        .map(|line| line["ending"].as_str().unwrap())
        .collect();
    assert!(endings.len() > 2, "of every kind: {endings:?}");
    for line in &lines {
        let number = |key: &str| line[key].as_f64().unwrap_or(0.0);
        let parts = number("waited_ms") + number("first_byte_ms");
        assert!(number("took_ms") + 0.01 >= parts, "{line}");
        documented(line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f212_behind_a_trusted_proxy_the_client_is_whom_it_names() {
    for (trusted, client) in [("10.0.0.0/8", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")] {
        let (_folder, file) = place();
        let more = format!("trusted_proxies: [{trusted}]\n{}", to(&file, "sample: 1"));
        let rig = Rig::new(1, &more).await;
        let dify = rig
            .dify()
            .with("X-Forwarded-For", "198.51.100.7, 203.0.113.9");
        ask(&dify, PLUGIN, sim(json!({}))).await;
        let line = lines(&file, 1).await.remove(0);
        assert_eq!(line["client"], client, "{line}");
        // From which port it came to the proxy, nobody says.
        let connected = client == "127.0.0.1";
        assert_eq!(line["client_port"].is_number(), connected, "{line}");
        documented(&line);
    }
}

/// Every field of a line stands in the table of its page.
fn documented(line: &Value) {
    let page = include_str!("../../docs/access-log.md");
    for key in line.as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{key}`")), "{key} is documented");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f213_f214_slow_and_large_are_marked_and_the_rest_is_sampled() {
    let (_folder, file) = place();
    let rules = "always: [slow, large], sample: 0, slow: 1s, large: 100KiB";
    let rig = Rig::new(1, &to(&file, rules)).await;
    let dify = rig.dify();
    ask(&dify, PLUGIN, sim(json!({"ttfb_ms": 1}))).await;
    ask(&dify, PLUGIN, sim(json!({"ttfb_ms": 1100}))).await;
    ask(&dify, PLUGIN, sim(json!({"event_bytes": 200_000}))).await;
    let lines = lines(&file, 2).await;
    assert_eq!(lines[0]["slow"], true, "{}", lines[0]);
    assert!(lines[0].get("large").is_none());
    assert_eq!(lines[1]["large"], true, "{}", lines[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f210_f211_no_secret_is_ever_written() {
    const SECRET: &str = "hunter2hunter2";
    for format in ["json", "text"] {
        let (_folder, file) = place();
        let rig = Rig::new(1, &to(&file, &format!("format: {format}"))).await;
        let dify = rig
            .dify()
            .with("X-Api-Key", SECRET)
            .with("Authorization", &format!("Bearer {SECRET}"))
            .with("Proxy-Authorization", SECRET)
            .with("Cookie", &format!("session={SECRET}"))
            .with("traceparent", SECRET)
            .with("X-Request-Id", &format!("{SECRET} {SECRET}"));
        ask(&dify, PLUGIN, json!({"password": SECRET})).await;
        let target = format!("/e/hook/x?token={SECRET}&api_key={SECRET}");
        dify.get(&target).await;
        // Turned away before anything is known of it: by its body's length.
        let huge = [("Content-Length", "99999999999"), ("X-Api-Key", SECRET)];
        let refused = dify.raw("POST", "/e/hook/y", &huge, b"").await.unwrap();
        assert_eq!(refused.status, 413);
        let written = || fs::read_to_string(&file).unwrap_or_default();
        eventually("three lines", async || written().lines().count() == 3).await;
        let text = written();
        assert!(!text.contains(SECRET), "{text}");
        assert!(text.contains("/e/hook/x"), "the path is there: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_never_saw_is_in_the_line_of_a_request_that_failed() {
    let (_folder, file) = place();
    let rig = Rig::first_is_dead(&to(&file, "")).await;
    ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
    rig.nodes[1].stop(twolane::demo::daemon::Stop::Cut).await;
    let refused = ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
    expect_rejection(&refused, 503, "no_node");
    let lines = lines(&file, 2).await;
    assert_eq!(
        (&lines[0]["attempts"], &lines[0]["node"]),
        (&json!(2), &json!("n2"))
    );
    assert_eq!(lines[1]["ending"], "rejected");
    assert_eq!(lines[1]["rejection"], "no_node");
    assert_eq!(lines[1]["status"], 503);
    lines.iter().for_each(documented);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_in_its_line() {
    let (_folder, file) = place();
    let rig = Rig::new(1, &to(&file, "sample: 0")).await;
    let held = rig.hold(PLUGIN, 1).await;
    rig.let_go(held).await;
    let line = lines(&file, 1).await.remove(0);
    assert_eq!(line["ending"], "client_gone", "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_written_only_when_that_is_asked_for() {
    let (_folder, file) = place();
    let rig = Rig::new(1, &to(&file, "always: [200]")).await;
    rig.dify().get("/health/check").await;
    assert_eq!(lines(&file, 1).await[0]["path"], "/health/check");
    let (_folder, file) = place();
    let rig = Rig::new(1, &to(&file, "")).await;
    rig.dify().get("/health/check").await;
    ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
    assert_eq!(lines(&file, 1).await[0]["method"], "POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_begun_moved_and_ended_by_reloads() {
    let (folder, file) = place();
    let nodes = daemons(1).await;
    let named = [(nodes[0].id().to_owned(), nodes[0].addr())];
    let text = |more: &str| yaml(&named, &format!("reload: {{ poll: \"off\" }}\n{more}"));
    let filed = Filed::start(&text("")).await;
    let dify = filed.gateway.dify();
    ask(&dify, PLUGIN, sim(json!({}))).await;
    filed.take(&text(&to(&file, ""))).await;
    ask(&dify, PLUGIN, sim(json!({}))).await;
    lines(&file, 1).await;
    // What cannot be opened is refused, and the old one goes on.
    let nowhere = folder.path().join("no/such/folder.log");
    let refused = filed.reload(&text(&to(&nowhere, ""))).await;
    assert_eq!(refused.status, 400);
    let refused = refused.text();
    for word in ["access_log.to", "no/such/folder.log", "make its folder"] {
        assert!(refused.contains(word), "{word} in {refused}");
    }
    ask(&dify, PLUGIN, sim(json!({}))).await;
    lines(&file, 2).await;
    filed.take(&text("")).await;
    ask(&dify, PLUGIN, sim(json!({}))).await;
    let other = folder.path().join("other.log");
    filed.take(&text(&to(&other, ""))).await;
    ask(&dify, PLUGIN, sim(json!({}))).await;
    lines(&other, 1).await;
    lines(&file, 2).await;
}

/// A pipe that is full and that nobody reads: the slowest disk there is.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_for_its_line_and_what_is_lost_is_counted() {
    let (_folder, pipe) = place();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let reader = fs::OpenOptions::new()
        .read(true)
        .custom_flags(0o4000) // O_NONBLOCK: opens without waiting for a writer
        .open(&pipe)
        .unwrap();
    let more = format!("{UNCHECKED}{}", to(&pipe, "queue: 4"));
    let rig = Rig::new(1, &more).await;
    let dify = rig.dify();
    let name = "twolane_access_log_lines_total";
    let fill = async {
        // 64 KiB fit into the pipe, and a line is some 700 bytes.
        while rig.metric(name, &["lost"]).await < 20.0 {
            ask(&dify, PLUGIN, sim(json!({}))).await;
        }
    };
    within("requests go on with the log standing still", fill).await;
    drop(reader);
    eventually("what waited is counted", async || {
        rig.metric(name, &["failed"]).await >= 1.0
    })
    .await;
    ask(&dify, PLUGIN, sim(json!({}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_nothing_is_written_or_counted() {
    let rig = Rig::new(1, "").await;
    ask(&rig.dify(), PLUGIN, sim(json!({}))).await;
    assert_eq!(rig.metric("twolane_access_log_lines_total", &[]).await, 0.0);
    let live = rig.gateway.embedded.live();
    assert!(live.snapshot().access.is_none());
}

/// Two gateways of one process write into one file each, and a gateway that starts with a place
/// that is none does not start.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_opened_stops_the_start() {
    let node = daemons(1).await.remove(0);
    let more = to(Path::new("/proc/no/access.log"), "");
    let config = crate::support::gateway::config(&[&node], &more);
    let started = twolane::server::Embedded::start(config, twolane::server::Options::default());
    let error = started.await.expect_err("it cannot be written there");
    assert!(error.to_string().contains("access_log.to"), "{error}");
    drop(Gateway::before(&[&node], "").await);
}
