//! Request bodies of every size and framing: the node gets the same bytes, exactly once, although
//! the gateway looks into them first.

use crate::PLUGIN;
use crate::rig::{Rig, expect_rejection, open};
use crate::support::client::Dify;
use crate::support::stream::{Response, Stream};
use crate::support::within;
use serde_json::json;
use twolane::demo::daemon::checksum;

const INVOKE: &str = "/plugin/tenant/dispatch/tool/invoke";
const KIB: usize = 1024;
/// Around Pingora's replay buffer of 64 KiB, and far beyond.
const SIZES: [usize; 7] = [
    KIB,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    70_000,
    300 * KIB,
    5 * KIB * KIB,
];

/// How a client sends its body.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Header and body in one piece.
    Whole,
    /// A few bytes with the header, the rest in pieces once the gateway has begun.
    Dripped,
    /// A few bytes with the header, the rest in one piece: what was read early and the next read
    /// are more than Pingora's buffer holds.
    Jerked,
    /// In chunks, at once.
    Chunked,
    /// In chunks; the first one, of a few bytes, alone.
    ChunkedDripped,
}

const WAYS: [Way; 5] = [
    Way::Whole,
    Way::Dripped,
    Way::Jerked,
    Way::Chunked,
    Way::ChunkedDripped,
];

/// The body of a tool call, exactly so many bytes long. No two pieces of it look alike.
fn body_of(size: usize, id: &str) -> Vec<u8> {
    let script = json!({"id": id, "events": 1});
    let head = format!(
        r#"{{"user_id":"u","data":{{"provider":"demo","tool":"t","tool_parameters":{{"__sim":{script}}},"pad":""#
    );
    let tail = "\"}}";
    let mut rng = fastrand::Rng::with_seed(size as u64);
    let pad = (0..size - head.len() - tail.len()).map(|_| char::from(rng.u8(b'a'..=b'z')));
    let body = format!("{head}{}{tail}", pad.collect::<String>());
    assert_eq!(body.len(), size, "the body should be as long as asked for");
    body.into_bytes()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The pieces of the wire in which a body is sent.
fn pieces(body: &[u8], way: Way) -> Vec<Vec<u8>> {
    let (few, rest) = body.split_at(7);
    match way {
        Way::Whole => vec![body.to_vec()],
        Way::Dripped => {
            let rest = rest.chunks(rest.len() / 3 + 1).map(<[u8]>::to_vec);
            std::iter::once(few.to_vec()).chain(rest).collect()
        }
        Way::Jerked => vec![few.to_vec(), rest.to_vec()],
        Way::Chunked => {
            let chunks = body.chunks(50_000).flat_map(chunk);
            vec![chunks.chain(*b"0\r\n\r\n").collect()]
        }
        Way::ChunkedDripped => {
            let rest = rest.chunks(rest.len() / 3 + 1).map(chunk);
            let all = std::iter::once(chunk(few)).chain(rest);
            all.chain(std::iter::once(b"0\r\n\r\n".to_vec())).collect()
        }
    }
}

async fn send(rig: &Rig, dify: &Dify, body: &[u8], way: Way) -> Response {
    let length = body.len().to_string();
    let framing = match way {
        Way::Whole | Way::Dripped | Way::Jerked => ("Content-Length", length.as_str()),
        Way::Chunked | Way::ChunkedDripped => ("Transfer-Encoding", "chunked"),
    };
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        framing,
    ];
    let pieces = pieces(body, way);
    let stream = dify.open_raw("POST", INVOKE, &headers, &pieces[0]).await;
    let mut stream = stream.expect("the gateway should take the request");
    if pieces.len() > 1 {
        let begun = rig.gateway.until(|gateway| open(gateway) == 1);
        within("the gateway has read the header", begun).await;
    }
    for piece in &pieces[1..] {
        send_on(&mut stream, piece).await;
    }
    let answer = within("an answer", stream.whole()).await;
    answer.unwrap_or_else(|error| panic!("{} bytes, {way:?}: {error}", body.len()))
}

async fn send_on(stream: &mut Stream, piece: &[u8]) {
    stream
        .send(piece)
        .await
        .expect("the gateway should take the next piece");
}

