//! How does an admin answer look?

use super::routes::ROUTES;
use http::{Response, header};
use serde::Serialize;

/// JSON, indented: people read it with curl.
pub(super) fn json(status: u16, body: &impl Serialize) -> Response<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(body).unwrap_or_default();
    text.push(b'\n');
    build(status, "application/json; charset=utf-8", text)
}

/// Plain text.
pub(super) fn text(status: u16, body: impl Into<String>) -> Response<Vec<u8>> {
    build(
        status,
        "text/plain; charset=utf-8",
        body.into().into_bytes(),
    )
}

/// Any type.
pub(super) fn build(status: u16, kind: &str, body: Vec<u8>) -> Response<Vec<u8>> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(body)
        .expect("a status of ours and plain headers make a response")
}

/// No or a wrong token.
pub(super) fn unauthorized() -> Response<Vec<u8>> {
    let mut response = text(401, "the admin token is missing or wrong\n");
    for challenge in ["Bearer realm=\"twolane\"", "Basic realm=\"twolane\""] {
        let challenge = header::HeaderValue::from_static(challenge);
        response
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The page is there, and is asked by another method.
pub(super) fn not_so(path: &str, methods: &[&str]) -> Response<Vec<u8>> {
    let methods = methods.join(", ");
    let mut response = text(405, format!("{path} is asked by {methods}\n"));
    let allow = header::HeaderValue::try_from(methods).expect("methods of ours are plain text");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// Nothing here, and what there is instead.
pub(super) fn not_found(path: &str) -> Response<Vec<u8>> {
    let there: Vec<_> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let there = there.join("\n  ");
    text(404, format!("nothing at {path:?}; there is\n  {there}\n"))
}
