//! What does the client see besides the node's own answer? Nothing, unless asked for.

use super::{Ctx, hop, tracing};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora_proxy::Session;

pub(super) fn run(session: &mut Session, response: &mut ResponseHeader, ctx: &Ctx) -> Result<()> {
    hop::without_chunks(session, response);
    // "100 Continue" is not the answer yet, and simple clients expect an empty line behind it.
    let interim = response.status.is_informational()
        && response.status != http::StatusCode::SWITCHING_PROTOCOLS;
    if interim {
        return Ok(());
    }
    tracing::tell_client(response, ctx)?;
    if !ctx.snapshot.config.debug_headers && !ctx.names.is_watched() {
        return Ok(());
    }
    let attempts = ctx.tried.len() + usize::from(ctx.attempt.is_some());
    response.insert_header("X-Twolane-Attempts", attempts.to_string())?;
    if let Some(id) = ctx.id {
        response.insert_header("X-Twolane-Request-Id", id.to_string())?;
    }
    if !ctx.waited.is_zero() {
        let waited = ctx.waited.as_millis();
        response.insert_header("X-Twolane-Waited-Ms", waited.to_string())?;
    }
    if let Some(routed) = &ctx.routed {
        let verdict = &routed.verdict;
        response.insert_header("X-Twolane-Class", verdict.class.word())?;
        response.insert_header("X-Twolane-Basis", verdict.basis.word())?;
    }
    if let Some(attempt) = &ctx.attempt {
        response.insert_header("X-Twolane-Node", attempt.lease.node().id().as_str())?;
        response.insert_header("X-Twolane-Why", attempt.why.word())?;
    }
    Ok(())
}
