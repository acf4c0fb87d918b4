//! Who may look, and who may act?

use crate::model::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, Method, header};
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// Whether the request carries the token, when one is set: as `Bearer`, or as the password of
/// `Basic` with any name, because that is what browsers can ask for. Compared in constant time, so
/// that the answer's delay tells nothing about how much of it was right.
pub(super) fn may(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let Some(token) = token else {
        return true;
    };
    let sent = headers.get(header::AUTHORIZATION);
    let Some((scheme, sent)) = sent.and_then(|value| value.to_str().ok()?.split_once(' ')) else {
        return false;
    };
    let is = |sent: &[u8]| bool::from(sent.ct_eq(token.expose().as_bytes()));
    if scheme.eq_ignore_ascii_case("bearer") {
        return is(sent.as_bytes());
    }
    let basic = scheme.eq_ignore_ascii_case("basic");
    let decoded = basic.then(|| STANDARD.decode(sent.trim()).ok()).flatten();
    decoded.is_some_and(|pair| {
        let mut parts = pair.splitn(2, |&byte| byte == b':');
        parts.nth(1).is_some_and(is)
    })
}

/// What speaks against a request that a browser may have been made to send by a strange page.
///
/// Without a token whoever reaches the port may act, and every page in a browser on this machine
/// does: so the name it was asked for must be this machine's (a name of the attacker's can be made
/// to point here), and what acts must not come from another site.
pub(super) fn foreign(
    headers: &HeaderMap,
    method: &Method,
    token: Option<&Secret>,
) -> Option<&'static str> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(&header::HOST);
    if token.is_none() && !host.is_none_or(is_local) {
        return Some(
            "asked for by a name that is not this machine's; say localhost or an address, or set admin.token",
        );
    }
    if method == Method::GET || method == Method::HEAD {
        return None;
    }
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    let other_site = site.is_some_and(|site| site != "same-origin" && site != "none");
    let origin = headers.get(header::ORIGIN).map(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.split_once("://").map(|(_, name)| name)
    });
    let other_origin = origin.is_some_and(|origin| origin.is_none() || origin != host);
    (other_site || other_origin).then_some("sent by another site's page")
}

/// An address, or this machine's own name, with or without a port.
fn is_local(host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn only_the_right_token_opens() {
        let token = Secret::new("s3c:ret".to_owned());
        let sent = |value: &str| may(&headers(&[("authorization", value)]), Some(&token));
        assert!(may(&HeaderMap::new(), None));
        assert!(!may(&HeaderMap::new(), Some(&token)));
        for right in [
            "Bearer s3c:ret",
            "bearer s3c:ret",
            &basic("me:s3c:ret"),
            &basic(":s3c:ret"),
        ] {
            assert!(sent(right), "{right:?} did not open the door");
        }
        for wrong in [
            "Bearer s3c:re",
            "Bearer s3c:ret ",
            "s3c:ret",
            "Basic s3c:ret",
            "Basic ****",
            &basic("s3c:ret"),
            &basic("me:s3c:re"),
            &basic("me"),
        ] {
            assert!(!sent(wrong), "{wrong:?} opened the door");
        }
    }

    #[test]
    fn a_strange_page_cannot_act_and_a_strange_name_is_not_this_machine() {
        let token = Secret::new("s3cret".to_owned());
        let here = ("host", "127.0.0.1:5012");
        let own = ("origin", "http://127.0.0.1:5012");
        let told = |rows: &[_], method, token| foreign(&headers(rows), method, token).is_some();
        for method in [&Method::PUT, &Method::POST, &Method::DELETE] {
            assert!(!told(&[here], method, None), "curl sends no origin");
            assert!(!told(
                &[here, own, ("sec-fetch-site", "same-origin")],
                method,
                None
            ));
            for strange in [
                ("origin", "http://evil.example"),
                ("origin", "null"),
                ("origin", "http://127.0.0.1:5013"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
            ] {
                assert!(told(&[here, strange], method, None), "{strange:?}");
                assert!(told(&[here, strange], method, Some(&token)), "{strange:?}");
            }
        }
        for (host, strange) in [
            ("localhost:5012", false),
            ("localhost", false),
            ("[::1]:5012", false),
            ("10.0.0.7", false),
            ("evil.example:5012", true),
            ("127.0.0.1.evil.example", true),
        ] {
            assert_eq!(
                told(&[("host", host)], &Method::GET, None),
                strange,
                "{host}"
            );
            assert!(!told(&[("host", host)], &Method::GET, Some(&token)));
        }
    }
}
