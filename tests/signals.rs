//! What the program writes down while it runs: its events, in which form, and no secret.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod support;

use serde_json::{Value, json};
use std::process::Command;
use support::gateway::yaml;
use support::program::{Program, Serving, command, errors, output, said};
use support::{eventually, within};
use tempfile::TempDir;
use twolane::demo::daemon::{Daemon, Plugin, Settings, Stop, World};

const PLUGIN: &str = "langgenius/openai";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn daemons() -> Vec<Daemon> {
    let world = World::default();
    let mut nodes = Vec::new();
    for n in 1..=2 {
        let settings = Settings::named(&format!("n{n}"), &world);
        nodes.push(Daemon::start(settings).await.unwrap());
    }
    nodes
}

fn over(nodes: &[Daemon], more: &str) -> String {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    yaml(&nodes, more)
}

/// The command that serves a file of this content.
fn serve(folder: &TempDir, yaml: &str) -> Command {
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut command = command(folder.path(), &["run", "--config", &file.to_string_lossy()]);
    command.env("LOG_OUTPUT_FORMAT", "");
    command
}

async fn call(serving: &Serving, headers: &[(&str, &str)]) -> u16 {
    let mut all = vec![
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
    ];
    all.extend(headers);
    let data = json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": {}}});
    let body = json!({"user_id": "u", "data": data}).to_string();
    let target = "/plugin/tenant/dispatch/tool/invoke?q=1";
    let dify = serving.dify();
    let answer = dify.raw("POST", target, &all, body.as_bytes());
    within("an answer", answer).await.unwrap().status
}

