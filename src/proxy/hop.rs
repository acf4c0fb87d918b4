//! What of a request or an answer is meant for us alone, or cannot be read at the other end?

use super::plain;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::upstreams::peer::HttpUpstreamRequestPolicy;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;

/// Fields of an answer between two neighbours (RFC 9110, section 7.6.1); `Connection` itself is written anew
/// by Pingora.
static ONE_HOP: [HeaderName; 5] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// What Pingora is to take out of a request: what is of one hop. It looks up ten names, so where none of
/// them came it is told to leave the request alone. A `Connection` that says nothing of other fields is ours
/// to take out ([`is_ours`]).
pub(super) fn policy(request: &HeaderMap, websocket: bool) -> HttpUpstreamRequestPolicy {
    let simple = |value: &HeaderValue| {
        let value = value.as_bytes();
        value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
    };
    let alone = |(name, value): (&HeaderName, &HeaderValue)| match name.as_str() {
        "connection" => simple(value),
        "http2-settings"
        | "keep-alive"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade" => false,
        _ => true,
    };
    if request.iter().all(alone) {
        HttpUpstreamRequestPolicy::preserve()
    } else if websocket {
        HttpUpstreamRequestPolicy::default()
    } else {
        HttpUpstreamRequestPolicy::deny_upgrades()
    }
}

/// Whether a field of a request is still of one hop after [`policy`]. `upgrades`: its connection is to
/// speak another protocol, and must say so.
pub(super) fn is_ours(name: &HeaderName, upgrades: bool) -> bool {
    name == header::CONNECTION && !upgrades
}

/// Takes them out, and those that the node's `Connection` names.
pub(super) fn strip(response: &mut ResponseHeader) -> Result<()> {
    let of_one_hop = |name: &HeaderName| ONE_HOP.contains(name) || name == header::CONNECTION;
    // Looked for in one go: most answers have none.
    let switched = response.status == StatusCode::SWITCHING_PROTOCOLS;
    if switched || !response.headers.keys().any(of_one_hop) {
        return Ok(());
    }
    plain::response(response, |headers| {
        let nominated: Vec<_> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            // These are what an honest node says there; a body must not lose its framing.
            .filter(|name| {
                !["close", "content-length", "transfer-encoding"].contains(&name.as_str())
            })
            .collect();
        for name in &ONE_HOP {
            headers.remove(name);
        }
        for name in &nominated {
            headers.remove(name.as_str());
        }
    })
}

/// Refuses an answer whose end can be read in two ways: what is behind it would be taken for the
/// answer to somebody else's request.
pub(super) fn check_framing(session: &Session, response: &ResponseHeader) -> Result<()> {
    let switched = response.status == StatusCode::SWITCHING_PROTOCOLS;
    if switched && !session.req_header().headers.contains_key(header::UPGRADE) {
        let what = "the node speaks another protocol, which nobody asked for";
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
    }
    if is_framed_once(&response.headers) {
        return Ok(());
    }
    let what = "the end of the node's answer can be read in two ways";
    Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up())
}

/// Looked for in one go: one field may tell where a body ends, once.
fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut told = 0;
    let sound = headers.iter().all(|(name, value)| {
        let value = value.as_bytes();
        let sound = if name == header::CONTENT_LENGTH {
            !value.is_empty() && value.iter().all(u8::is_ascii_digit)
        } else if name == header::TRANSFER_ENCODING {
            value.eq_ignore_ascii_case(b"chunked")
        } else {
            return true;
        };
        told += 1;
        sound
    });
    sound && told <= 1
}

/// A client of HTTP/1.0 knows no chunks: for it the end of the connection is the end of the answer.
pub(super) fn without_chunks(session: &mut Session, response: &mut ResponseHeader) {
    if session.req_header().version == Version::HTTP_10
        && response.headers.contains_key(header::TRANSFER_ENCODING)
    {
        response.remove_header(&header::TRANSFER_ENCODING);
        session.set_keepalive(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Field by field, as RFC 9112, section 6.3 has it.
    fn looked_up(headers: &HeaderMap) -> bool {
        let lengths: Vec<_> = headers.get_all(header::CONTENT_LENGTH).iter().collect();
        let codings: Vec<_> = headers.get_all(header::TRANSFER_ENCODING).iter().collect();
        match (&lengths[..], &codings[..]) {
            ([], []) => true,
            ([length], []) => {
                !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
            }
            ([], [coding]) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
            _ => false,
        }
    }

    /// Those that Pingora takes out of a request.
    const TAKEN_OUT: [&str; 9] = [
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];

    #[test]
    fn pingora_is_asked_where_there_is_more_than_a_simple_connection() {
        let deny = HttpUpstreamRequestPolicy::deny_upgrades();
        let alone = HttpUpstreamRequestPolicy::preserve();
        let with = |name: &'static str, value| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("a"));
            headers.append(name, HeaderValue::from_static(value));
            headers
        };
        for name in TAKEN_OUT {
            assert_eq!(policy(&with(name, "x"), false), deny, "{name}");
            let upgrades = HttpUpstreamRequestPolicy::default();
            assert_eq!(policy(&with(name, "x"), true), upgrades, "{name}");
        }
        for value in ["x-named", "close, x-named", "keep-alive, te", "upgrade", ""] {
            assert_eq!(policy(&with("connection", value), false), deny, "{value}");
        }
        for value in ["Keep-Alive", "close"] {
            assert_eq!(policy(&with("connection", value), false), alone, "{value}");
        }
        assert_eq!(policy(&with("x-other", "te"), true), alone);
    }

    proptest! {
        #[test]
        fn an_end_that_is_told_twice_is_found_in_one_go(fields in prop::collection::vec((
            select(vec!["content-length", "transfer-encoding", "server"]),
            select(vec!["", "7", "+7", "Chunked", "gzip, chunked"]),
        ), 0..5)) {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(name, HeaderValue::from_static(value));
            }
            prop_assert_eq!(is_framed_once(&headers), looked_up(&headers));
        }
    }
}
