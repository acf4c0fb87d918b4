//! How was it within the last five minutes?

use super::reply;
use super::routes::{Answer, Asked};
use crate::upstream::EVERY;
use serde_json::{Map, Value, json};

/// `/api/v1/history`: points for graphs, the oldest first, and notices of what changed.
pub(super) fn page(asked: &Asked<'_>) -> Answer {
    let history = &asked.live.history;
    let loads = history.loads(&asked.live.snapshot().nodes());
    let loads: Map<String, Value> = loads
        .into_iter()
        .map(|(node, loads)| (node.to_string(), json!(loads)))
        .collect();
    let body = json!({
        "every_s": EVERY.as_secs(),
        "points": history.points(),
        "in_flight": loads,
        "notices": history.notices(0),
    });
    reply::json(200, &body)
}
