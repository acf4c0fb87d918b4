//! A node whose answers wait until the test lets them go: no stream has to be timed.

use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a body must contain to be held after its first event.
pub const HOLD: &str = "hold me";

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";

/// Answers health checks at once, and every other request with two events; a request that asks for
/// it gets the second one only after [`Gate::open`].
#[derive(Debug)]
pub struct Gate {
    pub id: String,
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    id: String,
    open: watch::Sender<bool>,
    held: AtomicUsize,
    taken: AtomicUsize,
}

impl Gate {
    pub async fn start(id: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            id: id.to_owned(),
            open: watch::Sender::new(false),
            held: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    // As the daemon does: else each answer waits 40 ms for an acknowledgement.
                    let _ = stream.set_nodelay(true);
                    let shared = Arc::clone(&shared);
                    // A client that leaves ends its connection, and nothing else.
                    tokio::spawn(async move { shared.serve(stream).await });
                }
            }
        });
        Self {
            id: id.to_owned(),
            addr,
            shared,
            accepting,
        }
    }

    /// Its name and address, as configurations want them.
    pub fn named(&self) -> (String, SocketAddr) {
        (self.id.clone(), self.addr)
    }

    /// Lets every held answer go, and holds none any more.
    pub fn open(&self) {
        self.shared.open.send_replace(true);
    }

    /// Answers that wait now.
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::Acquire)
    }

    /// Requests that came, without health checks.
    pub fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::Acquire)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut wire = BufReader::new(stream);
        while let Some((is_check, body)) = read(&mut wire).await? {
            if is_check {
                wire.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                      Content-Length: 15\r\n\r\n{\"status\":\"ok\"}",
                )
                .await?;
                continue;
            }
            self.taken.fetch_add(1, Ordering::AcqRel);
            wire.write_all(HEAD.as_bytes()).await?;
            wire.write_all(self.event(1).as_bytes()).await?;
            if body.contains(HOLD) {
                self.held.fetch_add(1, Ordering::AcqRel);
                let mut open = self.open.subscribe();
                let opened = open.wait_for(|open| *open).await.is_ok();
                self.held.fetch_sub(1, Ordering::AcqRel);
                assert!(opened, "the gate outlives its answers");
            }
            let end = format!("{}0\r\n\r\n", self.event(2));
            wire.write_all(end.as_bytes()).await?;
        }
        Ok(())
    }

    fn event(&self, number: u32) -> String {
        let event = json!({"code": 0, "message": "", "data": {"gate": self.id, "n": number}});
        let line = format!("data: {event}\n\n");
        format!("{:x}\r\n{line}\r\n", line.len())
    }
}

/// Whether it is a health check, and the body; `None` when the connection ended.
async fn read(wire: &mut BufReader<TcpStream>) -> io::Result<Option<(bool, String)>> {
    let mut first = String::new();
    if wire.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        wire.read_line(&mut line).await?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    wire.read_exact(&mut body).await?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some((first.starts_with("GET /health/check"), body)))
}
