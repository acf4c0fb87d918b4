//! It cannot be served: what do we say, if anybody still listens?

use super::door::fault_of;
use super::hold::Held;
use super::upstream_peer::no_node;
use super::{Ctx, answer};
use crate::dify::{Kind, Refusal};
use crate::model::Rejection;
use crate::model::rejection::Reason;
use crate::observe::Ending;
use crate::upstream::Live;
use pingora::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};

pub(super) async fn run(
    live: &Live,
    session: &mut Session,
    error: &Error,
    ctx: &mut Ctx,
) -> FailToProxy {
    let gone = FailToProxy {
        error_code: 0,
        can_reuse_downstream: false,
    };
    let mut wordless = None;
    if let (Some(held), None) = (ctx.held.take(), session.response_written()) {
        let kind = ctx
            .routed
            .as_ref()
            .map_or(Kind::Other, |routed| routed.kind);
        let elsewhere = matches!(
            held.refusal(kind),
            Refusal::NotHere | Refusal::RuntimeVanished
        );
        if !elsewhere && held.can_be_passed(kind) {
            return pass(session, ctx, held).await;
        }
        if !elsewhere {
            wordless = Some(held.header.status);
        }
    }
    let rejection = match wordless {
        Some(status) => Some(Rejection::new(
            Reason::NodeBroke,
            format!("a node, or what stands before it, answered {status} in words not a daemon's"),
        )),
        None => rejection(error, ctx),
    };
    let Some(rejection) = rejection else {
        ctx.ending = Some(Ending::ClientGone);
        return gone;
    };
    if session.response_written().is_some() {
        // Nothing is injected into an answer that has begun: its broken end is the error, which
        // Dify turns into one clean exception.
        ctx.ending = Some(Ending::Broken);
        ctx.rejection = Some(rejection);
        return gone;
    }
    let status = rejection.reason.row().status;
    match answer::reject(live, session, ctx, rejection).await {
        Ok(()) => FailToProxy {
            error_code: status,
            can_reuse_downstream: false,
        },
        Err(_client_left_meanwhile) => gone,
    }
}

/// Nobody did better: the client gets what the node said.
async fn pass(session: &mut Session, ctx: &mut Ctx, held: Held) -> FailToProxy {
    let sent = answer::pass(session, ctx, held).await;
    ctx.ending = Some(
        sent.as_ref()
            .map_or(Ending::ClientGone, |&status| Ending::Answered(status)),
    );
    FailToProxy {
        error_code: sent.unwrap_or(0),
        can_reuse_downstream: false,
    }
}

/// The one table from errors to answers; `None` when the client is gone.
pub(super) fn rejection(error: &Error, ctx: &Ctx) -> Option<Rejection> {
    if let Some(ours) = error
        .cause
        .as_ref()
        .and_then(|cause| cause.downcast_ref::<Rejection>())
    {
        return Some(ours.clone());
    }
    if let Some(fault) = fault_of(error) {
        return Some(fault.rejection());
    }
    let rejection = match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, kind) if is_gone(kind) => return None,
        (ErrorSource::Downstream, _) => {
            Rejection::new(Reason::BadRequest, "the request could not be read")
        }
        (ErrorSource::Upstream, kind) if is_unreached(kind) => no_node(&format!(
            "{} nodes tried, none could be reached",
            ctx.tried.len()
        )),
        (ErrorSource::Upstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
            Rejection::new(Reason::NodeTimeout, "the node did not answer in time")
        }
        (ErrorSource::Upstream, _) => {
            Rejection::new(Reason::NodeBroke, "the node broke off before it answered")
        }
        _ => Rejection::new(Reason::Internal, "the gateway failed"),
    };
    Some(rejection.because(error.to_string()))
}

fn is_gone(kind: &ErrorType) -> bool {
    use ErrorType::{ConnectionClosed, ReadError, ReadTimedout, WriteError, WriteTimedout};
    matches!(
        kind,
        ConnectionClosed | ReadError | ReadTimedout | WriteError | WriteTimedout
    )
}

fn is_unreached(kind: &ErrorType) -> bool {
    use ErrorType::{
        ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout, HandshakeError, InvalidCert,
        SocketError, TLSHandshakeFailure, TLSHandshakeTimedout,
    };
    matches!(
        kind,
        ConnectError
            | ConnectNoRoute
            | ConnectRefused
            | ConnectTimedout
            | HandshakeError
            | InvalidCert
            | SocketError
            | TLSHandshakeFailure
            | TLSHandshakeTimedout
    )
}
