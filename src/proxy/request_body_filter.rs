//! What of the request's body goes to the node? All of it, up to the limit.

use super::Ctx;
use crate::admit::too_large;
use crate::dify::LONGEST;
use bytes::Bytes;
use pingora::{Error, ErrorType, Result};

pub(super) fn run(body: &mut Option<Bytes>, end_of_stream: bool, ctx: &mut Ctx) -> Result<()> {
    if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
        // Pingora issue 935: an empty last piece would write a second end-of-chunks mark.
        *body = None;
    }
    let attempt = ctx.attempt.as_ref().filter(|_| end_of_stream);
    if let Some(turn) = attempt.and_then(|attempt| attempt.turn.as_ref()) {
        turn.ended();
    }
    let Some(routed) = &mut ctx.routed else {
        return Ok(());
    };
    if routed.body_sent == 0 && body.is_some() {
        // What Pingora replays is only the tail of a body that we keep; it stands for the whole.
        if let Some(kept) = &routed.kept {
            *body = Some(kept.clone());
        }
    }
    if let (Some(names), Some(piece)) = (&mut routed.names, &body) {
        if routed.body_sent == 0 {
            names.clear();
        }
        let room = LONGEST.saturating_sub(names.len()).min(piece.len());
        names.extend_from_slice(&piece[..room]);
    }
    routed.body_sent += body.as_ref().map_or(0, |piece| piece.len() as u64);
    if routed.body_sent > routed.treatment.body {
        // Without Content-Length the node has seen the first part; its connection is dropped.
        let rejection = too_large(routed.treatment.body);
        let status = ErrorType::HTTPStatus(rejection.reason.row().status);
        return Err(Error::because(status, "body over the limit", rejection));
    }
    Ok(())
}
