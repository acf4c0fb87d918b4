//! Is there a place for it, and what if there is none?

use super::ctx::{Ctx, Routed};
use super::upstream_peer::NoSeat;
use crate::model::rejection::Reason;
use crate::model::{Rejection, Request};
use crate::nodes::NoCandidate;
use crate::upstream::{Received, Seat, WaitingRoom, Wish};
use http::header;
use pingora::{Error, ErrorType};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::Duration;

/// What a body may have to be read while its sender waits: it fits into Pingora's replay buffer.
const REPLAY_BUFFER: u64 = 64 * 1024;
/// What `Retry-After` may say, in seconds: at least one, and no prediction holds for longer.
const PROMISE: (u64, u64) = (1, 60);

/// A node and the claim on it, at once or after a wait. A client that leaves meanwhile has left the
/// queue.
pub(super) async fn seat(
    room: &Arc<WaitingRoom>,
    session: &mut Session,
    ctx: &mut Ctx,
    request: Request,
) -> Result<Box<Seat>, NoSeat> {
    let Some(routed) = &ctx.routed else {
        return Err(NoSeat::Nobody(NoCandidate::default()));
    };
    let seat = match room.receive(&routed.pool, wish(ctx, routed, request)) {
        Received::Seated(seat) => seat,
        Received::Nobody(refused) => return Err(NoSeat::Nobody(refused)),
        Received::Refused(wait) => return Err(NoSeat::Over(crowded(wait))),
        Received::Waits(mut waiter) => {
            let watched = !routed.once;
            tokio::select! {
                biased;
                seat = waiter.seated() => seat.map_err(NoSeat::Nobody)?,
                gone = client_left(session, watched) => return Err(NoSeat::Over(gone)),
            }
        }
    };
    ctx.waited += seat.waited;
    Ok(seat)
}

fn wish(ctx: &Ctx, routed: &Routed, request: Request) -> Wish {
    Wish {
        request,
        tried: ctx.tried.clone(),
        luck: fastrand::u64(..),
        affinity: routed.affinity,
        owner: routed.owner.clone(),
        once: routed.once,
        plugin: Arc::clone(&routed.plugin),
        held: routed.standing.held,
        io_bound: routed.standing.io_bound,
        tenant: routed.standing.tenant,
        predicted: routed.verdict.basis.expected(),
        waited: ctx.waited,
        quota: routed.standing.quota.clone(),
    }
}

/// Returns when the client has left. Pingora looks for that only while a node works for it.
///
/// A connection on which the rest of a body is to come says nothing until it was read, and it may
/// be read only as far as it can be kept: the others' absence is noticed when their turn comes.
async fn client_left(session: &mut Session, watched: bool) -> Box<Error> {
    let headers = &session.req_header().headers;
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let fits = length.is_some_and(|length| length <= REPLAY_BUFFER);
    let may_read = watched && fits && !headers.contains_key(header::EXPECT);
    while !session.is_body_done() {
        if !may_read {
            return std::future::pending().await;
        }
        session.enable_retry_buffering();
        if let Err(error) = session.read_request_body().await {
            return error.into_down();
        }
    }
    loop {
        if let Err(error) = session.as_mut().read_body_or_idle(true).await {
            return error.into_down();
        }
    }
}

fn crowded(wait: Duration) -> Box<Error> {
    let (least, most) = PROMISE;
    let seconds = wait.as_secs_f64().ceil().clamp(least as f64, most as f64);
    let public = format!("all nodes are busy and too many requests wait; try again in {seconds} s");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between the bounds"
    )]
    let rejection = Rejection::new(Reason::QueueFull, public).retry_after(seconds as u16);
    let status = ErrorType::HTTPStatus(Reason::QueueFull.row().status);
    Error::because(status, "the waiting room is full", rejection)
}
