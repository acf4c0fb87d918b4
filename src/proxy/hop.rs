//! What of an answer is meant for us alone, or cannot be read by its client?

use super::plain;
use http::{HeaderName, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;

/// Fields between two neighbours (RFC 9110, section 7.6.1); `Connection` itself is written anew by
/// Pingora, which for requests does all of this.
static ONE_HOP: [HeaderName; 5] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

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
    let headers = &response.headers;
    let switched = response.status == StatusCode::SWITCHING_PROTOCOLS;
    if switched && !session.req_header().headers.contains_key(header::UPGRADE) {
        let what = "the node speaks another protocol, which nobody asked for";
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let sound = match (lengths.next(), codings.next()) {
        (None, None) => true,
        (Some(length), None) => {
            !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
        }
        (None, Some(coding)) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if sound && lengths.next().is_none() && codings.next().is_none() {
        return Ok(());
    }
    let what = "the end of the node's answer can be read in two ways";
    Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up())
}

/// A client of HTTP/1.0 knows no chunks: for it the end of the connection is the end of the answer.
pub(super) fn without_chunks(session: &mut Session, response: &mut ResponseHeader) {
    let chunked = response.headers.contains_key(header::TRANSFER_ENCODING);
    if chunked && session.req_header().version == Version::HTTP_10 {
        response.remove_header(&header::TRANSFER_ENCODING);
        session.set_keepalive(None);
    }
}
