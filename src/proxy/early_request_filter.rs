//! How long may the client take, and is its connection kept?

use super::Ctx;
use crate::upstream::Live;
use pingora_proxy::Session;

pub(super) fn run(live: &Live, session: &mut Session, ctx: &Ctx) {
    let timeouts = &ctx.snapshot.config.timeouts;
    // With HTTP/1 the door sees to both, which costs each piece of a request and an answer less.
    if session.is_http2() {
        session.set_write_timeout(Some(timeouts.client_write));
    }
    // Behind an upgrade the door does not look at what passes.
    if session.is_http2() || session.is_upgrade_req() {
        session.set_read_timeout(Some(timeouts.client_read));
    }
    // Pingora keeps HTTP/1.1 connections without limit once they carried a request; while the
    // gateway closes it has already decided not to keep them, which must not be undone.
    let closing = !live.lifecycle.keeps_connections() || session.is_process_shutting_down();
    let idle = timeouts.client_idle.as_secs().max(1);
    let wanted = session.get_keepalive().is_some();
    session.set_keepalive((wanted && !closing).then_some(idle));
}
