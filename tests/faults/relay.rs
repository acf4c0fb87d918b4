//! A door in front of a daemon, for what a daemon cannot do to its own connections.

use crate::support::eventually;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than there are callers, and short enough to be filled.
const QUEUE: u32 = 64;

/// What happens to whoever knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Led to the daemon.
    Open,
    /// Accepted, and reset before a byte.
    Reset,
    /// Accepted, and closed before a byte.
    Close,
    /// Not accepted any more: see [`Relay::wall_up`].
    Shut,
}

type Told = (watch::Receiver<Door>, watch::Receiver<()>);

/// Listens on a port of its own.
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    door: watch::Sender<Door>,
    forgotten: watch::Sender<()>,
    knocks: Arc<AtomicUsize>,
    inside: Arc<()>,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn before(daemon: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(QUEUE).unwrap();
        let addr = listener.local_addr().unwrap();
        let door = watch::Sender::new(Door::Open);
        let forgotten = watch::Sender::new(());
        let knocks = Arc::new(AtomicUsize::new(0));
        let inside = Arc::new(());
        let accepting = tokio::spawn({
            let (door, knocks) = (door.clone(), Arc::clone(&knocks));
            let forgotten = forgotten.clone();
            let (mut shut, inside) = (door.subscribe(), Arc::clone(&inside));
            async move {
                loop {
                    let open = *shut.borrow_and_update() != Door::Shut;
                    tokio::select! {
                        accepted = listener.accept(), if open => {
                            let (stream, _) = accepted.unwrap();
                            knocks.fetch_add(1, Ordering::AcqRel);
                            let inside = Arc::clone(&inside);
                            let told = (door.subscribe(), forgotten.subscribe());
                            tokio::spawn(async move {
                                lead(stream, daemon, told).await;
                                drop(inside);
                            });
                        }
                        changed = shut.changed() => changed.unwrap(),
                    }
                }
            }
        });
        Self {
            addr,
            door,
            forgotten,
            knocks,
            inside,
            accepting,
        }
    }

    /// Connections that were accepted.
    pub(crate) fn knocks(&self) -> usize {
        self.knocks.load(Ordering::Acquire)
    }

    /// Closes what is inside and makes a black hole of the address for as long as the answer lives:
    /// its queue is full, and the kernel answers no further SYN.
    pub(crate) async fn wall_up(&self) -> Vec<TcpStream> {
        self.turn_out(Door::Shut).await;
        let mut queue = Vec::new();
        let patience = Duration::from_millis(300);
        while let Ok(stream) = timeout(patience, TcpStream::connect(self.addr)).await {
            queue.push(stream.unwrap());
            assert!(queue.len() < 100, "the queue should be full at some time");
        }
        queue
    }

    /// Leaves the connections there are half open, as a lost route does: nothing passes, and nobody
    /// is told. New ones are treated as the door says.
    pub(crate) fn forget(&self) {
        self.forgotten.send_replace(());
    }

    /// From now on; who was led in before is treated the same way.
    pub(crate) fn turn(&self, door: Door) {
        self.door.send_replace(door);
    }

    /// The same, and waits until nobody is inside.
    pub(crate) async fn turn_out(&self, door: Door) {
        self.turn(door);
        // The task that accepts holds one more.
        let empty = async || Arc::strong_count(&self.inside) == 2;
        eventually("nobody is inside", empty).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn lead(mut stream: TcpStream, daemon: SocketAddr, told: Told) {
    let (mut door, mut forgotten) = told;
    if *door.borrow_and_update() == Door::Open {
        let mut inside = TcpStream::connect(daemon).await.unwrap();
        for end in [&stream, &inside] {
            end.set_nodelay(true).unwrap();
        }
        tokio::select! {
            biased;
            // How a conversation ends is the business of those who have it.
            _ = copy_bidirectional(&mut stream, &mut inside) => return,
            // Whatever happens at the door later.
            _ = forgotten.changed() => std::future::pending().await,
            _ = door.changed() => {}
        }
    }
    if *door.borrow() == Door::Reset {
        stream.set_zero_linger().unwrap();
    }
}
