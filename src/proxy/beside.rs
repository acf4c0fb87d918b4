//! What is a node told beside the client's own fields, and which of those are not for it?

use super::lines::Lines;
use super::{Ctx, forwarded, hop, tracing};
use crate::upstream::Live;
use http::{HeaderName, HeaderValue, header};
use pingora_proxy::Session;

/// What the attempt's node is told.
pub(super) fn lines(live: &Live, session: &Session, ctx: &Ctx) -> Lines {
    let mut lines = Lines::default();
    forwarded::tell(session, ctx, &mut lines);
    if let Some((_, (name, key))) = keyed(ctx) {
        lines.field(&name, &key);
    }
    tracing::tell_node(ctx, &mut lines);
    if ctx.snapshot.config.loops.marks {
        // Tells patched daemons (seed 000) not to forward again. Exactly one, whatever the client sent.
        lines.add(b"X-Plugin-Forwarded: true\r\n");
        // RFC 9110, section 7.6.3: each intermediary appends itself, so that loops can be seen.
        let version = session.req_header().version;
        lines.tell("Via: ", live.identity.via(version).as_bytes());
    }
    lines
}

/// Which of the client's fields do not reach the node: those that are told anew, and those that are not
/// for it.
pub(super) fn drops<'a>(session: &Session, ctx: &'a Ctx) -> impl Fn(&HeaderName) -> bool + 'a {
    let trusted = forwarded::is_believed(session, ctx);
    let continued = ctx.routed.as_ref().is_some_and(|routed| routed.continued);
    let marks = ctx.snapshot.config.loops.marks;
    let keyed = keyed(ctx).map(|(came, (name, _))| (came, name));
    let upgrades = ctx.attempt.as_ref().is_some_and(|it| it.turn.is_some());
    move |name| {
        forwarded::drops(name, trusted)
            || hop::is_ours(name, upgrades)
            || tracing::drops(name, ctx)
            || (marks && name.as_str() == "x-plugin-forwarded")
            || (continued && name == header::EXPECT)
            || keyed
                .as_ref()
                .is_some_and(|(came, own)| name == *came || name == own)
    }
}

/// What an application's client sent to tell who it is, is for us; the node is sent its own key, the
/// one of this attempt's node. Where none is configured the client's goes on as it came.
fn keyed(ctx: &Ctx) -> Option<(&HeaderName, (HeaderName, HeaderValue))> {
    let (routed, attempt) = (ctx.routed.as_ref()?, ctx.attempt.as_ref()?);
    let came = routed.credential.as_ref()?;
    let own = routed.pool.upstream_key(attempt.lease.node().id())?;
    Some((came, own))
}
