//! What does the node hear about the client? What we see, and what a proxy says whom we may believe.

use super::Ctx;
use crate::admit::client;
use http::header;
use pingora::Result;
use pingora::http::RequestHeader;
use pingora_proxy::Session;
use std::net::IpAddr;

const FOR: &str = "X-Forwarded-For";
const PROTO: &str = "X-Forwarded-Proto";
const HOST: &str = "X-Forwarded-Host";
const REAL_IP: &str = "X-Real-IP";

/// What strangers may not say; daemons and plugins take their word for these. All lower case.
const CLAIMS: [&str; 9] = [
    "dify-hook-url",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-original-host",
    "x-real-ip",
];

/// The address at the other end of the connection.
pub(super) fn peer(session: &Session) -> Option<IpAddr> {
    Some(session.client_addr()?.as_inet()?.ip().to_canonical())
}

/// The client's own address, through proxies that may be believed.
pub(super) fn client_of(session: &Session, ctx: &Ctx) -> Option<IpAddr> {
    let config = &ctx.snapshot.config;
    let lines = session.req_header().headers.get_all("x-forwarded-for");
    let lines: Vec<_> = lines.iter().filter_map(|line| line.to_str().ok()).collect();
    let trusts = |address| config.trusts(address);
    Some(client(peer(session)?, lines.into_iter().rev(), trusts))
}

pub(super) fn write(session: &Session, request: &mut RequestHeader, ctx: &Ctx) -> Result<()> {
    let peer = peer(session);
    let trusted = peer.is_some_and(|peer| ctx.snapshot.config.trusts(peer));
    if !trusted {
        let said = |name: &&str| request.headers.contains_key(*name);
        let claims: Vec<_> = CLAIMS.iter().filter(|name| said(name)).collect();
        for name in claims {
            request.remove_header(*name);
        }
    }
    if let Some(peer) = peer {
        let address = peer.to_string();
        if !request.headers.contains_key("x-real-ip") {
            let client = client_of(session, ctx).filter(|_| trusted);
            let client = client.map_or_else(|| address.clone(), |client| client.to_string());
            request.insert_header(REAL_IP, client)?;
        }
        let lines = request.headers.get_all("x-forwarded-for").iter();
        let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
        let chain = match lines.as_slice() {
            [] => address,
            lines => format!("{}, {address}", lines.join(", ")),
        };
        request.insert_header(FOR, chain)?;
    }
    if !request.headers.contains_key("x-forwarded-proto") {
        let encrypted = session
            .digest()
            .is_some_and(|digest| digest.ssl_digest.is_some());
        request.insert_header(PROTO, if encrypted { "https" } else { "http" })?;
    }
    if !request.headers.contains_key("x-forwarded-host")
        && let Some(host) = request.headers.get(header::HOST).cloned()
    {
        request.insert_header(HOST, host)?;
    }
    Ok(())
}
