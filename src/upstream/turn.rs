//! Who speaks first, when a connection is to speak another protocol? The request's end, then the
//! node.
//!
//! Pingora carries a request and its answer side by side. If the node says 101 before the side
//! that writes has been handed the request's end, that end is taken for the new protocol's, and
//! both connections are closed (0.9.1, `proxy_handle_upstream`; a bare proxy breaks one WebSocket
//! in four hundred so). Here the node's answer waits on its connection until the end has gone on.

use super::peer::reach;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::Result;
use pingora::connectors::l4::Connect;
use pingora::protocols::TcpKeepalive;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::has_budget_remaining;

/// The node may speak.
const OPEN: u8 = 0;
/// It may not yet.
const SHUT: u8 = u8::MAX;
/// Between Pingora's two sides is room for four pieces of a body. Each time that the answer is not
/// there yet, the side that writes takes one of them; after so many times it has taken the last.
const PIECES: u8 = 4;

/// The order of one request that asks for another protocol.
#[derive(Debug, Default)]
pub struct Turn {
    /// [`OPEN`], [`SHUT`], or how often the node's answer still steps back.
    left: AtomicU8,
    reader: Mutex<Option<Waker>>,
}

impl Turn {
    /// Has a node's connection made for one such request, which is not kept afterwards.
    pub fn taken(peer: &mut HttpPeer) -> Arc<Self> {
        let turn = Arc::new(Self::default());
        let options = &mut peer.options;
        let dial = Dial {
            by: options.custom_l4.take(),
            connect: options.connection_timeout.unwrap_or(Duration::MAX),
            keepalive: options.tcp_keepalive.clone(),
            turn: Arc::clone(&turn),
        };
        options.custom_l4 = Some(Arc::new(dial));
        options.idle_timeout = Some(Duration::ZERO);
        // None that was kept is like it.
        peer.group_key ^= fastrand::u64(1..);
        turn
    }

    /// The connection is made, and the request is about to be written.
    pub fn begin(&self) {
        self.left.store(SHUT, Ordering::Release);
    }

    /// The request's end is on its way to the side that writes.
    pub fn ended(&self) {
        let mut reader = self.reader.lock();
        let shut = self
            .left
            .compare_exchange(SHUT, PIECES, Ordering::AcqRel, Ordering::Acquire);
        if let (Ok(_), Some(reader)) = (shut, reader.take()) {
            reader.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.left.load(Ordering::Acquire) == OPEN {
            return Poll::Ready(());
        }
        let mut reader = self.reader.lock();
        match self.left.load(Ordering::Acquire) {
            OPEN => return Poll::Ready(()),
            SHUT => *reader = Some(cx.waker().clone()),
            times => {
                // Where the task has used up its turn, the other side takes nothing either.
                if has_budget_remaining() {
                    self.left.store(times - 1, Ordering::Release);
                }
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

/// Makes connections whose node answers in turn.
struct Dial {
    by: Option<Arc<dyn Connect + Send + Sync>>,
    connect: Duration,
    keepalive: Option<TcpKeepalive>,
    turn: Arc<Turn>,
}

impl Dial {
    async fn dial(&self, to: &SocketAddr) -> Result<Stream> {
        if let Some(by) = &self.by {
            return by.connect(to).await;
        }
        let Some(to) = to.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "not an IP address");
        };
        reach(to, self.connect).await
    }
}

#[async_trait]
impl Connect for Dial {
    async fn connect(&self, to: &SocketAddr) -> Result<Stream> {
        let mut inner = self.dial(to).await?;
        if let Some(keepalive) = &self.keepalive {
            inner.set_keepalive(keepalive)?;
        }
        inner.set_nodelay()?;
        let turn = Arc::clone(&self.turn);
        let answering = Answering { inner, turn };
        Ok(VirtualSocketStream::new(Box::new(answering)).into())
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

/// A node's connection, from which nothing is read out of turn.
#[derive(Debug)]
struct Answering {
    inner: Stream,
    turn: Arc<Turn>,
}

impl AsyncRead for Answering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.turn.poll(cx));
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Answering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl VirtualSocket for Answering {
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        // They were set when it was made.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_answer_waits_for_the_requests_end_and_for_all_pieces_before_it() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let turn = Turn::default();
        // Before the request: a handshake, a question.
        assert!(turn.poll(&cx).is_ready());
        turn.ended();
        assert!(turn.poll(&cx).is_ready());
        turn.begin();
        assert!(turn.poll(&cx).is_pending() && turn.poll(&cx).is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        turn.ended();
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "its reader is woken");
        for times in 0..PIECES {
            assert!(turn.poll(&cx).is_pending(), "{times}");
            turn.ended();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1 + usize::from(PIECES));
        assert!(turn.poll(&cx).is_ready(), "and then for good");
        assert!(turn.poll(&cx).is_ready());
    }
}
