//! What stands between Pingora and a node's connection, for one request?
//!
//! Pingora drops it at the end; the connection goes back to those that are kept. So keeping
//! connections is ours here, which costs a request less than Pingora's way: no task that watches, no
//! look at the kernel's name for the other end. And what passes can be put together and cut to size:
//!
//! * a request's head and the body that is there already go in one write, not in two, and a chunk
//!   with its size;
//! * what a node is told beside the client's own fields goes behind those, and into no map;
//! * an answer is read in pieces that its client can take ([`Pieces`]);
//! * of a stream that is carried on without Pingora, all behind the head is kept from it ([`Cut`]);
//! * a node that says or takes nothing is found out by an alarm of its connection ([`super::alarm`]),
//!   not by one for each piece.

use super::handover::{Cut, Handover};
use super::idle::{Home, Link};
use super::outbox::Outbox;
use super::pieces::Pieces;
use crate::model::clock;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// As much is gathered before it is written. A copy of it costs less than a call into the kernel.
const GATHERED: usize = 16 << 10;

/// Where the request's head is, if it is to go together with its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// It is the first that will be written.
    Awaited,
    /// It is here, and the body comes next.
    Held,
    /// The same, and the answer was asked for once. Asked for again, the head goes alone: whatever
    /// became of the body, nobody waits for what was never sent.
    Overdue,
    /// It goes as it comes.
    Free,
}

/// What is asked of a connection.
#[derive(Default)]
pub struct Asked {
    /// The request has a body, all of which has come.
    pub body_is_there: bool,
    /// Lines that go out behind the fields of the request's head.
    pub tells: Bytes,
    /// Given where the answer may be carried on without Pingora.
    pub handover: Option<Arc<Handover>>,
}

/// A connection, lent to one request.
pub(super) struct Wire {
    /// Taken by [`Drop`] alone.
    link: Option<Box<Link>>,
    pieces: Pieces,
    /// What was not sent yet: all until Pingora flushes, or asks for the answer.
    out: Outbox,
    head: Head,
    /// What the node is told behind the fields of the head, until that is written.
    tells: Bytes,
    /// The answer was read to its end, and the connection can be kept.
    ended: bool,
    /// Taken by [`Drop`] alone.
    home: Option<Home>,
    /// Present where the answer may be carried on without Pingora.
    cut: Option<Cut>,
}

impl Wire {
    /// `link` for a request, of which its node is told more than its head says; afterwards it goes
    /// `home`.
    pub(super) fn new(link: Box<Link>, home: Home, asked: Asked) -> Self {
        Self {
            link: Some(link),
            pieces: Pieces::default(),
            out: Outbox::new(GATHERED),
            head: if asked.body_is_there {
                Head::Awaited
            } else {
                Head::Free
            },
            tells: asked.tells,
            ended: false,
            home: Some(home),
            cut: asked.handover.map(Cut::new),
        }
    }

