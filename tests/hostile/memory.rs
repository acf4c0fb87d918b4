//! What may a client make the gateway hold? Rows 16 and 22 of the fault matrix, in a process that
//! has nothing else in its memory.

use crate::rig::{FINE, Witness};
use crate::support::program::Serving;
use crate::support::{eventually, within};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// A gateway in a process of its own, and its node.
struct Alone {
    serving: Serving,
    witness: Witness,
    _folder: tempfile::TempDir,
}

impl Alone {
    async fn start(more: &str) -> Self {
        let witness = Witness::start().await;
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nnodes: [\"{}\"]\n\
             health: {{ enabled: false, on_connect: false }}\n{more}",
            witness.addr
        );
        let serving = Serving::with_file(folder.path(), &text).await;
        Self {
            serving,
            witness,
            _folder: folder,
        }
    }

    fn resident_kib(&self) -> usize {
        self.serving.program.resident_kib()
    }

    /// So many connections are open, ours for the metrics not among them.
    async fn connections(&self) -> usize {
        let page = self.serving.ask("/metrics").await.unwrap();
        let text = page.text();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("twolane_connections "));
        line.unwrap().trim().parse().unwrap()
    }

    /// What is said by one client, with `Connection: close`; the whole answer.
    async fn tell(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.serving.data).await.unwrap();
        let lines = format!(
            "Host: a\r\nConnection: close\r\nContent-Length: {}",
            body.len()
        );
        let head = format!("{head}\r\n{lines}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut text = String::new();
        within("an answer", stream.read_to_string(&mut text))
            .await
            .unwrap();
        text
    }
}

const READERS: usize = 100;

/// What so many clients, who ask for 8 MiB each and take next to nothing of it, make the gateway
/// hold at most until they are cut off, in KiB.
async fn held_for_slow_readers() -> usize {
    let alone = Alone::start("timeouts: { client_write: 4s }\n").await;
    let size = 8 << 20;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + size, b'x');
    assert_eq!(
        alone.tell("GET /x HTTP/1.1", b"").await.split(' ').nth(1),
        Some("200")
    );
    alone.witness.answers(&answer);
    let before = alone.resident_kib();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(alone.serving.data).await.unwrap();
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        readers.push(stream);
    }
    eventually("all are answered", async || alone.witness.count() > READERS).await;
    let mut most = alone.resident_kib();
    let over = async {
        while alone.connections().await > 0 {
            most = most.max(alone.resident_kib());
        }
    };
    within("they are cut off", over).await;
    drop(readers);
    alone.witness.answers(FINE);
    assert!(
        alone
            .tell("GET /x HTTP/1.1", b"")
            .await
            .starts_with("HTTP/1.1 200")
    );
    most.saturating_sub(before)
}

/// Ten pieces are on their way inside Pingora, in its channel and in its write buffer: 160 KiB for all
/// that a connection is.
#[tokio::test(flavor = "multi_thread")]
async fn row_16_slow_readers_hold_little_and_not_for_long() {
    let grown = held_for_slow_readers().await;
    println!("{READERS} slow readers of 8 MiB: {grown} KiB more");
    assert!(grown <= READERS * 160, "{grown} KiB");
}

/// Few at a time: what many at once take is given back sooner or later, which would hide what stays.
const AT_ONCE: usize = 50;
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n7\r\ndata: 2\r\n0\r\n\r\n";

/// So many streams of a model, to their ends.
async fn come_and_go(alone: &Arc<Alone>, streams: usize) {
    for _ in 0..streams / AT_ONCE {
        let mut together = JoinSet::new();
        for _ in 0..AT_ONCE {
            let alone = Arc::clone(alone);
            together.spawn(async move {
                let line = "POST /plugin/t/dispatch/llm/invoke HTTP/1.1\r\nX-Plugin-ID: a/b";
                let body = br#"{"data":{"provider":"p","model_type":"llm","model":"m"}}"#;
                alone.tell(line, body).await
            });
        }
        for text in together.join_all().await {
            assert!(text.ends_with("0\r\n\r\n"), "{text}");
        }
        alone.witness.seen();
    }
}

