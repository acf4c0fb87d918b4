//! What does the client see besides the node's own answer? Nothing, unless asked for.

use super::{Ctx, carried, hop, plain, tracing};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora_proxy::Session;

// Made once: a name given as text is parsed and copied at every use.
static ATTEMPTS: HeaderName = HeaderName::from_static("x-twolane-attempts");
static BASIS: HeaderName = HeaderName::from_static("x-twolane-basis");
static CLASS: HeaderName = HeaderName::from_static("x-twolane-class");
static ID: HeaderName = HeaderName::from_static("x-twolane-request-id");
static NODE: HeaderName = HeaderName::from_static("x-twolane-node");
static WAITED: HeaderName = HeaderName::from_static("x-twolane-waited-ms");
static WHY: HeaderName = HeaderName::from_static("x-twolane-why");

pub(super) fn run(
    session: &mut Session,
    response: &mut ResponseHeader,
    ctx: &mut Ctx,
) -> Result<()> {
    hop::without_chunks(session, response);
    // "100 Continue" is not the answer yet, and simple clients expect an empty line behind it.
    let interim = response.status.is_informational()
        && response.status != http::StatusCode::SWITCHING_PROTOCOLS;
    if interim {
        return Ok(());
    }
    carried::decide(session, ctx);
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
    let attempts = ctx.tried.len() + usize::from(ctx.attempt.is_some());
    headers.insert(&ATTEMPTS, HeaderValue::from(attempts));
    let mut say = |name: &'static HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if let Some(id) = ctx.id {
        say(&ID, id.text().as_str());
    }
    if !ctx.waited.is_zero() {
        say(&WAITED, &ctx.waited.as_millis().to_string());
    }
    if let Some(routed) = &ctx.routed {
        say(&CLASS, routed.verdict.class.word());
        say(&BASIS, routed.verdict.basis.word());
    }
    if let Some(attempt) = &ctx.attempt {
        say(&NODE, attempt.lease.node().id().as_str());
        say(&WHY, attempt.why.word());
    }
}
