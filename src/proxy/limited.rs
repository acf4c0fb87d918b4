//! Does it come too often? Asked before its body is read.

use super::ctx::Ctx;
use super::forwarded::client_of;
use crate::admit::{Stay, Traits};
use crate::model::{Rejection, clock};
use crate::upstream::{Incoming, Live, over_limit};
use pingora_proxy::Session;
use smallvec::SmallVec;

/// The claims of one request on its keys.
pub(super) type Stays = SmallVec<[Stay; 2]>;

/// Counts a request by all limits that hold for it.
pub(super) fn count(
    live: &Live,
    session: &Session,
    ctx: &mut Ctx,
    incoming: &Incoming<'_>,
    (tenant, pool): (Option<&str>, &str),
) -> Result<(), Rejection> {
    let address = client_of(session, ctx);
    let now = clock::now();
    let snapshot = &ctx.snapshot;
    let of = Traits {
        address,
        tenant,
        headers: incoming.headers,
        pool,
    };
    for limit in snapshot.limits.iter() {
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
