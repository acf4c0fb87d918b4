//! What does the node see besides the client's own request?

use super::Ctx;
use crate::upstream::Live;
use http::header;
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

/// Tells patched daemons (seed 000) not to forward again.
pub(super) const FORWARDED: &str = "X-Plugin-Forwarded";

pub(super) fn run(
    live: &Live,
    session: &mut Session,
    request: &mut RequestHeader,
    _ctx: &Ctx,
) -> Result<()> {
    // Exactly one, whatever the client sent.
    request.insert_header(FORWARDED, "true")?;
    // RFC 9110, section 7.6.3: each intermediary appends itself, so that loops can be seen.
    let version = match session.req_header().version {
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2.0",
        _ => "1.1",
    };
    request.append_header(header::VIA, format!("{version} {}", live.identity.name))?;
    Ok(())
}
