//! Who carries an answer on, once its head has passed?
//!
//! A stream lasts for minutes, and for as long Pingora keeps thirty kilobytes for it and brings each of
//! its events through two queues. Both of its connections are ours, and what follows the head needs
//! nothing of Pingora: no hook, no map, no retry. So the node's end offers an answer that streams when
//! its head has come. Where the hooks agree, Pingora is told that the answer has no body, and ends its
//! part; who holds the client's end takes the [`Rest`], and passes on what is in its chunks.

use super::idle::{Home, Link};
use crate::admit::wire::{Chunks, Fault, LAST_CHUNK};
use bytes::{Buf, BytesMut};
use memchr::memchr_iter;
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// So much room is left before a piece of a body and behind it, for whoever makes a chunk of it.
pub const MARGIN: usize = 8;

/// What streams say that they are.
const EVENTS: &[u8] = b"text/event-stream";

/// Of one answer: between its connection, the hooks, and whoever carries it on.
pub struct Handover(Mutex<State>);

enum State {
    /// No answer came that streams.
    Nothing,
    /// One came; its connection waits for a word.
    Offered(Option<Waker>),
    /// Whether it is carried on.
    Decided(bool),
    /// Pingora has ended its part.
    Left(Box<Rest>),
}

impl Handover {
    /// For an answer that is awaited.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Nothing)))
    }

    /// Whether the answer can be carried on. Then its body waits for [`decide`](Self::decide).
    #[must_use]
    pub fn is_offered(&self) -> bool {
        matches!(*self.0.lock(), State::Offered(_))
    }

    /// Whether it is.
    pub fn decide(&self, takes: bool) {
        let before = mem::replace(&mut *self.0.lock(), State::Decided(takes));
        if let State::Offered(Some(waits)) = before {
            waits.wake();
        }
    }

    /// What is to be carried on: none while Pingora has the connection, and where it was not told of an
    /// end.
    #[must_use]
    pub fn take(&self) -> Option<Box<Rest>> {
        match mem::replace(&mut *self.0.lock(), State::Nothing) {
            State::Left(rest) => Some(rest),
            _ => None,
        }
    }

    fn offer(&self) {
        *self.0.lock() = State::Offered(None);
    }

    fn poll_decided(&self, cx: &mut Context<'_>) -> Poll<bool> {
        match &mut *self.0.lock() {
            State::Decided(takes) => Poll::Ready(*takes),
            State::Offered(waits) => {
                *waits = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Nothing | State::Left(_) => Poll::Ready(false),
        }
    }
}

/// An answer on its way to Pingora: the node's side of a [`Handover`].
pub(super) struct Cut {
    to: Arc<Handover>,
    at: At,
    /// What came behind the head.
    came: BytesMut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the answer's first piece.
    Head,
    /// Its head has passed; it is not known yet how it goes on.
    Offered,
    /// It goes on as it would have without us.
    Usual,
    /// Pingora is told that there is no body: so much of it.
    Told(usize),
}

impl Cut {
    pub(super) fn new(to: Arc<Handover>) -> Self {
        Self {
            to,
            at: At::Head,
            came: BytesMut::new(),
        }
    }

    /// The answer's next piece was read to where `buf` ends. Where it is the first, and the head of a
    /// stream, what is behind the head is taken out, and waits.
    pub(super) fn look(&mut self, buf: &mut ReadBuf<'_>, begins: usize) {
        if self.at != At::Head {
            return;
        }
        self.at = At::Usual;
        let piece = &buf.filled()[begins..];
        // A short answer that is here to its end is not worth it.
        if let Some(head) = stream(piece).filter(|&head| !piece[head..].ends_with(LAST_CHUNK)) {
            self.came.extend_from_slice(&piece[head..]);
            buf.set_filled(begins + head);
            self.at = At::Offered;
            self.to.offer();
        }
    }

