//! What does Prometheus scrape?

use super::reply;
use crate::model::{Class, clock};
use crate::nodes::{Node, Pace};
use crate::observe::{Gauges, Looking, NodeState, PoolState};
use crate::upstream::{Live, Pool};
use http::Response;
use std::time::Instant;

pub(super) fn page(live: &Live) -> Response<Vec<u8>> {
    let snapshot = live.snapshot();
    let now = clock::now();
    let pools: Vec<_> = snapshot.pools().iter().map(|pool| state(pool)).collect();
    let nodes: Vec<_> = snapshot
        .pools()
        .iter()
        .flat_map(|pool| nodes(live, pool, now))
        .collect();
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let gauges = Gauges {
        open_requests: count(live.lifecycle.open()),
        operations: count(live.learner.len()),
        other_gateways: count(live.fleet.others(clock::now()).len()),
        long_threshold: live.learner.threshold(),
        classifier_failures: live.parts.own.classifier_failures(),
    };
    match live.parts.metrics.page(&nodes, &pools, gauges) {
        Ok(page) => reply::build(200, "text/plain; version=0.0.4; charset=utf-8", page),
        Err(error) => reply::text(500, format!("the metrics cannot be written: {error}\n")),
    }
}

fn state(pool: &Pool) -> PoolState {
    let insight = pool.chooser().insight();
    let source = pool.source();
    let looking = source.refresh().map(|_every| Looking {
        up: source.is_up(),
        members: pool.nodes().len(),
    });
    PoolState {
        name: pool.name().to_owned(),
        lanes_ratio: insight.lanes_ratio,
        lanes_apart: insight.lanes_apart,
        plugins_alike: insight.plugins_alike,
        damping: insight.damping,
        looking,
    }
}

fn nodes(live: &Live, pool: &Pool, now: Instant) -> Vec<NodeState> {
    let nodes = pool.nodes();
    let fastest = Pace::fastest(nodes.iter().map(|node| node.speed()));
    let state = |node: &Node| NodeState {
        id: node.id().clone(),
        up: node.is_healthy(),
        in_flight: Class::ALL.map(|class| node.in_flight(class)),
        beyond: node.beyond(),
        tcp: live.tunnels.of(node.id()),
        hand: node.hand().word(),
        slowness: node.speed().slowness(fastest, now),
        failing: node.failing(),
    };
    nodes.iter().map(|node| state(node)).collect()
}