    /// The connection, and what waits for it.
    fn sides(&mut self) -> (&mut Link, &mut Outbox) {
        let link = self.link.as_mut().expect("only dropping takes it");
        (link, &mut self.out)
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.sides().0.stream.get_mut())
    }

    /// Sends what waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.head = Head::Free;
        let (link, out) = self.sides();
        let waited = !out.is_empty();
        let sent = out.poll_drain(link.stream.get_mut(), cx);
        ready!(link.taking.bound(cx, sent))?;
        if waited {
            link.taking.came();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head == Head::Held {
            // The task that asks is the one that writes, and it has the body.
            self.head = Head::Overdue;
            return Poll::Pending;
        }
        // A node may want its answer read before it reads on, and may have answered and hung up: how
        // the rest of the request fares is for who flushes it.
        let _ = self.poll_drain(cx);
        if buf.capacity() == 1 {
            // Pingora reads a byte of what it is about to keep, after an answer's end. It is told
            // that there is no more, and leaves the keeping to us; whether there is more is found
            // out by whoever takes the connection next.
            self.ended = self.out.is_empty();
            return Poll::Ready(Ok(()));
        }
        if let Some(cut) = &mut self.cut
            && ready!(cut.poll_give(cx, buf))
        {
            return Poll::Ready(Ok(()));
        }
        let (before, next) = (buf.filled().len(), self.pieces.next());
        let (link, _) = self.sides();
        link.stream.set_limit(next);
        let read = Pin::new(&mut link.stream).poll_read(cx, buf);
        ready!(link.silence.bound(cx, read))?;
        link.silence.came();
        self.pieces.note(buf.filled().len() - before, clock::now);
        if let Some(cut) = &mut self.cut {
            cut.look(buf, before);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.head != Head::Awaited || buf.len() >= GATHERED {
            self.head = Head::Free;
        }
        if !self.tells.is_empty() {
            // It is the head: nothing was written before, and it comes whole.
            let tells = mem::take(&mut self.tells);
            return Poll::Ready(self.out.put_behind_fields(buf, &tells));
        }
        let (link, out) = self.sides();
        // Who is still told something has not been asked yet.
        link.silence.came();
        let written = out.poll_write(link.stream.get_mut(), cx, buf);
        let written = ready!(link.taking.bound(cx, written))?;
        if written == buf.len() {
            // A part of a piece earns the node no new time.
            link.taking.came();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.head == Head::Awaited {
            self.head = Head::Held;
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(cx))?;
        let (link, _) = self.sides();
        let flushed = Pin::new(link.stream.get_mut()).poll_flush(cx);
        ready!(link.taking.bound(cx, flushed))?;
        link.taking.came();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_ref().is_some_and(Cut::is_told) {
            // It is not the end: Pingora only leaves.
            return Poll::Ready(Ok(()));
        }
        // What nobody flushed stays here: it is of a request that was given up, and would run.
        self.stream().poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        // A node that has left needs not be told.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        let link = self.link.as_ref().expect("only dropping takes it");
        link.stream.get_ref().id()
    }
}

// What Pingora keeps of a connection nobody here asks for.
impl Ssl for Wire {}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Wire {}

/// What it holds may be a key.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

/// Likewise.
impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let (Some(link), Some(home)) = (self.link.take(), self.home.take()) else {
            return;
        };
        match self.cut.take() {
            Some(cut) if cut.is_told() => cut.leave(link, home, self.ended),
            cut if self.ended && cut.as_ref().is_none_or(Cut::is_given) => home.keep(link),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::reach;
    use super::*;
    use pingora::protocols::l4::ext;
    use std::future::poll_fn;
    use std::os::fd::AsRawFd;
    use std::task::Waker;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    const SILENCE: Duration = Duration::from_secs(660);

    /// A connection, lent for a request whose body is there, and its node's end.
    async fn wire() -> (Wire, tokio::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let mut stream = reach(&to, Duration::from_secs(60)).await.unwrap();
        stream.set_nodelay().unwrap();
        let home = Home {
            idle: Arc::default(),
            longest: Duration::ZERO,
            era: 0,
        };
        let asked = Asked {
            body_is_there: true,
            ..Asked::default()
        };
        (
            Wire::new(Link::new(stream), home, asked),
            listener.accept().await.unwrap().0,
        )
    }

    /// Segments with something in them that went to the node.
    fn sent(wire: &mut Wire) -> u32 {
        let segments = ext::get_tcp_info(wire.stream().as_raw_fd()).unwrap();
        segments.tcpi_data_segs_out
    }

    /// Asks once for the answer.
    fn ask(wire: &mut Wire) -> Poll<()> {
        let nobody = &mut Context::from_waker(Waker::noop());
        let mut bytes = [0; 8];
        let asked = Pin::new(wire).poll_read(nobody, &mut ReadBuf::new(&mut bytes));
        asked.map(|read| read.unwrap())
    }

    #[tokio::test]
    async fn head_and_body_go_together() {
        let (mut wire, mut node) = wire().await;
        wire.write_all(b"head ").await.unwrap();
        wire.flush().await.unwrap();
        assert_eq!(sent(&mut wire), 0);
        wire.write_all(b"body").await.unwrap();
        wire.flush().await.unwrap();
        assert_eq!(sent(&mut wire), 1);
        for part in [&b" and"[..], b" ", b"more"] {
            wire.write_all(part).await.unwrap();
        }
        wire.flush().await.unwrap();
        assert_eq!(sent(&mut wire), 2, "a chunk with its frame");
        let mut read = [0; 18];
        node.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"head body and more");
    }

    #[tokio::test]
    async fn what_nobody_flushes_goes_when_the_answer_is_asked_for() {
        let (mut wire, mut node) = wire().await;
        wire.write_all(b"head ").await.unwrap();
        wire.flush().await.unwrap();
        wire.write_all(b"a part of a body").await.unwrap();
        assert!(ask(&mut wire).is_pending());
        let mut read = [0; 21];
        node.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"head a part of a body");
    }

    #[tokio::test]
    async fn a_head_whose_body_does_not_come_goes_alone() {
        let (mut wire, mut node) = wire().await;
        wire.write_all(b"head").await.unwrap();
        wire.flush().await.unwrap();
        assert!(ask(&mut wire).is_pending());
        assert_eq!(sent(&mut wire), 0);
        assert!(ask(&mut wire).is_pending());
        let mut read = [0; 4];
        node.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"head");
    }

    // Time stands still from where nothing is awaited any more that really comes: before that it would
    // run ahead, to whatever is due next.
    #[tokio::test]
    async fn a_node_that_says_nothing_is_given_up() {
        let (mut wire, mut node) = wire().await;
        wire.sides().0.silence.begin(Some(SILENCE));
        node.write_all(b"answer").await.unwrap();
        let mut read = [0; 6];
        wire.read_exact(&mut read).await.unwrap();
        assert!(
            wire.sides().0.silence.is_still(),
            "what came ends the waiting"
        );
        tokio::time::pause();
        let error = wire.read_exact(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!wire.ended, "nobody else is given it");
    }

    /// Writes until nothing more is taken.
    fn fill(wire: &mut Wire) {
        let nobody = &mut Context::from_waker(Waker::noop());
        let much = vec![b'x'; 1 << 20];
        while let Poll::Ready(sent) = Pin::new(&mut *wire).poll_write(nobody, &much) {
            sent.unwrap();
        }
    }

    /// What becomes of so many bytes for a node that takes nothing. Once in a runtime: its virtual
    /// time then is ahead of the clock from which an alarm counts, by all of the next one's time.
    async fn nobody_takes(bytes: usize) -> io::Result<()> {
        let (mut wire, _node) = wire().await;
        tokio::time::pause();
        wire.sides().0.taking.begin(Some(SILENCE));
        fill(&mut wire);
        assert!(!wire.sides().0.taking.is_still());
        wire.write_all(&vec![b'x'; bytes]).await?;
        wire.flush().await
    }

    #[tokio::test]
    async fn a_node_that_takes_nothing_is_given_up() {
        let error = nobody_takes(GATHERED / 2).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_node_that_takes_nothing_of_much_is_given_up() {
        let error = nobody_takes(1 << 24).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_leaves_while_the_answer_is_asked_for_was_taken() {
        let (mut wire, mut node) = wire().await;
        wire.sides().0.taking.begin(Some(SILENCE));
        fill(&mut wire);
        wire.sides().0.taking.came();
        wire.write_all(b"the rest").await.unwrap();
        assert!(ask(&mut wire).is_pending());
        assert!(!wire.sides().0.taking.is_still(), "it does not leave");
        let mut bytes = [0; 8];
        let leaves = poll_fn(|cx| {
            let asked = Pin::new(&mut wire).poll_read(cx, &mut ReadBuf::new(&mut bytes));
            assert!(asked.is_pending());
            if wire.out.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let mut read = vec![0; 1 << 20];
        let reads = async { while node.read(&mut read).await.unwrap() > 0 {} };
        tokio::select! {
            () = leaves => {}
            () = reads => panic!("it is closed"),
        }
        assert!(wire.sides().0.taking.is_still());
    }

    #[tokio::test]
    async fn the_alarms_of_a_kept_connection_begin_anew() {
        let (mut wire, mut node) = wire().await;
        wire.sides().0.silence.begin(Some(SILENCE));
        assert!(ask(&mut wire).is_pending());
        assert!(!wire.sides().0.silence.is_still());
        node.write_all(b"answer").await.unwrap();
        wire.read_exact(&mut [0; 6]).await.unwrap();
        let mut byte = [0];
        wire.home.as_mut().unwrap().longest = SILENCE;
        let end = wire.read(&mut byte).await.unwrap();
        assert_eq!((end, wire.ended), (0, true), "nothing follows the answer");
        let idle = Arc::clone(&wire.home.as_ref().unwrap().idle);
        drop(wire);
        let mut kept = idle.take(0, clock::now()).expect("it was kept");
        assert!(kept.silence.is_still() && kept.taking.is_still());
        assert!(kept.is_silent());
    }

    #[tokio::test]
    async fn what_a_node_is_told_goes_once_behind_the_fields_of_the_head() {
        let (mut wire, mut node) = wire().await;
        wire.tells = Bytes::from_static(b"Via: us\r\n");
        for part in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"a body\r\n\r\n"] {
            wire.write_all(part).await.unwrap();
            wire.flush().await.unwrap();
        }
        let wanted = b"GET / HTTP/1.1\r\nHost: a\r\nVia: us\r\n\r\na body\r\n\r\n";
        let mut read = [0; 46];
        node.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, wanted);
    }

    #[tokio::test]
    async fn a_node_that_is_still_told_something_is_not_late() {
        let (mut wire, _node) = wire().await;
        wire.sides().0.silence.begin(Some(SILENCE));
        wire.write_all(b"head").await.unwrap();
        wire.flush().await.unwrap();
        assert!(ask(&mut wire).is_pending() && ask(&mut wire).is_pending());
        assert!(!wire.sides().0.silence.is_still());
        wire.write_all(b"body").await.unwrap();
        assert!(wire.sides().0.silence.is_still());
    }

    #[tokio::test]
    async fn who_cannot_send_still_reads() {
        let (mut wire, mut node) = wire().await;
        fill(&mut wire);
        let nobody = &mut Context::from_waker(Waker::noop());
        wire.write_all(b"the rest").await.unwrap();
        assert!(Pin::new(&mut wire).poll_flush(nobody).is_pending());
        node.write_all(b"answer").await.unwrap();
        let mut read = [0; 6];
        wire.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"answer");
    }

    #[tokio::test]
    async fn more_than_the_kernel_takes_arrives_whole() {
        let (mut wire, mut node) = wire().await;
        let body: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect();
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            node.read_to_end(&mut all).await.unwrap();
            all
        });
        wire.write_all(b"head").await.unwrap();
        wire.write_all(&body).await.unwrap();
        wire.flush().await.unwrap();
        AsyncWriteExt::shutdown(&mut wire).await.unwrap();
        let all = read.await.unwrap();
        assert!(all[..4] == *b"head" && all[4..] == body);
    }
}
