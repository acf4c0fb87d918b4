//! Which node gets this attempt? Chosen and leased without a pause between.

use super::ctx::{Attempt, Ctx};
use super::noted;
use crate::model::rejection::Reason;
use crate::model::{Rejection, Request, clock};
use crate::nodes::{Lease, NoCandidate};
use crate::upstream::{Ask, Live};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};

pub(super) fn run(live: &Live, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
    let Some(routed) = &ctx.routed else {
        return Error::e_explain(ErrorType::InternalError, "not routed");
    };
    let number = u8::try_from(ctx.tried.len() + 1).unwrap_or(u8::MAX);
    let ask = Ask {
        request: Request::new(routed.verdict.class, routed.plugin.place()).attempt(number),
        tried: &ctx.tried,
        luck: fastrand::u64(..),
        owner: routed.owner.as_ref(),
        affinity: routed.affinity,
        once: routed.once,
    };
    if number == 1 {
        routed.pool.budget.deposit();
    }
    let misses = ctx.misses;
    let chosen = routed.pool.choose(&ask);
    let now = clock::now();
    noted::choice(live, ctx, chosen.as_ref(), now);
    let mut pick = chosen.map_err(|refused| nobody(&refused, misses))?;
    let Some(routed) = &mut ctx.routed else {
        return Error::e_explain(ErrorType::InternalError, "not routed");
    };
    routed.body_sent = 0;
    pick.peer.options.read_timeout = Some(routed.treatment.read);
    log::debug!(
        "node chosen node={} why={} attempt={number} class={} basis={} operation={}",
        pick.node.id(),
        pick.why.word(),
        routed.verdict.class,
        routed.verdict.basis.word(),
        routed
            .operation
            .as_ref()
            .map_or("-", |operation| operation.as_str()),
    );
    ctx.attempt = Some(Attempt {
        lease: Lease::take(&pick.node, &routed.plugin, routed.verdict.class, now),
        running: routed
            .operation
            .as_ref()
            .map(|operation| live.classifier(&ctx.snapshot).begin(operation, now)),
        why: pick.why,
        status: None,
        failed_in_band: None,
        body_began: false,
        held: None,
    });
    Ok(pick.peer)
}

/// The answer when nobody may serve. Dify recognises the daemon's phrase and calls the request
/// retryable.
pub(super) fn no_node(detail: &str) -> Rejection {
    Rejection::new(
        Reason::NoNode,
        format!("no available node, twolane: {detail}"),
    )
}

fn nobody(refused: &NoCandidate, misses: u8) -> Box<Error> {
    let status = ErrorType::HTTPStatus(Reason::NoNode.row().status);
    let detail = match misses {
        0 => refused.to_string(),
        _ => format!("{refused}, {misses} of them without the plugin"),
    };
    Error::because(status, "no node may serve", no_node(&detail))
}
