//! What is written down of a request that is over, if anything?

use super::ctx::{Ctx, Routed};
use super::forwarded::client_of;
use super::said::Said;
use crate::model::clock;
use crate::observe::Ending;
use crate::observe::access::{Facts, Record, Sink, Texts, judge};
use http::{HeaderValue, Version};
use pingora_proxy::Session;
use std::net::IpAddr;
use std::time::Duration;

pub(super) fn down(to: &Sink, session: &Session, ctx: &Ctx, ending: Ending, took: Duration) {
    let rules = &ctx.snapshot.config.access_log.rules;
    let said = Said::by(&session.req_header().headers);
    let facts = facts(session, ctx, &said, ending, took);
    // What no route was found for and nobody turned away is a probe, answered here: of those there
    // is one every other second, and a line only for what is always written.
    let probe = ctx.routed.is_none() && matches!(ending, Ending::Answered(_));
    let dice = if probe { 1.0 } else { dice(rules.sample) };
    if let Some(marks) = judge(rules, &facts, dice) {
        let texts = texts(session, ctx, &said);
        to.take(rules.format, &Record { facts, texts }, marks);
    }
}

/// Thrown only where it matters how they fall.
fn dice(sample: f64) -> f64 {
    if sample >= 1.0 { 0.0 } else { fastrand::f64() }
}

fn facts(session: &Session, ctx: &Ctx, said: &Said<'_>, ending: Ending, took: Duration) -> Facts {
    Facts {
        ended: clock::wall(),
        id: ctx.id,
        client: client(session, ctx, said),
        protocol: protocol(session.req_header().version),
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
        attempts: ctx.tried.len(),
        verdict: ctx.routed.as_ref().map(|routed| routed.verdict),
        why: ctx.last.why.map(crate::select::Why::word),
        rejection: ctx
            .rejection
            .as_ref()
            .map(|rejection| rejection.reason.row().word),
    }
}

fn texts<'a>(session: &'a Session, ctx: &'a Ctx, said: &Said<'a>) -> Texts<'a> {
    let request = session.req_header();
    let routed = ctx.routed.as_ref();
    let operation = |routed: &'a Routed| match &routed.operation {
        Some(operation) => operation.as_str(),
        None => routed.kind.word(),
    };
    Texts {
        forwarded_for: said.forwarded_for.map(HeaderValue::as_bytes),
        method: request.method.as_str(),
        path: request.uri.path(),
        tls: session
            .digest()
            .and_then(|digest| digest.ssl_digest.as_ref())
            .map(|tls| tls.version.as_ref()),
        user_agent: said.user_agent.map(HeaderValue::as_bytes),
        trace: ctx.names.begun().or_else(|| said.trace.and_then(trace)),
        node: ctx.tried.last().map(crate::model::NodeId::as_str),
        pool: routed.map(|routed| routed.pool.name()),
        operation: routed.map(operation),
        plugin: routed
            .map(|routed| routed.plugin.name())
            .filter(|name| *name != "-"),
    }
}

/// Who asked; behind a proxy that is trusted nobody knows from which port.
fn client(session: &Session, ctx: &Ctx, said: &Said<'_>) -> Option<(IpAddr, Option<u16>)> {
    let address = session.client_addr()?.as_inet()?;
    let peer = address.ip().to_canonical();
    let client = match said.forwarded_for {
        None => peer,
        Some(_) => client_of(session, ctx)?,
    };
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
fn trace(value: &HeaderValue) -> Option<&[u8]> {
    let sign = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let text = value.as_bytes();
    (text.len() == 55 && text.iter().all(sign)).then_some(text)
}
