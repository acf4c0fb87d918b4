//! A node could not be reached: nothing was sent.

use super::{Ctx, again};
use crate::admit::End;
use crate::model::clock;
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
        let node = attempt.lease.node();
        if let Some(untold) = node.may_tell(clock::now()) {
            log::warn!(
                "node not reached node={} error={error} untold={untold}",
                node.id()
            );
        }
    }
    error.set_retry(again::run(live, session, ctx, End::Unreached));
    error
}
