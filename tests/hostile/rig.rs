//! A node that writes down every byte, a gateway before it, and clients without manners.

use crate::support::gateway::{Gateway, parse};
use crate::support::within;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// One request as a node saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// It came to its end.
    pub(crate) complete: bool,
}

impl Seen {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Every value of a field, as it was written.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let of = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        of.map(|(_, value)| value.trim()).collect()
    }
}

/// What it was told to answer; shared, so that a large answer is there once.
type Told = Arc<Mutex<Arc<[u8]>>>;

/// A node that reads strictly and answers what it was told to.
pub(crate) struct Witness {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: Arc<AtomicUsize>,
    answer: Told,
    task: tokio::task::JoinHandle<()>,
}

pub(crate) const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

impl Witness {
    pub(crate) async fn start() -> Self {
        // A thousand clients come at once, and tokio's own listener has a queue for a thousand:
        // whoever finds it full is reset, which would look like a node that breaks.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(4096).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let answer: Told = Arc::new(Mutex::new(FINE.into()));
        let count = Arc::<AtomicUsize>::default();
        let (all, told) = (Arc::clone(&seen), Arc::clone(&answer));
        let heads = Arc::clone(&count);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heads = Arc::clone(&heads);
                tokio::spawn(serve(stream, Arc::clone(&all), Arc::clone(&told), heads));
            }
        });
        Self {
            addr,
            seen,
            count,
            answer,
            task,
        }
    }

    pub(crate) fn answers(&self, bytes: &[u8]) {
        *self.answer.lock().unwrap() = bytes.into();
    }

    /// Requests whose head has come, ever.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Everything since it was last asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Told,
    heads: Arc<AtomicUsize>,
) {
    let mut came = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = came.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !more(&mut stream, &mut came).await {
                return;
            }
        };
        let head = String::from_utf8_lossy(&came[..end]).into_owned();
        came.drain(..end);
        let at = {
            let mut all = seen.lock().unwrap();
            all.push(Seen {
                head: head.clone(),
                ..Seen::default()
            });
            heads.fetch_add(1, Ordering::Relaxed);
            all.len() - 1
        };
        go_on(&mut stream, &head).await;
        let chunked = head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked");
        let body = if chunked {
            chunks(&mut stream, &mut came).await
        } else {
            let of = Seen {
                head,
                ..Seen::default()
            };
            let length = of
                .values("content-length")
                .first()
                .map_or(0, |n| n.parse().unwrap());
            sized(&mut stream, &mut came, length).await
        };
        let Some(body) = body else { return };
        if let Some(request) = seen.lock().unwrap().get_mut(at) {
            request.body = body;
            request.complete = true;
        }
        let told = Arc::clone(&answer.lock().unwrap());
        if stream.write_all(&told).await.is_err() {
            return;
        }
        if !told.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length") {
            return;
        }
    }
}

/// As Go's server does once its handler reads.
async fn go_on(stream: &mut TcpStream, head: &str) {
    let head = head.to_ascii_lowercase();
    if head.contains("\r\nexpect: 100-continue") {
        // A client that has left shows when it is read from.
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    }
}

async fn more(stream: &mut TcpStream, came: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(came).await, Ok(1..))
}

async fn sized(stream: &mut TcpStream, came: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while came.len() < length {
        if !more(stream, came).await {
            return None;
        }
    }
    Some(came.drain(..length).collect())
}

async fn chunks(stream: &mut TcpStream, came: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = came.windows(2).position(|two| two == b"\r\n") {
                break at;
            }
            if !more(stream, came).await {
                return None;
            }
        };
        let line = String::from_utf8(came[..end].to_vec()).unwrap();
        let size = usize::from_str_radix(&line, 16).expect("the gateway writes plain sizes");
        came.drain(..end + 2);
        let piece = sized(stream, came, size + 2).await?;
        body.extend_from_slice(&piece[..size]);
        if size == 0 {
            return Some(body);
        }
    }
}

/// The witness and a gateway with this configuration before it.
pub(crate) struct Rig {
    pub(crate) witness: Witness,
    pub(crate) gateway: Gateway,
}

impl Rig {
    pub(crate) async fn new(yaml: &str) -> Self {
        let witness = Witness::start().await;
        let node = witness.addr;
        let checks = "health: { enabled: false, on_connect: false }\n";
        let ports = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\n";
        let text = format!("{ports}{checks}nodes: [\"{node}\"]\n{yaml}");
        let gateway = Gateway::start(parse(&text)).await;
        Self { witness, gateway }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.gateway.embedded.data()
    }

    /// Sends these bytes and reads until the gateway hangs up.
    pub(crate) async fn tell(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr()).await.unwrap();
        let (mut from, mut to) = stream.split();
        // Whoever is refused early cannot send the rest.
        let send = async { drop(to.write_all(bytes).await) };
        let mut text = Vec::new();
        let read = async {
            let mut space = [0; 4096];
            while let Ok(size @ 1..) = from.read(&mut space).await {
                text.extend_from_slice(&space[..size]);
            }
        };
        let name = format!(
            "the end after {:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
        );
        within(&name, async { tokio::join!(send, read) }).await;
        Answer {
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// An honest request passes, and its node saw it as it was.
    pub(crate) async fn canary(&self, after: &str) {
        let answer = self
            .tell(b"GET /canary HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(answer.status(), 200, "the canary after {after}: {answer:?}");
        let seen = self.witness.seen();
        // The head of the one that was just refused may come late, and nothing else.
        let late = |seen: &&Seen| !seen.complete && seen.target() == "/x";
        let targets: Vec<_> = seen
            .iter()
            .filter(|it| !late(it))
            .map(Seen::target)
            .collect();
        assert_eq!(targets, ["/canary"], "after {after}");
    }

    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let page = self.gateway.admin("/metrics").await;
        let value = page.text().lines().find_map(|text| {
            let rest = text.strip_prefix(line)?;
            rest.trim().parse().ok()
        });
        value.unwrap_or(0.0)
    }
}

/// What came back until the end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        let word = self.text.split(' ').nth(1);
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        let mut of = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        of.next().map(|(_, value)| value.trim())
    }

    /// How many answers there are.
    pub(crate) fn count(&self) -> usize {
        let begins = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        self.text
            .split("HTTP/1.1 ")
            .skip(1)
            .filter(|rest| begins(rest))
            .count()
    }
}
