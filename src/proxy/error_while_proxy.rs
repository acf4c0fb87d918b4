//! Something broke after the node was reached: whose fault was it, and may it run again?

use super::ctx::{Attempt, Ctx};
use crate::model::Outcome;
use crate::upstream::Live;
use pingora::{Error, ErrorSource};
use pingora_proxy::Session;

pub(super) fn run(
    live: &Live,
    session: &Session,
    mut error: Box<Error>,
    ctx: &mut Ctx,
    reused: bool,
) -> Box<Error> {
    let single_result = ctx
        .routed
        .as_ref()
        .is_some_and(|routed| routed.single_result);
    let node_broke = *error.esource() == ErrorSource::Upstream;
    if let (true, Some(attempt)) = (node_broke, &ctx.attempt) {
        log::warn!(
            "node broke off node={} error={error}",
            attempt.lease.node().id()
        );
    }
    ctx.settle(live, |attempt| outcome(attempt, node_broke, single_result));
    // Only what reads may run twice, and only before anything was answered: a hook runs a plugin,
    // whatever its method promises. Pingora holds the body for a second attempt while it is small.
    let session = session.as_ref();
    let reads = ctx.routed.as_ref().is_some_and(|routed| routed.read);
    let may_repeat = reads
        && session.response_written().is_none()
        && !session.retry_buffer_truncated()
        && ctx.tried.len() < usize::from(ctx.snapshot.config.retry.attempts);
    if may_repeat {
        error.retry.decide_reuse(reused);
    } else {
        error.set_retry(false);
    }
    error
}

fn outcome(attempt: &Attempt, node_broke: bool, single_result: bool) -> Outcome {
    if node_broke {
        Outcome::Failed
    } else if single_result && attempt.body_began {
        // Dify takes the one event it wants and hangs up.
        attempt.answered()
    } else {
        Outcome::Abandoned
    }
}
