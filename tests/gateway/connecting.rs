//! A connection to a node counts as made when the node has answered on it.

use crate::rig::Rig;
use crate::support::client::expect_events;
use crate::support::gateway::{Gateway, parse, yaml};
use crate::support::{eventually, within};
use crate::{PLUGIN, sim};
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use twolane::demo::daemon::Daemon;

/// One check at the start, and then none: what else asks for the health route is a connection.
const RARELY: &str = "health: { interval: 1h }\n";

fn proofs(node: &Daemon) -> usize {
    let seen = node.requests();
    let from_connect = |agent: Vec<&str>| agent == ["twolane-connect"];
    seen.iter()
        .filter(|request| from_connect(request.values("User-Agent")))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_proven_once_and_serves_many_calls() {
    let rig = Rig::new(1, RARELY).await;
    let dify = rig.dify();
    for n in 0..20 {
        let script = sim(json!({"id": n.to_string()}));
        expect_events(dify.all("tool/invoke", PLUGIN, script).await);
    }
    assert_eq!(proofs(&rig.nodes[0]), 1, "one connection, one proof");
    assert_eq!(rig.ledger().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_not_proven_where_that_is_switched_off() {
    for off in [
        "health: { interval: 1h, on_connect: false }\n",
        "health: { enabled: false }\n",
    ] {
        let rig = Rig::new(1, off).await;
        let script = sim(json!({"id": "one"}));
        expect_events(rig.dify().all("tool/invoke", PLUGIN, script).await);
        assert_eq!(proofs(&rig.nodes[0]), 0, "{off}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_closes_after_each_answer_is_asked_once_and_then_called() {
    let node = OneShot::start().await;
    let gateway = Gateway::start(parse(&yaml(&[("n1".to_owned(), node.addr)], RARELY))).await;
    eventually("it was checked twice", async || node.lines().len() == 2).await;
    node.forget();
    let dify = gateway.dify();
    for n in 0..5 {
        let call = dify.all("tool/invoke", PLUGIN, json!({"n": n}));
        expect_events(within("an answer", call).await);
    }
    let lines = node.lines();
    let of = |path: &str| lines.iter().filter(|line| line.contains(path)).count();
    assert_eq!(of("/dispatch/"), 5, "each call came once: {lines:?}");
    assert_eq!(of("/health/check"), 1, "nothing to gain a second time");
}

/// Answers one request per connection, and closes it.
struct OneShot {
    addr: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl OneShot {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let accepting = tokio::spawn({
            let lines = Arc::clone(&lines);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let line = answer(stream).await.unwrap();
                    lines.lock().unwrap().push(line);
                }
            }
        });
        Self {
            addr,
            lines,
            accepting,
        }
    }

    fn forget(&self) {
        self.lines.lock().unwrap().clear();
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Drop for OneShot {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Reads a request, answers what a health check and a call both take for success, and returns the
/// request line.
async fn answer(stream: TcpStream) -> io::Result<String> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).await?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    let body = r#"{"status":"ok","code":0,"message":"success","data":{}}"#;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let text = format!("{head}Content-Length: {}\r\n\r\n{body}\n", body.len() + 1);
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(first)
}
