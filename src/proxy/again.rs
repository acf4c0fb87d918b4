//! An attempt came to nothing: who bears it, and does the request go to another node?

use super::{Ctx, sighted};
use crate::admit::{Again, Blame, End, Facts, may_go_again};
use crate::dify::{Kind, Refusal};
use crate::model::{Outcome, clock};
use crate::nodes::{CooldownRules, Lease};
use crate::upstream::Live;
use pingora_proxy::Session;
use std::time::Duration;

/// Ends the attempt and draws the consequences. True: ask for another node. What the node answered
/// stays in `ctx.held`, in case that nobody does better.
pub(super) fn run(live: &Live, session: &Session, ctx: &mut Ctx, end: End) -> bool {
    let pause = ctx.held.as_ref().and_then(super::hold::Held::retry_after);
    if let Some(attempt) = &ctx.attempt {
        draw_consequences(ctx, &attempt.lease, end, pause);
    }
    match Blame::of(end) {
        Blame::Runtime => {
            ctx.misses = ctx.misses.saturating_add(1);
            if let Some(routed) = &ctx.routed {
                sighted::note(live, session.req_header(), routed, clock::now());
            }
        }
        _ => ctx.failures = ctx.failures.saturating_add(1),
    }
    ctx.settle(live, |_| outcome(end));
    let (session, retry) = (session.as_ref(), &ctx.snapshot.config.retry);
    let age = clock::now().saturating_duration_since(ctx.arrived);
    let facts = Facts {
        read: ctx.routed.as_ref().is_some_and(|routed| routed.read),
        versioned: ctx
            .routed
            .as_ref()
            .is_some_and(|routed| matches!(routed.kind, Kind::Dispatch | Kind::Polling)),
        answered: session.response_written().is_some(),
        // Pingora would wait for ever for a body that nobody holds any more.
        body_kept: !session.retry_buffer_truncated(),
        failures: ctx.failures,
        late: age >= retry.deadline,
        attempts: retry.attempts,
        misses: ctx.misses,
    };
    let again = match may_go_again(end, &facts) {
        Again::No => false,
        Again::Free => true,
        Again::Charged => {
            let pool = ctx.routed.as_ref().map(|routed| &routed.pool);
            pool.is_some_and(|pool| pool.budget.withdraw(clock::now()))
        }
    };
    if again {
        live.parts.metrics.retried(end.word());
    }
    again
}

/// Ends an attempt whose answer was on its way to the client: nothing goes again.
pub(super) fn broken(live: &Live, ctx: &mut Ctx, end: End) {
    if let Some(attempt) = &ctx.attempt {
        draw_consequences(ctx, &attempt.lease, end, None);
    }
    ctx.failures = ctx.failures.saturating_add(1);
    ctx.settle(live, |_| outcome(end));
}

/// An answer that was too large, or of no told length, to be held back is on its way to the client:
/// its status alone says that the node failed. A node must not look idle because of it.
pub(super) fn note_unread(ctx: &Ctx) {
    let hook = matches!(&ctx.routed, Some(routed) if routed.kind == Kind::Hook);
    if let Some(attempt) = &ctx.attempt
        && attempt.held.is_none()
        && attempt.status.is_some_and(|status| status >= 500)
        && !hook
    {
        draw_consequences(ctx, &attempt.lease, End::Refused(Refusal::Other), None);
    }
}

fn outcome(end: End) -> Outcome {
    match end {
        End::Unreached => Outcome::Unreached,
        End::Refused(_) => Outcome::Refused,
        End::Broke | End::Silent => Outcome::Failed,
    }
}

fn draw_consequences(ctx: &Ctx, lease: &Lease, end: End, pause: Option<Duration>) {
    let now = clock::now();
    let node = lease.node();
    let settings = &ctx.snapshot.config.cooldown;
    let rules = CooldownRules {
        max_fails: settings.max_fails,
        fail_timeout: settings.fail_timeout,
        base: settings.base,
        longest: settings.longest,
    };
    let rest = match (Blame::of(end), pause) {
        (Blame::Nobody, _) => None,
        (Blame::Runtime, _) => {
            node.note_absent(lease.plugin(), now, settings.absent);
            None
        }
        (Blame::Busy, Some(pause)) => {
            let pause = pause.min(settings.longest);
            node.rest(now, pause);
            Some(pause)
        }
        (Blame::Node | Blame::Busy, _) => node.strike(now, &rules),
    };
    if let Some(rest) = rest {
        log::warn!("node rests node={} for={rest:?} after={end:?}", node.id());
    }
}