/// Sends a body and checks that one node got it, whole and once.
async fn arrives(rig: &Rig, dify: &Dify, size: usize, way: Way) {
    let id = format!("{size} {way:?}");
    let body = body_of(size, &id);
    let answer = send(rig, dify, &body, way).await;
    assert_eq!(answer.status, 200, "{id}: {:?}", answer.text());
    let live = rig.nodes.last().expect("there is a node");
    let seen = live.requests().pop().expect("the node saw the request");
    assert_eq!(
        (seen.body_len, seen.body_checksum),
        (size as u64, checksum(&body)),
        "the body of {id} should arrive unchanged"
    );
    let length = size.to_string();
    let framing = match way {
        Way::Whole | Way::Dripped | Way::Jerked => (vec![length.as_str()], vec![]),
        Way::Chunked | Way::ChunkedDripped => (vec![], vec!["chunked"]),
    };
    assert_eq!(
        (
            seen.values("Content-Length"),
            seen.values("Transfer-Encoding")
        ),
        framing,
        "the framing of {id} should be the client's"
    );
    let executions = rig.ledger().executions();
    let times = executions
        .iter()
        .filter(|entry| entry.id.as_deref() == Some(&id));
    assert_eq!(times.count(), 1, "{id} should be executed exactly once");
    rig.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_bodies_of_every_size_and_framing_arrive_unchanged_and_once() {
    let rig = Rig::new(1, crate::rig::UNCHECKED).await;
    for size in SIZES {
        for way in WAYS {
            arrives(&rig, &rig.dify(), size, way).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f058_bodies_arrive_unchanged_and_once_although_the_first_node_is_dead() {
    let rig = Rig::first_is_dead("cooldown: { max_fails: 0 }\n").await;
    for size in SIZES {
        for way in WAYS {
            arrives(&rig, &rig.dify(), size, way).await;
        }
    }
    let unreached = rig.metric(
        "twolane_attempts_total",
        &["node=\"n1\"", "outcome=\"unreached\""],
    );
    // Bodies larger than anybody keeps, when their length is told, go at once to the node that is
    // known to have the plugin.
    let kept = SIZES.iter().filter(|size| **size <= 4 << 20).count();
    let all = SIZES.len() * WAYS.len() - 3 * (SIZES.len() - kept);
    assert_eq!(
        unreached.await,
        all as f64,
        "the dead node should have been every request's first choice, or nothing was shown"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_bodies_of_several_sizes_on_one_connection() {
    let rig = Rig::new(1, crate::rig::UNCHECKED).await;
    let dify = rig.dify();
    for size in [70_000, KIB, 300 * KIB, 64 * KIB, 2 * KIB] {
        for way in WAYS {
            let id = format!("{size} {way:?}");
            let body = body_of(size, &id);
            let answer = send(&rig, &dify, &body, way).await;
            assert_eq!(answer.status, 200, "{id}");
            assert_eq!(
                dify.pooled(),
                1,
                "the connection should be kept after {id}, and no second one be opened"
            );
            rig.quiet().await;
        }
    }
    assert!(
        rig.ledger().duplicates().is_empty(),
        "nothing should run twice"
    );
    assert_eq!(rig.ledger().len(), 25);
}

const LIMIT: &str = "limits: { body: 10KiB }\n";

#[tokio::test(flavor = "multi_thread")]
async fn f007_a_body_over_the_limit_is_refused_by_its_length_alone() {
    let rig = Rig::new(1, &format!("{}{LIMIT}", crate::rig::UNCHECKED)).await;
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        ("Content-Length", "10241"),
    ];
    let stream = rig.dify().open_raw("POST", INVOKE, &headers, b"").await;
    let answer = within(
        "413 before a byte of the body was sent",
        stream.unwrap().whole(),
    )
    .await;
    expect_rejection(&answer.unwrap(), 413, "body_too_large");
    assert_eq!(
        rig.nodes[0].requests_seen(),
        0,
        "the node should not hear of it"
    );
    arrives(&rig, &rig.dify(), 10 * KIB, Way::Whole).await;
    arrives(&rig, &rig.dify(), 10 * KIB, Way::ChunkedDripped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_a_chunked_body_over_the_limit_is_refused_when_it_is_over() {
    let rig = Rig::new(1, &format!("{}{LIMIT}", crate::rig::UNCHECKED)).await;
    for way in [Way::Chunked, Way::ChunkedDripped] {
        let body = body_of(10 * KIB + 1, "too long");
        let answer = send(&rig, &rig.dify(), &body, way).await;
        expect_rejection(&answer, 413, "body_too_large");
        rig.quiet().await;
    }
    assert!(
        rig.ledger().is_empty(),
        "a body that was cut off should not be executed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_a_large_refused_body_does_not_drown_the_answer() {
    let rig = Rig::new(1, &format!("{}{LIMIT}", crate::rig::UNCHECKED)).await;
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        ("Content-Length", "5242880"),
    ];
    for _ in 0..20 {
        let stream = rig.dify().open_raw("POST", INVOKE, &headers, b"{").await;
        let mut stream = stream.unwrap();
        // As httpx does: a body that cannot be sent any more is no reason not to read the answer.
        let _refused_meanwhile = stream.send(&vec![b'x'; 5_242_879]).await;
        let answer = within("the refusal", stream.whole()).await;
        let answer = answer.expect("the client should read why it was refused");
        expect_rejection(&answer, 413, "body_too_large");
    }
}

async fn continues(rig: &Rig, size: usize) {
    let id = format!("expect {size}");
    let body = body_of(size, &id);
    let length = size.to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Plugin-ID", PLUGIN),
        ("Content-Length", length.as_str()),
        ("Expect", "100-continue"),
    ];
    let stream = rig.dify().open_raw("POST", INVOKE, &headers, b"").await;
    let mut stream = stream.unwrap();
    within(
        "100 Continue before a byte of the body was sent",
        stream.interim(),
    )
    .await
    .expect("the client waits to be told to continue");
    send_on(&mut stream, &body).await;
    let answer = within("an answer", stream.whole()).await.unwrap();
    assert_eq!(answer.status, 200, "{id}: {}", answer.text());
    let live = rig.nodes.last().expect("there is a node");
    let seen = live.requests().pop().expect("the node saw the request");
    assert_eq!(
        (seen.body_len, seen.body_checksum),
        (size as u64, checksum(&body)),
        "the body of {id} should arrive unchanged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f007_a_client_that_waits_for_100_continue_is_told_to() {
    let rig = Rig::new(1, crate::rig::UNCHECKED).await;
    let after_a_dead_one = Rig::first_is_dead("").await;
    for size in [KIB, 70_000, 300 * KIB] {
        continues(&rig, size).await;
        continues(&after_a_dead_one, size).await;
    }
    assert_eq!(rig.ledger().len(), 3, "each should be executed once");
    assert_eq!(
        after_a_dead_one.ledger().len(),
        3,
        "each should be executed once"
    );
}
