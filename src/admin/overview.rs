//! How is everything now? One page for the dashboard and for `twolane top`.

use super::routes::{Answer, Asked};
use super::{actions, reply, seed_pages, status};
use crate::model::{Class, NodeId, clock};
use crate::nodes::{Hand, Node, Pace};
use crate::observe::Spread;
use crate::share::Neighbour;
use crate::upstream::{Live, Point, Pool, round_ms};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Instant;

/// `/api/v1/overview`.
pub(super) fn page(asked: &Asked<'_>) -> Answer {
    reply::json(200, &of(asked.live))
}

/// The same, for the stream of events.
pub(super) fn of(live: &Live) -> Value {
    let snapshot = live.snapshot();
    let rows = Rows::new(live);
    let pools = snapshot.pools();
    json!({
        "gateway": status::gateway(live),
        "now": Point::of(live, rows.now),
        "pools": pools.iter().map(|pool| status::pool(pool)).collect::<Vec<_>>(),
        "nodes": pools.iter().flat_map(|pool| rows.of_pool(pool)).collect::<Vec<_>>(),
        "fleet": seed_pages::fleet(live),
    })
}

/// `/api/v1/nodes`.
pub(super) fn nodes(asked: &Asked<'_>) -> Answer {
    let rows = Rows::new(asked.live);
    let snapshot = asked.live.snapshot();
    let nodes: Vec<_> = snapshot
        .pools()
        .iter()
        .flat_map(|pool| rows.of_pool(pool))
        .collect();
    reply::json(200, &json!({ "nodes": nodes }))
}

/// `/api/v1/nodes/{node}`.
pub(super) fn node(asked: &Asked<'_>) -> Answer {
    match one(asked.live, asked.item) {
        Some(row) => reply::json(200, &row),
        None => actions::no_node(asked.live, asked.item),
    }
}

/// The row of one node.
pub(super) fn one(live: &Live, id: &str) -> Option<Value> {
    let rows = Rows::new(live);
    let snapshot = live.snapshot();
    snapshot.pools().iter().find_map(|pool| {
        let nodes = pool.nodes();
        let node = nodes.iter().find(|node| node.id().as_str() == id)?;
        let fastest = Pace::fastest(nodes.iter().map(|node| node.speed()));
        Some(rows.row(pool, node, fastest))
    })
}

/// What the rows of all nodes share.
struct Rows {
    now: Instant,
    others: Vec<Neighbour>,
    failed_before: HashMap<NodeId, u64>,
}

impl Rows {
    fn new(live: &Live) -> Self {
        let now = clock::now();
        Self {
            now,
            others: live.fleet.others(now),
            failed_before: live.history.failed_before(),
        }
    }

    fn of_pool(&self, pool: &Pool) -> Vec<Value> {
        let nodes = pool.nodes();
        let fastest = Pace::fastest(nodes.iter().map(|node| node.speed()));
        nodes
            .iter()
            .map(|node| self.row(pool, node, fastest))
            .collect()
    }

    /// Seed 000's row, and what more there is to see.
    fn row(&self, pool: &Pool, node: &Node, fastest: Option<Pace>) -> Value {
        let mut row = seed_pages::row(pool, node, &self.others);
        let before = self.failed_before.get(node.id()).copied();
        let took = |class| took(&node.recent(class).spread(self.now));
        let check = node.last_check().map(|check| {
            json!({
                "ago_s": self.now.saturating_duration_since(check.at).as_secs_f64(),
                "took_ms": round_ms(check.took),
                "wrong": check.wrong,
            })
        });
        let more = json!({
            "light": light(node, self.now),
            "places": node.total_places(),
            "slowness": (node.speed().slowness(fastest, self.now) * 10.0).round() / 10.0,
            "failing": (node.failing() * 100.0).round() / 100.0,
            "failed_5m": node.failed() - before.unwrap_or(0).min(node.failed()),
            "took": { "short": took(Class::Short), "long": took(Class::Long) },
            "check": check,
        });
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
            row.extend(more);
        }
        row
    }
}

/// The last minute of one class.
fn took(spread: &Spread) -> Value {
    let quantile = |share| spread.quantile(share).map(round_ms);
    json!({ "count": spread.count(), "p50_ms": quantile(0.5), "p99_ms": quantile(0.99) })
}

/// The state of a node in one word, for `HAProxy`'s colours: the operator's hand first, then the
/// checks, then what requests found out.
fn light(node: &Node, now: Instant) -> &'static str {
    let failed = node.last_check().is_some_and(|check| check.wrong.is_some());
    match (node.hand(), node.is_healthy(), failed) {
        (Hand::Maint, ..) => "maint",
        (Hand::Drain, ..) => "drain",
        (Hand::Ready, true, true) => "going_down",
        (Hand::Ready, true, false) if !node.resting(now).is_zero() => "resting",
        (Hand::Ready, true, false) => "up",
        (Hand::Ready, false, true) => "down",
        (Hand::Ready, false, false) if node.is_checked() => "coming_up",
        (Hand::Ready, false, false) => "down",
    }
}
