//! What does Prometheus scrape?

use super::reply;
use crate::model::Class;
use crate::observe::{Gauges, NodeState};
use crate::upstream::Live;
use http::Response;

pub(super) fn page(live: &Live) -> Response<Vec<u8>> {
    let nodes: Vec<_> = live
        .snapshot()
        .nodes()
        .iter()
        .map(|node| NodeState {
            id: node.id().clone(),
            up: node.is_healthy(),
            in_flight: Class::ALL.map(|class| node.in_flight(class)),
            beyond: node.beyond(),
            tcp: live.tunnels.of(node.id()),
            hand: node.hand().word(),
        })
        .collect();
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let gauges = Gauges {
        open_requests: count(live.lifecycle.open()),
        operations: count(live.learner.len()),
        long_threshold: live.learner.threshold(),
        classifier_failures: live.parts.own.classifier_failures(),
    };
    match live.parts.metrics.page(&nodes, gauges) {
        Ok(page) => reply::build(200, "text/plain; version=0.0.4; charset=utf-8", page),
        Err(error) => reply::text(500, format!("the metrics cannot be written: {error}\n")),
    }
}
