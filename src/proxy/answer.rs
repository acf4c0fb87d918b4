//! How do we answer in our own name?

use super::door::ALLOWED;
use super::hold::Held;
use super::{Ctx, tracing};
use crate::dify::{Dialect, envelope, health};
use crate::model::Rejection;
use crate::model::rejection::Reason;
use crate::observe::Ending;
use crate::upstream::Live;
use http::header;
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora_proxy::Session;

/// Writes a rejection: one line of the daemon's envelope, because Dify ignores the status and
/// parses lines; an empty answer would read as success.
pub(super) async fn reject(
    live: &Live,
    session: &mut Session,
    ctx: &mut Ctx,
    rejection: Rejection,
) -> Result<()> {
    let row = rejection.reason.row();
    let mut header = ResponseHeader::build(row.status, Some(5))?;
    header.insert_header("X-Twolane-Error", row.word)?;
    if let Some(seconds) = rejection.retry_after.or(row.retry_after) {
        header.insert_header(header::RETRY_AFTER, seconds)?;
    }
    if rejection.reason == Reason::MethodNotAllowed {
        header.insert_header(header::ALLOW, ALLOWED)?;
    }
    tracing::tell_client(&mut header, ctx)?;
    live.parts.metrics.rejected(rejection.reason);
    if row.status == 401 {
        // RFC 9110, section 11.6.1.
        header.insert_header(header::WWW_AUTHENTICATE, "Bearer realm=\"twolane\"")?;
    }
    let body = Dialect::of(session.req_header().uri.path()).write(&rejection);
    ctx.ending = Some(Ending::Rejected);
    ctx.rejection = Some(rejection);
    // What is left of the request's body is not worth reading.
    session.set_keepalive(None);
    write(session, header, body).await
}

/// Writes a node's error answer as it came.
pub(super) async fn pass(session: &mut Session, ctx: &Ctx, mut held: Held) -> Result<u16> {
    tracing::tell_client(&mut held.header, ctx)?;
    let status = held.header.status.as_u16();
    session.set_ignore_info_resp(false);
    // Pingora closes the connection after any error; the client must be told.
    session.set_keepalive(None);
    let mut header = held.header;
    // It is whole by now, however it came.
    header.remove_header(&header::TRANSFER_ENCODING);
    header.insert_header(header::CONTENT_LENGTH, held.body.len())?;
    session
        .write_response_header(Box::new(header), false)
        .await?;
    session
        .write_response_body(Some(held.body.into()), true)
        .await?;
    Ok(status)
}

/// Writes the answer to `GET /health/check`, in the daemon's shape, so that probes written for a
/// daemon keep working. Returns its status.
pub(super) async fn health(live: &Live, session: &mut Session, ctx: &Ctx) -> Result<u16> {
    let nodes = live.snapshot().nodes();
    let healthy = nodes.iter().filter(|node| node.is_healthy()).count();
    let dispatching = nodes.iter().map(|node| node.total_in_flight()).sum();
    let status = if healthy > 0 && !live.lifecycle.is_draining() {
        200
    } else {
        503
    };
    let body = health::answer(&health::Answer {
        active_dispatch_requests: dispatching,
        active_requests: u32::try_from(live.lifecycle.open()).unwrap_or(u32::MAX),
        build_time: None,
        nodes_healthy: healthy,
        nodes_total: nodes.len(),
        status: if status == 200 { "ok" } else { "unavailable" },
        version: env!("CARGO_PKG_VERSION"),
    });
    let mut header = ResponseHeader::build(status, Some(3))?;
    tracing::tell_client(&mut header, ctx)?;
    write(session, header, body).await?;
    Ok(status)
}

async fn write(session: &mut Session, mut header: ResponseHeader, body: String) -> Result<()> {
    header.insert_header(header::CONTENT_TYPE, envelope::CONTENT_TYPE)?;
    header.insert_header(header::CONTENT_LENGTH, body.len())?;
    // RFC 9110, section 9.3.2: the answer to HEAD has no body.
    let head_only = session.req_header().method == http::Method::HEAD;
    session
        .write_response_header(Box::new(header), head_only)
        .await?;
    if !head_only {
        session.write_response_body(Some(body.into()), true).await?;
    }
    Ok(())
}
