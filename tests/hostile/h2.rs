//! What the floods of HTTP/2 bring: rows 18 and 19 of the fault matrix. Frames are written by hand,
//! because no client library would send these.

use crate::peer::Peer;
use crate::rig::Witness;
use crate::support::pki::Pki;
use crate::support::program::{Serving, address, command};
use crate::support::{eventually, within};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::client::TlsStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const PROTOCOL_ERROR: u32 = 1;
/// `ENHANCE_YOUR_CALM`.
const CALM: u32 = 11;
/// What a flood may make the gateway hold at most.
const MORE: usize = 8 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `GET https://a.test/`, or POST.
fn fields(post: bool) -> Vec<u8> {
    let method = if post { 0x83 } else { 0x82 };
    [&[method, 0x87, 0x84, 0x41, 6][..], b"a.test"].concat()
}

/// A field with a value of so many bytes that goes into the table of fields that are known.
fn long_field(size: u8) -> Vec<u8> {
    [&[0x40, 1, b'x', size][..], &vec![b'v'; usize::from(size)]].concat()
}

/// What the gateway said, as it comes.
#[derive(Clone, Debug, Default)]
struct Heard {
    /// Every frame: kind, flags, stream, and what is in it.
    frames: Vec<(u8, u8, u32, Vec<u8>)>,
    over: bool,
}

impl Heard {
    fn goaway(&self) -> Option<u32> {
        let payload = self.frames.iter().rev().find(|said| said.0 == GOAWAY);
        let payload = payload.map(|said| said.3[4..8].try_into().unwrap())?;
        Some(u32::from_be_bytes(payload))
    }

    /// A stream's answer has come to its end, or was refused.
    fn is_over(&self, stream: u32) -> bool {
        let ends = |said: &&(u8, u8, u32, Vec<u8>)| {
            said.2 == stream
                && (said.0 == RST || matches!(said.0, HEADERS | DATA) && said.1 & END_STREAM > 0)
        };
        self.over || self.frames.iter().any(|said| ends(&said))
    }
}

struct Raw {
    to: WriteHalf<TlsStream<TcpStream>>,
    heard: watch::Receiver<Heard>,
}

impl Raw {
    async fn connect(pki: &Pki, to: SocketAddr) -> Self {
        let stream = Peer::speaking(pki, &["h2"]).connect(to, "a.test").await;
        let (mut from, mut to) = tokio::io::split(stream.unwrap());
        let (tell, heard) = watch::channel(Heard::default());
        tokio::spawn(async move {
            loop {
                let mut head = [0; 9];
                if from.read_exact(&mut head).await.is_err() {
                    break;
                }
                let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(size).unwrap()];
                if from.read_exact(&mut payload).await.is_err() {
                    break;
                }
                let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
                // Of the answers to a flood only what ends it matters.
                if !(matches!(head[3], PING | SETTINGS) && head[4] & ACK > 0) {
                    let frame = (head[3], head[4], stream, payload);
                    tell.send_modify(|heard| heard.frames.push(frame));
                }
            }
            tell.send_modify(|heard| heard.over = true);
        });
        to.write_all(PREFACE).await.unwrap();
        to.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        to.write_all(&frame(SETTINGS, ACK, 0, &[])).await.unwrap();
        to.flush().await.unwrap();
        Self { to, heard }
    }

    /// False when nobody listens any more.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        !self.heard.borrow().over
            && self.to.write_all(bytes).await.is_ok()
            && self.to.flush().await.is_ok()
    }

    async fn until(&mut self, name: &str, condition: impl Fn(&Heard) -> bool) -> Heard {
        let came = within(name, self.heard.wait_for(|heard| condition(heard))).await;
        came.unwrap().clone()
    }
}

/// A gateway in a process of its own, where it speaks TLS, and its node.
struct Besieged {
    serving: Serving,
    tls: SocketAddr,
    pki: Pki,
    _witness: Witness,
    _folder: tempfile::TempDir,
}

impl Besieged {
    async fn start(more: &str) -> Self {
        let (pki, witness) = (Pki::new(), Witness::start().await);
        let pair = pki.issue("a", "DNS:a.test");
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nnodes: [\"{}\"]\n\
             health: {{ enabled: false, on_connect: false }}\n\
             tls:\n  listen: 127.0.0.1:0\n  certificates: [{{ cert: {}, key: {} }}]\n{more}",
            witness.addr,
            pair.cert.display(),
            pair.key.display()
        );
        std::fs::write(folder.path().join("h2.yaml"), text).unwrap();
        let serving = Serving::start(command(folder.path(), &["--config", "h2.yaml"])).await;
        let tls = address(&serving.program.line("serving gateway=").await, "tls=[");
        Self {
            serving,
            tls,
            pki,
            _witness: witness,
            _folder: folder,
        }
    }

    /// Somebody honest is answered, over HTTP/2 too.
    async fn canary(&self, after: &str) {
        let mut honest = Raw::connect(&self.pki, self.tls).await;
        let ask = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(false));
        assert!(honest.send(&ask).await, "after {after}");
        let heard = honest.until(after, |heard| heard.is_over(1)).await;
        let answer = heard.frames.iter().find(|said| said.0 == HEADERS);
        // 0x88 is `:status 200`.
        let good = answer.is_some_and(|said| said.3.first() == Some(&0x88));
        assert!(good, "after {after}: {heard:?}");
    }
}

/// One attack: what is sent first, what is sent again and again, and after how many times at most
/// the gateway must have ended the connection, with which code. `None`: it need not.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    again: fn(u32) -> Vec<u8>,
    times: u32,
    ended: Option<u32>,
}

