//! How long may the client take, and is its connection kept?

use super::Ctx;
use crate::upstream::Live;
use pingora_proxy::Session;

pub(super) fn run(live: &Live, session: &mut Session, ctx: &Ctx) {
    let timeouts = &ctx.snapshot.config.timeouts;
    session.set_read_timeout(Some(timeouts.client_read));
    if session.is_http2() {
        // With HTTP/1 the door sees to it, which costs a piece of an answer less.
        session.set_write_timeout(Some(timeouts.client_write));
    }
    // Pingora keeps HTTP/1.1 connections without limit once they carried a request; while the
    // gateway closes it has already decided not to keep them, which must not be undone.
    let closing = !live.lifecycle.keeps_connections() || session.is_process_shutting_down();
    let idle = timeouts.client_idle.as_secs().max(1);
    let wanted = session.get_keepalive().is_some();
    session.set_keepalive((wanted && !closing).then_some(idle));
}
