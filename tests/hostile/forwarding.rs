//! What reaches a node of what a client says: rows 20 to 30 of the fault matrix.

use crate::rig::{Rig, Seen, Witness};
use crate::support::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request that passes, and how its one node saw it.
async fn passed(rig: &Rig, target: &str, lines: &str) -> Seen {
    let head = format!("GET {target} HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n{lines}\r\n");
    let answer = rig.tell(head.as_bytes()).await;
    assert_eq!(answer.status(), 200, "{target} {lines:?}: {answer:?}");
    let mut seen = rig.witness.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

async fn refused(rig: &Rig, target: &str, lines: &str, word: &str) {
    let head = format!("GET {target} HTTP/1.1\r\nHost: a.b\r\n{lines}\r\n");
    let answer = rig.tell(head.as_bytes()).await;
    let said = (answer.status(), answer.header("X-Twolane-Error"));
    assert_eq!(said, (400, Some(word)), "{target} {lines:?}: {answer:?}");
    let seen = rig.witness.seen();
    assert!(
        seen.is_empty(),
        "{target} {lines:?} reached a node: {seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_20_21_a_body_over_the_limit_is_refused_and_its_node_connection_dropped() {
    let rig = Rig::new("limits: { body: 100KiB }\n").await;
    let declared = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    let answer = rig.tell(declared).await;
    assert_eq!(
        (answer.status(), answer.header("Connection")),
        (413, Some("close"))
    );
    assert!(rig.witness.seen().is_empty(), "before a node is asked");
    let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let body = piece.repeat(50);
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = rig.tell(format!("{head}{body}0\r\n\r\n").as_bytes()).await;
    assert_eq!(
        (answer.status(), answer.header("Connection")),
        (413, Some("close")),
        "{answer:?}"
    );
    let seen = rig.witness.seen();
    assert!(seen.iter().all(|request| !request.complete), "{seen:?}");
    rig.canary("a body over the limit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_23_an_early_answer_is_relayed_and_nothing_is_reused() {
    let rig = Rig::new("").await;
    rig.witness
        .answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    let head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhal";
    let mut stream = TcpStream::connect(rig.addr()).await.unwrap();
    stream.write_all(head).await.unwrap();
    // The witness answers complete requests only, so the rest is sent, and behind it another one.
    stream
        .write_all(b"f-done!GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    within("both answers", stream.read_to_string(&mut text))
        .await
        .unwrap();
    assert_eq!(text.matches("early").count(), 2, "{text}");
    let seen = rig.witness.seen();
    let targets: Vec<_> = seen.iter().map(Seen::target).collect();
    assert_eq!(targets, ["/x", "/next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_24_f207_a_path_is_forwarded_as_it_came_or_not_at_all() {
    let rig = Rig::new("").await;
    for target in [
        "/e/h/a%2Fb",
        "/plugin//x",
        "/e/h/..;/x",
        "/a%20b?q=%2e%2e/%00",
        "/a%252e",
        "/e/h/%61",
        "/a\\b",
        "/a;b=c",
        "/x?a?b",
        "//x",
    ] {
        assert_eq!(passed(&rig, target, "").await.target(), target);
    }
    for target in [
        "/plugin/%2e%2e/x",
        "/plugin/../x",
        "/a/./b",
        "/%61dmin/x",
        "/plugin%2Ft",
        "/a%00",
        "/e/h/%0d%0aX:%20y",
        "/e/h/%2E%2e/x",
        "/a%zz",
        "/%6detrics",
        "/debug%2Fpprof",
    ] {
        refused(&rig, target, "", "bad_path").await;
    }
    for target in ["/admin", "/admin/x", "/metrics", "/debug/pprof/heap"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(rig.tell(head.as_bytes()).await.status(), 404, "{target}");
    }
    rig.canary("paths").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_25_what_is_read_cannot_be_taken_out_on_the_way() {
    let rig = Rig::new("").await;
    for name in [
        "X-Api-Key",
        "X-Plugin-ID",
        "Host",
        "X-Forwarded-For",
        "Content-Length",
        "Authorization",
        "transfer-encoding",
        "Cookie",
    ] {
        let lines = format!("Connection: close, {name}\r\nX-Api-Key: k\r\nX-Plugin-ID: a/b\r\n");
        refused(&rig, "/x", &lines, "bad_header").await;
    }
    rig.canary("Connection").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_26_what_is_meant_for_one_hop_goes_no_further() {
    let rig = Rig::new("").await;
    let lines = "Connection: X-Own\r\nX-Own: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n\
                 Proxy-Authorization: x\r\nTE: trailers\r\n";
    let seen = passed(&rig, "/x", lines).await;
    for name in ["X-Own", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade"] {
        assert!(seen.values(name).is_empty(), "{name} in {seen:?}");
    }
    // Each alone, beside a `Connection` that names none of them.
    for name in [
        "HTTP2-Settings",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "X-End-To-End",
    ] {
        let seen = passed(&rig, "/x", &format!("{name}: h2c\r\n")).await;
        let kept = name == "X-End-To-End";
        assert_eq!(!seen.values(name).is_empty(), kept, "{name} in {seen:?}");
        assert!(seen.values("Connection").is_empty(), "{seen:?}");
    }
    rig.witness.answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\n\
          Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n\
          X-Kept: 1\r\n\r\nok",
    );
    let answer = rig
        .tell(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(
        (answer.status(), answer.header("X-Kept")),
        (200, Some("1")),
        "{answer:?}"
    );
    for name in ["X-Secret", "Keep-Alive", "Proxy-Connection", "Upgrade"] {
        assert_eq!(answer.header(name), None, "{name} in {answer:?}");
    }
    assert_eq!(answer.header("Connection"), Some("close"));
}

const CLAIMS: &str = "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=9.9.9.9\r\n\
                      X-Real-IP: 9.9.9.9\r\nX-Original-Host: evil\r\nDify-Hook-Url: https://evil\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn row_27_f196_a_strangers_word_about_itself_is_replaced() {
    let rig = Rig::new("").await;
    for lines in [CLAIMS, ""] {
        let seen = passed(&rig, "/e/h/x", lines).await;
        for (name, values) in [
            ("X-Forwarded-For", &["127.0.0.1"][..]),
            ("X-Real-IP", &["127.0.0.1"]),
            ("X-Forwarded-Proto", &["http"]),
            ("X-Forwarded-Host", &["a.b"]),
            ("X-Forwarded-Port", &[]),
            ("Forwarded", &[]),
            ("X-Original-Host", &[]),
            ("Dify-Hook-Url", &[]),
            ("Host", &["a.b"]),
        ] {
            assert_eq!(seen.values(name), values, "{name} in {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_27_f196_a_trusted_proxys_word_is_kept_and_added_to() {
    let rig = Rig::new("trusted_proxies: [127.0.0.0/8]\n").await;
    let seen = passed(&rig, "/e/h/x", CLAIMS).await;
    for (name, value) in [
        ("X-Forwarded-For", "9.9.9.9, 8.8.8.8, 127.0.0.1"),
        ("X-Real-IP", "9.9.9.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil"),
        ("X-Forwarded-Port", "1"),
        ("X-Original-Host", "evil"),
        ("Dify-Hook-Url", "https://evil"),
    ] {
        assert_eq!(seen.values(name), [value], "{name} in {seen:?}");
    }
    let seen = passed(
        &rig,
        "/x",
        "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n",
    )
    .await;
    assert_eq!(
        seen.values("X-Forwarded-For"),
        ["9.9.9.9, 8.8.8.8, 127.0.0.1"]
    );
    assert_eq!(
        seen.values("X-Real-IP"),
        ["8.8.8.8"],
        "the right-most stranger"
    );
    assert_eq!(seen.values("X-Forwarded-Proto"), ["http"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_28_a_strangers_loop_mark_is_none_and_a_loop_is_508() {
    let rig = Rig::new("").await;
    let seen = passed(&rig, "/x", "X-Plugin-Forwarded: false\r\n").await;
    assert_eq!(seen.values("X-Plugin-Forwarded"), ["true"], "ours, once");
    let own = &rig.gateway.embedded.live().identity.name;
    let head = format!("GET /x HTTP/1.1\r\nHost: a\r\nVia: 1.1 {own}\r\n\r\n");
    let answer = rig.tell(head.as_bytes()).await;
    assert_eq!(
        (answer.status(), answer.header("X-Twolane-Error")),
        (508, Some("loop"))
    );
    assert!(rig.witness.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_29_30_a_field_that_is_read_has_one_name_and_one_value() {
    let rig = Rig::new("").await;
    for lines in [
        "X_Api_Key: k\r\n",
        "x_plugin_id: a/b\r\n",
        "X-Plugin_ID: a/b\r\n",
        "Content_Length: 5\r\n",
        "Transfer_Encoding: chunked\r\n",
        "X_Forwarded_For: 9.9.9.9\r\n",
        "X-Plugin-ID: a/b\r\nX-Plugin-ID: a/c\r\n",
        "X-Plugin-ID: a/b\r\nx-plugin-id: a/b\r\n",
        "X-Api-Key: k\r\nX-Api-Key: l\r\n",
        "X-Plugin-Unique-Identifier: a\r\nX-Plugin-Unique-Identifier: b\r\n",
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
    ] {
        refused(&rig, "/x", lines, "bad_header").await;
    }
    let seen = passed(&rig, "/x", "my_field: 1\r\nAccept: a\r\nAccept: b\r\n").await;
    assert_eq!(
        seen.values("my_field"),
        ["1"],
        "others are nobody's business"
    );
    rig.canary("names").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_what_it_can_read() {
    let rig = Rig::new("").await;
    rig.witness.answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    );
    let answer = rig.tell(b"GET /x HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.header("Transfer-Encoding"), None, "{answer:?}");
    assert!(answer.text.ends_with("\r\n\r\nhello!"), "{answer:?}");
    let seen = rig.witness.seen();
    assert_eq!(seen.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_its_connection_closed_is_obeyed() {
    let rig = Rig::new("").await;
    let twice = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = rig.tell(twice).await;
    assert_eq!(
        (answer.count(), answer.header("Connection")),
        (1, Some("close")),
        "{answer:?}"
    );
    assert_eq!(rig.witness.seen().len(), 1);
    let old = rig.tell(b"GET /a HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        (old.status(), old.header("Connection")),
        (200, Some("close")),
        "{old:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_34_35_neither_a_secret_nor_a_line_of_a_clients_reaches_a_page() {
    let rig = Rig::new("").await;
    let lines = "X-Api-Key: secret-one\r\nAuthorization: Bearer secret-two\r\n\
                 X-Request-Id: a b\"{}secret-three\r\nCookie: secret-four\r\n";
    passed(&rig, "/x?token=secret-five", lines).await;
    let bad = "GET /x?token=secret-six HTTP/1.1\r\nHost: a\r\nX-Api-Key: secret-seven\n\r\n";
    assert_eq!(rig.tell(bad.as_bytes()).await.status(), 400);
    for page in [
        "/metrics",
        "/status",
        "/api/v1/decisions",
        "/cluster/stats",
        "/cluster/nodes",
    ] {
        let text = rig.gateway.admin(page).await;
        assert!(!text.text().contains("secret-"), "{page}: {}", text.text());
    }
}

/// The witness itself: what a test believes it saw, it saw.
#[tokio::test(flavor = "multi_thread")]
async fn the_witness_reads_what_it_is_sent() {
    let witness = Witness::start().await;
    let mut stream = TcpStream::connect(witness.addr).await.unwrap();
    let bytes = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    stream.write_all(bytes).await.unwrap();
    let mut space = [0; 4096];
    let mut text = Vec::new();
    while text.windows(2).filter(|two| two == b"ok").count() < 2 {
        let size = within("two answers", stream.read(&mut space))
            .await
            .unwrap();
        text.extend_from_slice(&space[..size]);
    }
    let seen = witness.seen();
    assert_eq!(
        (seen.len(), &seen[0].body[..], seen[1].complete),
        (2, &b"abc"[..], true)
    );
}
