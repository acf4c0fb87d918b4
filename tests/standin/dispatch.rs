//! The order of refusals, the stream, the ways of failing, and the plugin's process.
use crate::support::client::{Dify, DifyError, expect_events};
use crate::support::within;
use crate::{PLUGIN, sim, start};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use twolane::demo::daemon::{
    Fail, OPERATIONS, Plugin, Script, Settings, StatusAnswer, answers_once,
};

const INVOKE: &str = "/plugin/tenant/dispatch/tool/invoke";

fn error(code: i32, error_type: &str, message: &str) -> String {
    format!(
        r#"{{"code":{code},"message":"{{\"message\":\"{message}\",\"error_type\":\"{error_type}\",\"args\":null}}","data":null}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_the_order_of_the_middleware() {
    let plugins = vec![Plugin::running("a/here"), Plugin::absent("a/elsewhere")];
    let api_key = Some("secret".to_owned());
    let settings = Settings {
        plugins,
        accept_all_plugins: false,
        api_key,
        ..Settings::default()
    };
    let (daemon, stranger) = start(settings).await;
    let dify = Dify::new(daemon.addr(), Some("secret"));
    let post = async |client: &Dify, headers: &[(&str, &str)], body: &str| {
        let answer = client
            .raw("POST", INVOKE, headers, body.as_bytes())
            .await
            .unwrap();
        (answer.status, answer.text().to_owned())
    };
    let json = ("Content-Type", "application/json");
    let answer = post(&stranger, &[json], "{}").await;
    assert_eq!(
        answer,
        (
            401,
            error(-401, "PluginDaemonUnauthorizedError", "unauthorized")
        )
    );
    let answer = post(&dify, &[json], "{}").await;
    let message = "plugin_id is required";
    assert_eq!(
        answer,
        (400, error(-400, "PluginDaemonBadRequestError", message))
    );
    let answer = post(&dify, &[json, ("X-Plugin-ID", "a/unknown")], "{}").await;
    assert_eq!(
        answer,
        (404, error(-404, "PluginNotFoundError", "plugin not found"))
    );
    let answer = post(&dify, &[json, ("X-Plugin-ID", "a/elsewhere")], "{}").await;
    let message = "no available node, plugin runtime not found";
    assert_eq!(
        answer,
        (404, error(-500, "PluginDaemonInternalServerError", message))
    );
    for body in ["{}", "", "{", r#"{"data":{"__sim":{"typo":1}}}"#] {
        let (status, text) = post(&dify, &[json, ("X-Plugin-ID", "a/here")], body).await;
        assert_eq!(status, 400, "{body}");
        assert!(text.contains("PluginDaemonBadRequestError"), "{text}");
    }
    assert!(daemon.ledger().is_empty());
    let refused = dify
        .all("tool/invoke", "a/unknown", json!({}))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, DifyError::Refused { code: -404, .. }),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_of_v2_needs_no_tenant_in_its_path() {
    let settings = Settings {
        plugins: vec![Plugin::absent("a/off")],
        ..Settings::default()
    };
    let (_daemon, dify) = start(settings).await;
    let target = "/v2/invoke/dispatch/tool/invoke";
    let probe = async |id: &str, body: Value| {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Plugin-Unique-Identifier", id),
        ];
        dify.raw("POST", target, &headers, body.to_string().as_bytes())
            .await
            .unwrap()
    };
    let ready = probe("a/on:0.0.1@abc", json!({})).await;
    assert_eq!(ready.status, 400);
    assert!(
        ready
            .text()
            .contains("Field validation for 'TenantId' failed on the 'required' tag")
    );
    let absent = probe("a/off:0.0.1@abc", json!({})).await;
    assert_eq!(absent.status, 404);
    assert!(absent.text().contains("no available node"));
    let works = probe("a/on:0.0.1@abc", json!({"tenant_id": "t", "data": {}})).await;
    assert_eq!(
        (works.status, works.header("Content-Type")),
        (200, Some("text/event-stream"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_body_of_some_size_costs_the_connection() {
    let (daemon, dify) = start(Settings::default()).await;
    daemon.put_plugin(Plugin::absent(PLUGIN));
    for (bytes, connection) in [(200_000, "keep-alive"), (8_000_000, "close")] {
        let body = json!({"data": "z".repeat(bytes)}).to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Plugin-ID", PLUGIN),
        ];
        let answer = dify.raw("POST", INVOKE, &headers, body.as_bytes()).await;
        // Of the large one the client may still be sending when the reset comes; that is life.
        let Ok(answer) = answer else {
            assert_eq!(connection, "close");
            continue;
        };
        assert_eq!(
            (answer.status, answer.header("Connection")),
            (404, Some(connection))
        );
    }
    assert!(daemon.requests().iter().all(|seen| seen.body_len == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_the_first_event() {
    let (daemon, dify) = start(Settings {
        plugins: vec![Plugin::blocking(PLUGIN)],
        ..Settings::default()
    })
    .await;
    let first = dify
        .open("tool/invoke", PLUGIN, sim(json!({"fail": "hang"})))
        .await
        .unwrap();
    within("first runs", daemon.ledger().until(|all| all.len() == 1)).await;
    let mut second = dify.open("tool/invoke", PLUGIN, json!({})).await.unwrap();
    within("second waits", daemon.ledger().until(|all| all.len() == 2)).await;
    let answered = tokio::time::timeout(std::time::Duration::from_millis(50), second.head()).await;
    assert!(
        answered.is_err(),
        "not even a header may come before the first event"
    );
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_one_chunk_and_the_connection_is_kept() {
    let (daemon, dify) = start(Settings::default()).await;
    for _ in 0..3 {
        let script = json!({"events": 4, "event_bytes": 3000, "gap_ms": 1});
        let mut stream = dify.open("llm/invoke", PLUGIN, sim(script)).await.unwrap();
        let (status, headers) = stream.head().await.unwrap();
        assert_eq!(status, 200);
        let has = |name: &str, value: &str| headers.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("Content-Type", "text/event-stream") && has("Transfer-Encoding", "chunked"));
        for seq in 0..4 {
            let chunk = String::from_utf8(stream.part().await.unwrap().unwrap()).unwrap();
            let line = chunk
                .strip_prefix("data: ")
                .unwrap()
                .strip_suffix("\n\n")
                .unwrap();
            assert!(line.starts_with(r#"{"code":0,"message":"success","data":{"#));
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["data"]["seq"], seq);
            assert_eq!(event["data"]["pad"].as_str().unwrap().len(), 3000);
        }
        assert_eq!(stream.part().await.unwrap(), None);
    }
    assert_eq!((daemon.open_connections(), dify.pooled()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_in_its_shape() {
    let (_daemon, dify) = start(Settings::default()).await;
    for op in OPERATIONS {
        let events = expect_events(dify.all(op, PLUGIN, json!({})).await);
        assert_eq!(events.len(), if answers_once(op) { 1 } else { 3 }, "{op}");
        assert_eq!(events[0]["op"], op);
    }
    let mut polling = dify
        .open("model/polling/start", PLUGIN, json!({}))
        .await
        .unwrap();
    let (_, headers) = polling.head().await.unwrap();
    assert!(headers.iter().any(|(name, _)| name == "Content-Length"));
    assert_eq!(polling.next().await.unwrap().unwrap()["node"], "n1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_five_mebibytes_arrives_whole() {
    let (_daemon, dify) = start(Settings::default()).await;
    let script = sim(json!({"events": 1, "event_bytes": 5 * 1024 * 1024}));
    let events = expect_events(dify.all("tool/invoke", PLUGIN, script).await);
    assert_eq!(events[0]["pad"].as_str().unwrap().len(), 5 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_the_error_dify_knows() {
    let (daemon, dify) = start(Settings::default()).await;
    let fails = async |fail: Value| {
        dify.all("tool/invoke", PLUGIN, sim(fail))
            .await
            .unwrap_err()
    };
    let raised = fails(json!({"fail": "plugin_error"})).await;
    let expected = DifyError::Plugin {
        error_type: "InvokeRateLimitError".to_owned(),
        message: "x".to_owned(),
    };
    assert_eq!(raised, expected);
    let killed = fails(json!({"fail": "killed_by_timeout"})).await;
    assert_eq!(
        killed,
        DifyError::DaemonInternal("killed by timeout".to_owned())
    );
    for fail in [
        json!({"fail": "reset_before"}),
        json!({"fail": "reset", "fail_after": 2}),
        json!({"fail": "close", "fail_after": 2}),
    ] {
        assert!(
            matches!(fails(fail.clone()).await, DifyError::InnerError(_)),
            "{fail}"
        );
    }
    let silent = fails(json!({"events": 0})).await;
    assert_eq!(silent, DifyError::SilentEmptySuccess);
    let executed = daemon.ledger().len();
    let vanished = fails(json!({"fail": "runtime_vanished"})).await;
    assert_eq!(
        vanished,
        DifyError::DaemonInternal("failed to get plugin runtime".to_owned())
    );
    assert_eq!(
        daemon.ledger().len(),
        executed,
        "a vanished runtime executes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_after_two_events_lets_two_events_through() {
    let (daemon, dify) = start(Settings::default()).await;
    daemon.script(
        "tool/invoke",
        Script {
            gap_ms: 5,
            ..Script::reset_after(2)
        },
    );
    let mut stream = dify.open("tool/invoke", PLUGIN, json!({})).await.unwrap();
    for seq in 0..2 {
        assert_eq!(stream.next().await.unwrap().unwrap()["seq"], seq);
    }
    assert!(matches!(stream.next().await, Err(DifyError::InnerError(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_script_operations_and_plugins() {
    let (daemon, dify) = start(Settings::default()).await;
    let headers = BTreeMap::from([("Retry-After".to_owned(), "3".to_owned())]);
    let answer = StatusAnswer {
        code: 429,
        body: "{}".to_owned(),
        headers,
    };
    daemon.script("tool/invoke", Script::failing(Fail::Status(answer)));
    let target_headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
    ];
    let answer = dify
        .raw("POST", INVOKE, &target_headers, br#"{"data":{}}"#)
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.header("Retry-After")),
        (429, Some("3"))
    );
    daemon.script(
        PLUGIN,
        Script {
            events: 2,
            ..Script::default()
        },
    );
    assert_eq!(
        expect_events(dify.all("tool/invoke", PLUGIN, json!({})).await).len(),
        2
    );
    daemon.unscript(PLUGIN);
    daemon.unscript("tool/invoke");
    assert_eq!(
        expect_events(dify.all("tool/invoke", PLUGIN, json!({})).await).len(),
        3
    );
}
