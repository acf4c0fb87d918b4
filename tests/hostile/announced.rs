//! Whom a balancer names by the PROXY protocol, and who may name anybody.

use crate::peer::Peer;
use crate::rig::Rig;
use crate::support::pki::Pki;
use crate::support::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 56789 5002\r\n";
const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const TOLD: &str = "proxy_protocol: [127.0.0.0/8]\n";

/// Version 2: 203.0.113.9, IPv4 over TCP, or for the balancer itself.
fn binary(local: bool) -> Vec<u8> {
    let kind: &[u8] = if local {
        &[0x20, 0, 0, 0]
    } else {
        &[0x21, 0x11, 0, 12]
    };
    let addresses: &[u8] = &[203, 0, 113, 9, 10, 0, 0, 1, 1, 2, 3, 4];
    let sign: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    [sign, kind, if local { &[] } else { addresses }].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_listed_balancer_names_is_the_client() {
    // A hundred pieces may take a while on a machine that has other things to do.
    let rig = Rig::new(&format!("{TOLD}timeouts: {{ client_header: 60s }}\n")).await;
    for (header, client) in [
        (LINE.to_vec(), "203.0.113.9"),
        (binary(false), "203.0.113.9"),
        (binary(true), "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
    ] {
        let answer = rig.tell(&[&header, GET].concat()).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let seen = rig.witness.seen();
        assert_eq!(seen[0].values("X-Forwarded-For"), [client], "{seen:?}");
        assert_eq!(seen[0].values("X-Real-IP"), [client], "{seen:?}");
    }
    // Byte by byte, and the request behind it as well.
    let mut stream = TcpStream::connect(rig.addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in [LINE, GET].concat() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut text = String::new();
    within("an answer", stream.read_to_string(&mut text))
        .await
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(rig.witness.seen()[0].values("X-Real-IP"), ["203.0.113.9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_balancer_that_names_nobody_is_closed_without_a_word() {
    let rig = Rig::new(TOLD).await;
    let wrong = [
        GET.to_vec(),
        b"PROXY TCP4 203.0.113.9 10.0.0.1 x 5002\r\n".to_vec(),
        [b"PROXY TCP4 ", &[b'1'; 200][..]].concat(),
        binary(false)[..14]
            .iter()
            .chain(b"\x31\x11")
            .copied()
            .collect(),
    ];
    for (count, wrong) in wrong.iter().enumerate() {
        let answer = rig.tell(wrong).await;
        assert_eq!(answer.text, "", "{wrong:?}");
        let metric = r#"twolane_connections_turned_away_total{why="proxy_protocol"}"#;
        assert_eq!(rig.metric(metric).await, (count + 1) as f64, "{wrong:?}");
    }
    assert!(rig.witness.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_name_anybody() {
    for yaml in [
        "",
        "proxy_protocol: [10.0.0.0/8]\ntrusted_proxies: [127.0.0.0/8]\n",
    ] {
        let rig = Rig::new(yaml).await;
        for header in [LINE.to_vec(), binary(false)] {
            let answer = rig.tell(&[&header, GET].concat()).await;
            assert!([400, 505].contains(&answer.status()), "{answer:?}");
        }
        assert!(rig.witness.seen().is_empty());
        rig.canary("a PROXY header").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_named_before_its_handshake() {
    let pki = Pki::new();
    let pair = pki.issue("a", "DNS:a.test");
    let (cert, key) = (pair.cert.display(), pair.key.display());
    let tls =
        format!("tls:\n  listen: 127.0.0.1:0\n  certificates: [{{ cert: {cert}, key: {key} }}]\n");
    let rig = Rig::new(&format!("{TOLD}{tls}")).await;
    let mut stream = TcpStream::connect(rig.gateway.embedded.tls().unwrap())
        .await
        .unwrap();
    stream.write_all(&binary(false)).await.unwrap();
    let mut stream = Peer::new(&pki).begin(stream, "a.test").await.unwrap();
    stream.write_all(GET).await.unwrap();
    let mut text = Vec::new();
    // Whether it says farewell is not the point here.
    let _ = within("an answer", stream.read_to_end(&mut text)).await;
    assert!(
        text.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&text)
    );
    assert_eq!(rig.witness.seen()[0].values("X-Real-IP"), ["203.0.113.9"]);
}
