//! Which bytes is Pingora given? Those of one message, and nothing that follows it.

use super::ear::Ear;
use super::passed::passes_on;
use super::waits::Patience;
use crate::admit::wire::{Body, Fault, Framing, LAST_CHUNK, PaceRules};
use crate::upstream::{Alarm, Outbox, PACKET};
use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use memchr::memmem::Finder;
use pingora::Error;
use pingora::protocols::{IO, Shutdown, Stream};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of what a client sends ahead of its turn, so much is taken in; then it is no longer read from,
/// and its leaving is noticed at the end of the answer only.
const AHEAD: usize = 16 * 1024;
/// What a head usually fits into.
const ROOM: usize = 4 * 1024;
/// Read at once while nothing should come.
const GLANCE: usize = 512;
/// How an answer begins after which the connection speaks another protocol.
const SWITCHED: &[u8] = b"HTTP/1.1 101";
/// The same of any.
const ANSWER: &[u8] = b"HTTP/1.";
/// What its head says of a body in chunks.
static CHUNKED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("chunked"));

/// A client's connection, of which Pingora sees one message at a time.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) inner: Stream,
    /// What came and was not given on; it begins with `ready` bytes that may be.
    pub(super) came: BytesMut,
    ready: usize,
    /// For the client's leaving. Nobody else asks while an answer is under way.
    ear: Ear,
    outbox: Outbox,
    /// Rings when the client takes nothing.
    taking: Alarm,
    body: Body,
    patience: Patience,
    /// The request asks for another protocol.
    may_switch: bool,
    /// It speaks another protocol by now: everything passes.
    switched: bool,
    /// The request has a body: only the answer to such a one may go on without Pingora.
    may_stream: bool,
    /// Nothing was written since an answer's head that has a body in chunks; of that head, so much is
    /// still to be.
    headed: Option<usize>,
    /// The end of a body in chunks that has nothing in it waits for whether it is the end.
    end_waits: bool,
    fault: Option<Fault>,
}

impl Guarded {
    pub(super) fn new(inner: Stream) -> Self {
        Self {
            inner,
            came: BytesMut::new(),
            ready: 0,
            ear: Ear::default(),
            outbox: Outbox::new(PACKET),
            taking: Alarm::default(),
            body: Body::Done,
            patience: Patience::default(),
            may_switch: false,
            switched: false,
            may_stream: false,
            headed: None,
            end_waits: false,
            fault: None,
        }
    }

    /// Whether the last message was given on to its end, so that what comes now is a new one.
    pub(super) const fn is_between_messages(&self) -> bool {
        self.ready == 0 && self.body.is_done() && !self.switched && self.fault.is_none()
    }

    /// A head of so many bytes has come: it is taken out, and what belongs to it may be given on. A
    /// piece of the answer is taken within `taking`.
    pub(super) fn begin(
        &mut self,
        head: usize,
        framing: Framing,
        (rules, taking): (PaceRules, Duration),
    ) -> BytesMut {
        self.ready = 0;
        self.taking.begin(Some(taking));
        self.ear.forget();
        self.body = Body::of(framing);
        self.may_stream = !self.body.is_done();
        self.patience = Patience::new(rules);
        self.may_switch = false;
        self.headed = None;
        if head == self.came.len() {
            std::mem::take(&mut self.came)
        } else {
            self.came.split_to(head)
        }
    }

    /// The request asks for another protocol, which its answer may begin.
    pub(super) const fn may_switch(&mut self) {
        self.may_switch = true;
    }

    /// Whether something has come that was not given on.
    pub(super) fn has_more(&self) -> bool {
        !self.came.is_empty()
    }

