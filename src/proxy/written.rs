//! What is written down of a request that is over, if anything?

use super::ctx::{Ctx, Routed};
use super::forwarded::client_of;
use super::said::Said;
use crate::model::clock;
use crate::observe::Ending;
use crate::observe::access::{Facts, Record, Sink, Texts, judge};
use http::{HeaderValue, Method, Version};
use pingora_proxy::Session;
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

/// What a line tells of a request that Pingora knows, and forgets at its end.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    client: Option<(IpAddr, Option<u16>)>,
    protocol: &'static str,
    status: Option<u16>,
    bytes_in: u64,
    /// Of the answer's body.
    pub(super) bytes_out: u64,
    method: Method,
    pub(super) path: Cow<'a, str>,
    tls: Option<Cow<'a, str>>,
    forwarded_for: Option<Cow<'a, [u8]>>,
    user_agent: Option<Cow<'a, [u8]>>,
    trace: Option<Cow<'a, [u8]>>,
}

impl<'a> Line<'a> {
    pub(super) fn of(session: &'a Session, ctx: &Ctx) -> Self {
        let request = session.req_header();
        let said = Said::by(&request.headers);
        let text = |value: Option<&'a HeaderValue>| Some(Cow::Borrowed(value?.as_bytes()));
        let digest = session.digest();
        let tls = digest.and_then(|digest| digest.ssl_digest.as_ref());
        Self {
            client: client(session, ctx, &said),
            protocol: protocol(request.version),
            status: session
                .response_written()
                .map(|header| header.status.as_u16()),
            bytes_in: session.body_bytes_read() as u64,
            bytes_out: session.body_bytes_sent() as u64,
            method: request.method.clone(),
            path: request.uri.path().into(),
            tls: tls.map(|tls| tls.version.as_ref().into()),
            forwarded_for: text(said.forwarded_for),
            user_agent: text(said.user_agent),
            trace: text(said.trace),
        }
    }

    /// The same, for when Pingora has forgotten it.
    pub(super) fn into_owned(self) -> Line<'static> {
        let own = |bytes: Option<Cow<'a, [u8]>>| Some(Cow::Owned(bytes?.into_owned()));
        Line {
            client: self.client,
            protocol: self.protocol,
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            method: self.method,
            path: self.path.into_owned().into(),
            tls: self.tls.map(|tls| tls.into_owned().into()),
            forwarded_for: own(self.forwarded_for),
            user_agent: own(self.user_agent),
            trace: own(self.trace),
        }
    }
}

pub(super) fn down(to: &Sink, line: &Line<'_>, ctx: &Ctx, (ending, took): (Ending, Duration)) {
    let rules = &ctx.snapshot.config.access_log.rules;
    let facts = facts(line, ctx, ending, took);
    // What no route was found for and nobody turned away is a probe, answered here: of those there
    // is one every other second, and a line only for what is always written.
    let probe = ctx.routed.is_none() && matches!(ending, Ending::Answered(_));
    let dice = if probe { 1.0 } else { dice(rules.sample) };
    if let Some(marks) = judge(rules, &facts, dice) {
        let texts = texts(line, ctx);
        to.take(rules.format, &Record { facts, texts }, marks);
    }
}

/// Thrown only where it matters how they fall.
fn dice(sample: f64) -> f64 {
    if sample >= 1.0 { 0.0 } else { fastrand::f64() }
}

fn facts(line: &Line<'_>, ctx: &Ctx, ending: Ending, took: Duration) -> Facts {
    Facts {
        ended: clock::wall(),
        id: ctx.id,
        client: line.client,
        protocol: line.protocol,
        ending,
        status: line.status,
        node_status: ctx.last.status,
        bytes_in: line.bytes_in,
        bytes_out: line.bytes_out,
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

fn texts<'a>(line: &'a Line<'_>, ctx: &'a Ctx) -> Texts<'a> {
    let routed = ctx.routed.as_ref();
    let operation = |routed: &'a Routed| match &routed.operation {
        Some(operation) => operation.as_str(),
        None => routed.kind.word(),
    };
    Texts {
        forwarded_for: line.forwarded_for.as_deref(),
        method: line.method.as_str(),
        path: &line.path,
        tls: line.tls.as_deref(),
        user_agent: line.user_agent.as_deref(),
        trace: ctx
            .names
            .begun()
            .or_else(|| line.trace.as_deref().and_then(trace)),
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
fn trace(text: &[u8]) -> Option<&[u8]> {
    let sign = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    (text.len() == 55 && text.iter().all(sign)).then_some(text)
}
