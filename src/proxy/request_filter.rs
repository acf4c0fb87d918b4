//! May it pass, where does it go, and what is it?

use super::answer;
use super::ctx::{Ctx, Routed, Standing};
use super::forwarded::client_of;
use super::keep::{self, Kept};
use super::{limited, tracing};
use crate::config::PoolKind;
use crate::dify::{Asked, Kind, names_plugins};
use crate::model::{Owner, Rejection, clock};
use crate::observe::Ending;
use crate::route::{Found, Treatment, stable_hash};
use crate::upstream::{Incoming, Live, Named, Place, Plan, PluginFields};
use http::{HeaderName, Method, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;
use std::net::IpAddr;

// Made once: a name given as text is parsed at every look-up.
pub(super) static UNIQUE_IDENTIFIER: HeaderName =
    HeaderName::from_static("x-plugin-unique-identifier");

/// Returns true when the answer was already written.
pub(super) async fn run(live: &Live, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
    let request = session.req_header();
    tracing::begin(live, request, ctx);
    // The header cannot be held on to while the body is read; what it shares with these can.
    let (uri, names) = (request.uri.clone(), PluginFields::of(&request.headers));
    let asked = names.asked(request.method.as_str(), uri.path());
    let incoming = incoming(request, (asked, &names), None);
    let told_apart = ctx.snapshot.treatments.is_on();
    // Answers of our own are rare and large as futures; boxed, they do not make this one large,
    // which is allocated for every request.
    if told_apart && asked.kind == Kind::Health {
        let status = Box::pin(answer::health(live, session, ctx)).await?;
        ctx.ending = Some(Ending::Answered(status));
        return Ok(true);
    }
    let treatment = ctx.snapshot.treatments.of(&asked);
    let keeps = told_apart && asked.kind == Kind::Dispatch && request.method == Method::POST;
    if let Err(rejection) = incoming.check(&live.identity.name, &ctx.snapshot, &treatment) {
        Box::pin(answer::reject(live, session, ctx, rejection)).await?;
        return Ok(true);
    }
    let place = incoming.place(&ctx.snapshot);
    // Nothing is counted where nothing is limited; strangers are counted too.
    let of = (&place, asked.tenant, None);
    if !ctx.snapshot.limits.is_empty()
        && let Err(rejection) = limited::count(live, session, ctx, of)
    {
        Box::pin(answer::reject(live, session, ctx, rejection)).await?;
        return Ok(true);
    }
    if let Some(rejection) = place.refusal() {
        Box::pin(answer::reject(live, session, ctx, rejection)).await?;
        return Ok(true);
    }
    let keeps = keeps && place.pool.kind == PoolKind::PluginDaemon;
    let found = incoming.user(&ctx.snapshot, &place.pool, || has_body(request));
    let asked = (asked, &names);
    let routed = match read_body(session, ctx, found, keeps).await? {
        Ok(kept) => limited::count_user(live, session, ctx, &place, kept.named.user.as_deref())
            .and_then(|()| routed(live, session, ctx, asked, place, (treatment, kept))),
        Err(rejection) => Err(rejection),
    };
    match routed {
        Ok(routed) => ctx.routed = Some(routed),
        Err(rejection) => {
            Box::pin(answer::reject(live, session, ctx, rejection)).await?;
            return Ok(true);
        }
    }
    tracing::received(session.req_header(), ctx);
    Ok(false)
}

/// Reads what must be known of a body before a node is chosen. `keeps`: it is a plugin's call, and
/// is kept for a second attempt.
async fn read_body(
    session: &mut Session,
    ctx: &Ctx,
    found: Found,
    keeps: bool,
) -> Result<Result<Kept, Rejection>> {
    let (known, quest) = match found {
        Found::Settled(user) if !keeps => {
            let named = Named { item: None, user };
            return Ok(Ok(Kept {
                named,
                ..Kept::default()
            }));
        }
        Found::Settled(user) => (user, None),
        Found::InBody(quest) => (None, Some(quest)),
    };
    let look = quest.as_ref().map_or(0, |_| ctx.snapshot.users.look);
    let limit = if keeps {
        ctx.snapshot.config.retry.body_limit
    } else {
        0
    };
    let wants = keep::Wants {
        item: keeps,
        user: quest,
        keep: limit.max(look),
    };
    let kept = keep::run(session, wants).await?;
    Ok(kept.map(|mut kept| {
        kept.named.user = kept.named.user.or(known);
        kept
    }))
}

fn has_body(request: &RequestHeader) -> bool {
    let told = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    told.iter().any(|name| request.headers.contains_key(name))
}

fn incoming<'r>(
    request: &'r RequestHeader,
    (asked, names): (Asked<'r>, &'r PluginFields),
    client: Option<IpAddr>,
) -> Incoming<'r> {
    Incoming {
        asked,
        names,
        method: request.method.as_str(),
        path: request.uri.path(),
        query: request.uri.query(),
        authority: request.uri.host(),
        headers: &request.headers,
        client,
    }
}

fn routed(
    live: &Live,
    session: &Session,
    ctx: &Ctx,
    asked: (Asked<'_>, &PluginFields),
    place: Place,
    (treatment, kept): (Treatment, Kept),
) -> Result<Routed, Rejection> {
    let request = session.req_header();
    // Only a ring asks for it.
    let hashing = place.pool.hashing.as_ref();
    let client = hashing.and_then(|_| client_of(session, ctx));
    let plan = Plan::new(
        &ctx.snapshot,
        &live.installs,
        &incoming(request, asked, client),
        &treatment,
        (place, &kept.named),
    );
    if let Some(rejection) = plan.lacks_key() {
        return Err(rejection);
    }
    let (method, path) = (request.method.as_str(), request.uri.path());
    let installs = plan.kind == Kind::Management && names_plugins(method, path);
    let only = ctx.names.only().cloned().map(Owner::Node);
    let classifier = live.classifier(&ctx.snapshot);
    let verdict =
        plan.verdict(|operation, prior| classifier.classify(operation, prior, clock::now()));
    live.parts.metrics.classified(&verdict);
    Ok(Routed {
        plugin: live.plugins.find(plan.runtime),
        pool: plan.pool,
        fallback: plan.fallback,
        application: plan.application,
        credential: plan.credential,
        continued: kept.continued,
        kind: plan.kind,
        single_result: plan.single_result,
        owner: only.or(plan.owner),
        operation: plan.operation,
        verdict,
        standing: Standing {
            quota: plan.quota,
            held: plan.held,
            io_bound: plan.io_bound,
            tenant: plan
                .asked
                .tenant
                .map_or(0, |tenant| stable_hash(tenant.as_bytes())),
        },
        read: plan.asked.read,
        affinity: plan.affinity,
        key: plan.key,
        treatment,
        once: kept.once,
        kept: kept.body,
        names: installs.then(Vec::new),
        body_sent: 0,
    })
}
