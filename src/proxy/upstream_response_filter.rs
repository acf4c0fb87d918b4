//! The node answered: with what?

use super::Ctx;
use crate::model::clock;
use pingora::http::ResponseHeader;

pub(super) fn run(response: &ResponseHeader, ctx: &mut Ctx) {
    if response.status.is_informational()
        && response.status != http::StatusCode::SWITCHING_PROTOCOLS
    {
        return;
    }
    if let (Some(attempt), Some(routed)) = (&mut ctx.attempt, &ctx.routed) {
        attempt.status = Some(response.status.as_u16());
        let after = clock::now().saturating_duration_since(ctx.arrived);
        routed.pool.metrics.first_byte(routed.verdict.class, after);
    }
}
