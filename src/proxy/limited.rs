//! Does it come too often? Asked before its body is read, and once more when its user is known.

use super::ctx::Ctx;
use super::forwarded::client_of;
use crate::admit::{Limit, Stay, Traits};
use crate::config::RateBy;
use crate::model::{Rejection, clock};
use crate::upstream::{Live, Place, over_limit};
use pingora_proxy::Session;
use smallvec::SmallVec;
use std::sync::Arc;

/// The claims of one request on its keys.
pub(super) type Stays = SmallVec<[Stay; 2]>;

/// Counts a request by all limits that hold for it: those by users when its user is given, all
/// others when not.
pub(super) fn count(
    live: &Live,
    session: &Session,
    ctx: &mut Ctx,
    (place, tenant, user): (&Place, Option<&str>, Option<&str>),
) -> Result<(), Rejection> {
    let address = client_of(session, ctx);
    let now = clock::now();
    let snapshot = &ctx.snapshot;
    let of = Traits {
        address,
        tenant,
        application: place.application.as_deref(),
        user,
        headers: &session.req_header().headers,
        pool: place.pool.name(),
    };
    let due = |limit: &&Arc<Limit>| (limit.entry().by == RateBy::User) == user.is_some();
    for limit in snapshot.limits.iter().filter(due) {
        let Some(key) = limit.key(&of) else {
            continue;
        };
        match limit.take(key, now) {
            Ok(stay) => ctx.stays.extend(stay),
            Err(refused) => {
                live.parts.metrics.door.limited(limit.entry().by.word());
                return Err(over_limit(limit.entry(), refused));
            }
        }
    }
    Ok(())
}

/// Counts it by its user, where users are counted and it has one.
pub(super) fn count_user(
    live: &Live,
    session: &Session,
    ctx: &mut Ctx,
    place: &Place,
    user: Option<&str>,
) -> Result<(), Rejection> {
    if user.is_none() || !ctx.snapshot.counts_users(&place.pool) {
        return Ok(());
    }
    count(live, session, ctx, (place, None, user))
}
