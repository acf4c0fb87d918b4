//! Who reads streams, several at once.

use super::{daemon, event};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What was seen of one or more streams.
#[derive(Default)]
pub(crate) struct Seen {
    /// From when an event was made until it was read.
    pub(crate) delays: Vec<Duration>,
    /// Events that came in one read with an earlier one.
    pub(crate) together: usize,
}

/// Reads so many streams at once, to their ends.
pub(crate) async fn all(at: SocketAddr, streams: usize, events: usize, round: usize) -> Seen {
    let mut tasks = Vec::new();
    for n in 0..streams {
        let seed = (round * streams + n) as u64;
        tasks.push(tokio::spawn(one(at, events, seed)));
    }
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.expect("every stream is read");
        all.delays.extend(seen.delays);
        all.together += seen.together;
    }
    all
}

async fn one(at: SocketAddr, events: usize, seed: u64) -> Seen {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    stream.set_nodelay(true).expect("a connected socket");
    let request = request(events, seed);
    stream.write_all(&request).await.expect("it is sent");
    let mut seen = Seen::default();
    let (mut held, mut first) = (Vec::with_capacity(16 * 1024), true);
    while seen.delays.len() < events || !held.ends_with(b"0\r\n\r\n") {
        let read = stream.read_buf(&mut held).await.expect("it is answered");
        assert!(read > 0, "the stream is whole");
        if std::mem::take(&mut first) {
            assert!(
                held.starts_with(b"HTTP/1.1 200"),
                "a proxy that refuses is fast and useless"
            );
        }
        let before = seen.delays.len();
        while let Some(delay) = event::next_delay(&mut held) {
            seen.delays.push(delay);
        }
        seen.together += (seen.delays.len() - before).saturating_sub(1);
    }
    assert_eq!(seen.delays.len(), events, "none is lost or doubled");
    seen
}

/// A model's call, as Dify writes it.
fn request(events: usize, seed: u64) -> Vec<u8> {
    let body = r#"{"data":{"provider":"openai","model_type":"llm","model":"gpt-4o","credentials":{},"prompt_messages":[],"stream":true},"user_id":"5f1c"}"#;
    let wish = daemon::WISH;
    format!(
        "POST /plugin/t/dispatch/llm/invoke HTTP/1.1\r\nHost: daemon:5002\r\nX-Api-Key: key\r\n\
         X-Plugin-ID: langgenius/openai\r\nContent-Type: application/json\r\n\
         {wish}: {events} {seed}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
