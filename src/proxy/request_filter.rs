//! May it pass, where does it go, and what is it?

use super::answer;
use super::ctx::{Ctx, Routed};
use super::keep::{self, Kept};
use crate::admit::{Arrival, admit};
use crate::dify::{Asked, Kind, Names, describe};
use crate::learn::Classifier;
use crate::model::{Basis, Class, Rejection, Verdict, clock};
use crate::observe::Ending;
use crate::upstream::Live;
use http::{Method, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

/// Returns true when the answer was already written.
pub(super) async fn run(live: &Live, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
    let request = session.req_header();
    if request.method == Method::GET && request.uri.path() == "/health/check" {
        let status = answer::health(live, session).await?;
        ctx.ending = Some(Ending::Answered(status));
        return Ok(true);
    }
    if let Err(rejection) = check(live, request, ctx) {
        answer::reject(live, session, ctx, rejection).await?;
        return Ok(true);
    }
    let kept = if keeps_body(request) {
        match keep::run(session, ctx.snapshot.config.retry.body_limit).await? {
            Ok(kept) => kept,
            Err(rejection) => {
                answer::reject(live, session, ctx, rejection).await?;
                return Ok(true);
            }
        }
    } else {
        Kept::default()
    };
    ctx.routed = Some(routed(live, session.req_header(), ctx, kept));
    Ok(false)
}

fn check(live: &Live, request: &RequestHeader, ctx: &Ctx) -> Result<(), Rejection> {
    let text = |name| {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    // Joining several Via lines is left out where there is one, which is nearly always.
    let mut several = request.headers.get_all(header::VIA).iter();
    let joined = (several.by_ref().nth(1).is_some()).then(|| {
        let lines = request.headers.get_all(header::VIA).iter();
        let lines: Vec<_> = lines.filter_map(|value| value.to_str().ok()).collect();
        lines.join(",")
    });
    let arrival = Arrival {
        content_length: text(header::CONTENT_LENGTH).and_then(|value| value.parse().ok()),
        via: joined.as_deref().or_else(|| text(header::VIA)),
    };
    let config = &ctx.snapshot.config;
    admit(&arrival, &live.identity.name, &config.limits, &config.loops)
}

fn asked(request: &RequestHeader) -> Asked<'_> {
    let text = |name| {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let names = Names {
        plugin_id: text("x-plugin-id"),
        unique_identifier: text("x-plugin-unique-identifier"),
    };
    describe(request.method.as_str(), request.uri.path(), names)
}

/// Dispatch bodies are looked into for their tool or model, and may have to go to another node.
fn keeps_body(request: &RequestHeader) -> bool {
    request.method == Method::POST && asked(request).kind == Kind::Dispatch
}

fn routed(live: &Live, request: &RequestHeader, ctx: &Ctx, kept: Kept) -> Routed {
    let path = request.uri.path();
    let asked = asked(request);
    let key = &ctx.snapshot.config.learn.key;
    let operation = asked
        .learnable()
        .then(|| asked.operation(key, kept.item.as_deref(), path));
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
    Routed {
        pool: std::sync::Arc::clone(ctx.snapshot.pool_for(path)),
        kind: asked.kind,
        single_result: asked.single_result(),
        plugin: live.plugins.find(asked.plugin),
        owner: asked
            .plugin
            .and_then(|plugin| ctx.snapshot.owner_of(plugin)),
        operation,
        verdict,
        read: asked.read,
        kept: kept.body,
        body_sent: 0,
    }
}