    /// Gives Pingora what comes next, if that is here: whether it is.
    pub(super) fn poll_give(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<bool> {
        if self.at == At::Offered {
            self.at = if ready!(self.to.poll_decided(cx)) {
                At::Told(0)
            } else {
                At::Usual
            };
        }
        match &mut self.at {
            At::Told(told) => {
                let next = &LAST_CHUNK[*told..];
                let next = &next[..next.len().min(buf.remaining())];
                buf.put_slice(next);
                *told += next.len();
                Poll::Ready(true)
            }
            _ if self.came.is_empty() => Poll::Ready(false),
            _ => {
                give(&mut self.came, buf, usize::MAX);
                Poll::Ready(true)
            }
        }
    }

    /// Whether Pingora was told of an end that is none.
    pub(super) const fn is_told(&self) -> bool {
        matches!(self.at, At::Told(_))
    }

    /// Whether Pingora was given all that came.
    pub(super) fn is_given(&self) -> bool {
        self.at != At::Offered && self.came.is_empty()
    }

    /// Pingora is done with the answer, and would keep its connection or not: leaves what is to be
    /// carried on.
    pub(super) fn leave(self, link: Box<Link>, home: Home, keeps: bool) {
        *self.to.0.lock() = State::Left(Box::new(Rest {
            link: Some(link),
            came: self.came,
            chunks: Chunks::of_answer(),
            fault: None,
            keeps,
            home,
        }));
    }
}

/// What of an answer follows its head.
pub struct Rest {
    /// Taken by [`Drop`] alone.
    link: Option<Box<Link>>,
    came: BytesMut,
    chunks: Chunks,
    /// What is wrong behind the last piece.
    fault: Option<Fault>,
    keeps: bool,
    home: Home,
}

impl Rest {
    /// The next bytes of the body: where they are in the buffer. There may be none. To be asked until
    /// [`is_whole`](Self::is_whole).
    ///
    /// # Errors
    /// The connection's, or that the node said nothing for too long ([`super::is_late`]), left before
    /// the end, or sent what has no end that could be told.
    pub fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Range<usize>>> {
        if let Some(fault) = self.fault {
            return Poll::Ready(Err(odd(fault)));
        }
        buf.clear();
        buf.put_slice(&[0; MARGIN]);
        let size = buf.remaining() - MARGIN;
        if self.came.is_empty() {
            let link = self.link.as_mut().expect("only dropping takes it");
            link.stream.set_limit(size as u64);
            let read = Pin::new(&mut link.stream).poll_read(cx, buf);
            ready!(link.silence.bound(cx, read))?;
            link.silence.came();
        } else {
            give(&mut self.came, buf, size);
        }
        let piece = &mut buf.filled_mut()[MARGIN..];
        if piece.is_empty() {
            let what = "the node hung up before its answer's end";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
        }
        let (data, read) = self.chunks.peel(piece);
        // What nobody asked for; the next request would take it for its answer.
        self.keeps &= read == Ok(piece.len());
        match read {
            Err(fault) if data.is_empty() => return Poll::Ready(Err(odd(fault))),
            // What is sound before it goes on first.
            Err(fault) => self.fault = Some(fault),
            Ok(_) => {}
        }
        Poll::Ready(Ok(data.start + MARGIN..data.end + MARGIN))
    }

    /// Whether it was read to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.chunks.is_done()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let kept = self.keeps && self.came.is_empty() && self.is_whole();
        if let Some(link) = self.link.take().filter(|_| kept) {
            self.home.keep(link);
        }
    }
}

/// In words: a fault as such is that of a client.
fn odd(fault: Fault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault.to_string())
}

fn give(from: &mut BytesMut, to: &mut ReadBuf<'_>, most: usize) {
    let size = from.len().min(to.remaining()).min(most);
    to.put_slice(&from[..size]);
    from.advance(size);
    if from.is_empty() {
        // Nothing of it is to stay for as long as the stream lasts.
        *from = BytesMut::new();
    }
}