/// The events of one kind, each a line of JSON.
fn events(program: &Program, message: &str) -> Vec<Value> {
    let log = program.log();
    let lines = log.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    });
    lines.filter(|event| event["msg"] == message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f085_f086_f087_f088_f090_each_stage_of_a_request_is_an_event_when_wanted() {
    let (folder, nodes) = (folder(), daemons().await);
    nodes[0].stop(Stop::Cut).await;
    let mut command = serve(&folder, &over(&nodes, ""));
    command.env("TWOLANE_DEBUG", "true");
    let serving = Serving::start(command).await;
    assert_eq!(call(&serving, &[("X-Request-Id", "one")]).await, 200);
    eventually("the request ended", async || {
        !events(&serving.program, "request ended").is_empty()
    })
    .await;
    let one = |message: &str| {
        let mut found = events(&serving.program, message);
        found.retain(|event| event["request"] == "one");
        assert_eq!(found.len(), 1, "{message}: {found:?}");
        found.remove(0)
    };
    let received = one("request received");
    assert_eq!(received["level"], "debug");
    assert_eq!(received["plugin"], PLUGIN);
    assert_eq!(received["method"], "POST");
    assert_eq!(
        received["path"], "/plugin/tenant/dispatch/tool/invoke",
        "never the query"
    );
    let candidates = one("candidates");
    assert_eq!(candidates["may"], "n2");
    assert_eq!(candidates["nodes"], 1);
    assert_eq!(candidates["excluded"], "n1: unhealthy");
    let chosen = one("node chosen");
    assert_eq!(chosen["node"], "n2");
    assert_eq!(
        chosen["class"], "long",
        "a tool call is long before anything is known"
    );
    assert_eq!(chosen["strategy"], "adaptive");
    assert_eq!(chosen["attempt"], 1);
    assert_eq!(one("request ended")["ending"], "2xx");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_wish_there_is_no_line_for_a_request_that_went_well() {
    let (folder, nodes) = (folder(), daemons().await);
    let serving =
        Serving::start(serve(&folder, &over(&nodes, "learn: { unknown: short }\n"))).await;
    let before = serving.program.log();
    assert_eq!(call(&serving, &[]).await, 200);
    // A reload is told, and comes after whatever a call might have said.
    serving.program.signal("HUP");
    eventually("the reload is told", async || {
        !events(&serving.program, "configuration reloaded").is_empty()
            || serving.program.log().contains("configuration reloaded")
    })
    .await;
    let log = serving.program.log();
    let since = log.strip_prefix(&before).unwrap();
    assert_eq!(since.lines().count(), 1, "{since}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f090_a_watched_request_is_told_at_every_stage_and_no_other_is() {
    let (folder, nodes) = (folder(), daemons().await);
    let yaml = over(
        &nodes,
        "admin: { listen: 127.0.0.1:0, token: s3cret-token }\n",
    );
    let serving = Serving::start(serve(&folder, &yaml)).await;
    assert_eq!(call(&serving, &[("X-Request-Id", "other")]).await, 200);
    let watched = [
        ("X-Request-Id", "mine"),
        ("X-Twolane-Trace", "s3cret-token"),
    ];
    assert_eq!(call(&serving, &watched).await, 200);
    for message in [
        "request received",
        "candidates",
        "node chosen",
        "request ended",
    ] {
        eventually(message, async || {
            !events(&serving.program, message).is_empty()
        })
        .await;
        for event in events(&serving.program, message) {
            assert_eq!(
                (&event["request"], &event["level"]),
                (&json!("mine"), &json!("info"))
            );
        }
    }
    assert!(!serving.program.log().contains("s3cret-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_json_where_nobody_watches_and_text_where_that_is_asked_for() {
    for (key, variable, json) in [
        ("", "", true),
        ("", "text", false),
        ("log: { format: text }\n", "json", false),
        ("log: { format: json }\n", "text", true),
    ] {
        let (folder, nodes) = (folder(), daemons().await);
        let mut command = serve(&folder, &over(&nodes, key));
        command.env("LOG_OUTPUT_FORMAT", variable);
        let serving = Serving::start(command).await;
        for line in serving.program.log().lines() {
            let read = serde_json::from_str::<Value>(line);
            assert_eq!(read.is_ok(), json, "{key:?} {variable:?}: {line}");
        }
    }
}

/// Put wherever a secret may stand.
const SECRET: &str = "hunter2xyzzy";

/// The configuration with a secret in every key that takes one.
fn secretive(folder: &TempDir, nodes: &[Daemon]) -> String {
    let access = folder.path().join("access.log");
    let more = format!(
        "access_log: {{ to: \"{}\" }}\nadmin: {{ listen: 127.0.0.1:0, token: {SECRET} }}\n\
         share: {{ redis: \"redis://user:{SECRET}@127.0.0.1:1/0\" }}\n\
         discover:\n  allow: [127.0.0.0/8]\n  register: true\n  dify_redis: \
         {{ address: \"127.0.0.1:1\", username: u, password: {SECRET} }}\n",
        access.display()
    );
    over(nodes, &more)
}

/// Sends a request with a secret wherever one can stand.
async fn send(serving: &Serving, path: &str) -> String {
    let bearer = format!("Bearer {SECRET}");
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        ("X-Api-Key", SECRET),
        ("Authorization", &bearer),
        ("Cookie", SECRET),
        ("X-Twolane-Trace", SECRET),
        ("Proxy-Authorization", SECRET),
    ];
    let data = json!({"tool": "t", "credentials": {"api_key": SECRET}});
    let body = json!({"user_id": "u", "data": data}).to_string();
    let target = format!("{path}?key={SECRET}");
    let dify = serving.dify();
    let answer = dify.raw("POST", &target, &headers, body.as_bytes());
    let answer = within("an answer", answer).await;
    answer.unwrap().text().to_owned()
}

async fn page(serving: &Serving, path: &str) -> String {
    let admin = support::client::Dify::new(serving.admin, None);
    let bearer = format!("Bearer {SECRET}");
    let headers = [("Authorization", bearer.as_str())];
    let target = format!("{path}?token={SECRET}");
    let page = admin.raw("GET", &target, &headers, b"").await.unwrap();
    assert_eq!(page.status, 200, "{path}");
    page.text().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn f210_f211_no_secret_is_ever_written_down() {
    const CALL: &str = "/plugin/t/dispatch/tool/invoke";
    let (folder, nodes) = (folder(), daemons().await);
    nodes[1].put_plugin(Plugin::absent(PLUGIN));
    let yaml = secretive(&folder, &nodes);
    let mut command = serve(&folder, &yaml);
    command.env("RUST_LOG", "trace");
    let serving = Serving::start(command).await;
    let mut told = vec![send(&serving, CALL).await, send(&serving, "/metrics").await];
    for path in ["/metrics", "/status", "/cluster/nodes", "/nodes/n1/metrics"] {
        told.push(page(&serving, path).await);
    }
    for node in &nodes {
        node.stop(Stop::Cut).await;
    }
    told.push(send(&serving, CALL).await);
    // A mistake beside the secrets, and one in a secret's place.
    let password = format!("password: {SECRET}");
    let broken = [
        format!("{yaml}nonsense: {SECRET}\n"),
        yaml.replace(&password, &format!("password: [{SECRET}]")),
    ];
    for (refused, broken) in broken.iter().enumerate() {
        std::fs::write(folder.path().join("gateway.yaml"), broken).unwrap();
        serving.program.signal("HUP");
        eventually("the reload is refused", async || {
            serving.program.log().matches("reload refused").count() > refused
        })
        .await;
    }
    told.push(serving.program.log());
    let access = folder.path().join("access.log");
    eventually("every request has its line", async || {
        std::fs::read_to_string(&access).is_ok_and(|text| text.matches("/dispatch/").count() >= 2)
    })
    .await;
    told.push(std::fs::read_to_string(&access).unwrap());
    for (at, told) in told.iter().enumerate() {
        assert!(!told.contains(SECRET), "{at}: {}", around(told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f210_checking_a_configuration_prints_no_secret() {
    let (folder, nodes) = (folder(), daemons().await);
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, secretive(&folder, &nodes)).unwrap();
    let file = file.to_string_lossy().into_owned();
    for more in [&[][..], &["--print"]] {
        let arguments = [&["check", "--config", &file][..], more].concat();
        let checked = output(command(folder.path(), &arguments)).await;
        assert!(checked.status.success(), "{}", errors(&checked));
        assert!(!said(&checked).contains(SECRET) && !errors(&checked).contains(SECRET));
    }
}

/// The lines in which it stands.
fn around(text: &str) -> String {
    text.lines()
        .filter(|line| line.contains(SECRET))
        .take(5)
        .collect::<Vec<_>>()
        .join("\n")
}
