//! A node could not be reached: nothing was sent, so any request may go to another node.

use super::Ctx;
use crate::model::Outcome;
use crate::upstream::Live;
use pingora::Error;
use pingora_proxy::Session;

pub(super) fn run(
    live: &Live,
    session: &Session,
    ctx: &mut Ctx,
    mut error: Box<Error>,
) -> Box<Error> {
    if let Some(attempt) = &ctx.attempt {
        log::warn!(
            "node not reached node={} error={error}",
            attempt.lease.node().id()
        );
    }
    ctx.settle(live, |_| Outcome::Unreached);
    let attempts = usize::from(ctx.snapshot.config.retry.attempts);
    // Pingora would wait for ever for a body it no longer holds.
    let replayable = !session.as_ref().retry_buffer_truncated();
    error.set_retry(ctx.tried.len() < attempts && replayable);
    error
}
