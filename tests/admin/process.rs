//! What only a process of its own can show: its log, and the command line that asks it.

use crate::rig::{PLUGIN, daemons, sim};
use crate::support::client::{Dify, expect_events};
use crate::support::gateway::yaml;
use crate::support::program::{Serving, command, errors, output, said};
use crate::support::within;
use serde_json::{Value, json};

async fn level(serving: &Serving, level: &str) -> u16 {
    let admin = Dify::new(serving.admin, None);
    let body = json!({ "level": level }).to_string();
    let answer = admin.raw("PUT", "/api/v1/log-level", &[], body.as_bytes());
    within("the level is set", answer).await.unwrap().status
}

async fn call(serving: &Serving) {
    let answer = serving
        .dify()
        .all("tool/invoke", PLUGIN, sim(json!({})))
        .await;
    expect_events(within("an answer", async { answer }).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_level_changes_while_it_runs_and_back() {
    let nodes = daemons(1).await;
    let folder = tempfile::tempdir().unwrap();
    let text = yaml(&[("n1".to_owned(), nodes[0].addr())], "");
    let serving = Serving::with_file(folder.path(), &text).await;
    let page = serving.ask("/api/v1/log-level").await.unwrap().json();
    assert_eq!(page["level"], "info");
    call(&serving).await;
    let debugs = || serving.program.log().matches(" debug ").count();
    assert_eq!(
        debugs(),
        0,
        "a request is no line at info: {}",
        serving.program.log()
    );
    assert_eq!(level(&serving, "debug").await, 200);
    call(&serving).await;
    // The last of its lines, written when the client has its answer already.
    let ended = serving.program.line("request ended").await;
    assert!(ended.contains(" debug "), "{ended}");
    assert!(
        !serving.program.log().contains("debug pingora"),
        "Pingora's lines stay as they were"
    );
    assert_eq!(level(&serving, "warn").await, 200);
    let before = debugs();
    call(&serving).await;
    assert_eq!(level(&serving, "info").await, 200);
    serving.program.line("log level from=warn to=info").await;
    assert_eq!(debugs(), before, "nothing of the call is written at warn");
    let page = serving.ask("/api/v1/log-level").await.unwrap().json();
    assert_eq!(page["level"], "info");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_people_and_programs_and_says_who_does_not_answer() {
    let nodes = daemons(2).await;
    let folder = tempfile::tempdir().unwrap();
    let named = [
        ("n1".to_owned(), nodes[0].addr()),
        ("n2".to_owned(), nodes[1].addr()),
    ];
    let serving = Serving::with_file(folder.path(), &yaml(&named, "")).await;
    let admin = serving.admin.to_string();
    let ask = async |more: &[&str]| {
        let arguments = [&["status", "--admin", &admin], more].concat();
        output(command(folder.path(), &arguments)).await
    };
    let people = ask(&[]).await;
    assert!(people.status.success(), "{}", errors(&people));
    let text = said(&people);
    assert!(
        text.contains("all nodes up") && text.contains("\nn2 "),
        "{text}"
    );
    let program = ask(&["-o", "json"]).await;
    let overview: Value = serde_json::from_str(&said(&program)).expect("JSON");
    assert_eq!(overview["nodes"].as_array().unwrap().len(), 2);
    let terminal = command(folder.path(), &["top", "--admin", &admin]);
    let terminal = output(terminal).await;
    assert_eq!(terminal.status.code(), Some(1));
    assert!(
        errors(&terminal).contains("twolane status"),
        "{}",
        errors(&terminal)
    );
    drop(serving);
    let nobody = ask(&[]).await;
    assert_eq!(nobody.status.code(), Some(69), "{}", errors(&nobody));
}
