//! What becomes of a node's answer that is none: row 64 of the fault matrix.

use crate::rig::{FINE, Rig};

const NO_ANSWERS: [(&str, &[u8]); 11] = [
    ("garbage", b"garbage\r\n\r\n"),
    ("nothing", b""),
    (
        "a status of four digits",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "a status below 100",
        b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "NUL in the head",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "a bare CR in the head",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "a negative length",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    ),
    (
        "two lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    ),
    (
        "length and chunks",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: cow\r\n\r\nok",
    ),
    ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le"),
    (
        "a switch nobody asked for",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn row_64_what_is_no_answer_is_a_502_and_poisons_nothing() {
    let rig = Rig::new("").await;
    let huge = format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok",
        "x".repeat(2 << 20)
    );
    let mut otherwise = Vec::new();
    let large = ("a head that is too large", huge.as_bytes());
    for (what, bytes) in NO_ANSWERS.into_iter().chain([large]) {
        println!("{what}");
        rig.witness.answers(bytes);
        let post = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answer = rig.tell(post).await;
        let said = (
            answer.status(),
            answer.header("X-Twolane-Error"),
            answer.count(),
        );
        let times = rig.witness.seen().len();
        if said != (502, Some("node_broke"), 1) || times != 1 {
            otherwise.push(format!("{what}: asked {times} times, {answer:?}"));
        }
        rig.witness.answers(FINE);
        for _ in 0..3 {
            rig.canary(what).await;
        }
    }
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_64_what_a_node_sends_too_much_belongs_to_nobody() {
    let rig = Rig::new("").await;
    let behind = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned";
    for (what, method, text) in [
        (
            "more than it says",
            "GET",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{behind}"),
        ),
        (
            "a body for HEAD",
            "HEAD",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{behind}",
                behind.len()
            ),
        ),
        (
            "a body with 204",
            "GET",
            format!("HTTP/1.1 204 No Content\r\n\r\n{behind}"),
        ),
        (
            "a body with 304",
            "GET",
            format!(
                "HTTP/1.1 304 Not Modified\r\nContent-Length: {}\r\n\r\n{behind}",
                behind.len()
            ),
        ),
    ] {
        rig.witness.answers(text.as_bytes());
        let head = format!("{method} /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = rig.tell(head.as_bytes()).await;
        assert!(!answer.text.contains("poisoned"), "{what}: {answer:?}");
        rig.witness.seen();
        rig.witness.answers(FINE);
        for _ in 0..3 {
            rig.canary(what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_64_fifty_interim_answers_are_still_an_answer() {
    let rig = Rig::new("").await;
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50);
    let text = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    rig.witness.answers(text.as_bytes());
    let answer = rig
        .tell(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.text.ends_with("\r\n\r\nok"), "{answer:?}");
    rig.witness.seen();
    rig.witness.answers(FINE);
    rig.canary("interim answers").await;
}
