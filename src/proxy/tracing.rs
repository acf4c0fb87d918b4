//! By which names can this request be followed, here and elsewhere?

use super::Ctx;
use super::lines::Lines;
use super::said::Said;
use crate::config::Config;
use crate::model::{NodeId, Request, RequestId, Trace, begin_trace, is_trace_parent};
use crate::observe::Ending;
use crate::upstream::Live;
use http::{HeaderMap, HeaderName, HeaderValue};
use log::Level;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static WATCHED: HeaderName = HeaderName::from_static("x-twolane-trace");
static ONLY: HeaderName = HeaderName::from_static("x-twolane-node");

/// What a request is called beside its number here.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The node and the client are told its id, as `X-Request-Id`.
    tells: bool,
    /// The `traceparent` that was begun here.
    begun: Option<Trace>,
    /// A `tracestate` came, though no trace did.
    stray: bool,
    /// Who sent it may see what becomes of it.
    watched: bool,
    /// The only node that it may go to: its sender tries that one.
    only: Option<NodeId>,
}

impl Names {
    /// Whether its sender has shown the admin token, to see what becomes of it.
    pub(super) const fn is_watched(&self) -> bool {
        self.watched
    }

    /// Whether the client is told a name.
    pub(super) const fn is_told(&self) -> bool {
        self.tells
    }

    /// The only node that it may go to, where its sender may say so and does.
    pub(super) const fn only(&self) -> Option<&NodeId> {
        self.only.as_ref()
    }

    /// The trace that was begun here.
    pub(super) fn begun(&self) -> Option<&[u8]> {
        self.begun.as_ref().map(Trace::as_slice)
    }

    const fn level(&self) -> Level {
        if self.watched {
            Level::Info
        } else {
            Level::Debug
        }
    }
}

/// Names the request, where anybody will want to know: a number is not spent on nothing.
pub(super) fn begin(live: &Live, request: &RequestHeader, ctx: &mut Ctx) {
    let config = &ctx.snapshot.config;
    let tracing = config.tracing;
    ctx.names.watched = is_watched(request, config);
    if ctx.names.watched {
        let only = request.headers.get(&ONLY);
        ctx.names.only = only.and_then(|node| Some(NodeId::from(node.to_str().ok()?)));
    }
    let seen = config.debug_headers || ctx.names.watched || ctx.snapshot.access.is_some();
    let named = tracing.request_id || live.decisions.is_on() || seen;
    if !named && !tracing.traceparent {
        return;
    }
    let said = Said::by(&request.headers);
    if named {
        let given = said.id.and_then(|value| value.to_str().ok());
        ctx.id = Some(live.identity.request_id(given));
        ctx.names.tells = tracing.request_id;
    }
    let known = |trace: &HeaderValue| is_trace_parent(trace.as_bytes());
    if tracing.traceparent && !said.trace.is_some_and(known) {
        ctx.names.begun = Some(begin_trace(&mut fastrand::Rng::new()));
        ctx.names.stray = said.trace_state.is_some();
    }
}

/// Compared in constant time, as on the admin listener.
fn is_watched(request: &RequestHeader, config: &Config) -> bool {
    let Some(token) = &config.admin.token else {
        return false;
    };
    let shown = request.headers.get(&WATCHED);
    shown.is_some_and(|shown| shown.as_bytes().ct_eq(token.expose().as_bytes()).into())
}

/// What the node is told: an id of our own, for one that the client gave is in its header already, and the
/// trace that was begun here.
pub(super) fn tell_node(ctx: &Ctx, lines: &mut Lines) {
    if let Some(id) = own(ctx) {
        lines.tell("X-Request-Id: ", id.text().as_bytes());
    }
    if let Some(begun) = ctx.names.begun() {
        lines.tell("Traceparent: ", begun);
    }
}

/// Whether a field of the client does not reach the node.
pub(super) fn drops(name: &HeaderName, ctx: &Ctx) -> bool {
    match name.as_str() {
        "x-request-id" => own(ctx).is_some(),
        "traceparent" => ctx.names.begun.is_some(),
        // It belongs to the trace that came, which was none.
        "tracestate" => ctx.names.stray,
        // Whatever they hold, it was meant for us.
        "x-twolane-trace" | "x-twolane-node" => ctx.snapshot.config.admin.token.is_some(),
        _ => false,
    }
}

/// The id of our own that the node is told.
fn own(ctx: &Ctx) -> Option<&RequestId> {
    let own = |id: &&RequestId| matches!(id, RequestId::Own { .. });
    ctx.id.as_ref().filter(own).filter(|_| ctx.names.tells)
}

/// The id, where it is told.
fn told(ctx: &Ctx) -> Option<HeaderValue> {
    let id = ctx.id.as_ref().filter(|_| ctx.names.tells)?;
    HeaderValue::from_bytes(id.text().as_bytes()).ok()
}

/// What the client is told in an answer of our own.
pub(super) fn tell_client(response: &mut ResponseHeader, ctx: &Ctx) -> Result<()> {
    match told(ctx) {
        Some(id) => response.insert_header("X-Request-Id", id),
        None => Ok(()),
    }
}

/// The same in a node's answer.
pub(super) fn tell_beside(headers: &mut HeaderMap, ctx: &Ctx) {
    if let Some(id) = told(ctx) {
        headers.insert(&REQUEST_ID, id);
    }
}

/// What a line calls the request.
struct Called<'a>(&'a Ctx);

impl std::fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.id {
            Some(id) => id.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// Seed 000's "Received request".
pub(super) fn received(request: &RequestHeader, ctx: &Ctx) {
    let Some(routed) = &ctx.routed else { return };
    log::log!(
        ctx.names.level(),
        request:% = Called(ctx), method:% = request.method, path:% = request.uri.path(),
        plugin:% = routed.plugin.name(), kind:% = routed.kind.word();
        "request received"
    );
}

/// Seed 000's "Found available nodes", and those that are none, with the reason.
pub(super) fn candidates(ctx: &Ctx, request: &Request, now: Instant) {
    let level = ctx.names.level();
    let Some(routed) = ctx.routed.as_ref().filter(|_| log::log_enabled!(level)) else {
        return;
    };
    let account = routed.pool.account(request, &ctx.tried, routed.once, now);
    log::log!(
        level,
        request:% = Called(ctx), pool:% = routed.pool.name(), attempt = request.attempt,
        nodes = account.may.len(), may:% = account.may.join(","),
        excluded:% = account.excluded.join(", ");
        "candidates"
    );
}

/// Seed 000's "Node selected" and "Forwarding request".
pub(super) fn chosen(ctx: &Ctx, node: &crate::nodes::Node, why: &str) {
    let Some(routed) = &ctx.routed else { return };
    let operation = routed.operation.as_ref();
    log::log!(
        ctx.names.level(),
        request:% = Called(ctx), node:% = node.id(), why:% = why,
        strategy:% = routed.pool.strategy(), attempt = ctx.tried.len() + 1,
        class:% = routed.verdict.class, basis:% = routed.verdict.basis.word(),
        short = node.in_flight(crate::model::Class::Short),
        long = node.in_flight(crate::model::Class::Long),
        waited:? = ctx.waited,
        operation:% = operation.map_or("-", |operation| operation.as_str());
        "node chosen"
    );
}

/// Seed 000's "Remote request completed"; the access log has one line for everybody.
pub(super) fn ended(ctx: &Ctx, ending: Ending, took: Duration) {
    log::log!(
        ctx.names.level(),
        request:% = Called(ctx), ending:% = ending.word(), took:? = took,
        waited:? = ctx.waited, attempts = ctx.tried.len();
        "request ended"
    );
}
