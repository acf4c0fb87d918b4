//! What can be read in two ways reaches nobody: rows 1 to 13 of the fault matrix.

use crate::rig::{Rig, Seen};

/// A request without a body, with these lines in its head.
fn get(lines: &str) -> Vec<u8> {
    format!("GET /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

/// A request with a body, framed by these lines.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}").into_bytes()
}

fn chunked(body: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", body)
}

const BEHIND: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Each is answered with this status and word, cut off, and seen by no node.
async fn refused(rig: &Rig, row: &str, bytes: &[u8], status: u16, word: &str) {
    let answer = rig.tell(bytes).await;
    let said = (answer.status(), answer.header("X-Twolane-Error"));
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]);
    assert_eq!(
        said,
        (status, Some(word)),
        "{row}: {shown:?} got {answer:?}"
    );
    assert_eq!(
        answer.header("Connection"),
        Some("close"),
        "{row}: {shown:?}"
    );
    assert_eq!(
        answer.count(),
        1,
        "{row}: {shown:?}: one answer, {answer:?}"
    );
    let seen = rig.witness.seen();
    assert!(seen.is_empty(), "{row}: {shown:?} reached a node: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_1_2_4_two_framings_are_none() {
    let rig = Rig::new("").await;
    let zero = format!("0\r\n\r\n{BEHIND}");
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: cow\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5;\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length:\r\n",
    ] {
        let word = if lines.contains('\x0b') {
            "bad_request"
        } else {
            "bad_framing"
        };
        refused(&rig, "rows 1, 2, 4", &post(lines, &zero), 400, word).await;
    }
    let gzip = post("Transfer-Encoding: gzip, chunked\r\n", &zero);
    refused(&rig, "row 2", &gzip, 501, "coding_unknown").await;
    let old = format!("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{zero}");
    refused(&rig, "row 2", old.as_bytes(), 400, "bad_framing").await;
    rig.canary("two framings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_3_5_lines_that_are_no_fields_are_none() {
    let rig = Rig::new("").await;
    for (lines, word) in [
        ("A: b\r\n c\r\n", "bad_request"),
        ("A: b\r\n\tc\r\n", "bad_request"),
        ("A : b\r\n", "bad_request"),
        ("Content-Length : 5\r\n", "bad_request"),
        ("Transfer-Encoding : chunked\r\n", "bad_request"),
        ("A\r\n", "bad_request"),
        (": b\r\n", "bad_request"),
        ("A\0: b\r\n", "bad_request"),
        ("A: b\0\r\n", "bad_request"),
        ("A: b\rContent-Length: 5\r\n", "bad_request"),
        ("A: \x01\r\n", "bad_request"),
        ("A\u{e9}: b\r\n", "bad_request"),
        ("A: b\nContent-Length: 5\r\n", "bad_framing"),
        ("A: b\n\r\n", "bad_framing"),
        ("A: b\n", "bad_framing"),
    ] {
        refused(&rig, "rows 3, 5", &get(lines), 400, word).await;
    }
    let bare = b"GET /x HTTP/1.1\nHost: a\n\n";
    refused(&rig, "row 5", bare, 400, "bad_framing").await;
    rig.canary("lines that are no fields").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_6_7_chunks_that_can_be_read_in_two_ways_never_complete() {
    let rig = Rig::new("").await;
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(64 * 1024));
    let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(4000));
    let bodies = [
        "5;a\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5;\0\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\n\n",
        &long,
        &trailers,
    ];
    for body in bodies {
        for (split, first) in [(false, ""), (true, "3\r\nabc\r\n")] {
            let text = format!("{first}{body}{BEHIND}");
            let answer = rig.tell(&chunked(&text)).await;
            let shown = &body[..body.len().min(40)];
            assert_eq!(answer.status(), 400, "{shown:?} {split}: {answer:?}");
            assert_eq!(
                answer.header("X-Twolane-Error"),
                Some("bad_framing"),
                "{shown:?}"
            );
            assert_eq!(answer.count(), 1, "{shown:?}: {answer:?}");
            let seen = rig.witness.seen();
            assert!(
                seen.iter()
                    .all(|request| !request.complete && request.target() == "/x"),
                "{shown:?} was completed: {seen:?}"
            );
        }
    }
    rig.canary("chunks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_8_trailers_are_dropped() {
    let rig = Rig::new("").await;
    for trailer in [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: b",
        "X-Api-Key: k",
    ] {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n");
        let lines = "Connection: close\r\nTransfer-Encoding: chunked\r\n";
        let answer = rig.tell(&post(lines, &body)).await;
        assert_eq!(answer.status(), 200, "{trailer}: {answer:?}");
        let seen = rig.witness.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].body, b"hello");
        let name = trailer.split(':').next().unwrap();
        let there = seen[0].values(name);
        let own = ["Host", "Transfer-Encoding"].contains(&name);
        assert_eq!(there.len(), usize::from(own), "{trailer} in {seen:?}");
        assert!(!seen[0].head.contains("Host: b"), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_9_a_protocol_is_changed_only_by_an_answer() {
    let rig = Rig::new("").await;
    for protocol in ["h2c", "foo", "TLS/1.0"] {
        let lines = format!("Connection: upgrade, close\r\nUpgrade: {protocol}\r\n");
        let answer = rig.tell(&[get(&lines), BEHIND.into()].concat()).await;
        assert_eq!(
            (answer.status(), answer.count()),
            (200, 1),
            "{protocol}: {answer:?}"
        );
        let seen = rig.witness.seen();
        let targets: Vec<_> = seen.iter().map(Seen::target).collect();
        assert_eq!(targets, ["/x"], "{protocol}: nothing raw reached the node");
        assert!(seen[0].values("upgrade").is_empty(), "{protocol}: {seen:?}");
    }
    rig.canary("upgrades").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_10_what_follows_a_message_is_a_message_of_its_own() {
    let rig = Rig::new("").await;
    // A body that looks like a request, and two requests at once.
    let body = post(&format!("Content-Length: {}\r\n", BEHIND.len()), BEHIND);
    let last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = rig.tell(&[&body[..], &last[..]].concat()).await;
    assert_eq!(answer.count(), 2, "{answer:?}");
    let seen = rig.witness.seen();
    let targets: Vec<_> = seen.iter().map(Seen::target).collect();
    assert_eq!(targets, ["/x", "/last"]);
    assert_eq!(seen[0].body, BEHIND.as_bytes());
    // A message that is refused behind one that is not.
    let bad = b"GET /bad HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
    let answer = rig.tell(&[&body[..], &bad[..]].concat()).await;
    assert_eq!(answer.count(), 2, "{answer:?}");
    assert!(answer.text.contains("HTTP/1.1 400"), "{answer:?}");
    let seen = rig.witness.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    rig.canary("pipelines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_11_first_lines_that_are_none_are_none() {
    let rig = Rig::new("").await;
    for (line, status, word) in [
        ("GET /", 400, "bad_request"),
        ("GET / HTTP/2.0", 505, "version_unknown"),
        ("GET / HTTP/0.9", 505, "version_unknown"),
        ("GET\t/\tHTTP/1.1", 400, "bad_request"),
        ("GET  / HTTP/1.1", 400, "bad_request"),
        ("GET /a b HTTP/1.1", 400, "bad_request"),
        ("GET / HTTP/1.1 x", 400, "bad_request"),
        ("GET /\0 HTTP/1.1", 400, "bad_path"),
        ("GET /\x01 HTTP/1.1", 400, "bad_path"),
        ("G\0T / HTTP/1.1", 400, "bad_request"),
        ("x", 400, "bad_request"),
        ("GET x HTTP/1.1", 400, "bad_request"),
        ("GET * HTTP/1.1", 400, "bad_request"),
        ("GET a:80 HTTP/1.1", 400, "bad_request"),
        ("PRI * HTTP/1.1", 400, "bad_request"),
        ("PRI * HTTP/2.0", 505, "version_unknown"),
        ("CONNECT a:80 HTTP/1.1", 405, "method_not_allowed"),
        ("TRACE / HTTP/1.1", 405, "method_not_allowed"),
    ] {
        let bytes = format!("{line}\r\nHost: a\r\n\r\n");
        refused(&rig, "row 11", bytes.as_bytes(), status, word).await;
    }
    let trace = rig.tell(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(
        trace
            .header("Allow")
            .is_some_and(|all| all.contains("POST")),
        "{trace:?}"
    );
    rig.canary("first lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_12_a_request_is_for_one_host() {
    let rig = Rig::new("").await;
    refused(
        &rig,
        "row 12",
        b"GET / HTTP/1.1\r\n\r\n",
        400,
        "bad_request",
    )
    .await;
    for host in [
        "a\r\nHost: a",
        "a\r\nHost: b",
        "a, b",
        "a/x",
        "u@a",
        "a b",
        "",
        "a:x",
        "a:99999",
        "a:",
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        refused(&rig, "row 12", bytes.as_bytes(), 400, "bad_request").await;
    }
    let other = b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n";
    refused(&rig, "row 12", other, 400, "bad_request").await;
    let answer = rig
        .tell(b"GET http://a:80/x?y HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let seen = rig.witness.seen();
    assert_eq!(seen[0].values("host"), ["a:80"], "{seen:?}");
    assert!(seen[0].target().ends_with("/x?y"), "{seen:?}");
    rig.canary("hosts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_what_is_too_large_is_refused() {
    let rig = Rig::new("").await;
    let x = |size: usize| "x".repeat(size);
    let many = get(&"A: b\r\n".repeat(1000));
    refused(&rig, "row 13", &many, 431, "header_too_large").await;
    for size in [64, 900] {
        let field = get(&format!("A: {}\r\n", x(size * 1024)));
        refused(&rig, "row 13", &field, 431, "header_too_large").await;
    }
    let path = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", x(64 * 1024));
    refused(&rig, "row 13", path.as_bytes(), 414, "target_too_long").await;
    let method = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", x(100 * 1024));
    refused(&rig, "row 13", method.as_bytes(), 400, "bad_request").await;
    let metric = r#"twolane_rejections_total{reason="header_too_large"}"#;
    assert_eq!(
        rig.metric(metric).await,
        3.0,
        "what no hook sees is counted too"
    );
    let fits = get(&format!("Connection: close\r\nA: {}\r\n", x(60 * 1024)));
    assert_eq!(rig.tell(&fits).await.status(), 200);
    assert_eq!(rig.witness.seen().len(), 1);
    rig.canary("bombs").await;
}
