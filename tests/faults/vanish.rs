//! Clients that leave, at every stage of a request: all that was taken is given back.

use crate::load::{Rig, daemons};
use crate::support::client::Dify;
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::{eventually, within};
use crate::{PLUGIN, alone, descriptors, sim};
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use twolane::demo::daemon::Daemon;

const CLIENTS: usize = 8;
/// Connections to nodes are not kept, so that what remains open was forgotten.
const RULES: &str = "health: { enabled: false }\ntimeouts: { node_idle: 1s }\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connected,
    HalfHeader,
    HeaderSent,
    HalfBody,
    BodySent,
    WaitingForByte,
    MidStream,
    AfterLastByte,
}

const STAGES: [Stage; 8] = [
    Stage::Connected,
    Stage::HalfHeader,
    Stage::HeaderSent,
    Stage::HalfBody,
    Stage::BodySent,
    Stage::WaitingForByte,
    Stage::MidStream,
    Stage::AfterLastByte,
];

fn open(gateway: &Gateway) -> usize {
    gateway.embedded.live().lifecycle.open()
}

fn request(stage: Stage, id: &str) -> (String, String) {
    let script = match stage {
        Stage::WaitingForByte => json!({"id": id, "fail": "hang"}),
        Stage::MidStream => json!({"id": id, "fail": "hang", "fail_after": 2}),
        _ => json!({"id": id}),
    };
    let body = json!({"user_id": "u", "data": sim(script), "pad": "z".repeat(2000)}).to_string();
    let head = format!(
        "POST /plugin/t/dispatch/tool/invoke HTTP/1.1\r\nHost: x\r\nX-Plugin-ID: {PLUGIN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head, body)
}

/// A client that has come as far as this.
async fn client(addr: SocketAddr, stage: Stage, id: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let (head, body) = request(stage, id);
    let sent = match stage {
        Stage::Connected => String::new(),
        Stage::HalfHeader => head[..head.len() / 2].to_owned(),
        Stage::HeaderSent => head,
        Stage::HalfBody => head + &body[..body.len() / 2],
        _ => head + &body,
    };
    stream.write_all(sent.as_bytes()).await.unwrap();
    match stage {
        Stage::MidStream => read_until(&mut stream, "\"seq\":1").await,
        Stage::AfterLastByte => read_until(&mut stream, "\r\n0\r\n\r\n").await,
        _ => {}
    }
    stream
}

async fn read_until(stream: &mut TcpStream, words: &str) {
    use tokio::io::AsyncReadExt;
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&all).contains(words) {
        let read = within("more of the answer", stream.read(&mut part)).await;
        let read = read.unwrap();
        assert!(
            read > 0,
            "the answer should go on to {words:?}: {}",
            String::from_utf8_lossy(&all)
        );
        all.extend_from_slice(&part[..read]);
    }
}

/// Returns once the gateway and the node are as far as the clients, where that can be seen.
async fn arrived(rig: &Rig, stage: Stage, before: u64) {
    match stage {
        Stage::HeaderSent | Stage::HalfBody => {
            let inside = rig.gateway.until(|gateway| open(gateway) == CLIENTS);
            within("all headers are read", inside).await;
        }
        Stage::WaitingForByte => {
            let run = rig.nodes[0].until(|node| node.ledger().len() - before == CLIENTS as u64);
            within("all calls run", run).await;
        }
        _ => {}
    }
}

async fn expect_nothing_left(gateway: &Gateway, nodes: &[Daemon], before: usize, what: &str) {
    let quiet = gateway.until(|gateway| gateway.in_flight() == 0 && open(gateway) == 0);
    within(&format!("leases and passages return: {what}"), quiet).await;
    for node in nodes {
        let free = node.until(|node| node.active_dispatch() == 0 && node.open_connections() == 0);
        within(&format!("the node is let go: {what}"), free).await;
    }
    eventually(&format!("descriptors return: {what}"), async || {
        descriptors() <= before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_at_any_stage_leaves_nothing_behind() {
    let _alone = alone().await;
    let rig = Rig::new(1, RULES).await;
    let addr = rig.gateway.embedded.data();
    // Whatever is opened once and kept is opened now.
    let dify = Dify::new(addr, None);
    dify.all("tool/invoke", PLUGIN, sim(json!({})))
        .await
        .unwrap();
    drop(dify);
    let idle = rig.nodes[0].until(|node| node.open_connections() == 0);
    within("the first connection is over", idle).await;
    let settled = async || open(&rig.gateway) == 0;
    eventually("the first client is over", settled).await;
    let before = descriptors();
    for stage in STAGES {
        for reset in [false, true] {
            let what = format!("{stage:?}, {}", if reset { "RST" } else { "FIN" });
            let ran = rig.ledger().len();
            let mut clients = Vec::new();
            for n in 0..CLIENTS {
                clients.push(client(addr, stage, &format!("{what} {n}")).await);
            }
            arrived(&rig, stage, ran).await;
            assert!(descriptors() > before, "the clients are there: {what}");
            for client in clients {
                if reset {
                    client.set_zero_linger().unwrap();
                }
                drop(client);
            }
            expect_nothing_left(&rig.gateway, &rig.nodes, before, &what).await;
            let ran = rig.ledger().len() - ran;
            let expected = match stage {
                Stage::Connected | Stage::HalfHeader | Stage::HeaderSent | Stage::HalfBody => 0,
                // Who leaves with the last byte may be seen leaving before a node is asked.
                Stage::BodySent => ran.min(CLIENTS as u64),
                _ => CLIENTS as u64,
            };
            assert_eq!(ran, expected, "a half request never runs: {what}");
        }
    }
    assert!(
        rig.ledger().duplicates().is_empty(),
        "nobody who left was served twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_while_the_gateway_connects_leaves_nothing_behind() {
    let _alone = alone().await;
    // A listener whose queue is full: further connections are neither made nor refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let addr = full.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = tokio::time::timeout(
        std::time::Duration::from_millis(300),
        TcpStream::connect(addr),
    )
    .await
    {
        queue.push(stream.unwrap());
        assert!(queue.len() < 100, "the queue should be full at some time");
    }
    let rules = format!("{RULES}cooldown: {{ max_fails: 0 }}\n");
    let gateway = Gateway::start(parse(&yaml(&[("full".to_owned(), addr)], &rules))).await;
    let before = descriptors();
    for reset in [false, true] {
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let to = gateway.embedded.data();
            clients.push(client(to, Stage::BodySent, &n.to_string()).await);
        }
        let waits = gateway.until(|gateway| gateway.in_flight() == u32::try_from(CLIENTS).unwrap());
        within("all wait for a connection", waits).await;
        for client in clients {
            if reset {
                client.set_zero_linger().unwrap();
            }
            drop(client);
        }
        let nodes = daemons(0).await;
        expect_nothing_left(&gateway, &nodes, before, "waiting in the gateway").await;
    }
}