/// Whether these bytes begin with the whole head of a stream whose end its chunks tell: where the head
/// ends. Pingora reads the head for itself; whatever is odd about it goes the usual way.
fn stream(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut chunked, mut events) = (0, false, false);
    for next in memchr_iter(b'\n', bytes).map(|lf| lf + 1) {
        let line = bytes[at..next].strip_suffix(b"\r\n")?;
        if line.is_empty() {
            return (chunked && events).then_some(next);
        }
        if at == 0 {
            line.strip_prefix(b"HTTP/1.1 200")?;
        } else if let Some(kind) = value(line, "Content-Type") {
            let (kind, more) = kind.split_at_checked(EVENTS.len())?;
            events = kind.eq_ignore_ascii_case(EVENTS) && matches!(more, [] | [b';' | b' ', ..]);
            events.then_some(())?;
        } else if let Some(coding) = value(line, "Transfer-Encoding") {
            // In these letters: so it reaches the client's end, which must know such a head.
            chunked = !chunked && coding == b"chunked";
            chunked.then_some(())?;
        } else if matches!(line[0], b' ' | b'\t') || value(line, "Content-Length").is_some() {
            return None;
        }
        at = next;
    }
    None
}

/// The value of a field, if this is its line.
fn value<'a>(line: &'a [u8], field: &str) -> Option<&'a [u8]> {
    let (name, value) = line.split_at_checked(field.len())?;
    let value = value.strip_prefix(b":")?;
    let known = name == field.as_bytes() || name.eq_ignore_ascii_case(field.as_bytes());
    known.then(|| value.trim_ascii())
}

