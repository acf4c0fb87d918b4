//! What does the node see of the client's own request, and who tells it the rest?

use super::{Ctx, beside, plain};
use crate::upstream::Live;
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

pub(super) fn run(
    live: &Live,
    session: &mut Session,
    request: &mut RequestHeader,
    ctx: &mut Ctx,
) -> Result<()> {
    let mut told = false;
    // There is a connection: somebody is there.
    if let Some(attempt) = &mut ctx.attempt {
        attempt.lease.note_reached();
        if let Some(turn) = &attempt.turn {
            turn.begin();
        }
        told = attempt.told;
    }
    let drops = beside::drops(session, ctx);
    while let Some(name) = request.headers.keys().find(|name| drops(name)).cloned() {
        request.remove_header(&name);
    }
    if told {
        return Ok(());
    }
    let lines = beside::lines(live, session, ctx);
    plain::request(request, |headers| lines.put_into(headers))
}
