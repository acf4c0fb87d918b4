//! Seed 000's three pages: who works, what was learned, who leads?

use super::{reply, status::ms};
use crate::model::{Class, clock};
use crate::nodes::Node;
use crate::upstream::{Live, Pool};
use http::Response;
use serde_json::{Value, json};
use std::time::Duration;

/// `/cluster/nodes`: every node, with the seed's `is_working` and `is_long_request` derived from
/// live leases.
pub(super) fn nodes(live: &Live) -> Response<Vec<u8>> {
    let snapshot = live.snapshot();
    let mut rows = Vec::new();
    for pool in snapshot.pools() {
        rows.extend(pool.nodes().iter().map(|node| row(pool, node)));
    }
    reply::json(200, &json!({ "nodes": rows }))
}

/// The row of one node, by its name.
pub(super) fn row_of(live: &Live, id: &str) -> Option<Value> {
    let snapshot = live.snapshot();
    snapshot.pools().iter().find_map(|pool| {
        let nodes = pool.nodes();
        let node = nodes.iter().find(|node| node.id().as_str() == id)?;
        Some(row(pool, node))
    })
}

fn row(pool: &Pool, node: &Node) -> Value {
    let [short, long] = Class::ALL.map(|class| node.in_flight(class));
    json!({
        "id": node.id().as_str(),
        "address": node.address().to_string(),
        "pool": pool.name(),
        "role": node.role().word(),
        "weight": node.weight(),
        "state": node.hand().word(),
        "status": if node.is_healthy() { "up" } else { "down" },
        "checked": node.is_checked(),
        "in_flight": { "short": short, "long": long, "total": short + long },
        "expected_idle_in_s": node.idle_in(clock::now()).map(|left| ms(left) / 1000.0),
        "beyond": node.beyond(),
        "resting_ms": ms(node.resting(clock::now())),
        "is_working": short + long > 0,
        "is_long_request": long > 0,
        "served": node.taken(),
        "failed": node.failed(),
    })
}

/// `/cluster/stats?top=N&prefix=P`: what was learned, most work first.
pub(super) fn stats(live: &Live, query: Option<&str>) -> Response<Vec<u8>> {
    let parameter = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value)
    };
    let top = match parameter("top").map(|top| top.parse::<usize>()) {
        None => usize::MAX,
        Some(Ok(top)) => top,
        Some(Err(_not_a_number)) => {
            let what = "top is not a number: write /cluster/stats?top=20\n";
            return reply::text(400, what);
        }
    };
    let prefix = parameter("prefix").unwrap_or_default();
    let now = clock::now();
    let mut rows = live.learner.view(usize::MAX, now);
    rows.retain(|row| row.key.starts_with(prefix.as_ref()));
    rows.truncate(top);
    let body = json!({
        "threshold_ms": ms(live.learner.threshold()),
        "window": live.learner.rules().window,
        "endpoints": rows,
    });
    reply::json(200, &body)
}

/// `/cluster/master`: which gateway does the fleet's chores. Routing never depends on it.
pub(super) fn leader(live: &Live) -> Response<Vec<u8>> {
    let name = live.identity.name.as_str();
    let news = live.news.load();
    let leader = news
        .as_ref()
        .as_ref()
        .map_or(name, |news| news.leader.as_str());
    let ttl = news
        .as_ref()
        .as_ref()
        .map(|news| news.leader_for)
        .filter(|&left| left < Duration::MAX);
    let primary = live.snapshot().nodes().iter().find_map(|node| {
        (node.role() == crate::model::Role::Primary).then(|| node.id().to_string())
    });
    let body = json!({
        "leader": leader,
        "self": leader == name,
        "ttl_ms": ttl.map(ms),
        "primary_node": primary,
    });
    reply::json(200, &body)
}
