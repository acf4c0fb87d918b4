//! Which node gets this attempt? Chosen and leased without a pause between.

use super::ctx::{Attempt, Ctx};
use super::noted;
use crate::model::rejection::Reason;
use crate::model::{Dice, Rejection, Request, clock};
use crate::nodes::{Lease, NoCandidate};
use crate::upstream::{Ask, Live};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};

pub(super) async fn run(live: &Live, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
    loop {
        let refused = match attempt(live, ctx) {
            Ok(peer) => return Ok(peer),
            Err(refused) => refused,
        };
        let wait = ctx.snapshot.config.retry.wait;
        let pause = ctx.patience.pause(wait, clock::now(), &mut Dice::new());
        let Some(pause) = pause else {
            return Err(nobody(&refused, ctx.misses));
        };
        tokio::time::sleep(pause).await;
        // None of them ran it, and each may be well again.
        (ctx.failures, ctx.misses) = (0, 0);
        ctx.tried.clear();
    }
}

/// Chooses a node and leases it, or says why nobody may serve.
fn attempt(live: &Live, ctx: &mut Ctx) -> Result<Box<HttpPeer>, NoCandidate> {
    let Some(routed) = &ctx.routed else {
        return Err(NoCandidate::default());
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
    let chosen = routed.pool.choose(&ask);
    let now = clock::now();
    noted::choice(live, ctx, chosen.as_ref(), now);
    let mut pick = chosen?;
    let Some(routed) = &mut ctx.routed else {
        return Err(NoCandidate::default());
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
        lease: Lease::take(&pick.node, &routed.plugin, routed.verdict.class, now)
            .expecting(routed.verdict.basis.expected()),
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
