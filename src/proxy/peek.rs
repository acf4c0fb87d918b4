//! Which tool or model does the body name, before a node is chosen?
//!
//! Pingora forwards a body that was read early only out of its 64 KiB replay buffer, so the
//! buffer is switched on first and never overrun: a body that fits is read until its names are
//! found; of a larger one a single piece is read, which cannot exceed the buffer.

use crate::dify::Peek;
use crate::model::Rejection;
use crate::model::rejection::Reason;
use http::header;
use pingora::Result;
use pingora_proxy::Session;

/// The size of Pingora's replay buffer (`BODY_BUF_LIMIT`).
const REPLAY_BUFFER: u64 = 64 * 1024;

/// The item named in the body's head, if any. The inner error is an answer of ours.
pub(super) async fn run(session: &mut Session) -> Result<Result<Option<String>, Rejection>> {
    let headers = &session.req_header().headers;
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // A client that waits for "100 Continue" would wait for us while we wait for its body.
    let (Some(length @ 1..), false) = (length, headers.contains_key(header::EXPECT)) else {
        return Ok(Ok(None));
    };
    let mut peek = Peek::new();
    session.enable_retry_buffering();
    while let Some(chunk) = session.read_request_body().await? {
        let wants_more = peek.feed(&chunk);
        let one_piece_only = length > REPLAY_BUFFER && !chunk.is_empty();
        if !wants_more || one_piece_only {
            break;
        }
    }
    if session.retry_buffer_truncated() {
        // Only headers of many kilobytes with body bytes behind them lead here; the piece that
        // was read could not be forwarded any more.
        let public = "the request's header and body arrived in a way that cannot be forwarded";
        return Ok(Err(Rejection::new(Reason::BodyTooLarge, public)));
    }
    Ok(Ok(peek.item()))
}
