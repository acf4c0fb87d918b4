//! What does the node see besides the client's own request?

use super::{Ctx, forwarded, tracing};
use crate::upstream::Live;
use http::HeaderValue;
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
