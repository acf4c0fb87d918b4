//! A piece of the node's answer: is it the last? Then the node is free, although the client may
//! still be reading.

use super::ctx::Attempt;
use super::{Ctx, again, hold};
use crate::dify::envelope::first_event_failed;
use crate::upstream::Live;
use bytes::Bytes;
use pingora::Result;

pub(super) fn run(
    live: &Live,
    body: &mut Option<Bytes>,
    end_of_stream: bool,
    ctx: &mut Ctx,
) -> Result<()> {
    let Some(attempt) = &mut ctx.attempt else {
        return Ok(());
    };
    if let Some(held) = &mut attempt.held {
        held.body
            .extend_from_slice(&body.take().unwrap_or_default());
        return if end_of_stream {
            Err(hold::end())
        } else {
            Ok(())
        };
    }
    if let Some(piece) = body.as_ref().filter(|piece| !piece.is_empty()) {
        if !attempt.body_began {
            attempt.refused_in_band = first_event_failed(piece);
        }
        attempt.body_began = true;
    }
    if end_of_stream {
        again::note_unread(ctx);
        ctx.settle(live, Attempt::answered);
    }
    Ok(())
}
