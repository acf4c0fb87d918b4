//! A request that becomes a WebSocket: where it may, and how long its node is busy with it.

use crate::rig::{UNCHECKED, open};
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::within;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// A node that speaks nothing but WebSocket, and says everything again.
async fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, opened) = (
        listener.local_addr().unwrap(),
        Arc::new(AtomicUsize::new(0)),
    );
    tokio::spawn({
        let opened = Arc::clone(&opened);
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                let opened = Arc::clone(&opened);
                tokio::spawn(async move {
                    let mut socket = accept_async(stream).await.ok()?;
                    opened.fetch_add(1, Ordering::Relaxed);
                    while let Some(Ok(message)) = next(&mut socket).await {
                        if message.is_close() {
                            break;
                        }
                        if message.is_text() || message.is_binary() {
                            send(&mut socket, message).await;
                        }
                    }
                    Some(())
                });
            }
        }
    });
    (address, opened)
}

type Next = Option<Result<Message, tokio_tungstenite::tungstenite::Error>>;

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Next {
    futures_util::StreamExt::next(socket).await
}

async fn send(socket: &mut WebSocketStream<TcpStream>, message: Message) {
    futures_util::SinkExt::send(socket, message).await.unwrap();
}

async fn gateway(more: &str) -> (Gateway, Arc<AtomicUsize>) {
    let (address, opened) = echo().await;
    let text = yaml(
        &[("echo".to_owned(), address)],
        &format!("{UNCHECKED}{more}"),
    );
    (Gateway::start(parse(&text)).await, opened)
}

async fn connect(gateway: &Gateway, path: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(gateway.embedded.data()).await.unwrap();
    let request = format!("ws://{}{path}", gateway.embedded.data());
    let opening = client_async(request.into_client_request().unwrap(), stream);
    let (socket, answer) = within("the handshake", opening).await.unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn f198_a_websocket_passes_and_its_node_is_busy_until_it_ends() {
    // A hook's body may have 100 KB here; a WebSocket is no body.
    let more = "kinds: { hook: { body: 100KB } }\n".replace("KB", "KiB");
    let (gateway, opened) = gateway(&more).await;
    let mut socket = connect(&gateway, "/e/hook/chat").await;
    let texts = ["", "hello", "\u{1F600}"].map(|text| Message::Text(Utf8Bytes::from_static(text)));
    let large = [1_usize, 70_000, 300_000].map(|size| Message::Binary(Bytes::from(vec![7; size])));
    for message in texts.into_iter().chain(large) {
        send(&mut socket, message.clone()).await;
        let echoed = within("it is said again", next(&mut socket)).await;
        assert_eq!(echoed.unwrap().unwrap(), message);
        assert_eq!(
            (gateway.in_flight(), open(&gateway)),
            (1, 1),
            "it is in flight"
        );
    }
    send(&mut socket, Message::Ping(Bytes::from_static(b"p"))).await;
    let pong = within("a pong", next(&mut socket)).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"p")));
    socket.close(None).await.unwrap();
    let quiet = gateway.until(|gateway| gateway.in_flight() == 0 && open(gateway) == 0);
    within("its node is free", quiet).await;
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

/// A node that says 101 to the head of a request, before its body has come, and speaks on at once.
async fn hasty() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
                let answer = format!("{switch}Upgrade: websocket\r\n\r\nhello");
                stream.write_all(answer.as_bytes()).await?;
                let (mut read, mut write) = stream.into_split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    address
}

/// Pingora alone breaks some of these: the node's 101 overtakes the end of the request.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_switches_before_the_request_has_ended_breaks_nothing() {
    let named = [("n1".to_owned(), hasty().await)];
    let gateway = Gateway::start(parse(&yaml(&named, UNCHECKED))).await;
    let bodies = [
        "",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
    ];
    for (round, framing) in bodies.into_iter().cycle().take(300).enumerate() {
        let mut stream = TcpStream::connect(gateway.embedded.data()).await.unwrap();
        let (sent, comes_back): (&[u8], &[u8]) = match round % 3 {
            0 => (b"", b""),
            1 => (b"abc", b"abc"),
            _ => (b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
        };
        let head = "POST /e/hook/chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n";
        let head = format!("{head}Upgrade: websocket\r\n{framing}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("a head", stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{round}: {head}");
        let mut said = vec![0; 5 + comes_back.len()];
        within("what it says", stream.read_exact(&mut said))
            .await
            .unwrap();
        assert_eq!(said, [b"hello", comes_back].concat(), "{round}");
        stream.write_all(b"well?").await.unwrap();
        let mut said = [0; 5];
        let again = within("it is said again", stream.read_exact(&mut said)).await;
        assert!(again.is_ok() && said == *b"well?", "{round}");
    }
    let quiet = gateway.until(|gateway| gateway.in_flight() == 0 && open(gateway) == 0);
    within("its node is free", quiet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f198_a_client_that_leaves_its_websocket_frees_the_node() {
    let (gateway, _opened) = gateway("").await;
    let mut socket = connect(&gateway, "/e/hook/chat").await;
    send(&mut socket, Message::Text(Utf8Bytes::from_static("x"))).await;
    within("it is said again", next(&mut socket)).await;
    drop(socket);
    let quiet = gateway.until(|gateway| gateway.in_flight() == 0 && open(gateway) == 0);
    within("its node is free", quiet).await;
}

/// The wish is taken off on the way, so that a node cannot begin what the gateway would not follow.
#[tokio::test(flavor = "multi_thread")]
async fn where_it_may_not_pass_the_node_never_hears_of_it() {
    for (path, more) in [
        ("/plugin/t/dispatch/tool/invoke", ""),
        ("/e/hook/chat", "kinds: { hook: { websocket: false } }\n"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let named = [("n1".to_owned(), listener.local_addr().unwrap())];
        let text = yaml(&named, &format!("{UNCHECKED}{more}"));
        let gateway = Gateway::start(parse(&text)).await;
        let node = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
            String::from_utf8(head).unwrap().to_ascii_lowercase()
        });
        let stream = TcpStream::connect(gateway.embedded.data()).await.unwrap();
        let request = format!("ws://{}{path}", gateway.embedded.data());
        let opening = client_async(request.into_client_request().unwrap(), stream);
        let refused = within("an answer", opening).await.unwrap_err().to_string();
        assert!(refused.contains("200"), "{path}: {refused}");
        let head = node.await.unwrap();
        assert!(!head.contains("upgrade"), "{path}: {head}");
    }
}
