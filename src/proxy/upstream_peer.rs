//! Which node gets this attempt? Chosen and leased without a pause between.

use super::ctx::{Attempt, Ctx};
use super::{beside, hop, noted, tracing, wait};
use crate::dify::Kind;
use crate::model::rejection::Reason;
use crate::model::{Dice, NodeId, Rejection, Request, clock};
use crate::nodes::{Lease, NoCandidate};
use crate::select::Why;
use crate::upstream::{Ask, Asked, Handover, Live, Pick, Turn};
use http::Method;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::time::Instant;

/// Why no node was found.
pub(super) enum NoSeat {
    /// Nobody may serve now.
    Nobody(NoCandidate),
    /// It need not be asked again: the client has left, or too many wait.
    Over(Box<Error>),
}

pub(super) async fn run(
    live: &Live,
    session: &mut Session,
    ctx: &mut Ctx,
) -> Result<Box<HttpPeer>> {
    if let (true, Some(routed)) = (ctx.tried.is_empty(), &ctx.routed) {
        routed.pool.budget.deposit();
    }
    loop {
        let refused = match attempt(live, session, ctx).await {
            Ok(peer) => return Ok(peer),
            Err(NoSeat::Over(error)) => return Err(error),
            Err(NoSeat::Nobody(refused)) => refused,
        };
        if let Some(routed) = &mut ctx.routed
            && let Some(other) = routed.fallback.take()
        {
            log::debug!("pool {} takes over: {refused}", other.name());
            routed.pool = other;
            (ctx.failures, ctx.misses) = (0, 0);
            continue;
        }
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

/// Chooses a node and leases it, at once or after a wait for a place.
async fn attempt(
    live: &Live,
    session: &mut Session,
    ctx: &mut Ctx,
) -> Result<Box<HttpPeer>, NoSeat> {
    let Some(routed) = &mut ctx.routed else {
        return Err(NoSeat::Nobody(NoCandidate::default()));
    };
    let number = u8::try_from(ctx.tried.len() + 1).unwrap_or(u8::MAX);
    let request = Request::new(routed.verdict.class, routed.plugin.place())
        .attempt(number)
        .keyed(routed.key);
    routed.body_sent = 0;
    let now = clock::now();
    let (read_timeout, websocket) = (routed.treatment.read, routed.treatment.websocket);
    tracing::candidates(ctx, &request, now);
    let Some(routed) = &ctx.routed else {
        return Err(NoSeat::Nobody(NoCandidate::default()));
    };
    let limited = routed.pool.capped || routed.standing.quota.is_some();
    let room = routed.pool.waiting.as_ref().filter(|_| limited);
    let (seated, now) = match room.cloned() {
        None => (at_once(ctx, request, now).map_err(NoSeat::Nobody), now),
        // Boxed: what a wait needs must not be allocated for every request.
        Some(room) => {
            let seat = Box::pin(wait::seat(&room, session, ctx, request)).await;
            (seat.map(|seat| (seat.pick, seat.lease)), clock::now())
        }
    };
    let seated = seated.and_then(|(pick, lease)| match ctx.names.only() {
        Some(only) if pick.node.id() != only => Err(NoSeat::Over(elsewhere(only))),
        _ => Ok((pick, lease)),
    });
    noted::choice(live, ctx, seated.as_ref().map(|(pick, _)| pick), now);
    let (mut pick, lease) = seated?;
    pick.peer.options.read_timeout = Some(read_timeout);
    let policy = hop::policy(&session.req_header().headers, websocket);
    pick.peer.options.http_upstream_request_policy = policy;
    begin(live, ctx, lease, (pick.why, now));
    let upgrades = websocket && session.is_upgrade_req();
    let body_is_there = !session.is_body_empty() && session.is_body_done();
    let handover = streams(session, ctx).then(Handover::new);
    let told = !upgrades
        && pick.lend(|| Asked {
            body_is_there,
            tells: beside::lines(live, session, ctx).into_bytes(),
            handover: handover.clone(),
        });
    if let Some(attempt) = &mut ctx.attempt {
        attempt.told = told;
        attempt.handover = handover.filter(|_| told);
        attempt.turn = upgrades.then(|| Turn::taken(&mut pick.peer));
    }
    Ok(pick.peer)
}

/// Whether its answer may be one that streams, as far as the request tells.
fn streams(session: &mut Session, ctx: &Ctx) -> bool {
    let managed = ctx
        .routed
        .as_ref()
        .is_some_and(|it| it.kind == Kind::Management);
    !managed
        && !session.is_http2()
        && session.req_header().method != Method::HEAD
        && !session.is_body_empty()
}

/// Where nothing is limited, nothing waits.
fn at_once(ctx: &Ctx, request: Request, now: Instant) -> Result<(Pick, Lease), NoCandidate> {
    let routed = ctx.routed.as_ref().ok_or_else(NoCandidate::default)?;
    let ask = Ask {
        request,
        tried: &ctx.tried,
        luck: fastrand::u64(..),
        owner: routed.owner.as_ref(),
        affinity: routed.affinity,
        once: routed.once,
        limits: None,
        overdue: false,
        now,
    };
    let pick = routed.pool.choose(&ask)?;
    let lease = Lease::take(&pick.node, &routed.plugin, request.class, now);
    Ok((pick, lease))
}

fn begin(live: &Live, ctx: &mut Ctx, lease: Lease, (why, now): (Why, Instant)) {
    let Some(routed) = &ctx.routed else { return };
    let operation = routed.operation.as_ref();
    tracing::chosen(ctx, lease.node(), why.word());
    let met = lease.node().runtime_in_flight(lease.plugin());
    ctx.attempt = Some(Attempt {
        neighbours: met.saturating_sub(1),
        lease: lease.expecting(routed.verdict.basis.expected()).reaching(),
        running: operation.map(|operation| live.classifier(&ctx.snapshot).begin(operation, now)),
        why,
        status: None,
        failed_in_band: None,
        body_began: false,
        held: None,
        turn: None,
        told: false,
        handover: None,
        carried: false,
    });
}

/// The answer when nobody may serve. Dify recognises the daemon's phrase and calls the request
/// retryable.
pub(super) fn no_node(detail: &str) -> Rejection {
    Rejection::new(
        Reason::NoNode,
        format!("no available node, twolane: {detail}"),
    )
}

/// The answer to whoever tries one node.
fn elsewhere(only: &NodeId) -> Box<Error> {
    let status = ErrorType::HTTPStatus(Reason::NoNode.row().status);
    let detail = format!("{only} was asked for, and may not serve this now");
    Error::because(status, "it may go to one node only", no_node(&detail))
}

fn nobody(refused: &NoCandidate, misses: u8) -> Box<Error> {
    let status = ErrorType::HTTPStatus(Reason::NoNode.row().status);
    let detail = match misses {
        0 => refused.to_string(),
        _ => format!("{refused}, {misses} of them without the plugin"),
    };
    Error::because(status, "no node may serve", no_node(&detail))
}
