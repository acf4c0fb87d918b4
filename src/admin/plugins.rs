//! Where do the expected plugins run?

use super::reply;
use super::routes::{Answer, Asked};
use crate::config::Expects;
use crate::model::{NodeId, clock};
use crate::upstream::{Live, Pool};
use serde_json::{Value, json};
use std::time::Instant;

/// `/api/v1/plugins`: each pool that expects some, each of its nodes, what the last roll call found.
pub(super) fn page(asked: &Asked<'_>) -> Answer {
    let (live, now) = (asked.live, clock::now());
    let snapshot = live.snapshot();
    let settings = snapshot.config.pools.iter().zip(snapshot.pools());
    let pools: Vec<_> = settings
        .filter_map(|(settings, pool)| Some(of_pool(live, pool, settings.expects.as_ref()?, now)))
        .collect();
    let sum = |key: &str| -> u64 {
        let counts = pools.iter().filter_map(|pool| pool[key].as_u64());
        counts.sum()
    };
    let (missing, unknown) = (sum("missing"), sum("unknown"));
    let body = json!({ "missing": missing, "unknown": unknown, "pools": pools });
    reply::json(200, &body)
}

fn of_pool(live: &Live, pool: &Pool, expects: &Expects, now: Instant) -> Value {
    let nodes = pool.nodes();
    let rows: Vec<_> = nodes
        .iter()
        .flat_map(|node| {
            expects
                .plugins
                .iter()
                .map(move |one| (node.id(), &one.plugin))
        })
        .map(|(node, plugin)| row(live, node, plugin, now))
        .collect();
    let count = |states: &[&str]| {
        let is = |row: &&Value| {
            row["state"]
                .as_str()
                .is_some_and(|state| states.contains(&state))
        };
        rows.iter().filter(is).count()
    };
    json!({
        "pool": pool.name(),
        "every_s": expects.every.as_secs_f64(),
        "missing": count(&["absent", "starting"]),
        "unknown": count(&["unknown"]),
        "plugins": rows,
    })
}

fn row(live: &Live, node: &NodeId, plugin: &str, now: Instant) -> Value {
    let entry = live.roll.entry(node, plugin);
    let ago = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
    json!({
        "node": node.as_str(),
        "plugin": plugin,
        // A node that is not asked, because it is down or drained, is unknown.
        "state": entry.map_or("unknown", |entry| entry.attendance.word()),
        "for_s": entry.map(|entry| ago(entry.since)),
        "asked_s_ago": entry.map(|entry| ago(entry.asked)),
    })
}
