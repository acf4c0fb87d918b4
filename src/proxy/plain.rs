//! How are header fields changed at little cost? Without the case of their names.
//!
//! Pingora keeps beside the fields a second map with each name as its sender wrote it; every change
//! is made in both, and each name is parsed and copied for it. Names have no case (RFC 9110, section
//! 5.1), the daemons read them so, and HTTP/2 knows small letters only. So the second map is dropped
//! once, where fields are added, and they are changed by names that were made at start. (What a node
//! without TLS is told is not in a map at all: `lines.rs`.)

use http::HeaderMap;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use std::mem::replace;

/// Changes the fields of a request.
pub(super) fn request(
    header: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap),
) -> Result<()> {
    // An absolute target is more than its URI says.
    let verbatim = match header.raw_path() {
        [b'/' | b'*', ..] => None,
        target => Some(target.to_vec()),
    };
    let (nothing, ()) = http::Request::new(()).into_parts();
    let mut parts = http::request::Parts::from(replace(header, nothing.into()));
    change(&mut parts.headers);
    *header = parts.into();
    match verbatim {
        Some(target) => header.set_raw_path(&target),
        None => Ok(()),
    }
}

/// Changes the fields of an answer.
pub(super) fn response(
    header: &mut ResponseHeader,
    change: impl FnOnce(&mut HeaderMap),
) -> Result<()> {
    let usual = header.status.canonical_reason();
    let reason = header.get_reason_phrase().filter(|own| Some(*own) != usual);
    let reason = reason.map(str::to_owned);
    let (nothing, ()) = http::Response::new(()).into_parts();
    let mut parts = http::response::Parts::from(replace(header, nothing.into()));
    change(&mut parts.headers);
    *header = parts.into();
    match reason {
        Some(reason) => header.set_reason_phrase(Some(&reason)),
        None => Ok(()),
    }
}
