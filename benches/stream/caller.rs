//! Who reads streams, several at once.

use super::GAP;
use super::rig::daemon::Wish;
use super::rig::event;
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
    let wish = Wish {
        events,
        gap: GAP,
        seed,
        hold: false,
    };
    stream.write_all(&wish.request()).await.expect("it is sent");
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
