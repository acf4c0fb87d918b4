//! What does the client see besides the node's own answer? Nothing, unless asked for.

use super::{Ctx, hop, plain, tracing};
use http::{HeaderMap, HeaderValue};
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
    if !ctx.names.is_told() && !ctx.snapshot.config.debug_headers && !ctx.names.is_watched() {
        return Ok(());
    }
    plain::response(response, |headers| {
        tracing::tell_beside(headers, ctx);
        if ctx.snapshot.config.debug_headers || ctx.names.is_watched() {
            explain(headers, ctx);
        }
    })
}

/// What became of the request, for whoever wants to know.
fn explain(headers: &mut HeaderMap, ctx: &Ctx) {
    let mut say = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    let attempts = ctx.tried.len() + usize::from(ctx.attempt.is_some());
    say("x-twolane-attempts", &attempts.to_string());
    if let Some(id) = ctx.id {
        say("x-twolane-request-id", id.text().as_str());
    }
    if !ctx.waited.is_zero() {
        say("x-twolane-waited-ms", &ctx.waited.as_millis().to_string());
    }
    if let Some(routed) = &ctx.routed {
        say("x-twolane-class", routed.verdict.class.word());
        say("x-twolane-basis", routed.verdict.basis.word());
    }
    if let Some(attempt) = &ctx.attempt {
        say("x-twolane-node", attempt.lease.node().id().as_str());
        say("x-twolane-why", attempt.why.word());
    }
}
