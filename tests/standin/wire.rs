//! Routes, redirects, health, metrics, keep-alive, and the ways to take a daemon away.
use crate::support::client::DifyError;
use crate::support::within;
use crate::{PLUGIN, sim, start};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use twolane::demo::daemon::{Daemon, Health, Plugin, Settings, Stop, World};

const NO_ROUTE: &str = r#"{"code":"not_found","message":"route not found"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_route_or_method_is_not_found_and_the_connection_stays() {
    let (daemon, dify) = start(Settings::default()).await;
    for (method, target) in [
        ("GET", "/nowhere"),
        ("POST", "/health/check"),
        ("GET", "/plugin/t/dispatch/tool/invoke"),
        ("POST", "/plugin/t/dispatch/tool/unheard"),
        ("PATCH", "/e/hook/path"),
    ] {
        let answer = dify.raw(method, target, &[], b"").await.unwrap();
        assert_eq!(
            (answer.status, answer.text()),
            (404, NO_ROUTE),
            "{method} {target}"
        );
    }
    let head = dify.raw("HEAD", "/health/check", &[], b"").await.unwrap();
    assert_eq!((head.status, head.body.len()), (404, 0));
    assert_eq!((daemon.open_connections(), daemon.requests_seen()), (1, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trailing_slash_is_redirected() {
    let (_daemon, dify) = start(Settings::default()).await;
    let get = dify.get("/health/check/?a=b").await;
    assert_eq!(
        (get.status, get.header("Location")),
        (301, Some("/health/check?a=b"))
    );
    assert_eq!(
        get.text(),
        "<a href=\"/health/check?a=b\">Moved Permanently</a>.\n\n"
    );
    let target = "/plugin/t/dispatch/tool/invoke/";
    let post = dify.post(target, &json!({})).await;
    assert_eq!(post.status, 307);
    assert_eq!(
        post.header("Location"),
        Some("/plugin/t/dispatch/tool/invoke")
    );
    assert!(post.body.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_byte_for_byte_and_counts_itself() {
    let settings = Settings {
        version: "abc".to_owned(),
        ..Settings::default()
    };
    let (daemon, dify) = start(settings).await;
    let answer = dify.get("/health/check").await;
    assert_eq!(
        answer.text(),
        r#"{"active_dispatch_requests":0,"active_requests":1,"build_time":"2026-08-21T08:36:58+0000","platform":"local","pool_status":{"free":9999,"busy":1,"total":10000},"status":"ok","version":"abc"}"#
    );
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(daemon.health_checks(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_counts_calls_in_flight() {
    let (daemon, dify) = start(Settings::default()).await;
    let held = dify
        .open("tool/invoke", PLUGIN, sim(json!({"fail": "hang"})))
        .await
        .unwrap();
    within(
        "the call arrives",
        daemon.until(|d| d.active_dispatch() == 1),
    )
    .await;
    let health = dify.get("/health/check").await.json();
    assert_eq!(health["active_dispatch_requests"], 1);
    assert_eq!(health["active_requests"], 2);
    held.abort();
    within(
        "the call is given up",
        daemon.until(|d| d.active_dispatch() == 0),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_can_be_old_ill_or_wrong() {
    let (daemon, dify) = start(Settings::default()).await;
    let well = daemon.health();
    daemon.set_health(Health {
        omit_active: true,
        platform: "serverless".to_owned(),
        ..well.clone()
    });
    let old = dify.get("/health/check").await.json();
    assert!(old.get("active_requests").is_none());
    assert_eq!(old["platform"], "serverless");
    daemon.set_health(Health {
        status: 500,
        ..well.clone()
    });
    assert_eq!(dify.get("/health/check").await.status, 500);
    daemon.set_health(Health {
        body: Some(r#"{"status":"bad"}"#.to_owned()),
        ..well.clone()
    });
    assert_eq!(
        dify.get("/health/check").await.text(),
        r#"{"status":"bad"}"#
    );
    daemon.set_health(Health {
        extra_dispatch: 7,
        ..well.clone()
    });
    let busy = dify.get("/health/check").await.json();
    assert_eq!(
        (&busy["active_dispatch_requests"], &busy["active_requests"]),
        (&json!(7), &json!(8))
    );
    daemon.set_health(Health { hang: true, ..well });
    let hung = dify
        .open_raw("GET", "/health/check", &[], b"")
        .await
        .unwrap();
    within(
        "the check arrives",
        daemon.until(|d| d.health_checks() == 5),
    )
    .await;
    assert_eq!(daemon.active_requests(), 1);
    hung.reset();
    within(
        "the checker left",
        daemon.until(|d| d.active_requests() == 0),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_which_plugins_run() {
    let plugins = vec![Plugin::running("a/runs"), Plugin::absent("a/stopped")];
    let settings = Settings {
        plugins,
        accept_all_plugins: false,
        ..Settings::default()
    };
    let (_daemon, dify) = start(settings).await;
    assert_eq!(dify.get("/metrics").await.status, 301);
    let metrics = dify.get("/metrics/").await;
    for line in [
        r#"plugin_runtime_status{plugin_id="a/runs",runtime_type="local"} 1"#,
        r#"plugin_runtime_status{plugin_id="a/stopped",runtime_type="local"} 0"#,
    ] {
        assert!(metrics.text().lines().any(|known| known == line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_request_byte_for_byte() {
    let (daemon, dify) = start(Settings::default()).await;
    let marked = dify
        .with("X-Plugin-Forwarded", "true")
        .with("x-ODD-case", "  kept ");
    let big = "y".repeat(300_000);
    marked
        .all("tool/invoke", PLUGIN, json!({"big": big}))
        .await
        .unwrap();
    let seen = daemon.requests().pop().unwrap();
    let body = json!({"user_id": "user", "data": {"big": big}}).to_string();
    assert_eq!(
        (seen.method.as_str(), seen.path()),
        ("POST", "/plugin/tenant/dispatch/tool/invoke")
    );
    assert_eq!(seen.values("X-Plugin-Forwarded"), ["true"]);
    assert!(
        seen.headers
            .contains(&("x-ODD-case".to_owned(), "kept".to_owned()))
    );
    assert_eq!(seen.body_len, body.len() as u64);
    assert_eq!(
        seen.body_checksum,
        twolane::demo::daemon::checksum(body.as_bytes())
    );
    assert_eq!(seen.body, &body.as_bytes()[..64 * 1024]);
    assert!(
        seen.head
            .starts_with(b"POST /plugin/tenant/dispatch/tool/invoke HTTP/1.1\r\n")
    );
    assert!(seen.head.ends_with(b"\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_resets_every_socket_and_refuses_new_ones() {
    let (daemon, dify) = start(Settings::default()).await;
    assert_eq!(dify.get("/health/check").await.status, 200);
    let mut held = dify
        .open(
            "tool/invoke",
            PLUGIN,
            sim(json!({"fail": "hang", "fail_after": 1})),
        )
        .await
        .unwrap();
    assert_eq!(held.next().await.unwrap().unwrap()["seq"], 0);
    within("cut", daemon.stop(Stop::Cut)).await;
    assert_eq!(daemon.open_connections(), 0);
    assert!(matches!(held.next().await, Err(DifyError::InnerError(_))));
    let refused = TcpStream::connect(daemon.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(daemon.ledger().executions()[0].finished.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_restarts_on_its_port_with_plugins_that_need_time() {
    let slow = Plugin {
        start_delay_ms: 20,
        ..Plugin::running(PLUGIN)
    };
    let settings = Settings {
        plugins: vec![slow],
        ..Settings::default()
    };
    let (daemon, dify) = start(settings).await;
    let addr = daemon.addr();
    for _ in 0..2 {
        within("restart", daemon.restart()).await.unwrap();
        assert_eq!(daemon.addr(), addr);
        assert_eq!(dify.get("/health/check").await.status, 200);
        let ready = async {
            while let Err(error) = dify.all("tool/invoke", PLUGIN, json!({})).await {
                assert!(matches!(error, DifyError::Unavailable(_)), "{error:?}");
            }
        };
        within("the plugin comes up", ready).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_accepts_and_freezes() {
    let (daemon, dify) = start(Settings::default()).await;
    let script = json!({"events": 100, "gap_ms": 1});
    let mut held = dify.open("tool/invoke", PLUGIN, sim(script)).await.unwrap();
    held.next().await.unwrap().unwrap();
    daemon.stop(Stop::Blackhole).await;
    let seen = daemon.requests_seen();
    let mut late = dify
        .open_raw("GET", "/health/check", &[], b"")
        .await
        .unwrap();
    within("accepted", daemon.until(|d| d.open_connections() == 2)).await;
    tokio::select! {
        answer = late.head() => panic!("a black hole answered {answer:?}"),
        () = within("plugin runs on", daemon.ledger().until(|all| all[0].finished.is_some())) => {}
    }
    assert_eq!(daemon.requests_seen(), seen);
    within("cut", daemon.stop(Stop::Cut)).await;
    assert!(late.head().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_accept_still_accepts() {
    let (daemon, dify) = start(Settings::default()).await;
    daemon.slow_accept(Duration::from_millis(5));
    let first = within("first", dify.get("/health/check")).await;
    assert_eq!(first.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_handle_is_a_cut() {
    let world = World::default();
    let daemon = Daemon::start(Settings::named("n1", &world)).await.unwrap();
    let addr = daemon.addr();
    let mut socket = TcpStream::connect(addr).await.unwrap();
    within("accepted", daemon.until(|d| d.open_connections() == 1)).await;
    drop(daemon);
    let end = within(
        "reset",
        tokio::io::AsyncReadExt::read(&mut socket, &mut [0]),
    )
    .await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}
