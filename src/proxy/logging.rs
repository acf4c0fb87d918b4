//! It is over: how did it end?

use super::carried::Carried;
use super::ctx::{Attempt, Ctx};
use super::written::Line;
use super::{again, tracing, written};
use crate::dify::{self, Kind};
use crate::model::{Outcome, clock};
use crate::observe::Ending;
use crate::upstream::Live;
use pingora::Error;
use pingora_proxy::Session;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) fn run(live: &Arc<Live>, session: &Session, error: Option<&Error>, ctx: &mut Box<Ctx>) {
    if error.is_none() && Carried::begin(live, session, ctx) {
        return;
    }
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
    note_install(live, session, ctx, ending);
    over(ctx, ending, |ctx| Cow::Owned(Line::of(session, ctx)));
}

/// Counts it, and writes it down.
pub(super) fn over<'a>(
    ctx: &'a Ctx,
    ending: Ending,
    line: impl FnOnce(&'a Ctx) -> Cow<'a, Line<'a>>,
) {
    let now = clock::now();
    let took = now.saturating_duration_since(ctx.arrived);
    if let Some(routed) = &ctx.routed {
        let metrics = &routed.pool.metrics;
        metrics.ended(routed.verdict.class, ending, (took, now));
    }
    if ctx.snapshot.access.is_some() || ctx.rejection.is_some() {
        let line = line(ctx);
        if let Some(access) = &ctx.snapshot.access {
            written::down(access, &line, ctx, (ending, took));
        }
        if let Some(rejection) = &ctx.rejection {
            log::warn!(
                "not served reason={rejection} tried={} path={}",
                ctx.tried.len(),
                line.path
            );
        }
    }
    tracing::ended(ctx, ending, took);
}

fn note_install(live: &Live, session: &Session, ctx: &Ctx, ending: Ending) {
    let header = session.req_header();
    let managed = matches!(&ctx.routed, Some(routed) if routed.kind == Kind::Management);
    if managed && header.method == http::Method::POST && dify::installs(header.uri.path()) {
        live.parts.metrics.install_asked(ending);
    }
}
