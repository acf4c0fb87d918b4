//! How does an admin answer look?

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
        .body(body)
        .expect("a status of ours and plain headers make a response")
}

/// No or a wrong token.
pub(super) fn unauthorized() -> Response<Vec<u8>> {
    let mut response = text(401, "the admin token is missing or wrong\n");
    let challenge = header::HeaderValue::from_static("Bearer realm=\"twolane\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// Nothing here, and what there is instead.
pub(super) fn not_found(path: &str) -> Response<Vec<u8>> {
    let there = "/livez /readyz /health /status /cluster/nodes /cluster/stats /cluster/master \
                 /cluster/gateways, /metrics, /nodes/NAME/metrics, /api/v1/nodes/NAME, PUT /api/v1/nodes/NAME/state, PUT and DELETE \
                 /api/v1/nodes/NAME where `discover.register` is on, /api/v1/decisions, \
                 /api/v1/decisions/REQUEST, POST /api/v1/explain, POST /-/reload";
    text(404, format!("nothing at {path:?}; there is {there}\n"))
}
