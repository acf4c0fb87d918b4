//! Who holds many streams open, and does nothing with what they say?

use super::daemon::Wish;
use super::process::until;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// So many streams begin at the same time.
const AT_ONCE: usize = 100;

/// Open streams; they end when this is dropped.
pub(crate) struct Streams {
    readers: JoinSet<()>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    events: AtomicUsize,
    failed: AtomicUsize,
}

impl Streams {
    pub(crate) fn none() -> Self {
        Self {
            readers: JoinSet::new(),
            counts: Arc::default(),
        }
    }

    /// Opens more, until there are so many; returns when each has had its first event, or failed.
    pub(crate) async fn open_to(&mut self, count: usize, at: SocketAddr, wish: Wish) {
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        for n in self.readers.len()..count {
            let counts = Arc::clone(&self.counts);
            let seed = n as u64;
            let request = Wish { seed, ..wish }.request();
            let gate = Arc::clone(&gate);
            self.readers.spawn(async move {
                let turn = gate.acquire_owned().await.expect("nobody closes it");
                if one(at, &request, &counts, turn).await.is_none() {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let all = until(|| self.begun() + self.failed() >= count).await;
        assert!(all, "{} of {count} streams began", self.begun());
    }

    /// Waits for their ends.
    pub(crate) async fn ended(&mut self) {
        while self.readers.join_next().await.is_some() {}
    }

    pub(crate) fn begun(&self) -> usize {
        self.counts.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn events(&self) -> usize {
        self.counts.events.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> usize {
        self.counts.failed.load(Ordering::Relaxed)
    }
}

/// None when it did not begin, or was cut.
async fn one(
    at: SocketAddr,
    request: &[u8],
    counts: &Counts,
    turn: tokio::sync::OwnedSemaphorePermit,
) -> Option<()> {
    let mut turn = Some(turn);
    let mut stream = TcpStream::connect(at).await.ok()?;
    stream.set_nodelay(true).ok()?;
    stream.write_all(request).await.ok()?;
    // An event is smaller, and what is left of one at the end of a read is not counted twice.
    let mut buffer = [0; 2048];
    let (mut last, mut first) = ([0; 5], true);
    loop {
        let read = stream.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        let new = &buffer[..read];
        let ends = usize::from(last[4] == b'\n' && new[0] == b'\n')
            + new.windows(2).filter(|pair| *pair == b"\n\n").count();
        if std::mem::take(&mut first) && !new.starts_with(b"HTTP/1.1 200") {
            return None;
        }
        if ends > 0 && turn.take().is_some() {
            counts.begun.fetch_add(1, Ordering::Relaxed);
        }
        counts.events.fetch_add(ends, Ordering::Relaxed);
        let kept = read.min(5);
        last.copy_within(kept.., 0);
        last[5 - kept..].copy_from_slice(&new[read - kept..]);
        if last == *b"0\r\n\r\n" {
            return Some(());
        }
    }
}
