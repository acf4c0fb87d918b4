//! What is this gateway, in one page?

use super::reply;
use super::routes::{Answer, Asked};
use crate::model::{Class, clock};
use crate::nodes::{Hand, Node};
use crate::upstream::{Live, Pool};
use serde_json::{Value, json};
use std::time::Instant;

pub(super) fn status(asked: &Asked<'_>) -> Answer {
    let snapshot = asked.live.snapshot();
    let mut body = gateway(asked.live);
    let pools = snapshot.pools().iter();
    body["pools"] = pools.clone().map(|pool| self::pool(pool)).collect();
    let now = clock::now();
    let applications = pools.map(|pool| (pool.name().to_owned(), application(pool, now)));
    body["applications"] = Value::Object(applications.collect());
    reply::json(200, &body)
}

/// The gateway itself.
pub(super) fn gateway(live: &Live) -> Value {
    let snapshot = live.snapshot();
    let up = clock::now().saturating_duration_since(live.identity.started);
    json!({
        "gateway": live.identity.name,
        "version": env!("CARGO_PKG_VERSION"),
        "started": humantime::format_rfc3339_seconds(live.identity.started_wall).to_string(),
        "uptime_seconds": up.as_secs(),
        "config_version": snapshot.version,
        "config": snapshot.fingerprint(),
        "ready": live.is_ready(),
        "draining": live.lifecycle.is_draining(),
        "open_requests": live.lifecycle.open(),
        "operations": live.learner.len(),
        "long_threshold_ms": ms(live.learner.threshold()),
        "redis": live.fleet.standing().word(),
    })
}

/// Seed 002's shape: what was asked of a pool, and of each of its nodes.
fn application(pool: &Pool, now: Instant) -> Value {
    let nodes = pool.nodes();
    let instance = |node: &Node| {
        let status = match (node.hand(), node.is_healthy()) {
            (Hand::Drain | Hand::Maint, _) => "drained",
            (Hand::Ready, false) => "unhealthy",
            (Hand::Ready, true) if !node.resting(now).is_zero() => "cooling",
            (Hand::Ready, true) => "healthy",
        };
        let row = json!({
            "requests": node.taken(),
            "status": status,
            "in_flight": node.total_in_flight(),
        });
        (node.id().to_string(), row)
    };
    let instances = nodes.iter().map(|node| instance(node));
    json!({
        "total_requests": nodes.iter().map(|node| node.taken()).sum::<u64>(),
        "instances": Value::Object(instances.collect()),
    })
}

/// One pool.
pub(super) fn pool(pool: &Pool) -> Value {
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
}

/// Milliseconds with a fraction, as the seed's pages show durations.
pub(super) fn ms(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
