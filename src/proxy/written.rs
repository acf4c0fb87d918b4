//! What is written down of a request that is over, if anything?

use super::Ctx;
use super::forwarded::client_of;
use crate::model::clock;
use crate::observe::Ending;
use crate::observe::access::{Record, Routed, Sink, judge};
use http::{HeaderName, Version, header};
use pingora_proxy::Session;
use std::net::IpAddr;
use std::time::Duration;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(super) fn down(to: &Sink, session: &Session, ctx: &Ctx, ending: Ending, took: Duration) {
    let rules = &ctx.snapshot.config.access_log.rules;
    let record = record(session, ctx, ending, took);
    // What no route was found for and nobody turned away is a probe, answered here: of those there
    // is one every other second, and a line only for what is always written.
    let probe = ctx.routed.is_none() && matches!(ending, Ending::Answered(_));
    let dice = if probe { 1.0 } else { fastrand::f64() };
    if let Some(marks) = judge(rules, &record, dice) {
        to.take(rules.format, &record, marks);
    }
}

fn record<'a>(session: &'a Session, ctx: &'a Ctx, ending: Ending, took: Duration) -> Record<'a> {
    let request = session.req_header();
    let header = |name: &HeaderName| request.headers.get(name).map(|value| value.as_bytes());
    let digest = session.digest();
    Record {
        ended: clock::wall(),
        id: ctx.id,
        client: client(session, ctx),
        forwarded_for: header(&FORWARDED_FOR),
        method: request.method.as_str(),
        path: request.uri.path(),
        protocol: protocol(request.version),
        tls: digest
            .and_then(|digest| digest.ssl_digest.as_ref())
            .map(|tls| tls.version.as_ref()),
        user_agent: header(&header::USER_AGENT),
        trace: ctx
            .names
            .begun()
            .or_else(|| header(&TRACEPARENT).and_then(trace)),
        ending,
        status: session
            .response_written()
            .map(|header| header.status.as_u16()),
        node_status: ctx.last.status,
        bytes_in: session.body_bytes_read() as u64,
        bytes_out: session.body_bytes_sent() as u64,
        took,
        waited: ctx.waited,
        first_byte: ctx.last.first_byte,
        node: ctx.tried.last().map(crate::model::NodeId::as_str),
        attempts: ctx.tried.len(),
        routed: ctx.routed.as_ref().map(|routed| Routed {
            pool: routed.pool.name(),
            verdict: routed.verdict,
            operation: routed
                .operation
                .as_ref()
                .map_or_else(|| routed.kind.word(), |operation| operation.as_str()),
            plugin: Some(routed.plugin.name()).filter(|name| *name != "-"),
        }),
        why: ctx.last.why.map(crate::select::Why::word),
        rejection: ctx
            .rejection
            .as_ref()
            .map(|rejection| rejection.reason.row().word),
    }
}

/// Who asked; behind a proxy that is trusted nobody knows from which port.
fn client(session: &Session, ctx: &Ctx) -> Option<(IpAddr, Option<u16>)> {
    let address = session.client_addr()?.as_inet()?;
    let (peer, client) = (address.ip().to_canonical(), client_of(session, ctx)?);
    Some((client, (client == peer).then(|| address.port())))
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// W3C Trace Context, version 00: anything else in this header is a client's free text.
fn trace(value: &[u8]) -> Option<&str> {
    let sign = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let text = std::str::from_utf8(value).ok()?;
    (value.len() == 55 && value.iter().all(sign)).then_some(text)
}
