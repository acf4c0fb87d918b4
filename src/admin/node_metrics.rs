//! What does one daemon count itself? Its own metrics page, which must not be balanced: each page
//! belongs to one node.

use super::{actions, reply};
use crate::upstream::{Bounds, Errands, Live};
use bytes::Bytes;
use http::Response;
use pingora::http::RequestHeader;
use std::time::Duration;

/// The daemon's router has it with the slash.
const PATH: &[u8] = b"/metrics/";
/// Prometheus gives up after ten.
const BOUNDS: Bounds = Bounds {
    timeout: Duration::from_secs(5),
    longest: 16 << 20,
    idle: Duration::from_secs(60),
};

/// The node whose page a path asks for: `/nodes/NODE/metrics`, with or without `/api/v1`.
pub(super) fn node_of(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    path.strip_prefix("/nodes/")?.strip_suffix("/metrics")
}

pub(super) async fn page(live: &Live, errands: &Errands, id: &str) -> Response<Vec<u8>> {
    let nodes = live.snapshot().nodes();
    let Some(node) = nodes.iter().find(|node| node.id().as_str() == id) else {
        return actions::no_node(live, id);
    };
    let request = match RequestHeader::build("GET", PATH, None) {
        Ok(request) => request,
        Err(error) => return reply::text(500, format!("{error}\n")),
    };
    let answer = errands.run(node.address(), request, Bytes::new(), BOUNDS);
    match answer.await {
        Ok((200, page)) => reply::build(200, "text/plain; version=0.0.4; charset=utf-8", page),
        Ok((status, _)) => reply::text(502, format!("node {id} answered {status} to /metrics/\n")),
        Err(error) => reply::text(502, format!("node {id} shows no metrics: {error}\n")),
    }
}
