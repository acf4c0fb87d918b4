//! May it pass, where does it go, and what is it?

use super::ctx::{Ctx, Routed};
use super::{answer, peek};
use crate::admit::{Arrival, admit};
use crate::dify::{Asked, Kind, Names, describe};
use crate::learn::Classifier;
use crate::model::{Basis, Class, Part, Rejection, Verdict, clock};
use crate::observe::Ending;
use crate::upstream::Live;
use http::{HeaderName, Method, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;

// Made once: a name given as text is parsed at every look-up.
static PLUGIN_ID: HeaderName = HeaderName::from_static("x-plugin-id");
static UNIQUE_IDENTIFIER: HeaderName = HeaderName::from_static("x-plugin-unique-identifier");

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
    let item = if wants_item(request, ctx) {
        match peek::run(session).await? {
            Ok(item) => item,
            Err(rejection) => {
                answer::reject(live, session, ctx, rejection).await?;
                return Ok(true);
            }
        }
    } else {
        None
    };
    ctx.routed = Some(routed(live, session.req_header(), ctx, item.as_deref()));
    Ok(false)
}

fn check(live: &Live, request: &RequestHeader, ctx: &Ctx) -> Result<(), Rejection> {
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
    let config = &ctx.snapshot.config;
    admit(&arrival, &live.identity.name, &config.limits, &config.loops)
}

fn text<'r>(request: &'r RequestHeader, name: &HeaderName) -> Option<&'r str> {
    let value = request.headers.get(name)?;
    value.to_str().ok()
}

fn asked(request: &RequestHeader) -> Asked<'_> {
    let names = Names {
        plugin_id: text(request, &PLUGIN_ID),
        unique_identifier: text(request, &UNIQUE_IDENTIFIER),
    };
    describe(request.method.as_str(), request.uri.path(), names)
}

fn wants_item(request: &RequestHeader, ctx: &Ctx) -> bool {
    // The kind is in the path alone; the names are looked up after the body was read, because
    // what borrows from the header cannot be kept meanwhile.
    let kind = || describe("POST", request.uri.path(), Names::default()).kind;
    ctx.snapshot.config.learn.key.contains(&Part::Item)
        && request.method == Method::POST
        && kind() == Kind::Dispatch
}

fn routed(live: &Live, request: &RequestHeader, ctx: &Ctx, item: Option<&str>) -> Routed {
    let path = request.uri.path();
    let asked = asked(request);
    let key = &ctx.snapshot.config.learn.key;
    let operation = asked.learnable().then(|| asked.operation(key, item, path));
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
        operation,
        verdict,
        body_sent: 0,
    }
}
