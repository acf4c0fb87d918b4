//! What does Prometheus scrape?

use super::reply;
use super::routes::{Answer, Asked};
use crate::dify;
use crate::model::{Class, NodeId, clock};
use crate::nodes::{Node, Pace, Plugin, Presence};
use crate::observe::{Gauges, KnownState, Looking, NodeState, OperationState, PoolState, Shown};
use crate::upstream::{Live, Pool, Standing};
use std::sync::Arc;
use std::time::Instant;

pub(super) fn page(asked: &Asked<'_>) -> Answer {
    let live = asked.live;
    let snapshot = live.snapshot();
    let now = clock::now();
    let pools = snapshot.pools().iter();
    let shown = Shown {
        pools: pools.clone().map(|pool| state(pool)).collect(),
        nodes: pools.flat_map(|pool| nodes(live, pool, now)).collect(),
        known: known(live, now),
        gauges: gauges(live, now),
    };
    match live.parts.metrics.page(&shown) {
        Ok(page) => reply::build(200, "text/plain; version=0.0.4; charset=utf-8", page),
        Err(error) => reply::text(500, format!("the metrics cannot be written: {error}\n")),
    }
}

fn gauges(live: &Live, now: Instant) -> Gauges {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let leader = live.fleet.leader(now);
    let alone = live.fleet.standing() == Standing::Alone;
    Gauges {
        open_requests: count(live.lifecycle.open()),
        connections: count(live.crowd.inside()),
        operations: count(live.learner.len()),
        other_gateways: count(live.fleet.others(now).len()),
        leader: alone || leader.is_some_and(|leader| leader.gateway == live.identity.name),
        long_threshold: live.learner.threshold(),
        classifier_failures: live.parts.own.classifier_failures(),
    }
}

fn known(live: &Live, now: Instant) -> KnownState {
    let operation = |name| {
        let known = live.learner.view_of(name, now)?;
        let score = known.score_ms / 1e3;
        (known.total > 0).then_some(OperationState {
            name,
            long: known.long,
            score,
        })
    };
    KnownState {
        operations: dify::labels().filter_map(operation).collect(),
        changes: live.learner.changes(),
        divergence: divergence(live, now),
        missing: missing(live),
    }
}

/// Each node of whom plugins are expected, and how many it lacks.
fn missing(live: &Live) -> Vec<(NodeId, usize)> {
    let snapshot = live.snapshot();
    let settings = snapshot.config.pools.iter().zip(snapshot.pools());
    let expecting = settings.filter(|(settings, _)| settings.expects.is_some());
    let nodes = expecting.flat_map(|(_, pool)| pool.nodes().to_vec());
    let row = |node: Arc<Node>| (node.id().clone(), live.roll.missing(node.id()));
    nodes.map(row).collect()
}

/// How many plugins some nodes have and others of the same pool said they have not.
fn divergence(live: &Live, now: Instant) -> usize {
    let nodes = live.snapshot().plugin_pool().nodes();
    let plugins = live.plugins.all();
    let differs = |plugin: &&Arc<Plugin>| {
        let on = |state| {
            let mut nodes = nodes.iter();
            nodes.any(|node| node.presence(plugin.place(), now) == state)
        };
        on(Presence::Absent) && on(Presence::Present)
    };
    plugins.iter().filter(differs).count()
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
        resting: node.resting(now),
    };
    nodes.iter().map(|node| state(node)).collect()
}
