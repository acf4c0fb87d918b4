//! What does the node see besides the client's own request?

use super::texts::Texts;
use super::{Ctx, forwarded, plain, tracing};
use crate::upstream::Live;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

/// Tells patched daemons (seed 000) not to forward again.
static FORWARDED: HeaderName = HeaderName::from_static("x-plugin-forwarded");
/// As many fields may come from us.
const OURS: usize = 8;

pub(super) fn run(
    live: &Live,
    session: &mut Session,
    request: &mut RequestHeader,
    ctx: &mut Ctx,
) -> Result<()> {
    // There is a connection: somebody is there.
    if let Some(attempt) = &mut ctx.attempt {
        attempt.lease.note_reached();
        if let Some(turn) = &attempt.turn {
            turn.begin();
        }
    }
    let peer = forwarded::peer(session);
    let texts = Texts::of(peer, ctx);
    ctx.names.text.clone_from(&texts.id);
    plain::request(request, |headers| {
        headers.reserve(OURS);
        forwarded::write(session, headers, ctx, peer.zip(texts.peer));
        credential(headers, ctx);
        tracing::tell_node(headers, ctx, (texts.id, texts.begun));
        if ctx.snapshot.config.loops.marks {
            mark(live, session, headers);
        }
    })
}

fn mark(live: &Live, session: &Session, headers: &mut HeaderMap) {
    // Exactly one, whatever the client sent.
    headers.insert(&FORWARDED, HeaderValue::from_static("true"));
    // RFC 9110, section 7.6.3: each intermediary appends itself, so that loops can be seen.
    let version = session.req_header().version;
    headers.append(header::VIA, live.identity.via(version));
}

/// What an application's client sent to tell who it is, is for us; the node is sent its own key, the
/// one of this attempt's node. Where none is configured the client's goes on as it came.
fn credential(headers: &mut HeaderMap, ctx: &Ctx) {
    let Some(routed) = &ctx.routed else { return };
    if routed.continued {
        headers.remove(&header::EXPECT);
    }
    if let (Some(came), Some(attempt)) = (&routed.credential, &ctx.attempt)
        && let Some((name, key)) = routed.pool.upstream_key(attempt.lease.node().id())
    {
        headers.remove(came);
        headers.insert(name, key);
    }
}
