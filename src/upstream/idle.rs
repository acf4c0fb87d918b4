//! Which connections to nodes are kept for the next request?

use super::alarm::Alarm;
use crate::model::{NodeId, clock};
use crate::nodes::Node;
use parking_lot::Mutex;
use pingora::protocols::l4::stream::Stream;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf, Take};
use tokio::task::unconstrained;

/// As many are kept for all nodes together; more than a fleet of Dify workers keeps busy. Each is a
/// descriptor that no client has.
const MOST: usize = 512;

/// The idle connections to all nodes, across reloads. Two names of one daemon have lives of their own.
#[derive(Debug, Default)]
pub struct Connections {
    nodes: Mutex<HashMap<(NodeId, SocketAddr), Arc<Idle>>>,
    count: Arc<AtomicUsize>,
}

impl Connections {
    /// Those to one node.
    pub(super) fn to(&self, node: &Node) -> Arc<Idle> {
        let key = (node.id().clone(), node.address());
        let mut nodes = self.nodes.lock();
        Arc::clone(nodes.entry(key).or_insert_with(|| {
            Arc::new(Idle {
                resting: Mutex::default(),
                count: Arc::clone(&self.count),
            })
        }))
    }

    /// Closes those that their node has closed and those that were kept for long enough, and forgets
    /// nodes that nobody asks for any more.
    pub fn sweep(&self, now: Instant) {
        let (gone, there): (Vec<_>, Vec<_>) = {
            let mut nodes = self.nodes.lock();
            let gone = nodes.extract_if(|_, idle| Arc::strong_count(idle) == 1);
            let gone = gone.map(|(_, idle)| idle).collect();
            (gone, nodes.values().cloned().collect())
        };
        for idle in gone {
            idle.close(|_| true);
        }
        for idle in there {
            idle.close(|resting| !resting.is_well(now));
        }
    }
}

/// A connection to a node, and the alarms that serve all of its requests.
#[derive(Debug)]
pub(super) struct Link {
    /// The limit is how much is read at once.
    pub(super) stream: Take<Stream>,
    /// Rings when the node says nothing.
    pub(super) silence: Alarm,
    /// Rings when it takes nothing.
    pub(super) taking: Alarm,
}

impl Link {
    /// A new one. Boxed: it goes from hand to hand in every request.
    pub(super) fn new(stream: Stream) -> Box<Self> {
        Box::new(Self {
            stream: stream.take(0),
            silence: Alarm::default(),
            taking: Alarm::default(),
        })
    }

    /// Whether nothing came on it, not even its end.
    pub(super) fn is_silent(&mut self) -> bool {
        let stream = self.stream.get_mut();
        let mut byte = [0];
        let mut read = ReadBuf::new(&mut byte);
        // A task that has done much in its turn is told to wait, which says nothing of the connection.
        let look = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut read));
        let nobody = &mut Context::from_waker(Waker::noop());
        pin!(unconstrained(look)).poll(nobody).is_pending()
    }
}

/// A connection nobody uses.
#[derive(Debug)]
pub(super) struct Resting {
    pub(super) link: Box<Link>,
    /// From then on it is not used again.
    pub(super) until: Instant,
    /// Which life of its node it is of.
    pub(super) era: u64,
}

impl Resting {
    /// Whether it can carry another request. What came on it unasked is its end, or nobody's answer.
    fn is_well(&mut self, now: Instant) -> bool {
        now < self.until && self.link.is_silent()
    }
}

/// Where a connection goes when its request is over.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) idle: Arc<Idle>,
    /// For so long it is kept,
    pub(super) longest: Duration,
    /// for requests to this life of its node.
    pub(super) era: u64,
}

impl Home {
    /// Keeps it for the next request.
    pub(super) fn keep(&self, link: Box<Link>) {
        self.idle.keep(Resting {
            link,
            until: clock::now() + self.longest,
            era: self.era,
        });
    }
}

