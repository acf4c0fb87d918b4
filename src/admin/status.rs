//! What is this gateway, in one page?

use super::reply;
use crate::model::{Class, clock};
use crate::upstream::Live;
use http::Response;
use serde_json::json;

pub(super) fn status(live: &Live) -> Response<Vec<u8>> {
    let snapshot = live.snapshot();
    let up = clock::now().saturating_duration_since(live.identity.started);
    let pools: Vec<_> = snapshot
        .pools()
        .iter()
        .map(|pool| {
            let nodes = pool.nodes();
            let waiting = pool.waiting.as_ref().map(|room| {
                json!({
                    "short": room.waiting(Class::Short),
                    "long": room.waiting(Class::Long),
                    "short_reserve": room.reserve(&nodes),
                })
            });
            json!({
                "name": pool.name(),
                "strategy": pool.strategy(),
                "nodes": nodes.len(),
                "healthy_nodes": nodes.iter().filter(|node| node.is_healthy()).count(),
                "in_flight": nodes.iter().map(|node| node.total_in_flight()).sum::<u32>(),
                // null: it has no caps.
                "waiting": waiting,
                "advice": pool.advice.counsel().to_string(),
            })
        })
        .collect();
    let body = json!({
        "gateway": live.identity.name,
        "version": env!("CARGO_PKG_VERSION"),
        "started": humantime::format_rfc3339_seconds(live.identity.started_wall).to_string(),
        "uptime_seconds": up.as_secs(),
        "config_version": snapshot.version,
        "ready": live.is_ready(),
        "draining": live.lifecycle.is_draining(),
        "open_requests": live.lifecycle.open(),
        "operations": live.learner.len(),
        "long_threshold_ms": ms(live.learner.threshold()),
        "redis": live.fleet.standing().word(),
        "pools": pools,
    });
    reply::json(200, &body)
}

/// Milliseconds with a fraction, as the seed's pages show durations.
pub(super) fn ms(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
