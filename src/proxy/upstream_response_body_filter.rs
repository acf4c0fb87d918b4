//! A piece of the node's answer: is it the last? Then the node is free, although the client may
//! still be reading.

use super::ctx::Attempt;
use super::{Ctx, again, hold};
use crate::config::Cooldown;
use crate::dify::envelope::{InBand, first_failure};
use crate::model::clock;
use crate::upstream::Live;
use bytes::Bytes;
use pingora::Result;

pub(super) fn run(
    live: &Live,
    body: &mut Option<Bytes>,
    end_of_stream: bool,
    ctx: &mut Ctx,
) -> Result<()> {
    let Some(attempt) = ctx.attempt.as_mut().filter(|attempt| !attempt.carried) else {
        return Ok(());
    };
    if let Some(held) = &mut attempt.held {
        held.body
            .extend_from_slice(&body.take().unwrap_or_default());
        return if end_of_stream || held.is_too_large() {
            Err(hold::end())
        } else {
            Ok(())
        };
    }
    if let Some(piece) = body.as_ref().filter(|piece| !piece.is_empty())
        && !attempt.body_began
    {
        note_first(piece, ctx);
    }
    if end_of_stream {
        again::note_unread(ctx);
        ctx.settle(live, Attempt::answered);
    }
    Ok(())
}

/// How the body begins.
pub(super) fn note_first(piece: &[u8], ctx: &mut Ctx) {
    if let Some(attempt) = &mut ctx.attempt {
        attempt.body_began = true;
        attempt.failed_in_band = first_failure(piece);
        note_runtime(attempt, &ctx.snapshot.config.cooldown);
    }
}

/// A plugin that says what went wrong runs here; a runtime that the daemon speaks for may not.
fn note_runtime(attempt: &Attempt, rules: &Cooldown) {
    let (node, plugin) = (attempt.lease.node(), attempt.lease.plugin());
    match attempt.failed_in_band {
        None => {}
        Some(InBand::Plugin) => node.note_present(plugin),
        Some(InBand::Runtime) => {
            node.note_broken(plugin, clock::now(), (rules.max_fails, rules.absent));
        }
    }
}