/// The connections to one node that nobody uses now; the one that was used last is used next, so
/// that of more than are needed the rest grow old.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// The oldest first.
    resting: Mutex<Vec<Resting>>,
    /// How many there are to all nodes.
    count: Arc<AtomicUsize>,
}

impl Idle {
    /// One that can carry another request. None of another era: those may be dead without a word.
    pub(super) fn take(&self, era: u64, now: Instant) -> Option<Box<Link>> {
        loop {
            let mut resting = self.resting.lock().pop()?;
            self.count.fetch_sub(1, Ordering::Relaxed);
            if resting.era == era && resting.is_well(now) {
                return Some(resting.link);
            }
        }
    }

    /// Keeps one whose last answer was read to its end. Where there are too many, in place of the
    /// oldest, or not at all.
    pub(super) fn keep(&self, resting: Resting) {
        let mut all = self.resting.lock();
        let mut oldest = None;
        if self.count.load(Ordering::Relaxed) < MOST {
            self.count.fetch_add(1, Ordering::Relaxed);
        } else if all.is_empty() {
            return;
        } else {
            oldest = Some(all.remove(0));
        }
        all.push(resting);
        // Closing it is a call into the kernel, for which nobody else waits.
        drop(all);
        drop(oldest);
    }

    fn close(&self, which: impl FnMut(&mut Resting) -> bool) {
        let closed: Vec<_> = self.resting.lock().extract_if(.., which).collect();
        self.count.fetch_sub(closed.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;
    use crate::model::clock;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    const LONG: Duration = Duration::from_secs(3600);

    /// A connection, kept, and the node's end of it.
    async fn kept(idle: &Idle, era: u64) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let link = Link::new(Stream::from(stream.unwrap()));
        let until = clock::now() + LONG;
        idle.keep(Resting { link, until, era });
        listener.accept().await.unwrap().0
    }

    /// Returns as soon as something has come on the connection that was kept last.
    async fn something_came(idle: &Idle) {
        while idle
            .resting
            .lock()
            .last_mut()
            .is_some_and(|it| it.link.is_silent())
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
    async fn of_too_many_the_oldest_goes() {
        let idle = Idle::default();
        idle.count.store(MOST, Ordering::Relaxed);
        let _node = kept(&idle, 1).await;
        assert!(idle.take(1, clock::now()).is_none(), "others have them all");
        idle.count.store(MOST - 1, Ordering::Relaxed);
        let mut oldest = kept(&idle, 1).await;
        let _node = kept(&idle, 1).await;
        assert_eq!(oldest.read(&mut [0]).await.unwrap(), 0, "it is closed");
        assert!(idle.take(1, clock::now()).is_some());
        assert_eq!(idle.count.load(Ordering::Relaxed), MOST - 1);
    }

    #[tokio::test]
    async fn a_task_that_has_done_much_still_sees_what_came() {
        let idle = Idle::default();
        drop(kept(&idle, 1).await);
        something_came(&idle).await;
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
        assert!(idle.take(1, clock::now()).is_none());
    }

    #[tokio::test]
    async fn sweeping_closes_the_dead_and_forgets_who_is_gone() {
        let all = Connections::default();
        let place = (Role::Secondary, 1);
        let node = |name: &str| {
            let address = "127.0.0.1:1".parse().unwrap();
            Node::new(name.into(), address, place, clock::now())
        };
        let (idle, gone) = (all.to(&node("here")), all.to(&node("gone")));
        let mut forgotten = kept(&gone, 1).await;
        drop(gone);
        let _node = kept(&idle, 1).await;
        drop(kept(&idle, 1).await);
        something_came(&idle).await;
        all.sweep(clock::now());
        assert_eq!(idle.resting.lock().len(), 1);
        assert_eq!(all.count.load(Ordering::Relaxed), 1);
        assert_eq!(forgotten.read(&mut [0]).await.unwrap(), 0, "it is closed");
        all.sweep(clock::now() + LONG);
        assert_eq!(all.count.load(Ordering::Relaxed), 0);
    }
}
