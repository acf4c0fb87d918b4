//! How does what follows an answer's head get to its client, without Pingora?
//!
//! Piece by piece, as it comes, and the next one is read only when the client has taken the last. What
//! is held for a stream meanwhile is its two connections and what is known of its request.

use super::super::carried::Carried;
use super::stream::Guarded;
use crate::admit::wire::LAST_CHUNK;
use crate::upstream::MARGIN;
use pingora::{Error, ErrorType, OrErr, Result};
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite, ReadBuf};

/// As much is read at once, on the stack. Its size is four digits; the line of them fits into the margin
/// before it, a line's end and the last chunk into the one behind it.
const PIECE: usize = 16 * 1024;

/// Carries a stream to its end; whether its client's connection can be used on.
pub(super) async fn carry(guarded: &mut Guarded, mut carried: Box<Carried>) -> bool {
    let passed = if guarded.withdraw_end() {
        poll_fn(|cx| poll_pass(guarded, &mut carried, cx)).await
    } else {
        Error::e_explain(ErrorType::InternalError, "the client was told of an end")
    };
    let sound = passed.is_ok();
    carried.end(passed.err());
    sound
}

fn poll_pass(
    guarded: &mut Guarded,
    carried: &mut Carried,
    cx: &mut Context<'_>,
) -> Poll<Result<()>> {
    let mut space = [MaybeUninit::uninit(); MARGIN + PIECE + MARGIN];
    loop {
        let taken = ready!(Pin::new(&mut *guarded).poll_flush(cx));
        told(taken)?;
        if carried.is_whole() {
            return Poll::Ready(Ok(()));
        }
        if guarded.poll_left(cx).is_ready() {
            return Poll::Ready(Err(Error::new_down(ErrorType::ConnectionClosed)));
        }
        let mut piece = ReadBuf::uninit(&mut space);
        let data = ready!(carried.poll_piece(cx, &mut piece))?;
        let size = data.len();
        told(guarded.pass(cx, framed(&mut piece, data, carried.is_whole())))?;
        carried.passed(size);
    }
}

/// A piece of a body as a chunk, in its own buffer, and the end behind the last.
fn framed<'a>(buf: &'a mut ReadBuf<'_>, data: Range<usize>, last: bool) -> &'a [u8] {
    let mut begins = data.start;
    buf.set_filled(data.end);
    if !data.is_empty() {
        let mut size = data.len();
        let mut line = *b"0000\r\n";
        let mut at = 4;
        while size > 0 {
            at -= 1;
            line[at] = b"0123456789abcdef"[size % 16];
            size /= 16;
        }
        begins -= line.len() - at;
        buf.filled_mut()[begins..data.start].copy_from_slice(&line[at..]);
        buf.put_slice(b"\r\n");
    }
    if last {
        buf.put_slice(LAST_CHUNK);
    }
    &buf.filled()[begins..]
}

/// What the client did in place of taking it.
fn told(taken: std::io::Result<()>) -> Result<()> {
    taken
        .or_err(ErrorType::WriteError, "writing what follows a head")
        .map_err(Error::into_down)
}
