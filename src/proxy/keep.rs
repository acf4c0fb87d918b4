//! Which body can be sent a second time, and what does its beginning name?
//!
//! Pingora forwards a body that was read early only out of its 64 KiB replay buffer, and keeps for
//! a second attempt only what fits there. So: a body that fits is read into that buffer until what
//! is wanted was found. A larger one, up to a limit, is read whole and kept by us; the
//! buffer is switched on for the tail only, and stands for the whole when Pingora replays it. Of
//! one larger still, or of no told length, a single piece is read, which cannot exceed the buffer.

use crate::dify::Peek;
use crate::model::Rejection;
use crate::model::rejection::Reason;
use crate::route::Quest;
use crate::upstream::Named;
use bytes::{Bytes, BytesMut};
use http::header;
use pingora::Result;
use pingora_proxy::Session;

/// The size of Pingora's replay buffer (`BODY_BUF_LIMIT`); no single read is larger.
const REPLAY_BUFFER: u64 = 64 * 1024;

/// What is wanted of a body.
#[derive(Debug)]
pub(super) struct Wants {
    /// Provider and tool, model or agent strategy.
    pub(super) item: bool,
    /// The user's id.
    pub(super) user: Option<Quest>,
    /// Up to so many bytes it is kept, whatever is wanted.
    pub(super) keep: u64,
}

/// What was found out about a body.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What it names.
    pub(super) named: Named,
    /// The whole body, where Pingora does not keep it.
    pub(super) body: Option<Bytes>,
    /// The body is larger than anybody keeps.
    pub(super) once: bool,
    /// The client was told to go on: the node must not be asked to.
    pub(super) continued: bool,
}

/// Reads as much of the body as it takes. The inner error is an answer of ours.
pub(super) async fn run(session: &mut Session, wants: Wants) -> Result<Result<Kept, Rejection>> {
    let headers = &session.req_header().headers;
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let expects = headers.contains_key(header::EXPECT);
    let chunked = length.is_none() && headers.contains_key(header::TRANSFER_ENCODING);
    let mut reader = Reader::new(wants);
    // A client that waits for "100 Continue" would wait for us while we wait for its body.
    let told = length.is_some_and(|length| length > 0) && (!expects || reader.quest.is_some());
    let pieces = chunked && reader.quest.is_some();
    if !told && !pieces {
        let named = reader.end(false);
        return Ok(Ok(Kept {
            named,
            ..Kept::default()
        }));
    }
    if expects {
        session.write_continue_response().await?;
    }
    let length = length.unwrap_or(u64::MAX);
    let body = if length > REPLAY_BUFFER && length <= reader.keep {
        Some(whole(session, length, &mut reader).await?)
    } else {
        head(session, length, &mut reader).await?;
        None
    };
    // Only headers of many kilobytes with body bytes behind them lead here: the piece behind them
    // is larger than any other, and could not be forwarded any more.
    let lost = session.retry_buffer_truncated()
        || (body.is_some() && session.get_retry_buffer().is_none());
    if lost {
        let public = "the request's header and body arrived in a way that cannot be forwarded";
        return Ok(Err(Rejection::new(Reason::BodyTooLarge, public)));
    }
    let complete = session.is_body_done();
    Ok(Ok(Kept {
        once: body.is_none() && !chunked && length > REPLAY_BUFFER,
        named: reader.end(complete),
        body,
        continued: expects,
    }))
}

async fn head(session: &mut Session, length: u64, reader: &mut Reader) -> Result<()> {
    session.enable_retry_buffering();
    while let Some(chunk) = session.read_request_body().await? {
        let wants_more = reader.feed(&chunk);
        let one_piece_only = length > REPLAY_BUFFER && !chunk.is_empty();
        if !wants_more || one_piece_only {
            break;
        }
    }
    Ok(())
}

async fn whole(session: &mut Session, length: u64, reader: &mut Reader) -> Result<Bytes> {
    // Not as much as announced at once: a client may announce and never send.
    let mut body = BytesMut::new();
    loop {
        if length - (body.len() as u64).min(length) <= REPLAY_BUFFER {
            session.enable_retry_buffering();
        }
        let Some(chunk) = session.read_request_body().await? else {
            break;
        };
        body.extend_from_slice(&chunk);
        reader.look(&chunk, &body);
    }
    let body = body.freeze();
    reader.seen = Seen::Elsewhere(body.clone());
    Ok(body)
}

/// Looks for what is wanted in the pieces of a body.
struct Reader {
    peek: Option<Peek>,
    quest: Option<Quest>,
    user: Option<String>,
    keep: u64,
    /// At so many bytes the next look for the user is worth its while: each is twice as far as the
    /// one before, so that a body in many small pieces is not read again for each of them.
    next: usize,
    seen: Seen,
}

/// What the user is looked for in.
enum Seen {
    Here(BytesMut),
    Elsewhere(Bytes),
}

impl Reader {
    fn new(wants: Wants) -> Self {
        Self {
            peek: wants.item.then(Peek::new),
            quest: wants.user,
            user: None,
            keep: wants.keep,
            next: 0,
            seen: Seen::Here(BytesMut::new()),
        }
    }

    /// Takes a piece. True: show me more.
    fn feed(&mut self, chunk: &[u8]) -> bool {
        if self.quest.is_some()
            && let Seen::Here(seen) = &mut self.seen
        {
            seen.extend_from_slice(chunk);
            let seen = std::mem::take(seen);
            let more = self.look(chunk, &seen);
            self.seen = Seen::Here(seen);
            return more;
        }
        self.look(chunk, &[])
    }

    /// The same, where all that came so far is at hand.
    fn look(&mut self, chunk: &[u8], all: &[u8]) -> bool {
        let item = self.peek.as_mut().is_some_and(|peek| peek.feed(chunk));
        if let Some(quest) = self.quest.as_ref().filter(|_| self.user.is_none())
            && all.len() >= self.next
        {
            self.user = quest.early(all);
            self.next = all.len() * 2;
        }
        item || (self.quest.is_some() && self.user.is_none())
    }

    /// What was found, when nothing more will be read.
    fn end(self, complete: bool) -> Named {
        let seen: &[u8] = match &self.seen {
            Seen::Here(seen) => seen,
            Seen::Elsewhere(seen) => seen,
        };
        let quest = self.quest;
        let user = self
            .user
            .or_else(|| quest.and_then(|quest| quest.last(seen, complete)));
        Named {
            item: self.peek.and_then(|peek| peek.item()),
            user,
        }
    }
}
