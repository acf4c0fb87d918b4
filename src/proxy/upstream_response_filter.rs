//! The node answered: with what?

use super::{Ctx, hold, hop, sighted};
use crate::model::clock;
use crate::upstream::Live;
use http::StatusCode;
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora_proxy::Session;

pub(super) fn run(
    live: &Live,
    session: &mut Session,
    response: &mut ResponseHeader,
    ctx: &mut Ctx,
) -> Result<()> {
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    hop::check_framing(session, response)?;
    hop::strip(response)?;
    if let (Some(attempt), Some(routed)) = (&mut ctx.attempt, &ctx.routed) {
        attempt.status = Some(response.status.as_u16());
        let now = clock::now();
        if response.status.is_success() {
            sighted::note(live, session.req_header(), routed, now);
            sighted::note_install(
                live,
                session.req_header(),
                routed,
                attempt.lease.node(),
                now,
            );
        }
        let after = now.saturating_duration_since(ctx.arrived);
        ctx.last.first_byte = Some(after);
        routed.pool.metrics.first_byte(routed.verdict.class, after);
    }
    hold::begin(session, response, ctx)
}
