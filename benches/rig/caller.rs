//! Who asks: connections that are kept, each with one request at a time.

use super::wire::whole;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twolane::model::clock;

/// A request that is sent again and again.
pub(crate) struct Call {
    name: &'static str,
    bytes: &'static [u8],
}

impl Call {
    /// A read without a body.
    pub(crate) fn list() -> Self {
        let name = "GET /plugin/t/management/list";
        let bytes = format!("{name} HTTP/1.1\r\nHost: daemon:5002\r\nX-Api-Key: key\r\n\r\n");
        Self {
            name,
            bytes: bytes.into_bytes().leak(),
        }
    }

    /// A tool's call, as Dify writes it.
    pub(crate) fn invoke() -> Self {
        let name = "POST /plugin/t/dispatch/tool/invoke";
        let start = r#"{"user_id":"5f1c","data":{"provider":"google","tool":"google_search","credentials":{},"tool_parameters":{"query":""#;
        let end = r#""}}}"#;
        let body = format!("{start}{}{end}", "x".repeat(300 - start.len() - end.len()));
        let bytes = format!(
            "{name} HTTP/1.1\r\nHost: daemon:5002\r\nX-Api-Key: key\r\n\
             X-Plugin-ID: langgenius/google\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            name,
            bytes: bytes.into_bytes().leak(),
        }
    }

    pub(crate) const fn name(&self) -> &str {
        self.name
    }
}

struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    async fn ask(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it is sent");
        let mut held = 0;
        while whole(&self.buffer[..held]).is_none() {
            let read = self.stream.read(&mut self.buffer[held..]).await;
            let read = read.expect("it is answered");
            assert!(read > 0, "the connection is kept");
            held += read;
        }
        assert!(
            self.buffer.starts_with(b"HTTP/1.1 200"),
            "a proxy that refuses is fast and useless"
        );
    }
}

/// Connections to one proxy.
pub(crate) struct Callers(Vec<Caller>);

impl Callers {
    pub(crate) async fn connect(at: SocketAddr, count: usize) -> Self {
        let mut callers = Vec::with_capacity(count);
        for _ in 0..count {
            let stream = TcpStream::connect(at).await.expect("it listens");
            stream.set_nodelay(true).expect("a connected socket");
            callers.push(Caller {
                stream,
                buffer: vec![0; 16 * 1024],
            });
        }
        Self(callers)
    }

    /// So many requests over all connections at once; how long it took.
    pub(crate) async fn all(&mut self, call: &Call, requests: usize) -> Duration {
        let each = requests / self.0.len();
        let bytes = call.bytes;
        let began = clock::now();
        let mut tasks = Vec::new();
        for mut caller in self.0.drain(..) {
            tasks.push(tokio::spawn(async move {
                for _ in 0..each {
                    caller.ask(bytes).await;
                }
                caller
            }));
        }
        for task in tasks {
            self.0.push(task.await.expect("every call is answered"));
        }
        began.elapsed()
    }

    /// So many requests over one connection, one after the other; how long each took.
    pub(crate) async fn alone(&mut self, call: &Call, requests: usize) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(requests);
        for _ in 0..requests.max(1) {
            let began = clock::now();
            self.0[0].ask(call.bytes).await;
            latencies.push(began.elapsed());
        }
        latencies
    }
}

/// For so long are requests paced.
const PACED: Duration = Duration::from_secs(1);

/// So many requests a second over so many connections, at times that are fixed from the start; how
/// long each took but the first of its connection. A connection has a thread of its own, which the kernel wakes within microseconds;
/// timers of the runtime go by milliseconds, and would send bursts.
pub(crate) fn paced(at: SocketAddr, call: &Call, rate: f64, connections: usize) -> Vec<Duration> {
    let pause = Duration::from_secs_f64(connections as f64 / rate);
    let begin = clock::now() + Duration::from_millis(50);
    let count = (PACED.as_secs_f64() / pause.as_secs_f64()).ceil() as u32;
    std::thread::scope(|scope| {
        let one = |n: usize| {
            let begin = begin + pause.mul_f64(n as f64 / connections as f64);
            scope.spawn(move || each(at, call.bytes, (begin, pause, count)))
        };
        let threads: Vec<_> = (0..connections).map(one).collect();
        let took = threads
            .into_iter()
            .flat_map(|it| it.join().expect("every call is answered"));
        took.collect()
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "a thread of its own, that no runtime needs"
)]
fn each(
    at: SocketAddr,
    bytes: &[u8],
    (begin, pause, count): (Instant, Duration, u32),
) -> Vec<Duration> {
    let mut stream = std::net::TcpStream::connect(at).expect("it listens");
    stream.set_nodelay(true).expect("a connected socket");
    let mut buffer = vec![0; 4096];
    let mut ask = || {
        let sent = clock::now();
        stream.write_all(bytes).expect("it is sent");
        let mut held = 0;
        while whole(&buffer[..held]).is_none() {
            let read = stream.read(&mut buffer[held..]);
            held += read.ok().filter(|read| *read > 0).expect("it is answered");
        }
        sent.elapsed()
    };
    ask();
    let one = |n| {
        std::thread::sleep((begin + pause * n).saturating_duration_since(clock::now()));
        ask()
    };
    (0..count).map(one).collect()
}
