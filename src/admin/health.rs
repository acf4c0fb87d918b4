//! Is it alive, and should clients be sent here?

use super::reply;
use super::routes::{Answer, Asked};
use crate::model::clock;
use serde_json::json;

/// 200 while clients are welcome: first checks over, a node healthy, no end announced. Never
/// depends on Redis.
pub(super) fn readyz(asked: &Asked<'_>) -> Answer {
    let live = asked.live;
    let nodes = live.snapshot().nodes();
    let healthy = nodes.iter().filter(|node| node.is_healthy()).count();
    let body = json!({
        "ready": live.is_ready(),
        "first_checks_over": live.lifecycle.is_ready(),
        "draining": live.lifecycle.is_draining(),
        "nodes": nodes.len(),
        "healthy_nodes": healthy,
    });
    reply::json(if live.is_ready() { 200 } else { 503 }, &body)
}

/// Seed 002's shape: 503 when a pool has nobody who can work, or the end was announced.
pub(super) fn health(asked: &Asked<'_>) -> Answer {
    let snapshot = asked.live.snapshot();
    let mut pools = snapshot.pools().iter();
    let each = pools.all(|pool| pool.nodes().iter().any(|node| node.is_healthy()));
    let (code, status) = if each && asked.live.is_ready() {
        (200, "ok")
    } else {
        (503, "degraded")
    };
    let timestamp = humantime::format_rfc3339_seconds(clock::wall()).to_string();
    reply::json(code, &json!({ "status": status, "timestamp": timestamp }))
}
