//! Plugin daemons that cost next to nothing: a call is answered at once with the same bytes, or by
//! the stream of events that its caller wishes for, so that what is measured is the proxy.

use super::event;
use super::wire::{HEALTH, whole};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 66\r\n\r\n\
    {\"code\":0,\"message\":\"success\",\"data\":{\"text\":\"found it at once\"}} ";
const HEADER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";
const WISH: &str = "x-wish";

/// The stream that a caller wants.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) events: usize,
    /// Between two events, in the mean.
    pub(crate) gap: Duration,
    /// Of the pauses.
    pub(crate) seed: u64,
    /// Silent after the last event, until the caller leaves.
    pub(crate) hold: bool,
}

impl Wish {
    /// A model's call, as Dify writes it, with the wish beside it.
    pub(crate) fn request(&self) -> Vec<u8> {
        let body = r#"{"data":{"provider":"openai","model_type":"llm","model":"gpt-4o","credentials":{},"prompt_messages":[],"stream":true},"user_id":"5f1c"}"#;
        let Self { events, seed, .. } = self;
        let (gap, hold) = (self.gap.as_micros(), u8::from(self.hold));
        format!(
            "POST /plugin/t/dispatch/llm/invoke HTTP/1.1\r\nHost: daemon:5002\r\nX-Api-Key: key\r\n\
             X-Plugin-ID: langgenius/openai\r\nContent-Type: application/json\r\n\
             {WISH}: {events} {gap} {seed} {hold}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn read(request: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(request).ok()?;
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case(WISH))?;
        let mut numbers = value.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            events: usize::try_from(next()?).ok()?,
            gap: Duration::from_micros(next()?),
            seed: next()?,
            hold: next()? == 1,
        })
    }
}

/// Serves until the process ends.
pub(crate) fn run(listen: &[SocketAddr]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        for &address in listen {
            let listener = TcpListener::bind(address).await.expect("the port is free");
            tokio::spawn(accept(listener));
        }
        std::future::pending::<()>().await;
    });
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // A small answer, or an event, must not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream));
    }
}

/// One connection. Requests come one after the other, never two at once.
async fn serve(mut stream: TcpStream) -> Option<()> {
    let mut buffer = vec![0; 4 * 1024];
    let mut held = 0;
    loop {
        let read = stream.read(&mut buffer[held..]).await.ok()?;
        held += read;
        if read == 0 {
            return None;
        }
        let Some(length) = whole(&buffer[..held]) else {
            continue;
        };
        assert!(length == held, "requests come one after the other");
        if buffer.starts_with(b"GET /health") {
            stream.write_all(HEALTH).await.ok()?;
        } else if let Some(wish) = Wish::read(&buffer[..held]) {
            answer(&mut stream, wish).await?;
        } else {
            stream.write_all(ANSWER).await.ok()?;
        }
        held = 0;
    }
}

/// Pauses are drawn evenly, so that the streams are not in step with each other.
async fn answer(stream: &mut TcpStream, wish: Wish) -> Option<()> {
    let mut dice = fastrand::Rng::with_seed(wish.seed);
    for n in 0..wish.events {
        let pause = wish.gap.mul_f64(2.0 * dice.f64());
        // Who holds many streams open wants to see them all begin.
        if n > 0 || !wish.hold {
            sleep(pause).await;
        }
        // The header leaves with the first event, as a daemon's does.
        let mut bytes = if n == 0 { HEADER.to_vec() } else { Vec::new() };
        bytes.extend(event::chunk());
        stream.write_all(&bytes).await.ok()?;
    }
    if wish.hold {
        // Nothing more is asked: it ends when the proxy closes.
        let _ = stream.read(&mut [0; 1]).await;
        return None;
    }
    stream.write_all(b"0\r\n\r\n").await.ok()
}