    /// Takes in more, how many bytes. It is read on the stack: a connection that is silent holds no
    /// buffer.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); ROOM];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut space))?;
        self.came.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let size = self.ready.min(buf.remaining());
        buf.put_slice(&self.came[..size]);
        self.came.advance(size);
        self.ready -= size;
        if self.came.is_empty() {
            // An answer may take minutes, and nothing more is expected until its end.
            self.came = BytesMut::new();
        }
    }

    /// The part of what already came that belongs to the message.
    fn claim(&mut self) -> io::Result<()> {
        let belongs = self.body.feed(&self.came[self.ready..]);
        self.ready += belongs.map_err(|fault| self.refuse(fault))?;
        Ok(())
    }

    fn refuse(&mut self, fault: Fault) -> io::Error {
        self.fault = Some(fault);
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }

    /// More of the body, straight from the connection.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Pending => match self.patience.poll_waiting(cx) {
                Poll::Ready(fault) => Poll::Ready(Err(self.refuse(fault))),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(result) => {
                result?;
                let new = &buf.filled()[before..];
                self.patience.received(new.len());
                match self.body.feed(new) {
                    Ok(belongs) => {
                        self.came.extend_from_slice(&new[belongs..]);
                        buf.set_filled(before + belongs);
                        Poll::Ready(Ok(()))
                    }
                    Err(fault) => {
                        // Not even what is sound before it: it would look like an end.
                        buf.set_filled(before);
                        Poll::Ready(Err(self.refuse(fault)))
                    }
                }
            }
        }
    }

    /// The message is complete: only the client's leaving is of interest now. What it sends ahead
    /// is kept for its turn.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.came.len() < AHEAD {
            let mut space = [MaybeUninit::uninit(); GLANCE];
            let mut glance = ReadBuf::uninit(&mut space);
            let inner = &mut self.inner;
            let left = |cx: &mut Context<'_>| Pin::new(inner).poll_read(cx, &mut glance);
            ready!(self.ear.poll(cx, left))?;
            if glance.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.came.extend_from_slice(glance.filled());
        }
        Poll::Pending
    }

    /// Whether the end of a body that has nothing in it is about to be written: it waits for whether it
    /// is the end, or goes before whatever is written next. While the request's body is still coming
    /// there is no such doubt: no answer goes on without Pingora yet.
    fn keeps_back(&mut self, bytes: &[u8]) -> bool {
        self.release_end();
        self.end_waits =
            self.headed == Some(0) && bytes == LAST_CHUNK && self.body.is_done() && !self.switched;
        self.end_waits
    }

    /// Takes back the end that waits: the body goes on. Whether there is one.
    pub(super) const fn withdraw_end(&mut self) -> bool {
        std::mem::replace(&mut self.end_waits, false)
    }

    fn release_end(&mut self) {
        if self.withdraw_end() {
            self.outbox.take(LAST_CHUNK);
        }
    }

    /// Sends the end that waits, if there is one: it was the end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.release_end();
        Pin::new(self).poll_flush(cx)
    }

    /// The same, at the end of a message.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        if self.end_waits {
            poll_fn(|cx| self.poll_end(cx)).await?;
        }
        Ok(())
    }

    /// Sends a piece of a body that goes on. What the client does not take at once waits for a flush.
    pub(super) fn pass(&mut self, cx: &mut Context<'_>, piece: &[u8]) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let taken = match Pin::new(&mut self.inner).poll_write(cx, piece) {
            Poll::Ready(taken) => taken?,
            Poll::Pending => 0,
        };
        if taken < piece.len() {
            self.outbox.take(&piece[taken..]);
        }
        Ok(())
    }

    /// Sends what was gathered, as far as the client takes it in time.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.outbox.poll_drain(&mut self.inner, cx);
        self.taking.bound(cx, sent)
    }

    /// Of a piece of so many bytes, so many were taken, or it was flushed. Only when all of it has
    /// been is the client given time anew.
    fn note_taken(&mut self, of: usize, taken: usize) {
        if taken == of {
            self.taking.came();
        }
    }

    fn note_written(&mut self, bytes: &[u8], taken: usize) {
        if self.may_stream {
            self.headed = match self.headed {
                Some(left @ 1..) => Some(left.saturating_sub(taken)),
                _ if bytes.starts_with(ANSWER) && CHUNKED.find(bytes).is_some() => {
                    Some(bytes.len().saturating_sub(taken))
                }
                _ => None,
            };
        }
        if self.may_switch && bytes.starts_with(SWITCHED) {
            self.switched = true;
            self.ready = self.came.len();
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.ready > 0 {
            this.give(buf);
            return Poll::Ready(Ok(()));
        }
        if this.switched {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        if let Some(fault) = this.fault {
            return Poll::Ready(Err(this.refuse(fault)));
        }
        if this.body.is_done() {
            return this.poll_left(cx);
        }
        if !this.came.is_empty() {
            this.claim()?;
            this.give(buf);
            return Poll::Ready(Ok(()));
        }
        this.poll_body(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.keeps_back(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = this.outbox.poll_write(&mut this.inner, cx, buf);
        let written = ready!(this.taking.bound(cx, written))?;
        this.note_taken(buf.len(), written);
        this.note_written(buf, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let sent = Pin::new(&mut this.inner).poll_flush(cx);
        ready!(this.taking.bound(cx, sent))?;
        this.taking.came();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_end(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.keeps_back(&[]);
        let written = this.outbox.poll_write_vectored(&mut this.inner, cx, bufs);
        let written = ready!(this.taking.bound(cx, written))?;
        this.note_taken(bufs.iter().map(|buf| buf.len()).sum(), written);
        if let Some(first) = bufs.first() {
            this.note_written(first, written);
        }
        // A head is written in one piece.
        this.headed = None;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Guarded {
    async fn shutdown(&mut self) {
        // A client that does not take it has left.
        let _ = poll_fn(|cx| self.poll_end(cx)).await;
        self.inner.shutdown().await;
    }
}

passes_on!(Guarded);

/// The fault of a client's bytes that Pingora's error carries, if it does.
pub(in crate::proxy) fn fault_of(error: &Error) -> Option<Fault> {
    let io = error.root_cause().downcast_ref::<io::Error>()?;
    io.get_ref()?.downcast_ref::<Fault>().copied()
}

/// The same connection, back from Pingora.
pub(super) fn returned(stream: Stream) -> Option<Box<Guarded>> {
    let any: Box<dyn std::any::Any> = IO::into_any(stream);
    any.downcast().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const TAKING: Duration = Duration::from_secs(660);

    /// A connection whose client takes so many bytes before it must read, and the client's end.
    fn guarded(room: usize) -> (Guarded, tokio::io::DuplexStream) {
        let (ours, client) = duplex(room);
        let mut guarded = Guarded::new(Box::new(ours));
        guarded.taking.begin(Some(TAKING));
        guarded.may_stream = true;
        (guarded, client)
    }

    /// Sends so much to a client that takes nothing. Once in a runtime: its virtual time then is ahead
    /// of the clock from which an alarm counts.
    async fn gives_up(size: usize) {
        let (mut guarded, _client) = guarded(10);
        let mut sent = guarded.write_all(&vec![b'x'; size]).await;
        if sent.is_ok() {
            sent = guarded.flush().await;
        }
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // What it did not take is not waited for a second time.
        let closing = tokio::time::timeout(TAKING / 2, Shutdown::shutdown(&mut guarded));
        closing.await.expect("it is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        gives_up(100).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_much_is_given_up() {
        gives_up(2 * PACKET).await;
    }

    #[tokio::test]
    async fn a_client_that_takes_a_piece_has_its_time_anew() {
        let (mut guarded, mut client) = guarded(100);
        let nobody = &mut Context::from_waker(std::task::Waker::noop());
        guarded.write_all(&[b'x'; 150]).await.unwrap();
        assert!(Pin::new(&mut guarded).poll_flush(nobody).is_pending());
        assert!(!guarded.taking.is_still());
        client.read_exact(&mut [0; 100]).await.unwrap();
        guarded.flush().await.unwrap();
        assert!(guarded.taking.is_still());
    }

    #[tokio::test]
    async fn a_part_of_a_piece_gives_no_new_time() {
        let (mut guarded, mut client) = guarded(PACKET);
        let nobody = &mut Context::from_waker(std::task::Waker::noop());
        let piece = [b'x'; 3 * PACKET];
        let mut write = |from: usize| Pin::new(&mut guarded).poll_write(nobody, &piece[from..]);
        assert!(matches!(write(0), Poll::Ready(Ok(PACKET))));
        assert!(write(PACKET).is_pending());
        client.read_exact(&mut [0; PACKET]).await.unwrap();
        assert!(matches!(write(PACKET), Poll::Ready(Ok(PACKET))));
        assert!(!guarded.taking.is_still());
    }

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Writes an answer without a body as Pingora does; its head arrives.
    async fn empty(guarded: &mut Guarded, client: &mut tokio::io::DuplexStream) {
        guarded.write_all(HEAD).await.unwrap();
        guarded.write_all(LAST_CHUNK).await.unwrap();
        guarded.flush().await.unwrap();
        read(client, HEAD).await;
    }

    async fn read(client: &mut tokio::io::DuplexStream, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(
            bytes.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[tokio::test]
    async fn the_end_right_behind_a_head_waits_for_whether_it_is_the_end() {
        let (mut guarded, mut client) = guarded(4096);
        empty(&mut guarded, &mut client).await;
        guarded.end().await.unwrap();
        read(&mut client, LAST_CHUNK).await;
        assert!(!guarded.withdraw_end(), "it has gone");
        empty(&mut guarded, &mut client).await;
        guarded.write_all(b"more").await.unwrap();
        guarded.flush().await.unwrap();
        read(&mut client, b"0\r\n\r\nmore").await;
        empty(&mut guarded, &mut client).await;
        drop(guarded);
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"", "of the last it was never known");
    }

    #[tokio::test]
    async fn a_head_in_parts_is_one_too() {
        let (mut guarded, mut client) = guarded(PACKET);
        let head = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: {}\r\n\r\n",
            "x".repeat(3 * PACKET)
        );
        let (written, ()) = tokio::join!(
            async {
                guarded.write_all(head.as_bytes()).await.unwrap();
                guarded.write_all(LAST_CHUNK).await.unwrap();
                guarded.flush().await
            },
            read(&mut client, head.as_bytes())
        );
        written.unwrap();
        assert!(guarded.withdraw_end());
    }

    #[tokio::test]
    async fn what_only_looks_like_such_an_end_does_not_wait() {
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let switched = b"HTTP/1.1 101 Switching Protocols\r\nX: chunked\r\n\r\n";
        for (head, body, switches) in [
            (&length[..], Body::Done, false),
            (HEAD, Body::Length(1), false),
            (switched, Body::Done, true),
        ] {
            let (mut guarded, mut client) = guarded(4096);
            guarded.body = body;
            guarded.may_switch = switches;
            guarded.write_all(head).await.unwrap();
            guarded.write_all(LAST_CHUNK).await.unwrap();
            guarded.flush().await.unwrap();
            read(&mut client, head).await;
            read(&mut client, LAST_CHUNK).await;
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_in_order_is_told_of_the_end() {
        for by_pingora in [true, false] {
            let (mut guarded, mut client) = guarded(4096);
            empty(&mut guarded, &mut client).await;
            if by_pingora {
                Shutdown::shutdown(&mut guarded).await;
            } else {
                AsyncWriteExt::shutdown(&mut guarded).await.unwrap();
            }
            drop(guarded);
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, LAST_CHUNK);
        }
    }

    #[tokio::test]
    async fn a_body_that_goes_on_follows_its_head() {
        let (mut guarded, mut client) = guarded(100);
        empty(&mut guarded, &mut client).await;
        assert!(guarded.withdraw_end());
        guarded.end().await.unwrap();
        // More than the client takes at once.
        let piece = [b'x'; 250];
        poll_fn(|cx| Poll::Ready(guarded.pass(cx, &piece)))
            .await
            .unwrap();
        let (flushed, read) = tokio::join!(guarded.flush(), async {
            let mut all = [0; 250];
            client.read_exact(&mut all).await.map(|_| all)
        });
        flushed.unwrap();
        assert_eq!(read.unwrap(), piece);
    }

    #[tokio::test]
    async fn the_end_of_a_body_with_something_in_it_goes_at_once() {
        let (mut guarded, mut client) = guarded(4096);
        for part in [HEAD, b"5\r\nhello\r\n", LAST_CHUNK] {
            guarded.write_all(part).await.unwrap();
        }
        guarded.flush().await.unwrap();
        read(&mut client, HEAD).await;
        read(&mut client, b"5\r\nhello\r\n0\r\n\r\n").await;
        assert!(!guarded.withdraw_end());
    }

    #[tokio::test]
    async fn a_client_that_leaves_during_an_answer_is_noticed() {
        let (mut guarded, client) = guarded(100);
        for n in 0..50 {
            let mut space = [0; 10];
            let read = guarded.read(&mut space);
            let read = tokio::time::timeout(Duration::ZERO, read);
            assert!(read.await.is_err(), "it is still there, asked {n} times");
        }
        let leaving = tokio::spawn(async move { guarded.read(&mut [0; 10]).await });
        tokio::task::yield_now().await;
        drop(client);
        assert_eq!(leaving.await.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn what_a_client_sends_ahead_during_an_answer_is_kept() {
        let (mut guarded, mut client) = guarded(100);
        let nobody = &mut Context::from_waker(std::task::Waker::noop());
        let (mut space, mut sent) = ([0; 10], Vec::new());
        for part in 0..40_u8 {
            client.write_all(&[part]).await.unwrap();
            sent.push(part);
            for _ in 0..2 {
                let mut read = ReadBuf::new(&mut space);
                let left = Pin::new(&mut guarded).poll_read(nobody, &mut read);
                assert!(left.is_pending());
            }
            assert_eq!(guarded.came[..], sent[..]);
        }
    }
}
