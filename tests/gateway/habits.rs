//! Which habits of a web server at the edge does it have? Those of nginx that operators count on.

use crate::rig::{Rig, UNCHECKED};
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::within;
use crate::{PLUGIN, sim};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use twolane::config;
use twolane::server::known;

/// A node that keeps its connections, and how many were made to it.
async fn keeper() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let made = Arc::<AtomicUsize>::default();
    let address = listener.local_addr().unwrap();
    let count = Arc::clone(&made);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                while head(&mut stream).await.is_some() {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    stream.write_all(answer).await.ok()?;
                }
                Some(())
            });
        }
    });
    (address, made)
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).to_ascii_lowercase())
}

async fn before(node: SocketAddr, more: &str) -> Gateway {
    let text = yaml(&[("n1".to_owned(), node)], &format!("{UNCHECKED}{more}"));
    Gateway::start(parse(&text)).await
}

/// One request on a connection that is there, and the head of its answer.
async fn ask(stream: &mut TcpStream) -> Option<String> {
    let request = b"GET /e/hook/x HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let head = head(stream).await?;
    let mut body = [0; 2];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

#[tokio::test(flavor = "multi_thread")]
async fn f147_f198_a_thousand_requests_of_many_clients_use_few_connections_to_a_node() {
    let (node, made) = keeper().await;
    let gateway = before(node, "").await;
    for _ in 0..100 {
        // Each client brings a connection of its own, and none of it reaches the node.
        let mut stream = TcpStream::connect(gateway.embedded.data()).await.unwrap();
        for _ in 0..10 {
            let head = within("an answer", ask(&mut stream)).await.unwrap();
            assert!(head.starts_with("http/1.1 200"), "{head}");
        }
    }
    let made = made.load(Ordering::Relaxed);
    // One after the other, so one is enough; another where it was not back yet, which a busy machine
    // lets happen now and then.
    assert!(made <= 100, "{made} connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn f200_a_connection_ends_with_its_last_request_and_says_so() {
    let limits = config::load("nodes: [10.0.0.9:5002]\n", "t", &known(), &|_| None).unwrap();
    assert_eq!(limits.limits.connection_requests, 1000);
    assert_eq!(limits.timeouts.client_idle.as_secs(), 65);
    let (node, _) = keeper().await;
    let gateway = before(node, "limits: { connection_requests: 3 }\n").await;
    let mut stream = TcpStream::connect(gateway.embedded.data()).await.unwrap();
    for request in 1..=3 {
        let head = within("an answer", ask(&mut stream)).await.unwrap();
        let closes = head.contains("connection: close");
        assert_eq!(closes, request == 3, "{request}: {head}");
    }
    let mut rest = Vec::new();
    within("it is closed", stream.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f200_an_idle_connection_is_closed() {
    let (node, _) = keeper().await;
    let gateway = before(node, "timeouts: { client_idle: 1s }\n").await;
    let mut stream = TcpStream::connect(gateway.embedded.data()).await.unwrap();
    assert!(within("an answer", ask(&mut stream)).await.is_some());
    let mut rest = Vec::new();
    within("it is closed", stream.read_to_end(&mut rest))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f195_f201_f202_nothing_is_compressed_and_no_header_says_what_it_is() {
    let rig = Rig::new(1, "debug: { headers: false }\n").await;
    let dify = rig.dify().with("Accept-Encoding", "gzip, br");
    let body = json!({"user_id": "u", "data": sim(json!({"events": 3}))});
    let path = "/plugin/tenant/dispatch/tool/invoke";
    let headers = [
        ("X-Plugin-ID", PLUGIN),
        ("Content-Type", "application/json"),
        ("Accept-Encoding", "gzip, br"),
    ];
    let body = body.to_string();
    let streamed = dify.raw("POST", path, &headers, body.as_bytes()).await;
    // Of our own, and of a node's.
    let own = dify.raw("GET", "/metrics", &headers, b"").await;
    for answer in [streamed.unwrap(), own.unwrap()] {
        assert!(answer.text().contains("{\""), "{answer:?}");
        for name in [
            "Content-Encoding",
            "Server",
            "X-Frame-Options",
            "X-Content-Type-Options",
            "X-Served-By",
            "X-Powered-By",
        ] {
            assert_eq!(answer.header(name), None, "{name}: {answer:?}");
        }
        let version = env!("CARGO_PKG_VERSION");
        let said = |(_, value): &(String, String)| value.contains(version);
        assert!(!answer.headers.iter().any(said), "{answer:?}");
    }
}

/// Seed 002 had its limits in two places, and read one.
#[test]
fn f206_limits_have_one_place() {
    for twice in [
        "rate_limit: { per_ip: 200 }\n",
        "rates: [{ by: address, rate: 200/s }]\n",
        "pools: [{ name: a, nodes: [10.0.0.9:5002], rates: [] }]\n",
    ] {
        let nodes = "nodes: [10.0.0.9:5002]\n";
        let text = if twice.starts_with("pools") {
            twice.to_owned()
        } else {
            format!("{nodes}{twice}")
        };
        let refused = config::load(&text, "t.yaml", &known(), &|_| None);
        let problems = refused.err().map(|problems| problems.render());
        let problems = problems.unwrap_or_else(|| panic!("taken: {text}"));
        assert!(problems.contains("t.yaml"), "{problems}");
    }
}
