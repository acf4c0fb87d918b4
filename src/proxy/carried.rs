//! How does a stream go on when Pingora has passed on its head, and how does it end?
//!
//! Whether it may, `response_filter` asks; that it does, `logging` finds out, which Pingora calls when
//! it takes the answer for over. From there the request's [`Ctx`] goes with the stream, and what is
//! done at a request's end is done at the stream's: by [`Carried::end`], or by dropping it.

use super::ctx::Attempt;
use super::written::Line;
use super::{Ctx, error_while_proxy, fail_to_proxy, logging, upstream_response_body_filter};
use crate::observe::Ending;
use crate::upstream::{Live, Rest};
use http::{StatusCode, Version};
use memchr::memmem;
use pingora::{Error, ErrorType, OrErr, Result};
use pingora_proxy::Session;
use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Decides whether the answer is carried on whose head is about to be written: it was offered, nothing
/// more of the request comes, and only this answer's end is waited for before the next request.
pub(super) fn decide(session: &mut Session, ctx: &mut Ctx) {
    let Some(attempt) = &mut ctx.attempt else {
        return;
    };
    let Some(handover) = attempt.handover.as_ref().filter(|it| it.is_offered()) else {
        return;
    };
    attempt.carried = session.get_keepalive().is_some()
        && session.get_keepalive_reuses_remaining() != Some(0)
        && session.req_header().version == Version::HTTP_11
        && session.is_body_done();
    handover.decide(attempt.carried);
}

/// A request whose answer goes on.
pub(super) struct Carried {
    live: Arc<Live>,
    ctx: Box<Ctx>,
    line: Line<'static>,
    /// None once it was read to its end: its connection is free for the next request.
    rest: Option<Box<Rest>>,
}

impl Carried {
    /// Takes a request over, if its answer goes on. What Pingora then has is the context of no request,
    /// but for what it carries.
    pub(super) fn begin(live: &Arc<Live>, session: &Session, ctx: &mut Box<Ctx>) -> bool {
        let attempt = ctx.attempt.as_mut().filter(|attempt| attempt.carried);
        let handover = attempt.and_then(|attempt| attempt.handover.take());
        let Some(rest) = handover.and_then(|handover| handover.take()) else {
            return false;
        };
        let line = Line::of(session, ctx).into_owned();
        let mut own = mem::replace(ctx, Box::new(Ctx::new(live)));
        if let Some(routed) = &mut own.routed {
            // It is not sent a second time.
            (routed.kept, routed.names) = (None, None);
        }
        *ctx.carries.get_mut() = Some(Box::new(Self {
            live: Arc::clone(live),
            ctx: own,
            line,
            rest: Some(rest),
        }));
        true
    }

    /// Whether the node has said everything.
    pub(super) const fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// The next bytes of the answer's body: where they are in the buffer.
    ///
    /// # Errors
    /// What the node did in place of going on.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<Range<usize>>> {
        let read = match &mut self.rest {
            Some(rest) => ready!(rest.poll_piece(cx, buf)),
            None => return Poll::Ready(Ok(0..0)),
        };
        let data = read
            .or_err(ErrorType::ReadError, "reading what follows a head")
            .map_err(Error::into_up)?;
        let (live, ctx) = (&self.live, &mut *self.ctx);
        let began = ctx.attempt.as_ref().is_some_and(|it| it.body_began);
        if !began && !data.is_empty() {
            let piece = &buf.filled()[data.clone()];
            let event = memmem::find(piece, b"\n\n").map_or(piece, |end| &piece[..end]);
            upstream_response_body_filter::note_first(event, ctx);
        }
        if self.rest.as_ref().is_some_and(|rest| rest.is_whole()) {
            // The node is free, although the client may still be reading.
            self.rest = None;
            ctx.settle(live, Attempt::answered);
        }
        Poll::Ready(Ok(data))
    }

    /// So much of the body went to the client.
    pub(super) const fn passed(&mut self, bytes: usize) {
        self.line.bytes_out += bytes as u64;
    }

    /// It is over: the client has everything, or what came between.
    pub(super) fn end(mut self: Box<Self>, error: Option<Box<Error>>) {
        self.finish(error);
    }

    fn finish(&mut self, error: Option<Box<Error>>) {
        self.rest = None;
        let (live, ctx) = (&self.live, &mut *self.ctx);
        let ending = match error {
            None => Ending::Answered(StatusCode::OK.as_u16()),
            Some(error) => {
                let error = error_while_proxy::broken(live, error, ctx);
                ctx.rejection = fail_to_proxy::rejection(&error, ctx);
                match ctx.rejection {
                    None => Ending::ClientGone,
                    Some(_) => Ending::Broken,
                }
            }
        };
        ctx.ending = Some(ending);
        logging::over(ctx, ending, |_| Cow::Borrowed(&self.line));
    }
}

/// Whoever was to carry it has left, or the client did in the moment of taking over.
impl Drop for Carried {
    fn drop(&mut self) {
        if self.ctx.ending.is_none() {
            self.finish(Some(Error::new_down(ErrorType::ConnectionClosed)));
        }
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried")
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}
