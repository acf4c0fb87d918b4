//! A piece of the node's answer: is it the last? Then the node is free, although the client may
//! still be reading.

use super::Ctx;
use super::ctx::Attempt;
use crate::dify::envelope::first_event_failed;
use crate::upstream::Live;
use bytes::Bytes;

pub(super) fn run(live: &Live, body: Option<&Bytes>, end_of_stream: bool, ctx: &mut Ctx) {
    let Some(attempt) = &mut ctx.attempt else {
        return;
    };
    if let Some(piece) = body.filter(|piece| !piece.is_empty()) {
        if !attempt.body_began {
            attempt.refused_in_band = first_event_failed(piece);
        }
        attempt.body_began = true;
    }
    if end_of_stream {
        ctx.settle(live, Attempt::answered);
    }
}
