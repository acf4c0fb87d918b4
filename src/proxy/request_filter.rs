//! May it pass, where does it go, and what is it?

use super::answer;
use super::ctx::{Ctx, Routed, Standing};
use super::keep::{self, Kept};
use crate::admit::{Arrival, admit};
use crate::dify::{Asked, Kind, Names, describe};
use crate::learn::Classifier;
use crate::model::rejection::Reason;
use crate::model::{Basis, Class, Rejection, Verdict, clock};
use crate::observe::Ending;
use crate::route::{Treatment, stable_hash};
use crate::upstream::Live;
use http::{HeaderName, Method, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;
use std::sync::Arc;

// Made once: a name given as text is parsed at every look-up.
static PLUGIN_ID: HeaderName = HeaderName::from_static("x-plugin-id");
pub(super) static UNIQUE_IDENTIFIER: HeaderName =
    HeaderName::from_static("x-plugin-unique-identifier");

/// Returns true when the answer was already written.
pub(super) async fn run(live: &Live, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
    let request = session.req_header();
    let (path, post) = (request.uri.path(), request.method == Method::POST);
    // The kind is in the path alone; who asks for which plugin is looked up after the body was
    // read, because what borrows from the header cannot be kept meanwhile.
    let asked = describe(request.method.as_str(), path, Names::default());
    let told_apart = ctx.snapshot.treatments.is_on();
    // Answers of our own are rare and large as futures; boxed, they do not make this one large,
    // which is allocated for every request.
    if told_apart && asked.kind == Kind::Health {
        let status = Box::pin(answer::health(live, session)).await?;
        ctx.ending = Some(Ending::Answered(status));
        return Ok(true);
    }
    let treatment = ctx.snapshot.treatments.of(&asked);
    let keeps = told_apart && post && asked.kind == Kind::Dispatch;
    if let Err(rejection) = check(live, request, ctx, &treatment) {
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
    Ok(false)
}

fn check(
    live: &Live,
    request: &RequestHeader,
    ctx: &Ctx,
    treatment: &Treatment,
) -> Result<(), Rejection> {
    if ctx.snapshot.treatments.denies(request.uri.path()) {
        return Err(Rejection::new(
            Reason::Denied,
            "this path is not open to clients: see kinds.denied in the gateway's configuration",
        ));
    }
    // Joining several Via lines is left out where there is one, which is nearly always.
    let mut lines = request.headers.get_all(header::VIA).iter();
    let (first, second) = (lines.next(), lines.next());
    let joined = second.map(|_| {
        let lines = request.headers.get_all(header::VIA).iter();
        let lines: Vec<_> = lines.filter_map(|value| value.to_str().ok()).collect();
        lines.join(",")
    });
    let arrival = Arrival {
        content_length: text(request, &header::CONTENT_LENGTH).and_then(|value| value.parse().ok()),
        via: joined
            .as_deref()
            .or_else(|| first.and_then(|value| value.to_str().ok())),
    };
    let loops = &ctx.snapshot.config.loops;
    admit(&arrival, &live.identity.name, treatment.body, loops)
}

fn text<'r>(request: &'r RequestHeader, name: &HeaderName) -> Option<&'r str> {
    request
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}

fn asked(request: &RequestHeader) -> Asked<'_> {
    let names = Names {
        plugin_id: text(request, &PLUGIN_ID),
        unique_identifier: text(request, &UNIQUE_IDENTIFIER),
    };
    describe(request.method.as_str(), request.uri.path(), names)
}

fn routed(
    live: &Live,
    request: &RequestHeader,
    ctx: &Ctx,
    (treatment, kept): (Treatment, Kept),
) -> Routed {
    let path = request.uri.path();
    let asked = asked(request);
    let told_apart = ctx.snapshot.treatments.is_on();
    let key = &ctx.snapshot.config.learn.key;
    let operation =
        (told_apart && asked.learnable()).then(|| asked.operation(key, kept.item.as_deref(), path));
    let verdict = operation.as_ref().map_or(
        Verdict {
            class: Class::Short,
            basis: Basis::Prior,
        },
        |operation| {
            live.learner
                .classify(operation, asked.prior(), clock::now())
        },
    );
    live.parts.metrics.classified(&verdict);
    let writer = asked.tenant.filter(|_| treatment.one_writer);
    let hook = asked.plugin.filter(|_| treatment.sticky);
    Routed {
        pool: Arc::clone(ctx.snapshot.pool_for(path)),
        kind: if told_apart { asked.kind } else { Kind::Other },
        single_result: told_apart && asked.single_result(),
        plugin: live.plugins.find(asked.plugin.filter(|_| told_apart)),
        owner: asked
            .plugin
            .filter(|_| told_apart)
            .and_then(|plugin| ctx.snapshot.owner_of(plugin)),
        operation,
        verdict,
        standing: Standing {
            held: !told_apart || matches!(asked.kind, Kind::Dispatch | Kind::Polling | Kind::Hook),
            io_bound: told_apart && asked.io_bound(),
            tenant: asked
                .tenant
                .map_or(0, |tenant| stable_hash(tenant.as_bytes())),
        },
        read: asked.read,
        // All gateways of a fleet must agree on the node.
        affinity: writer.or(hook).map(|key| stable_hash(key.as_bytes())),
        treatment,
        once: kept.once,
        kept: kept.body,
        body_sent: 0,
    }
}
