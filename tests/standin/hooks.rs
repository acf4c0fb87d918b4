//! Webhooks: six methods, the echo, the silent truncation, the raw stream.
use crate::support::within;
use crate::{PLUGIN, start};
use serde_json::json;
use std::collections::HashMap;
use twolane::demo::daemon::{Plugin, Script, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn six_methods_echo_what_the_plugin_sees() {
    let (daemon, dify) = start(Settings::default()).await;
    let headers = [
        ("Host", "hooks.example"),
        ("X-Original-Host", "first.example"),
        ("Dify-Hook-Url", "https://hooks.example/e/h/a%2Fb?q=1"),
        ("X-Forwarded-Proto", "https"),
    ];
    for method in ["POST", "GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = dify
            .raw(method, "/e/h/a%2Fb//c?q=1", &headers, b"body")
            .await
            .unwrap();
        let echo = answer.json();
        for (field, value) in [
            ("method", method),
            ("path", "/a%2Fb//c"),
            ("query", "q=1"),
            ("host", "hooks.example"),
            ("plugin_host", "first.example"),
            ("x_original_host", "first.example"),
            ("dify_hook_url", "https://hooks.example/e/h/a%2Fb?q=1"),
            ("x_forwarded_proto", "https"),
        ] {
            assert_eq!(echo[field], value, "{method} {field}");
        }
        assert_eq!(echo["body_bytes"], 4);
    }
    let head = dify.raw("HEAD", "/e/h/a", &headers, b"").await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_ne!(head.header("Content-Length"), Some("0"));
    assert_eq!(
        dify.get("/e/h/after").await.json()["plugin_host"],
        daemon.addr().to_string()
    );
    assert_eq!(
        daemon.open_connections(),
        1,
        "the connection survived the HEAD"
    );
    assert_eq!(daemon.ledger().executions()[0].op, "e/h");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_ten_mebibytes_is_truncated_silently() {
    let (daemon, dify) = start(Settings::default()).await;
    let body = vec![b'w'; 10 * 1024 * 1024 + 5];
    let echo = dify.raw("POST", "/e/h/", &[], &body).await.unwrap();
    assert_eq!(
        (echo.status, &echo.json()["body_bytes"]),
        (200, &json!(10 * 1024 * 1024))
    );
    assert_eq!(daemon.requests().pop().unwrap().body_len, body.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_when_the_caller_expects_that() {
    let (_daemon, dify) = start(Settings::default()).await;
    let headers = [("Expect", "100-continue"), ("Content-Length", "4")];
    let mut stream = dify.open_raw("POST", "/e/h/", &headers, b"").await.unwrap();
    within("100 comes", stream.interim()).await.unwrap();
    stream.send(b"late").await.unwrap();
    assert_eq!(stream.whole().await.unwrap().json()["body_bytes"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scripted_hook_streams_raw_chunks() {
    let (daemon, dify) = start(Settings::default()).await;
    daemon.script(
        "e/h",
        Script {
            events: 3,
            event_bytes: 2,
            ..Script::default()
        },
    );
    let mut stream = dify.open_raw("GET", "/e/h/stream", &[], b"").await.unwrap();
    for number in 0..3 {
        let chunk = stream.part().await.unwrap().unwrap();
        assert_eq!(
            String::from_utf8(chunk).unwrap(),
            format!("n1 {number} xx\n")
        );
    }
    assert_eq!(stream.part().await.unwrap(), None);
    daemon.script("e/h", Script::status(418, "teapot"));
    assert_eq!(dify.get("/e/h/").await.status, 418);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_needs_its_plugin_here() {
    let hooks = HashMap::from([("h".to_owned(), PLUGIN.to_owned())]);
    let settings = Settings {
        hooks,
        plugins: vec![Plugin::absent(PLUGIN)],
        ..Settings::default()
    };
    let (daemon, dify) = start(settings).await;
    let absent = dify.get("/e/h/").await;
    assert_eq!(absent.status, 404);
    assert!(absent.text().contains("no available node"));
    daemon.set_running(PLUGIN, true);
    assert_eq!(dify.get("/e/h/").await.status, 200);
    assert_eq!(daemon.ledger().executions()[0].plugin, PLUGIN);
}
