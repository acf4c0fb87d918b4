//! A door in front of a daemon, for what a daemon cannot do to its own connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to whoever knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Led to the daemon.
    Open,
    /// Accepted, and reset before a byte.
    Reset,
    /// Accepted, and closed before a byte.
    Close,
}

/// Listens on a port of its own.
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    door: watch::Sender<Door>,
    knocks: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn before(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let door = watch::Sender::new(Door::Open);
        let knocks = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn({
            let (door, knocks) = (door.clone(), Arc::clone(&knocks));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    knocks.fetch_add(1, Ordering::AcqRel);
                    tokio::spawn(lead(stream, daemon, door.subscribe()));
                }
            }
        });
        Self {
            addr,
            door,
            knocks,
            accepting,
        }
    }

    /// Connections that were accepted.
    pub(crate) fn knocks(&self) -> usize {
        self.knocks.load(Ordering::Acquire)
    }

    /// From now on; who was led in before is treated the same way.
    pub(crate) fn turn(&self, door: Door) {
        self.door.send_replace(door);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn lead(mut stream: TcpStream, daemon: SocketAddr, mut door: watch::Receiver<Door>) {
    if *door.borrow_and_update() == Door::Open {
        let mut inside = TcpStream::connect(daemon).await.unwrap();
        for end in [&stream, &inside] {
            end.set_nodelay(true).unwrap();
        }
        tokio::select! {
            // How a conversation ends is the business of those who have it.
            _ = copy_bidirectional(&mut stream, &mut inside) => return,
            _ = door.changed() => {}
        }
    }
    if *door.borrow() == Door::Reset {
        stream.set_zero_linger().unwrap();
    }
}
