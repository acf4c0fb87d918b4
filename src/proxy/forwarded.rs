//! What does the node hear about the client? What we see, and what a proxy says whom we may believe.

use super::Ctx;
use crate::admit::client;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora_proxy::Session;
use std::net::IpAddr;

// Made once: a name given as text is parsed and copied at every use.
static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What strangers may not say; daemons and plugins take their word for these.
static CLAIMS: [HeaderName; 9] = [
    HeaderName::from_static("dify-hook-url"),
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-real-ip"),
];

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

/// `peer`: the address at the other end of the connection, and its text.
pub(super) fn write(
    session: &Session,
    headers: &mut HeaderMap,
    ctx: &Ctx,
    peer: Option<(IpAddr, HeaderValue)>,
) {
    let trusts = |(peer, _): &(IpAddr, _)| ctx.snapshot.config.trusts(*peer);
    let trusted = peer.as_ref().is_some_and(trusts);
    if !trusted {
        // Looked for in one go: nearly nobody sends any.
        while let Some(found) = headers.keys().find_map(claim) {
            headers.remove(found);
        }
    }
    if let Some((_, address)) = peer {
        let chain = if trusted {
            believed(session, headers, (ctx, &address))
        } else {
            headers.insert(&REAL_IP, address.clone());
            Some(address)
        };
        if let Some(chain) = chain {
            headers.insert(&FOR, chain);
        }
    }
    if !trusted || !headers.contains_key(&PROTO) {
        let encrypted = session
            .digest()
            .is_some_and(|digest| digest.ssl_digest.is_some());
        let word = if encrypted { "https" } else { "http" };
        headers.insert(&PROTO, HeaderValue::from_static(word));
    }
    if (!trusted || !headers.contains_key(&HOST))
        && let Some(host) = headers.get(header::HOST).cloned()
    {
        headers.insert(&HOST, host);
    }
}

/// Behind a proxy that may be believed: its client's address, and the chain that it told, with the
/// proxy's own address behind it.
fn believed(
    session: &Session,
    headers: &mut HeaderMap,
    (ctx, address): (&Ctx, &HeaderValue),
) -> Option<HeaderValue> {
    if !headers.contains_key(&REAL_IP) {
        let client = client_of(session, ctx);
        let client = client.and_then(|client| HeaderValue::try_from(client.to_string()).ok());
        headers.insert(&REAL_IP, client.unwrap_or_else(|| address.clone()));
    }
    let address = address.to_str().ok()?;
    let lines = headers.get_all(&FOR).iter();
    let mut chain: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
    chain.push(address);
    HeaderValue::try_from(chain.join(", ")).ok()
}

fn claim(name: &HeaderName) -> Option<&'static HeaderName> {
    // All of them begin so, and few others.
    let may = matches!(name.as_str().as_bytes().first(), Some(b'x' | b'f' | b'd'));
    CLAIMS.iter().find(|claim| may && *claim == name)
}
