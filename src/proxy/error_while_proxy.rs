//! Something ended the attempt after the node was reached: whose doing was it, and may the request
//! go again?

use super::again;
use super::ctx::{Attempt, Ctx};
use crate::admit::End;
use crate::dify::{Kind, Refusal};
use crate::model::Outcome;
use crate::upstream::{Live, is_late};
use pingora::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;

pub(super) fn run(
    live: &Live,
    session: &Session,
    mut error: Box<Error>,
    ctx: &mut Ctx,
) -> Box<Error> {
    let by_node = *error.esource() == ErrorSource::Upstream;
    name_late(&mut error);
    let retry = match (by_node, &mut ctx.attempt) {
        (true, Some(attempt)) => {
            let held = attempt.held.take();
            let kind = ctx
                .routed
                .as_ref()
                .map_or(Kind::Other, |routed| routed.kind);
            let end = end(held.as_ref().map(|held| held.refusal(kind)), &error);
            if held.is_some() {
                ctx.held = held;
            }
            let node = attempt.lease.node().id();
            log::info!("attempt ended node={node} end={end:?} error={error}");
            again::run(live, session, ctx, end)
        }
        _ => {
            leave(live, ctx);
            false
        }
    };
    error.set_retry(retry);
    error
}

/// The same of an answer that was carried on: nothing goes again.
pub(super) fn broken(live: &Live, mut error: Box<Error>, ctx: &mut Ctx) -> Box<Error> {
    name_late(&mut error);
    match &ctx.attempt {
        Some(attempt) if *error.esource() == ErrorSource::Upstream => {
            let (node, end) = (attempt.lease.node().id(), end(None, &error));
            log::info!("attempt ended node={node} end={end:?} error={error}");
            again::broken(live, ctx, end);
        }
        _ => leave(live, ctx),
    }
    error
}

/// What took too long is called so.
fn name_late(error: &mut Error) {
    if is_late(error) {
        error.etype = if *error.etype() == ErrorType::ReadError {
            ErrorType::ReadTimedout
        } else {
            ErrorType::WriteTimedout
        };
    }
}

fn end(refusal: Option<Refusal>, error: &Error) -> End {
    match (refusal, error.etype()) {
        (Some(refusal), _) => End::Refused(refusal),
        (None, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => End::Silent,
        (None, _) => End::Broke,
    }
}

/// The client left, or what it sent was at fault.
fn leave(live: &Live, ctx: &mut Ctx) {
    let routed = ctx.routed.as_ref();
    let first_is_all = routed.is_some_and(|routed| routed.single_result);
    ctx.settle(live, |attempt| left(attempt, first_is_all));
}

fn left(attempt: &Attempt, first_is_all: bool) -> Outcome {
    if first_is_all && attempt.body_began {
        // Dify takes the one event it wants and hangs up.
        attempt.answered()
    } else {
        Outcome::Abandoned
    }
}
