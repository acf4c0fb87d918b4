//! What is kept of a choice, for whoever asks about this request later?

use super::Ctx;
use super::upstream_peer::NoSeat;
use crate::observe::{Brief, Decision};
use crate::upstream::{Live, Pick};
use std::time::Instant;

/// Notes what was chosen, or that nothing could be.
pub(super) fn choice(live: &Live, ctx: &Ctx, chosen: Result<&Pick, &NoSeat>, now: Instant) {
    let (Some(routed), Some(request)) = (&ctx.routed, ctx.id) else {
        return;
    };
    live.decisions.note(|| Decision {
        request,
        at: now,
        attempt: u8::try_from(ctx.tried.len() + 1).unwrap_or(u8::MAX),
        pool: routed.pool.shared_name(),
        operation: Brief::new(
            routed
                .operation
                .as_ref()
                .map_or_else(|| routed.kind.word(), |operation| operation.as_str()),
        ),
        verdict: routed.verdict,
        node: chosen.ok().map(|pick| pick.node.id().clone()),
        why: match chosen {
            Ok(pick) => pick.why.word(),
            Err(NoSeat::Nobody(_)) => "no_node",
            Err(NoSeat::Over(_)) => "no_place",
        },
        shadow: chosen.ok().and_then(|pick| pick.shadow.clone()),
    });
}
