//! Which body can be sent a second time, and which tool or model does it name?
//!
//! Pingora forwards a body that was read early only out of its 64 KiB replay buffer, and keeps for
//! a second attempt only what fits there. So: a body that fits is read into that buffer until its
//! names are found. A larger one, up to `retry.body_limit`, is read whole and kept by us; the
//! buffer is switched on for the tail only, and stands for the whole when Pingora replays it. Of
//! one larger still a single piece is read, which cannot exceed the buffer.

use crate::dify::Peek;
use crate::model::Rejection;
use crate::model::rejection::Reason;
use bytes::{Bytes, BytesMut};
use http::header;
use pingora::Result;
use pingora_proxy::Session;

/// The size of Pingora's replay buffer (`BODY_BUF_LIMIT`); no single read is larger.
const REPLAY_BUFFER: u64 = 64 * 1024;

/// What was found out about a body.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Provider and tool, model or agent strategy.
    pub(super) item: Option<String>,
    /// The whole body, where Pingora does not keep it.
    pub(super) body: Option<Bytes>,
    /// The body is larger than anybody keeps.
    pub(super) once: bool,
}

/// Reads as much of the body as it takes. The inner error is an answer of ours.
pub(super) async fn run(session: &mut Session, limit: u64) -> Result<Result<Kept, Rejection>> {
    let headers = &session.req_header().headers;
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // A client that waits for "100 Continue" would wait for us while we wait for its body.
    let (Some(length @ 1..), false) = (length, headers.contains_key(header::EXPECT)) else {
        return Ok(Ok(Kept::default()));
    };
    let kept = if length > REPLAY_BUFFER && length <= limit {
        whole(session, length).await?
    } else {
        Kept {
            item: head(session, length).await?,
            body: None,
            once: length > REPLAY_BUFFER,
        }
    };
    // Only headers of many kilobytes with body bytes behind them lead here: the piece behind them
    // is larger than any other, and could not be forwarded any more.
    let lost = session.retry_buffer_truncated()
        || (kept.body.is_some() && session.get_retry_buffer().is_none());
    if lost {
        let public = "the request's header and body arrived in a way that cannot be forwarded";
        return Ok(Err(Rejection::new(Reason::BodyTooLarge, public)));
    }
    Ok(Ok(kept))
}

async fn head(session: &mut Session, length: u64) -> Result<Option<String>> {
    let mut peek = Peek::new();
    session.enable_retry_buffering();
    while let Some(chunk) = session.read_request_body().await? {
        let wants_more = peek.feed(&chunk);
        let one_piece_only = length > REPLAY_BUFFER && !chunk.is_empty();
        if !wants_more || one_piece_only {
            break;
        }
    }
    Ok(peek.item())
}

async fn whole(session: &mut Session, length: u64) -> Result<Kept> {
    let mut peek = Peek::new();
    let mut wants_more = true;
    // Not as much as announced at once: a client may announce and never send.
    let mut body = BytesMut::new();
    loop {
        if length - (body.len() as u64).min(length) <= REPLAY_BUFFER {
            session.enable_retry_buffering();
        }
        let Some(chunk) = session.read_request_body().await? else {
            break;
        };
        wants_more = wants_more && peek.feed(&chunk);
        body.extend_from_slice(&chunk);
    }
    Ok(Kept {
        item: peek.item(),
        body: Some(body.freeze()),
        once: false,
    })
}
