//! What clients see, and what they must show.

use crate::PLUGIN;
use crate::peer::{Peer, ask, certificate_of, certificates};
use crate::support::client::Dify;
use crate::support::gateway::{Gateway, yaml};
use crate::support::pki::{Pair, Pki};
use crate::support::program::output;
use crate::support::{eventually, within};
use bytes::Bytes;
use serde_json::json;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twolane::demo::daemon::{Daemon, Settings, World};

/// The section for these certificates.
pub(crate) fn section(pairs: &[&Pair], more: &str) -> String {
    let rows = pairs.iter().map(|pair| {
        let (cert, key) = (pair.cert.display(), pair.key.display());
        format!("    - {{ cert: {cert}, key: {key} }}\n")
    });
    let rows: String = rows.collect();
    format!("tls:\n  listen: 127.0.0.1:0\n  certificates:\n{rows}{more}")
}

async fn daemon() -> Daemon {
    Daemon::start(Settings::default()).await.unwrap()
}

/// A gateway with these certificates before one daemon, and where it speaks TLS.
async fn gateway(pairs: &[&Pair], more: &str) -> (Daemon, Gateway, SocketAddr) {
    let node = daemon().await;
    let gateway = Gateway::before(&[&node], &section(pairs, more)).await;
    let address = gateway.embedded.tls().unwrap();
    (node, gateway, address)
}

