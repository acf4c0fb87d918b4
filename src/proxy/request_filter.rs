//! May it pass, where does it go, and what is it?

use super::answer;
use super::ctx::{Ctx, Routed, Standing};
use super::keep::{self, Kept};
use super::{limited, tracing};
use crate::dify::{Kind, Names, describe, names_plugins};
use crate::model::clock;
use crate::observe::Ending;
use crate::route::{Treatment, stable_hash};
use crate::upstream::{Incoming, Live, Plan};
use http::{HeaderName, Method};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

// Made once: a name given as text is parsed at every look-up.
pub(super) static UNIQUE_IDENTIFIER: HeaderName =
    HeaderName::from_static("x-plugin-unique-identifier");

/// Returns true when the answer was already written.
pub(super) async fn run(live: &Live, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
    let request = session.req_header();
    tracing::begin(live, request, ctx);
    let (path, post) = (request.uri.path(), request.method == Method::POST);
    // The kind is in the path alone; who asks for which plugin is looked up after the body was
    // read, because what borrows from the header cannot be kept meanwhile.
    let asked = describe(request.method.as_str(), path, Names::default());
    let told_apart = ctx.snapshot.treatments.is_on();
    // Answers of our own are rare and large as futures; boxed, they do not make this one large,
    // which is allocated for every request.
    if told_apart && asked.kind == Kind::Health {
        let status = Box::pin(answer::health(live, session, ctx)).await?;
        ctx.ending = Some(Ending::Answered(status));
        return Ok(true);
    }
    let treatment = ctx.snapshot.treatments.of(&asked);
    let keeps = told_apart && post && asked.kind == Kind::Dispatch;
    let incoming = incoming(request);
    if let Err(rejection) = incoming.check(&live.identity.name, &ctx.snapshot, &treatment) {
        Box::pin(answer::reject(live, session, ctx, rejection)).await?;
        return Ok(true);
    }
    // Nothing is counted where nothing is limited.
    if !ctx.snapshot.limits.is_empty()
        && let Err(rejection) = limited::count(live, session, ctx, &incoming, asked.tenant)
    {
        Box::pin(answer::reject(live, session, ctx, rejection)).await?;
        return Ok(true);
    }
    let kept = if keeps {
        match keep::run(session, ctx.snapshot.config.retry.body_limit).await? {
            Ok(kept) => kept,
            Err(rejection) => {
                Box::pin(answer::reject(live, session, ctx, rejection)).await?;
                return Ok(true);
            }
        }
    } else {
        Kept::default()
    };
    ctx.routed = Some(routed(live, session.req_header(), ctx, (treatment, kept)));
    tracing::received(session.req_header(), ctx);
    Ok(false)
}

fn incoming(request: &RequestHeader) -> Incoming<'_> {
    Incoming {
        method: request.method.as_str(),
        path: request.uri.path(),
        headers: &request.headers,
    }
}

fn routed(
    live: &Live,
    request: &RequestHeader,
    ctx: &Ctx,
    (treatment, kept): (Treatment, Kept),
) -> Routed {
    let plan = Plan::new(
        &ctx.snapshot,
        &live.installs,
        &incoming(request),
        &treatment,
        kept.item.as_deref(),
    );
    let (method, path) = (request.method.as_str(), request.uri.path());
    let installs = plan.kind == Kind::Management && names_plugins(method, path);
    let classifier = live.classifier(&ctx.snapshot);
    let verdict =
        plan.verdict(|operation, prior| classifier.classify(operation, prior, clock::now()));
    live.parts.metrics.classified(&verdict);
    Routed {
        plugin: live.plugins.find(plan.plugin),
        pool: plan.pool,
        kind: plan.kind,
        single_result: plan.single_result,
        owner: plan.owner,
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
        treatment,
        once: kept.once,
        kept: kept.body,
        names: installs.then(Vec::new),
        body_sent: 0,
    }
}