/// Half a kibibyte that each left behind would be four mebibytes. `benches/memory` takes many more.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_came_and_went_leave_nothing_behind() {
    let alone = Arc::new(Alone::start("").await);
    alone.witness.answers(EVENTS);
    come_and_go(&alone, 2000).await;
    let before = alone.resident_kib();
    come_and_go(&alone, 8000).await;
    let grown = alone.resident_kib().saturating_sub(before);
    println!("8000 streams: {grown} KiB more");
    assert!(grown <= 4 * 1024, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_a_large_upload_streams_and_is_told_to_go_on_once() {
    let alone = Alone::start("").await;
    // What any upload leaves behind is there.
    alone.tell("POST /x HTTP/1.1", &vec![b'w'; 1 << 20]).await;
    alone.witness.seen();
    let before = alone.resident_kib();
    let body: Vec<u8> = (0..60 << 20).map(|n: u32| (n % 251) as u8).collect();
    let mut stream = TcpStream::connect(alone.serving.data).await.unwrap();
    let lines = format!(
        "Host: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {}",
        body.len()
    );
    let head = format!("POST /x HTTP/1.1\r\n{lines}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; GO_ON.len()];
    within("it may go on", from.read_exact(&mut said))
        .await
        .unwrap();
    assert_eq!(said, GO_ON, "{}", String::from_utf8_lossy(&said));
    let (first, rest) = body.split_at(1 << 20);
    to.write_all(first).await.unwrap();
    eventually(
        "the node has its head before the rest was sent",
        async || alone.witness.count() > 1,
    )
    .await;
    to.write_all(rest).await.unwrap();
    let mut text = String::new();
    within("its answer", from.read_to_string(&mut text))
        .await
        .unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200") && !text.contains("100 Continue"),
        "{text}"
    );
    let grown = alone.serving.program.peak_kib().saturating_sub(before);
    let seen = alone.witness.seen();
    assert!(seen[0].complete && seen[0].body == body, "byte for byte");
    println!("an upload of 60 MiB: {grown} KiB more");
    assert!(grown <= 2 * 1024, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn f234_uploads_of_all_sizes_arrive_as_they_were_by_every_way_to_name_a_user() {
    let alone = Alone::start("").await;
    let part = b"--x\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nu1\r\n--x\r\n\
                 Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
    alone
        .tell("POST /v1/warm HTTP/1.1", &vec![b'w'; 1 << 20])
        .await;
    alone.witness.seen();
    let before = alone.resident_kib();
    for size in [1 << 10, 5 << 20, 50 << 20] {
        for (line, form) in [
            ("POST /v1/files/upload HTTP/1.1\r\nX-User-ID: u1", false),
            ("POST /v1/files/upload?user=u1 HTTP/1.1", false),
            (
                "POST /v1/files/upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x",
                true,
            ),
        ] {
            let mut body = if form { part.to_vec() } else { Vec::new() };
            body.extend((0..size).map(|n: u32| (n % 253) as u8));
            if form {
                body.extend(b"\r\n--x--\r\n");
            }
            let said = alone.tell(line, &body).await;
            assert!(said.starts_with("HTTP/1.1 200"), "{line}: {said}");
            let seen = alone.witness.seen();
            assert!(seen.len() == 1 && seen[0].body == body, "{line} {size}");
        }
    }
    for size in [1 << 10, 10 << 10, 100 << 10] {
        let body = format!("{{\"user\":\"u1\",\"query\":\"{}\"}}", "q".repeat(size));
        let line = "POST /v1/chat-messages HTTP/1.1\r\nContent-Type: application/json";
        assert!(
            alone
                .tell(line, body.as_bytes())
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert_eq!(alone.witness.seen()[0].body, body.as_bytes());
    }
    let grown = alone.serving.program.peak_kib().saturating_sub(before);
    println!("uploads up to 50 MiB: {grown} KiB more");
    assert!(grown <= 2 * 1024, "{grown} KiB");
}

const STREAMS: usize = 300;

/// Answers each request with the head of a stream and one event, and holds it open.
async fn streaming() -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut held = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            held.spawn(async move {
                let mut came = Vec::new();
                while !came.ends_with(b"{}") {
                    stream.read_buf(&mut came).await.unwrap();
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                               Transfer-Encoding: chunked\r\n\r\nb\r\ndata: one\n\n\r\n";
                stream.write_all(answer).await.unwrap();
                // Until the gateway leaves.
                let _ = stream.read(&mut [0]).await;
            });
        }
    });
    (addr, task)
}

async fn open_streams(to: std::net::SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let ask = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(ask).await.unwrap();
        let mut came = Vec::new();
        while !came.ends_with(b"data: one\n\n\r\n") {
            let read = within("an event", stream.read_buf(&mut came)).await;
            assert!(read.unwrap() > 0, "it ended");
        }
        streams.push(stream);
    }
    streams
}

/// Pingora's own part of one would be more than twice as much.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_holds_little() {
    let (node, task) = streaming().await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nnodes: [\"{node}\"]\n\
         health: {{ enabled: false, on_connect: false }}\n"
    );
    let serving = Serving::with_file(folder.path(), &text).await;
    let first = open_streams(serving.data, 20).await;
    let before = serving.program.resident_kib();
    let streams = open_streams(serving.data, STREAMS).await;
    let each = serving.program.resident_kib().saturating_sub(before) as f64 / STREAMS as f64;
    println!("{each:.1} KiB for each of {STREAMS} streams");
    assert!(each < 16.0, "{each:.1} KiB for each of {STREAMS} streams");
    drop((first, streams));
    task.abort();
}
