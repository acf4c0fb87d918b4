//! Which connections to nodes are kept for the next request?

use parking_lot::Mutex;
use pingora::protocols::l4::stream::Stream;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;
use tokio::io::{AsyncRead, ReadBuf};

/// As many are kept for one node; more than a fleet of Dify workers keeps busy.
const MOST: usize = 512;

/// The idle connections to all nodes, across reloads.
#[derive(Debug, Default)]
pub struct Connections(Mutex<HashMap<SocketAddr, Arc<Idle>>>);

impl Connections {
    /// Those to one node.
    pub(super) fn at(&self, address: SocketAddr) -> Arc<Idle> {
        Arc::clone(self.0.lock().entry(address).or_default())
    }

    /// Closes those that their node has closed and those that were kept for long enough, and forgets
    /// nodes that nobody asks for any more.
    pub fn sweep(&self, now: Instant) {
        let mut all = self.0.lock();
        all.retain(|_, idle| Arc::strong_count(idle) > 1);
        for idle in all.values() {
            idle.sweep(now);
        }
    }
}

/// A connection nobody uses.
#[derive(Debug)]
pub(super) struct Resting {
    pub(super) stream: Stream,
    /// From then on it is not used again.
    pub(super) until: Instant,
    /// Which life of its node it is of.
    pub(super) era: u64,
}

impl Resting {
    /// Whether it can carry another request. What came on it unasked is its end, or nobody's answer.
    fn is_well(&mut self, now: Instant) -> bool {
        now < self.until && is_silent(&mut self.stream)
    }
}

/// The connections to one node that nobody uses now; the one that was used last is used next, so
/// that of more than are needed the rest grow old.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<Vec<Resting>>);

impl Idle {
    /// One that can carry another request. None of another era: those may be dead without a word.
    pub(super) fn take(&self, era: u64, now: Instant) -> Option<Stream> {
        loop {
            let mut resting = self.0.lock().pop()?;
            if resting.era == era && resting.is_well(now) {
                return Some(resting.stream);
            }
        }
    }

    /// Keeps one whose last answer was read to its end.
    pub(super) fn keep(&self, resting: Resting) {
        let mut all = self.0.lock();
        if all.len() < MOST {
            all.push(resting);
        }
    }

    fn sweep(&self, now: Instant) {
        self.0.lock().retain_mut(|resting| resting.is_well(now));
    }
}

/// Whether nothing came on a connection, not even its end.
pub(super) fn is_silent(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let nobody = &mut Context::from_waker(Waker::noop());
    let read = Pin::new(stream).poll_read(nobody, &mut ReadBuf::new(&mut byte));
    read.is_pending()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    const LONG: Duration = Duration::from_secs(3600);

    /// A connection, kept, and the node's end of it.
    async fn kept(idle: &Idle, era: u64) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let stream = Stream::from(stream.unwrap());
        let until = clock::now() + LONG;
        idle.keep(Resting { stream, until, era });
        listener.accept().await.unwrap().0
    }

    /// Returns as soon as something has come on the connection that was kept last.
    async fn something_came(idle: &Idle) {
        while idle
            .0
            .lock()
            .last_mut()
            .is_some_and(|it| is_silent(&mut it.stream))
        {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_used_again_once() {
        let idle = Idle::default();
        let _node = kept(&idle, 1).await;
        assert!(idle.take(1, clock::now()).is_some());
        assert!(idle.take(1, clock::now()).is_none());
    }

    #[tokio::test]
    async fn none_is_used_that_is_old_or_of_another_life_of_its_node() {
        let idle = Idle::default();
        let _node = kept(&idle, 1).await;
        assert!(idle.take(2, clock::now()).is_none());
        let _node = kept(&idle, 1).await;
        assert!(idle.take(1, clock::now() + LONG).is_none());
    }

    #[tokio::test]
    async fn none_is_used_that_its_node_has_closed_or_spoken_on() {
        let idle = Idle::default();
        let other = kept(&idle, 1).await;
        drop(kept(&idle, 1).await);
        something_came(&idle).await;
        assert!(
            idle.take(1, clock::now()).is_some(),
            "the one below it is well"
        );
        drop(other);
        let mut node = kept(&idle, 1).await;
        node.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            .await
            .unwrap();
        something_came(&idle).await;
        assert!(idle.take(1, clock::now()).is_none());
    }

    #[tokio::test]
    async fn sweeping_closes_the_dead_and_forgets_who_is_gone() {
        let all = Connections::default();
        let (here, gone) = (
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        );
        let idle = all.at(here);
        drop(all.at(gone));
        let _node = kept(&idle, 1).await;
        drop(kept(&idle, 1).await);
        something_came(&idle).await;
        all.sweep(clock::now());
        assert_eq!(idle.0.lock().len(), 1);
        assert_eq!(all.0.lock().len(), 1);
        all.sweep(clock::now() + LONG);
        assert!(idle.0.lock().is_empty());
    }
}
