//! What does one daemon count itself? Its own metrics page, which must not be balanced: each page
//! belongs to one node.

use super::routes::{Answer, Asked, Soon};
use super::{actions, reply};
use crate::upstream::Bounds;
use bytes::Bytes;
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

/// `/nodes/{node}/metrics`.
pub(super) fn page<'a>(asked: &'a Asked<'a>) -> Soon<'a> {
    Box::pin(fetch(asked))
}

async fn fetch(asked: &Asked<'_>) -> Answer {
    let id = asked.item;
    let nodes = asked.live.snapshot().nodes();
    let Some(node) = nodes.iter().find(|node| node.id().as_str() == id) else {
        return actions::no_node(asked.live, id);
    };
    let request = match RequestHeader::build("GET", PATH, None) {
        Ok(request) => request,
        Err(error) => return reply::text(500, format!("{error}\n")),
    };
    let answer = asked
        .errands
        .run(node.address(), request, Bytes::new(), BOUNDS);
    match answer.await {
        Ok((200, page)) => reply::build(200, "text/plain; version=0.0.4; charset=utf-8", page),
        Ok((status, _)) => reply::text(502, format!("node {id} answered {status} to /metrics/\n")),
        Err(error) => reply::text(502, format!("node {id} shows no metrics: {error}\n")),
    }
}
