//! When does what is written leave? With the flush behind it, or when it is much.
//!
//! Pingora writes a head, a body and a chunk's size one by one, and flushes where a client should see
//! them. Its own buffer for that stays with a connection for life; this one is there from the first
//! byte to the flush.

use bytes::{Buf, BytesMut};
use memchr::memchr_iter;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// What a packet usually holds, and Pingora's own measure.
pub const PACKET: usize = 1460;
/// Room for a head, and often for the body that mostly comes behind it. The allocator has as much at
/// hand at once (`MI_SMALL_SIZE_MAX`), and has to look for more.
const FIRST: usize = 1024;

/// What was written and not sent.
#[derive(Debug)]
pub struct Outbox {
    waits: BytesMut,
    room: usize,
}

impl Outbox {
    /// Empty; more than `room` bytes are not gathered.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self {
            waits: BytesMut::new(),
            room,
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// Takes it in, or sends it where it is much. How many bytes were taken.
    ///
    /// # Errors
    /// When what waited cannot be sent.
    pub fn poll_write<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(to, cx, buf.len()))?;
        if buf.len() >= self.room {
            return Pin::new(to).poll_write(cx, buf);
        }
        self.take(buf);
        Poll::Ready(Ok(buf.len()))
    }

    /// The same of several pieces at once.
    ///
    /// # Errors
    /// Likewise.
    pub fn poll_write_vectored<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let size = bufs.iter().map(|buf| buf.len()).sum();
        ready!(self.poll_room(to, cx, size))?;
        if size >= self.room {
            return Pin::new(to).poll_write_vectored(cx, bufs);
        }
        bufs.iter().for_each(|buf| self.take(buf));
        Poll::Ready(Ok(size))
    }

    /// Takes in a whole head, with more lines behind its fields. How many bytes of it were taken: all.
    ///
    /// # Errors
    /// When it is not whole.
    pub fn put_behind_fields(&mut self, head: &[u8], lines: &[u8]) -> io::Result<usize> {
        let mut lines_end = memchr_iter(b'\n', head).map(|at| at + 1);
        let Some(blank) = lines_end.find(|&next| head[next..].starts_with(b"\r\n")) else {
            let what = "what should be a head has no end";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        let (fields, end) = head.split_at(blank);
        self.take(fields);
        self.waits.extend_from_slice(lines);
        self.waits.extend_from_slice(end);
        Ok(head.len())
    }

    /// Sends what waits; then there is no buffer any more. What could not be sent still waits.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn poll_drain<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waits.capacity() == 0 {
            return Poll::Ready(Ok(()));
        }
        while !self.waits.is_empty() {
            match ready!(Pin::new(&mut *to).poll_write(cx, &self.waits))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.waits.advance(sent),
            }
        }
        self.waits = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn poll_room<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
        size: usize,
    ) -> Poll<io::Result<()>> {
        if self.waits.is_empty() || self.waits.len() + size <= self.room {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain(to, cx)
    }

    /// Takes in all of it, however much that is.
    pub fn take(&mut self, buf: &[u8]) {
        if self.waits.is_empty() {
            self.waits = BytesMut::with_capacity(FIRST);
        }
        self.waits.extend_from_slice(buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    fn write(outbox: &mut Outbox, to: &mut DuplexStream, bytes: &[u8]) -> Poll<usize> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        outbox
            .poll_write(to, &mut cx, bytes)
            .map(|taken| taken.unwrap())
    }

    fn drain(outbox: &mut Outbox, to: &mut DuplexStream) -> Poll<()> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        outbox.poll_drain(to, &mut cx).map(|sent| sent.unwrap())
    }

    /// What arrived so far.
    async fn arrived(from: &mut DuplexStream, bytes: usize) -> Vec<u8> {
        let mut came = vec![0; bytes];
        from.read_exact(&mut came).await.unwrap();
        came
    }

    #[tokio::test]
    async fn small_pieces_leave_together_and_the_buffer_goes_with_them() {
        let (mut to, mut from) = duplex(8192);
        let mut outbox = Outbox::new(PACKET);
        assert_eq!(write(&mut outbox, &mut to, b"head "), Poll::Ready(5));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let pieces = [IoSlice::new(b"and "), IoSlice::new(b"body")];
        let taken = outbox.poll_write_vectored(&mut to, &mut cx, &pieces);
        assert!(matches!(taken, Poll::Ready(Ok(8))));
        assert_eq!(outbox.waits.len(), 13, "nothing has left");
        assert_eq!(drain(&mut outbox, &mut to), Poll::Ready(()));
        assert_eq!(outbox.waits.capacity(), 0);
        assert_eq!(arrived(&mut from, 13).await, b"head and body");
    }

    #[tokio::test]
    async fn much_goes_straight_through_behind_what_waited() {
        let (mut to, mut from) = duplex(8192);
        let mut outbox = Outbox::new(PACKET);
        let much = [b'm'; 2 * PACKET];
        assert_eq!(write(&mut outbox, &mut to, b"head "), Poll::Ready(5));
        assert_eq!(write(&mut outbox, &mut to, &much), Poll::Ready(much.len()));
        assert_eq!(outbox.waits.capacity(), 0);
        let came = arrived(&mut from, 5 + much.len()).await;
        assert!(came.starts_with(b"head m") && came.ends_with(b"mm"));
    }

    #[tokio::test]
    async fn lines_go_behind_the_fields_of_a_head_of_any_size() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(3 * PACKET));
        for head in ["GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.0\r\n", &long] {
            let (mut to, mut from) = duplex(8192);
            let mut outbox = Outbox::new(PACKET);
            // What follows a head is none of its fields, whatever it looks like.
            let written = format!("{head}\r\nbody\r\n\r\n");
            let taken = outbox.put_behind_fields(written.as_bytes(), b"A: 1\r\nB: 2\r\n");
            assert_eq!(taken.unwrap(), written.len());
            assert_eq!(drain(&mut outbox, &mut to), Poll::Ready(()));
            let wanted = format!("{head}A: 1\r\nB: 2\r\n\r\nbody\r\n\r\n");
            let came = arrived(&mut from, wanted.len()).await;
            assert_eq!(String::from_utf8(came).unwrap(), wanted);
        }
        let part = Outbox::new(PACKET).put_behind_fields(b"GET / HTTP/1.1\r\nHos", b"A: 1\r\n");
        assert!(
            part.is_err(),
            "nobody is sent a part with lines in its middle"
        );
    }

    #[tokio::test]
    async fn what_does_not_fit_any_more_waits_for_what_waited() {
        let (mut to, mut from) = duplex(8192);
        let mut outbox = Outbox::new(PACKET);
        let (first, second) = ([b'1'; PACKET - 1], [b'2'; 2]);
        assert_eq!(write(&mut outbox, &mut to, &first), Poll::Ready(PACKET - 1));
        assert_eq!(write(&mut outbox, &mut to, &second), Poll::Ready(2));
        assert_eq!(arrived(&mut from, PACKET - 1).await, first);
        assert_eq!(&outbox.waits[..], b"22");
    }

    #[tokio::test]
    async fn a_receiver_that_takes_little_gets_every_byte_once() {
        let (mut to, mut from) = duplex(4);
        let mut outbox = Outbox::new(PACKET);
        assert_eq!(write(&mut outbox, &mut to, b"123456789"), Poll::Ready(9));
        let mut came = Vec::new();
        while drain(&mut outbox, &mut to).is_pending() {
            came.extend(arrived(&mut from, 4).await);
        }
        came.extend(arrived(&mut from, 1).await);
        assert_eq!(came, b"123456789");
    }

    #[tokio::test]
    async fn a_receiver_that_has_left_is_an_error() {
        let (mut to, from) = duplex(4);
        drop(from);
        let mut outbox = Outbox::new(PACKET);
        assert_eq!(write(&mut outbox, &mut to, b"123"), Poll::Ready(3));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            outbox.poll_drain(&mut to, &mut cx),
            Poll::Ready(Err(_))
        ));
    }
}