fn floods() -> Vec<Flood> {
    let open = frame(HEADERS, END_HEADERS, 1, &fields(true));
    let flood = |name, first: &[u8], again, times, ended| Flood {
        name,
        first: first.to_vec(),
        again,
        times,
        ended,
    };
    let none = &[][..];
    vec![
        flood("rapid reset", none, rapid, 2000, Some(CALM)),
        flood(
            "windows opened by nothing",
            none,
            nothing,
            2000,
            Some(PROTOCOL_ERROR),
        ),
        flood(
            "resets that we are made to send",
            none,
            made_you,
            2000,
            Some(CALM),
        ),
        flood("fields without an end", none, endless, 2000, Some(CALM)),
        flood(
            "empty data",
            &open,
            |_| frame(DATA, 0, 1, &[]),
            120,
            Some(CALM),
        ),
        flood(
            "settings",
            none,
            |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]),
            2000,
            Some(PROTOCOL_ERROR),
        ),
        flood(
            "pings",
            none,
            |_| frame(PING, 0, 0, b"are you?"),
            2000,
            Some(PROTOCOL_ERROR),
        ),
        flood(
            "priorities",
            none,
            |n| frame(PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 1]),
            2000,
            Some(PROTOCOL_ERROR),
        ),
        flood("fields that unpack to much", &bomb_table(), bomb, 300, None),
    ]
}

fn rapid(n: u32) -> Vec<u8> {
    let stream = 2 * n + 1;
    let ask = frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields(false));
    [ask, frame(RST, 0, stream, &8_u32.to_be_bytes())].concat()
}

fn opened(n: u32, by: u32) -> Vec<u8> {
    let stream = 2 * n + 1;
    let ask = frame(HEADERS, END_HEADERS, stream, &fields(true));
    [ask, frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())].concat()
}

fn nothing(n: u32) -> Vec<u8> {
    opened(n, 0)
}

/// A window that is opened too far is an error of its stream, which the gateway has to reset.
fn made_you(n: u32) -> Vec<u8> {
    opened(n, 0x7fff_ffff)
}

fn endless(n: u32) -> Vec<u8> {
    let kind = if n == 0 { HEADERS } else { CONTINUATION };
    let piece = if n == 0 {
        fields(false)
    } else {
        long_field(100)
    };
    frame(kind, if n == 0 { END_STREAM } else { 0 }, 1, &piece)
}

/// A request with one field of 120 bytes, which can be named by a byte from then on.
fn bomb_table() -> Vec<u8> {
    let block = [fields(false), long_field(120)].concat();
    frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)
}

/// Names it 16,000 times: two megabytes.
fn bomb(n: u32) -> Vec<u8> {
    let block = [fields(false), vec![0xbe; 16_000]].concat();
    frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 3, &block)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_18_floods_of_http2_end_or_cost_nothing() {
    let besieged = Besieged::start("").await;
    besieged.canary("nothing").await;
    for flood in floods() {
        let name = flood.name;
        let before = besieged.serving.program.resident_kib();
        let mut raw = Raw::connect(&besieged.pki, besieged.tls).await;
        raw.send(&flood.first).await;
        let mut sent = 0;
        let all = async {
            // A few at a time, so that how many it took is known.
            while sent < flood.times {
                let some: Vec<_> = (sent..sent + 20).flat_map(flood.again).collect();
                sent += 20;
                if !raw.send(&some).await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        within(name, all).await;
        match flood.ended {
            Some(code) => {
                let heard = raw.until(name, |heard| heard.goaway().is_some() || heard.over);
                let heard = heard.await;
                assert_eq!(heard.goaway(), Some(code), "{name} after {sent}: {heard:?}");
            }
            None if !raw.heard.borrow().over => {
                // It goes on as it was, and its next request is answered or refused.
                let last = 2 * flood.times + 101;
                let ask = frame(HEADERS, END_STREAM | END_HEADERS, last, &fields(false));
                raw.send(&ask).await;
                raw.until(name, |heard| heard.is_over(last)).await;
            }
            None => {}
        }
        besieged.canary(name).await;
        let grown = besieged.serving.program.peak_kib().saturating_sub(before);
        println!("{name}: {sent} times, {grown} KiB more at most");
        assert!(grown <= MORE, "{name}: {grown} KiB");
    }
    let inside = async || {
        let page = besieged.serving.ask("/metrics").await.unwrap();
        let text = page.text();
        let line =
            |line: &str| line.starts_with("twolane_requests_in_flight") && !line.ends_with(" 0");
        text.lines().any(line)
    };
    eventually("nothing is in flight", async || !inside().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_19_http2_is_bounded_and_an_idle_connection_ends() {
    let besieged = Besieged::start("timeouts: { client_idle: 2s }\n").await;
    let mut raw = Raw::connect(&besieged.pki, besieged.tls).await;
    let told = raw.until("its settings", |heard| !heard.frames.is_empty());
    let told = told.await;
    let (kind, _, _, settings) = &told.frames[0];
    assert_eq!(*kind, SETTINGS);
    let value = |wanted: u16| {
        let rows = settings.chunks_exact(6);
        let mut of = rows.filter(|row| row[..2] == wanted.to_be_bytes());
        of.next()
            .map(|row| u32::from_be_bytes(row[2..].try_into().unwrap()))
    };
    assert_eq!(value(3), Some(100), "streams at once: {settings:?}");
    assert_eq!(value(6), Some(64 * 1024), "a list of fields: {settings:?}");
    let ask = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(false));
    assert!(raw.send(&ask).await);
    raw.until("its answer", |heard| heard.is_over(1)).await;
    raw.until("it is idle, and ends", |heard| heard.over).await;
}
