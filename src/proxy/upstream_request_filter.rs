//! What does the node see besides the client's own request?

use super::{Ctx, forwarded, tracing};
use crate::upstream::Live;
use http::{HeaderValue, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

/// Tells patched daemons (seed 000) not to forward again.
pub(super) const FORWARDED: &str = "X-Plugin-Forwarded";

pub(super) fn run(
    live: &Live,
    session: &mut Session,
    request: &mut RequestHeader,
    ctx: &mut Ctx,
) -> Result<()> {
    forwarded::write(session, request, ctx)?;
    // There is a connection: somebody is there.
    if let Some(attempt) = &mut ctx.attempt {
        attempt.lease.note_reached();
        if let Some(turn) = &attempt.turn {
            turn.begin();
        }
    }
    credential(request, ctx)?;
    tracing::tell_node(request, ctx)?;
    if !ctx.snapshot.config.loops.marks {
        return Ok(());
    }
    // Exactly one, whatever the client sent.
    request.insert_header(FORWARDED, HeaderValue::from_static("true"))?;
    // RFC 9110, section 7.6.3: each intermediary appends itself, so that loops can be seen. The
    // name is text, because Pingora keeps that without a copy.
    let version = session.req_header().version;
    request.append_header("via", live.identity.via(version))?;
    Ok(())
}

/// What an application's client sent to tell who it is, is for us; the node is sent its own key, the
/// one of this attempt's node. Where none is configured the client's goes on as it came.
fn credential(request: &mut RequestHeader, ctx: &Ctx) -> Result<()> {
    let Some(routed) = &ctx.routed else {
        return Ok(());
    };
    if routed.continued {
        request.remove_header(&header::EXPECT);
    }
    if let (Some(came), Some(attempt)) = (&routed.credential, &ctx.attempt)
        && let Some((name, key)) = routed.pool.upstream_key(attempt.lease.node().id())
    {
        request.remove_header(came);
        request.insert_header(name, key)?;
    }
    Ok(())
}
