//! What does the node hear about the client? What we see, and what a proxy says whom we may believe.

use super::Ctx;
use super::lines::Lines;
use crate::admit::client;
use crate::model::digits;
use http::{HeaderName, Version, header};
use pingora::http::RequestHeader;
use pingora_proxy::Session;
use std::net::IpAddr;

// Made once: a name given as text is parsed and copied at every use.
static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The address at the other end of the connection.
pub(super) fn peer(session: &Session) -> Option<IpAddr> {
    Some(session.client_addr()?.as_inet()?.ip().to_canonical())
}

/// The client's own address, through proxies that may be believed.
pub(super) fn client_of(session: &Session, ctx: &Ctx) -> Option<IpAddr> {
    let headers = &session.req_header().headers;
    if !headers.contains_key(&FOR) {
        return peer(session);
    }
    let config = &ctx.snapshot.config;
    let lines = headers.get_all(&FOR);
    let lines: Vec<_> = lines.iter().filter_map(|line| line.to_str().ok()).collect();
    let trusts = |address| config.trusts(address);
    Some(client(peer(session)?, lines.into_iter().rev(), trusts))
}

/// Whether the other end of the connection is a proxy that may be believed.
pub(super) fn is_believed(session: &Session, ctx: &Ctx) -> bool {
    peer(session).is_some_and(|peer| ctx.snapshot.config.trusts(peer))
}

/// What the node is told of the client. None of what is looked at here may be named in `Connection`
/// (`admit::honest`), so that Pingora does not take it out afterwards.
pub(super) fn tell(session: &Session, ctx: &Ctx, lines: &mut Lines) {
    let headers = &session.req_header().headers;
    let trusted = is_believed(session, ctx);
    if let Some(peer) = peer(session) {
        let address = |into: &mut Vec<u8>| digits::address(peer, into);
        if trusted {
            if !headers.contains_key(&REAL_IP) {
                let client = client_of(session, ctx).unwrap_or(peer);
                lines.write("X-Real-Ip: ", |into| digits::address(client, into));
            }
            // The chain that it told, with its own address behind it.
            lines.write("X-Forwarded-For: ", |into| {
                for line in headers
                    .get_all(&FOR)
                    .iter()
                    .filter(|it| it.to_str().is_ok())
                {
                    into.extend_from_slice(line.as_bytes());
                    into.extend_from_slice(b", ");
                }
                address(into);
            });
        } else {
            let text = lines.write("X-Real-Ip: ", address);
            lines.write("X-Forwarded-For: ", |into| into.extend_from_within(text));
        }
    }
    if !trusted || !headers.contains_key(&PROTO) {
        let encrypted = session
            .digest()
            .is_some_and(|digest| digest.ssl_digest.is_some());
        lines.add(if encrypted {
            b"X-Forwarded-Proto: https\r\n"
        } else {
            b"X-Forwarded-Proto: http\r\n"
        });
    }
    if (!trusted || !headers.contains_key(&HOST))
        && let Some(host) = host(session.req_header())
    {
        lines.tell("X-Forwarded-Host: ", host);
    }
}

/// Which host was asked: in HTTP/2 it stands beside the path, and Pingora makes a field of it.
fn host(request: &RequestHeader) -> Option<&[u8]> {
    let beside = (request.version == Version::HTTP_2).then(|| request.uri.authority());
    let beside = beside.flatten().map(|host| host.as_str().as_bytes());
    beside.or_else(|| Some(request.headers.get(header::HOST)?.as_bytes()))
}

/// Whether a field does not reach the node: strangers may not say these, for daemons and plugins take
/// their word, and of a proxy that may be believed the chain is told anew.
pub(super) fn drops(name: &HeaderName, trusted: bool) -> bool {
    match name.as_str() {
        "x-forwarded-for" => true,
        "dify-hook-url" | "forwarded" | "x-forwarded-host" | "x-forwarded-port"
        | "x-forwarded-prefix" | "x-forwarded-proto" | "x-original-host" | "x-real-ip" => !trusted,
        _ => false,
    }
}