const HEALTH: &str = "/health/check";

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_the_one_for_the_name_and_else_the_first() {
    let pki = Pki::new();
    let first = pki.issue("first", "DNS:a.test,IP:127.0.0.1");
    let second = pki.issue("second", "DNS:b.test,DNS:*.wild.test");
    let (_node, _gateway, to) = gateway(&[&first, &second], "").await;
    let peer = Peer::new(&pki);
    let is = |pair: &Pair| certificates(&pair.cert).remove(0);
    for (name, pair) in [
        ("a.test", &first),
        ("b.test", &second),
        ("B.Test", &second),
        ("x.wild.test", &second),
        ("127.0.0.1", &first),
    ] {
        assert_eq!(peer.shown(to, name).await, is(pair), "{name}");
        let answer = peer.get(to, name, HEALTH).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // A wildcard is one label; and who asks for what nobody has is shown the first, and says so.
    for stranger in ["x.y.wild.test", "wild.test", "c.test"] {
        let refused = peer.connect(to, stranger).await.unwrap_err().to_string();
        assert!(
            refused.contains("not valid for name"),
            "{stranger}: {refused}"
        );
    }
}

/// The client that every operator has.
async fn s_client(to: SocketAddr, pki: &Pki, more: &[&str]) -> String {
    let to = to.to_string();
    let ca = pki.ca();
    let mut command = Command::new("openssl");
    command
        .args([
            "s_client",
            "-connect",
            &to,
            "-CAfile",
            &ca.to_string_lossy(),
        ])
        .args(["-verify_return_error"])
        .args(more)
        .stdin(Stdio::null());
    // As any program that is waited for: with an end.
    let output = output(command).await;
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_shown_the_right_certificate_and_agrees_on_http2_and_tls_1_2() {
    let pki = Pki::new();
    let (first, second) = (
        pki.issue("one", "DNS:a.test"),
        pki.issue("two", "DNS:b.test"),
    );
    let (_node, _gateway, to) = gateway(&[&first, &second], "").await;
    let rows: [(&[&str], &[&str]); 4] = [
        (
            &["-servername", "b.test", "-alpn", "h2,http/1.1"],
            &["CN = two", "ALPN protocol: h2"],
        ),
        (
            &["-servername", "b.test", "-alpn", "http/1.1"],
            &["CN = two", "ALPN protocol: http/1.1"],
        ),
        (
            &["-noservername"],
            &["CN = one", "No ALPN negotiated", "TLSv1.3"],
        ),
        (
            &["-servername", "a.test", "-tls1_2"],
            &["CN = one", "TLSv1.2"],
        ),
    ];
    for (arguments, words) in rows {
        let said = s_client(to, &pki, arguments).await;
        for word in words {
            assert!(said.contains(word), "{word} for {arguments:?} in {said}");
        }
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    }
    let old = s_client(to, &pki, &["-tls1_1"]).await;
    assert!(old.contains("no peer certificate available"), "{old}");
}

/// A client of HTTP/2 on one connection.
async fn http2(
    pki: &Pki,
    to: SocketAddr,
) -> (h2::client::SendRequest<Bytes>, tokio::task::JoinHandle<()>) {
    let stream = Peer::speaking(pki, &["h2"])
        .connect(to, "a.test")
        .await
        .unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(async move {
        // It ends with an error when the other side leaves, and that is the caller's to notice.
        let _ = connection.await;
    });
    (sender.ready().await.unwrap(), driver)
}

/// One POST of a tool call: status, the class that was given, and the whole answer.
async fn call(
    sender: &mut h2::client::SendRequest<Bytes>,
    data: serde_json::Value,
) -> (u16, String, Vec<u8>) {
    let body = json!({"user_id": "u", "data": data}).to_string();
    let request = http::Request::post("https://a.test/plugin/tenant/dispatch/tool/invoke")
        .header("X-Plugin-ID", PLUGIN)
        .header("Content-Type", "application/json")
        .body(())
        .unwrap();
    let (answer, mut sending) = sender.send_request(request, false).unwrap();
    sending.reserve_capacity(body.len());
    let mut rest = Bytes::from(body);
    while !rest.is_empty() {
        let room = std::future::poll_fn(|context| sending.poll_capacity(context)).await;
        let piece = rest.split_to(room.unwrap().unwrap().min(rest.len()));
        let last = rest.is_empty();
        sending.send_data(piece, last).unwrap();
        sending.reserve_capacity(rest.len());
    }
    let answer = answer.await.unwrap();
    let status = answer.status().as_u16();
    let class = answer.headers().get("x-twolane-class");
    let class = class.map_or("", |value| value.to_str().unwrap()).to_owned();
    let mut whole = Vec::new();
    let mut coming = answer.into_body();
    while let Some(piece) = coming.data().await {
        let piece = piece.unwrap();
        coming.flow_control().release_capacity(piece.len()).unwrap();
        whole.extend_from_slice(&piece);
    }
    (status, class, whole)
}

fn script(script: serde_json::Value) -> serde_json::Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": script}})
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_carries_many_calls_on_one_connection_whatever_their_size() {
    let pki = Pki::new();
    let pair = pki.issue("one", "DNS:a.test");
    let (node, gateway, to) = gateway(&[&pair], "").await;
    let (sender, _driver) = http2(&pki, to).await;
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..50 {
        let mut sender = sender.clone();
        calls.spawn(async move {
            let padding = "x".repeat(at * 8 * 1024);
            let mut data = script(json!({"events": 3, "event_bytes": 50_000}));
            data["padding"] = json!(padding);
            call(&mut sender, data).await
        });
    }
    let answers = within("all answers", calls.join_all()).await;
    for (status, class, whole) in answers {
        assert_eq!(status, 200);
        assert!(!class.is_empty(), "the debug headers are there");
        assert!(
            whole.len() > 150_000,
            "three events of 50 KB: {}",
            whole.len()
        );
    }
    assert_eq!(node.ledger().len(), 50);
    within(
        "the nodes are free",
        gateway.until(|gateway| gateway.in_flight() == 0),
    )
    .await;
}

/// A held-back 404 and a body that is sent twice: what HTTP/1.1 clients never see.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_not_there_is_found_elsewhere_over_http2_too() {
    let pki = Pki::new();
    let pair = pki.issue("one", "DNS:a.test");
    let world = World::default();
    let mut without = Settings::named("n1", &world);
    without.plugins.clear();
    let without = Daemon::start(without).await.unwrap();
    let with = Daemon::start(Settings::named("n2", &world)).await.unwrap();
    let more = format!(
        "health: {{ enabled: false }}\nstrategy: seed\nlearn: {{ unknown: short }}\n{}",
        section(&[&pair], "")
    );
    let gateway = Gateway::before(&[&without, &with], &more).await;
    let (mut sender, _driver) = http2(&pki, gateway.embedded.tls().unwrap()).await;
    let mut data = script(json!({"events": 2}));
    data["padding"] = json!("x".repeat(300_000));
    let (status, _, whole) = within("an answer", call(&mut sender, data)).await;
    let text = String::from_utf8_lossy(&whole);
    assert_eq!(status, 200, "{text}");
    assert_eq!(with.ledger().len(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_over_http2_frees_its_node() {
    let pki = Pki::new();
    let pair = pki.issue("one", "DNS:a.test");
    let (node, gateway, to) = gateway(&[&pair], "").await;
    let (mut sender, driver) = http2(&pki, to).await;
    let held =
        tokio::spawn(async move { call(&mut sender, script(json!({"fail": "hang"}))).await });
    within("it runs", node.ledger().until(|all| all.len() == 1)).await;
    assert_eq!(gateway.in_flight(), 1);
    held.abort();
    driver.abort();
    within(
        "the node is free",
        gateway.until(|gateway| gateway.in_flight() == 0),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_demanded_accepted_or_left_alone() {
    let pki = Pki::new();
    let pair = pki.issue("one", "DNS:a.test");
    let (friend, stranger) = (pki.issue("friend", "DNS:friend"), Pki::new());
    let stranger = stranger.issue("stranger", "DNS:stranger");
    let rules = |word| {
        format!(
            "  client: {{ certificate: {word}, ca: {} }}\n",
            pki.ca().display()
        )
    };
    let nobody = Peer::new(&pki);
    let known = Peer::showing(&pki, &friend);
    let unknown = Peer::showing(&pki, &stranger);
    for (word, served) in [
        ("required", [false, true, false]),
        ("optional", [true, true, false]),
    ] {
        let (_node, gateway, to) = gateway(&[&pair], &rules(word)).await;
        for (peer, served) in [&nobody, &known, &unknown].into_iter().zip(served) {
            let answer = peer.get(to, "a.test", HEALTH).await;
            let is = answer
                .as_ref()
                .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"));
            assert_eq!(is, served, "{word}: {answer:?}");
        }
        let refused = served.iter().filter(|served| !**served).count();
        let counted = format!("twolane_tls_handshake_failures_total {refused}");
        eventually("who was refused is counted", async || {
            gateway.admin("/metrics").await.text().contains(&counted)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_closed_and_the_plain_listener_stays_plain() {
    let pki = Pki::new();
    let pair = pki.issue("one", "DNS:a.test");
    let (node, gateway, to) = gateway(&[&pair], "").await;
    let served = Dify::new(gateway.embedded.data(), None).get(HEALTH).await;
    assert_eq!(served.status, 200);
    for garbage in [
        "GET /plugin/t/x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "\u{16}\u{3}garbage\r\n\r\n",
    ] {
        let mut raw = TcpStream::connect(to).await.unwrap();
        raw.write_all(garbage.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Closed, or reset because we never read what it said.
        let _ = within("it is closed", raw.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert_eq!(node.ledger().len(), 0);
    // Whoever says nothing holds up nobody.
    let _silent: Vec<_> = [TcpStream::connect(to).await, TcpStream::connect(to).await].into();
    let mut stream = Peer::new(&pki).connect(to, "a.test").await.unwrap();
    assert_eq!(certificate_of(&stream), certificates(&pair.cert)[0]);
    let answer = ask(&mut stream, "a.test", HEALTH).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_may_have_no_plain_listener_at_all() {
    let pki = Pki::new();
    let pair = pki.issue("one", "DNS:a.test");
    let node = daemon().await;
    let more = format!("listen: []\n{}", section(&[&pair], "  http2: false\n"));
    let text = yaml(&[(node.id().to_owned(), node.addr())], &more);
    let gateway = Gateway::start(crate::support::gateway::parse(&text)).await;
    assert_eq!(Some(gateway.embedded.data()), gateway.embedded.tls());
    let peer = Peer::speaking(&pki, &["h2", "http/1.1"]);
    let mut stream = peer
        .connect(gateway.embedded.data(), "a.test")
        .await
        .unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(
        session.alpn_protocol(),
        Some(&b"http/1.1"[..]),
        "http2 is off"
    );
    let answer = ask(&mut stream, "a.test", HEALTH).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
