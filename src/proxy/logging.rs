//! It is over: how did it end?

use super::ctx::{Attempt, Ctx};
use super::{again, written};
use crate::model::{Outcome, clock};
use crate::observe::Ending;
use crate::upstream::Live;
use pingora::Error;
use pingora_proxy::Session;

pub(super) fn run(live: &Live, session: &Session, error: Option<&Error>, ctx: &mut Ctx) {
    // An answer without a body has no last piece; everything else was settled before.
    if error.is_none() {
        again::note_unread(ctx);
    }
    ctx.settle(live, |attempt| {
        if error.is_none() {
            Attempt::answered(attempt)
        } else {
            Outcome::Abandoned
        }
    });
    let ending = *ctx.ending.get_or_insert_with(|| {
        let status = session
            .response_written()
            .map(|header| header.status.as_u16());
        status.map_or(Ending::ClientGone, Ending::Answered)
    });
    let took = clock::now().saturating_duration_since(ctx.arrived);
    if let Some(routed) = &ctx.routed {
        routed
            .pool
            .metrics
            .ended(routed.verdict.class, ending, took);
    }
    if let Some(access) = &ctx.snapshot.access {
        written::down(access, session, ctx, ending, took);
    }
    if let Some(rejection) = &ctx.rejection {
        log::warn!(
            "not served reason={rejection} tried={} path={}",
            ctx.tried.len(),
            session.req_header().uri.path()
        );
    } else {
        log::debug!(
            "request ended ending={} took={took:?} waited={:?} kind={:?}",
            ending.word(),
            ctx.waited,
            ctx.routed.as_ref().map(|routed| routed.kind),
        );
    }
}