/// What it holds may be a key.
impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::idle::Idle;
    use super::super::peer::reach;
    use super::super::wire::{Asked, Wire};
    use super::*;
    use crate::model::clock;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                        Transfer-Encoding: chunked\r\n\r\n";
    const ERA: u64 = 7;

    #[test]
    fn what_can_be_carried_on_is_told_by_its_head() {
        let ends = |head: &str| stream(format!("{head}5\r\nhello").as_bytes());
        let with = |from: &str, to: &str| ends(&HEAD.replace(from, to));
        assert_eq!(ends(HEAD), Some(HEAD.len()));
        assert_eq!(with("Content-Type", "content-type"), Some(HEAD.len()));
        for (from, to) in [
            ("event-stream", "event-stream; charset=utf-8"),
            ("Content-Type", "Connection: close\r\nContent-Type"),
            ("Content-Type", "X-Odd: \u{e9}\r\nContent-Type"),
        ] {
            let more = to.len() - from.len();
            assert_eq!(with(from, to), Some(HEAD.len() + more), "{to:?}");
        }
        for (from, to) in [
            ("200", "201"),
            ("HTTP/1.1", "HTTP/1.0"),
            (
                "HTTP/1.1 200 OK",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
            ),
            ("text/event-stream", "application/json"),
            ("text/event-stream", "text/event-streams"),
            ("Content-Type: text/event-stream\r\n", ""),
            ("Transfer-Encoding: chunked\r\n", ""),
            ("chunked", "Chunked"),
            ("chunked", "gzip, chunked"),
            ("chunked", "chunked\r\nTransfer-Encoding: chunked"),
            ("Content-Type", "Content-Length: 3\r\nContent-Type"),
            ("Content-Type", " folded\r\nContent-Type"),
            ("OK\r\n", "OK\n"),
            ("\r\n\r\n", "\r\n"),
        ] {
            assert_eq!(with(from, to), None, "{from:?} -> {to:?}");
        }
    }

    /// A connection whose answer may be carried on, its node's end, and where it goes home to.
    async fn lent() -> (Wire, TcpStream, Arc<Handover>, Arc<Idle>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let stream = reach(&to, Duration::from_secs(60)).await.unwrap();
        let idle = Arc::<Idle>::default();
        let home = Home {
            idle: Arc::clone(&idle),
            longest: Duration::from_secs(60),
            era: ERA,
        };
        let handover = Handover::new();
        let asked = Asked {
            handover: Some(Arc::clone(&handover)),
            ..Asked::default()
        };
        let wire = Wire::new(Link::new(stream), home, asked);
        (wire, listener.accept().await.unwrap().0, handover, idle)
    }

    async fn read(wire: &mut Wire, size: usize) -> String {
        let mut bytes = vec![0; size];
        wire.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Has the head come, and what of the body was sent with it wait.
    async fn offered(body: &str) -> (Wire, TcpStream, Arc<Handover>, Arc<Idle>) {
        let (mut wire, mut node, handover, idle) = lent().await;
        assert!(!handover.is_offered());
        node.write_all(format!("{HEAD}{body}").as_bytes())
            .await
            .unwrap();
        let mut space = [0; 4096];
        let head = wire.read(&mut space).await.unwrap();
        assert_eq!(std::str::from_utf8(&space[..head]).unwrap(), HEAD);
        assert!(handover.is_offered());
        (wire, node, handover, idle)
    }

    /// Pingora leaves the connection as one that can be kept.
    async fn keep(mut wire: Wire) {
        let mut none = [0];
        let looked = wire.read(&mut none).await.unwrap();
        assert_eq!(looked, 0, "it is told of nothing more");
    }

    /// Pingora leaves it as one that cannot. That is no end of it.
    async fn shut(mut wire: Wire) {
        AsyncWriteExt::shutdown(&mut wire).await.unwrap();
    }

    /// The same, decided: what Pingora is told, and what is left.
    async fn taken<L>(body: &str, leave: fn(Wire) -> L) -> (Box<Rest>, TcpStream, Arc<Idle>)
    where
        L: Future<Output = ()> + Send + 'static,
    {
        let (mut wire, node, handover, idle) = offered(body).await;
        let told = tokio::spawn(async move {
            let told = read(&mut wire, LAST_CHUNK.len()).await;
            leave(wire).await;
            told
        });
        tokio::task::yield_now().await;
        handover.decide(true);
        assert_eq!(told.await.unwrap().as_bytes(), LAST_CHUNK);
        (handover.take().expect("it was left"), node, idle)
    }

    /// The body to its end.
    async fn all(rest: &mut Rest) -> io::Result<String> {
        let mut all = Vec::new();
        to_end(rest, &mut all).await?;
        Ok(String::from_utf8(all).unwrap())
    }

    async fn to_end(rest: &mut Rest, all: &mut Vec<u8>) -> io::Result<()> {
        while !rest.is_whole() {
            let mut space = [0; 7 + 2 * MARGIN];
            let mut buf = ReadBuf::new(&mut space);
            let data = poll_fn(|cx| rest.poll_piece(cx, &mut buf)).await?;
            assert!(data.start >= MARGIN && buf.capacity() - data.end >= MARGIN);
            all.extend_from_slice(&buf.filled()[data]);
        }
        Ok(())
    }

    fn is_kept(idle: &Idle) -> bool {
        idle.take(ERA, clock::now()).is_some()
    }

    #[tokio::test]
    async fn what_is_taken_over_comes_to_its_end_and_its_connection_goes_home() {
        let (mut rest, mut node, idle) = taken("5\r\nhello\r\n", keep).await;
        node.write_all(b"1;x=y\r\n \r\n5 \r\nthere\r\n0\r\nT: u\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(all(&mut rest).await.unwrap(), "hello there");
        assert!(!is_kept(&idle), "nobody else has it yet");
        drop(rest);
        assert!(is_kept(&idle));
    }

    /// It could not send the whole request, for one.
    #[tokio::test]
    async fn a_connection_that_pingora_would_not_keep_is_not_kept() {
        let mut ways = Vec::new();
        ways.push(taken("5\r\nhello\r\n", shut).await);
        ways.push(taken("5\r\nhello\r\n", |wire| async { drop(wire) }).await);
        for (mut rest, mut node, idle) in ways {
            node.write_all(b"0\r\n\r\n").await.unwrap();
            assert_eq!(all(&mut rest).await.unwrap(), "hello");
            drop(rest);
            assert!(!is_kept(&idle));
        }
    }

    #[tokio::test]
    async fn what_is_not_taken_over_goes_on_as_ever() {
        let (mut wire, mut node, handover, idle) = offered("5\r\nhello\r\n").await;
        handover.decide(false);
        assert!(handover.take().is_none());
        assert_eq!(read(&mut wire, 10).await, "5\r\nhello\r\n");
        node.write_all(b"0\r\n\r\n").await.unwrap();
        assert_eq!(read(&mut wire, 5).await, "0\r\n\r\n");
        keep(wire).await;
        assert!(is_kept(&idle));
    }

    #[tokio::test]
    async fn what_pingora_was_not_given_is_nobody_elses() {
        // As it is with an answer to HEAD, behind whose head there should be nothing.
        for decides in [None, Some(false), Some(true)] {
            let (wire, _node, handover, idle) = offered("5\r\nhel").await;
            if let Some(takes) = decides {
                handover.decide(takes);
            }
            keep(wire).await;
            assert!(handover.take().is_none());
            assert!(!is_kept(&idle), "{decides:?}");
        }
    }

    #[tokio::test]
    async fn who_is_here_to_the_end_is_not_offered() {
        for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"] {
            let (mut wire, mut node, handover, _) = lent().await;
            let answer = format!("{HEAD}{body}");
            node.write_all(answer.as_bytes()).await.unwrap();
            assert_eq!(read(&mut wire, answer.len()).await, answer);
            assert!(!handover.is_offered());
        }
    }

    #[tokio::test]
    async fn a_connection_with_more_on_it_than_its_answer_is_not_kept() {
        for more in ["0\r\n\r\nHTTP", "0\r\n\r\nH"] {
            let (mut rest, _node, idle) = taken(more, keep).await;
            assert_eq!(all(&mut rest).await.unwrap(), "");
            drop(rest);
            assert!(!is_kept(&idle), "{more:?}");
        }
    }

    #[tokio::test]
    async fn an_end_before_the_end_is_an_error() {
        for (body, kind, sound) in [
            ("5\r\nhel", io::ErrorKind::UnexpectedEof, &b"hel"[..]),
            ("5\r\nhello\r\n", io::ErrorKind::UnexpectedEof, b"hello"),
            ("5\r\nhello!", io::ErrorKind::InvalidData, b"hello"),
            ("x\r\n", io::ErrorKind::InvalidData, b""),
        ] {
            let (mut rest, node, idle) = taken(body, keep).await;
            drop(node);
            let mut came = Vec::new();
            let error = to_end(&mut rest, &mut came).await.unwrap_err();
            assert_eq!((error.kind(), &came[..]), (kind, sound), "{body:?}");
            drop(rest);
            assert!(!is_kept(&idle), "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_node_that_says_nothing_more_is_given_up() {
        let (mut rest, _node, _) = taken("5\r\nhello\r\n", keep).await;
        let link = rest.link.as_mut().unwrap();
        link.silence.begin(Some(Duration::from_secs(660)));
        tokio::time::pause();
        let error = all(&mut rest).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_pingora_gave_up_is_left_to_nobody() {
        let (wire, mut node, handover, idle) = offered("5\r\nhello\r\n").await;
        drop(wire);
        assert!(handover.take().is_none());
        assert!(!is_kept(&idle));
        let mut none = [0];
        assert_eq!(node.read(&mut none).await.unwrap_or(0), 0, "it is closed");
    }
}
