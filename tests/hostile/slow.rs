//! Whoever is slow is cut off and leaves nothing behind: rows 14 to 17 and 63 of the fault matrix,
//! and the figures owed for them.

use crate::rig::Rig;
use crate::support::{eventually, within};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Short limits, so that the tests need not wait for the real ones.
const SHORT: &str = "timeouts: { client_header: 2s, client_idle: 2s, client_write: 2s, connect: 15s }\n\
                     limits: { client_rate: 500, client_grace: 2s }\n";

const HEAD: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\nX: ";
const BODY: &[u8] = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Memory of this process in RAM, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn connections(rig: &Rig) -> usize {
    rig.gateway.embedded.live().crowd.inside()
}

/// Sends a beginning, then a byte ten times a second, until it is cut off; returns what it was told.
async fn drip(rig_addr: std::net::SocketAddr, beginning: &'static [u8]) -> String {
    let mut stream = TcpStream::connect(rig_addr).await.unwrap();
    stream.write_all(beginning).await.unwrap();
    let (mut from, mut to) = stream.split();
    let mut told = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut space = [0; 1024];
    loop {
        tokio::select! {
            size = from.read(&mut space) => match size {
                Ok(size @ 1..) => told.extend_from_slice(&space[..size]),
                _ => return String::from_utf8_lossy(&told).into_owned(),
            },
            _ = tick.tick() => drop(to.write_all(b"x").await),
        }
    }
}

/// So many who drip, at once; all are cut off with a 408.
async fn all_cut_off(rig: &Rig, beginning: &'static [u8], many: usize) {
    let before = descriptors();
    let mut attackers = JoinSet::new();
    for _ in 0..many {
        attackers.spawn(drip(rig.addr(), beginning));
    }
    let told = within("every attacker is cut off", attackers.join_all()).await;
    for text in &told {
        assert!(
            text.contains("408") && text.contains("client_timeout"),
            "{text:?}"
        );
    }
    eventually("descriptors come back", async || {
        descriptors() <= before + 8 && connections(rig) == 0
    })
    .await;
    let live = rig.gateway.embedded.live();
    eventually("nobody is inside", async || live.lifecycle.open() == 0).await;
    rig.witness.seen();
    rig.canary("attackers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_14_f199_a_head_has_one_deadline_however_its_bytes_drip() {
    let rig = Rig::new(SHORT).await;
    all_cut_off(&rig, HEAD, 300).await;
    assert!(
        rig.metric(r#"twolane_rejections_total{reason="client_timeout"}"#)
            .await
            >= 300.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn row_14_who_says_nothing_is_told_nothing() {
    let rig = Rig::new(SHORT).await;
    let mut silent = TcpStream::connect(rig.addr()).await.unwrap();
    let mut text = String::new();
    within("a silent one is cut off", silent.read_to_string(&mut text))
        .await
        .unwrap();
    assert_eq!(text, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_14_a_second_request_has_the_same_deadline_as_the_first() {
    let rig = Rig::new(SHORT).await;
    let first = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nX: ";
    let told = within("the second is cut off", drip(rig.addr(), first)).await;
    assert!(
        told.starts_with("HTTP/1.1 200") && told.contains("HTTP/1.1 408"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_a_body_that_drips_is_cut_off_and_its_node_let_go() {
    let rig = Rig::new(SHORT).await;
    all_cut_off(&rig, BODY, 100).await;
    // A plugin's call is read whole before a node is asked.
    let call =
        b"POST /plugin/t/dispatch/llm/invoke HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n{";
    let told = within("it is cut off", drip(rig.addr(), call)).await;
    assert!(
        told.contains("408") && told.contains("client_timeout"),
        "{told}"
    );
    assert!(rig.witness.seen().is_empty(), "no node was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_whoever_is_fast_enough_may_take_as_long_as_it_needs() {
    let rig = Rig::new("limits: { client_rate: 500, client_grace: 1s }\n").await;
    let mut stream = TcpStream::connect(rig.addr()).await.unwrap();
    stream
        .write_all(
            b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6000\r\n\r\n",
        )
        .await
        .unwrap();
    // 2,000 bytes a second for three seconds: three times the grace.
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..30 {
        tick.tick().await;
        stream.write_all(&[b'x'; 200]).await.unwrap();
    }
    let mut text = String::new();
    within("its answer", stream.read_to_string(&mut text))
        .await
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(rig.witness.seen()[0].body.len(), 6000);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_16_slow_readers_hold_little_and_not_for_long() {
    const READERS: usize = 100;
    let rig = Rig::new(SHORT).await;
    let size = 8 << 20;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + size, b'x');
    rig.witness.answers(&answer);
    drop(answer);
    let before = resident();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(rig.addr()).await.unwrap();
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        readers.push(stream);
    }
    let live = rig.gateway.embedded.live();
    let peak = std::sync::Mutex::new((0, 0));
    eventually("all came in, and are cut off", async || {
        let mut peak = peak.lock().unwrap();
        peak.0 = peak.0.max(live.lifecycle.open());
        peak.1 = peak.1.max(resident());
        peak.0 > 0 && live.lifecycle.open() == 0
    })
    .await;
    let (inside, most) = peak.into_inner().unwrap();
    let grown = most.saturating_sub(before) / 1024;
    println!(
        "{inside} slow readers of 8 MiB at once: {grown} MiB more, the nodes' buffers included"
    );
    assert!(inside > READERS / 2, "{inside}");
    eventually("their connections are gone too", async || {
        connections(&rig) == 0
    })
    .await;
    drop(readers);
    rig.witness.answers(crate::rig::FINE);
    rig.witness.seen();
    rig.canary("slow readers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_17_idle_connections_end_and_a_flood_is_turned_away() {
    let yaml = SHORT.replace(
        "client_grace: 2s",
        "client_grace: 2s, connections: 30, connections_per_address: 20",
    );
    let rig = Rig::new(&yaml).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(rig.addr()).await.unwrap();
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        kept.push(stream);
    }
    eventually("all have a seat", async || connections(&rig) == 20).await;
    let mut text = String::new();
    let mut one_more = TcpStream::connect(rig.addr()).await.unwrap();
    // Closed at once, with or without a reset.
    drop(within("it is turned away", one_more.read_to_string(&mut text)).await);
    assert_eq!(text, "");
    let metric = r#"twolane_connections_turned_away_total{why="address"}"#;
    assert_eq!(rig.metric(metric).await, 1.0);
    for stream in &mut kept {
        let mut text = String::new();
        within("an idle connection ends", stream.read_to_string(&mut text))
            .await
            .unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    }
    eventually("all seats are free", async || connections(&rig) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_of_two_thousand_starves_nobody() {
    const ATTACKERS: usize = 1000;
    let rig = Rig::new(SHORT).await;
    let before = resident();
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        attackers.spawn(drip(rig.addr(), HEAD));
        attackers.spawn(drip(rig.addr(), BODY));
    }
    let served = async {
        let until = Instant::now() + Duration::from_secs(2);
        let mut served = 0;
        while Instant::now() < until {
            let answer = rig
                .tell(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await;
            assert_eq!(answer.status(), 200, "{answer:?}");
            served += 1;
        }
        served
    };
    let served: usize = served.await;
    println!(
        "served {served} beside {} attackers, {} MiB more",
        2 * ATTACKERS,
        (resident().saturating_sub(before)) / 1024
    );
    assert!(served > 0);
    let told = within("every attacker is cut off", attackers.join_all()).await;
    let others: Vec<_> = told.iter().filter(|text| !text.contains("408")).collect();
    assert!(
        others.is_empty(),
        "{} were told otherwise: {others:?}",
        others.len()
    );
    eventually("all seats are free", async || connections(&rig) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_given_up_whatever_its_rate_was() {
    let rig = Rig::new("timeouts: { client_read: 1s }\nlimits: { client_rate: 0 }\n").await;
    for piece in [0, 80_000] {
        let mut stream = TcpStream::connect(rig.addr()).await.unwrap();
        stream.write_all(BODY).await.unwrap();
        stream.write_all(&vec![b'x'; piece]).await.unwrap();
        let mut told = String::new();
        let end = within("an end", stream.read_to_string(&mut told)).await;
        assert!(end.is_ok(), "{end:?}");
        assert!(
            told.contains("408") && told.contains("client_timeout"),
            "{told}"
        );
    }
}
