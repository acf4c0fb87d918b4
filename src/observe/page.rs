//! How is what is counted shown to Prometheus?

use super::Metrics;
use super::shown::{Looking, NodeState, PoolState, Shown};
use crate::model::{Class, NodeId};
use prometheus::core::{Collector, Metric, MetricVec, MetricVecBuilder};
use prometheus::{Encoder, TextEncoder};
use std::collections::HashMap;

impl Metrics {
    /// The page for Prometheus. What is counted elsewhere (nodes, open requests, keys) is handed
    /// in, so that nothing is counted twice.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn page(&self, of: &Shown) -> prometheus::Result<Vec<u8>> {
        self.show_nodes(&of.nodes);
        self.forget_gone(&of.nodes);
        self.show_pools(&of.pools);
        self.known.show(&of.known);
        let gauges = &of.gauges;
        self.requests.open.set(gauges.open_requests);
        self.door.open(gauges.connections);
        self.gateway.operations.set(gauges.operations);
        self.share.others.set(gauges.other_gateways);
        self.share.leader.set(i64::from(gauges.leader));
        self.gateway
            .threshold
            .set(gauges.long_threshold.as_secs_f64());
        let failures = &self.gateway.classifier_failures;
        failures.inc_by(gauges.classifier_failures.saturating_sub(failures.get()));
        let mut page = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        if let Some(own) = &self.own {
            own.show(&mut page);
        }
        Ok(page)
    }

    fn show_pools(&self, pools: &[PoolState]) {
        let family = &self.pools;
        family.lanes_apart.reset();
        family.plugins_alike.reset();
        for each in [&family.lanes_ratio, &family.damping] {
            each.reset();
        }
        for each in [&self.discovery.up, &self.discovery.members] {
            each.reset();
        }
        for pool in pools {
            let labels = [pool.name.as_str()];
            let measures = [
                (&family.lanes_ratio, pool.lanes_ratio),
                (&family.damping, pool.damping),
            ];
            for (family, found) in measures {
                if let Some(found) = found {
                    family.with_label_values(&labels).set(found);
                }
            }
            let apart = family.lanes_apart.with_label_values(&labels);
            apart.set(i64::from(pool.lanes_apart));
            let alike = family.plugins_alike.with_label_values(&labels);
            alike.set(i64::from(pool.plugins_alike));
            if let Some(Looking { up, members }) = pool.looking {
                let found = &self.discovery;
                found.up.with_label_values(&labels).set(i64::from(up));
                let members = i64::try_from(members).unwrap_or(i64::MAX);
                found.members.with_label_values(&labels).set(members);
            }
        }
    }

    fn show_nodes(&self, nodes: &[NodeState]) {
        let family = &self.nodes;
        for each in [
            &family.up,
            &family.daemon_healthy,
            &family.beyond,
            &family.in_flight,
            &family.hand,
            &family.tcp,
            &family.busy,
        ] {
            // A node that is gone must not go on being shown.
            each.reset();
        }
        for each in [&family.slowness, &family.failing, &family.resting] {
            each.reset();
        }
        for node in nodes {
            let id = node.id.as_str();
            for each in [&family.up, &family.daemon_healthy] {
                each.with_label_values(&[id]).set(i64::from(node.up));
            }
            family
                .beyond
                .with_label_values(&[id])
                .set(i64::from(node.beyond));
            family.hand.with_label_values(&[id, node.hand]).set(1);
            family.slowness.with_label_values(&[id]).set(node.slowness);
            family.failing.with_label_values(&[id]).set(node.failing);
            let resting = node.resting.as_secs_f64();
            family.resting.with_label_values(&[id]).set(resting);
            let busy = node.in_flight[Class::Long.index()] > 0;
            family.busy.with_label_values(&[id]).set(i64::from(busy));
            let tcp = family.tcp.with_label_values(&[id]);
            tcp.set(i64::from(node.tcp));
            for class in Class::ALL {
                let gauge = family.in_flight.with_label_values(&[id, class.word()]);
                gauge.set(i64::from(node.in_flight[class.index()]));
            }
        }
    }

    /// Where nodes come and go, their counters would pile up.
    fn forget_gone(&self, nodes: &[NodeState]) {
        let mut shown = self.shown.lock();
        let same = shown.len() == nodes.len()
            && shown.iter().zip(nodes).all(|(old, node)| *old == node.id);
        if same {
            return;
        }
        *shown = nodes.iter().map(|node| node.id.clone()).collect();
        forget(&self.requests.attempts, &shown);
        forget(self.checks.ended(), &shown);
        forget(self.checks.took(), &shown);
    }
}

/// Drops the rows of nodes that are gone.
fn forget<B: MetricVecBuilder<M: Metric>>(family: &MetricVec<B>, nodes: &[NodeId]) {
    for row in family.collect().iter().flat_map(|all| all.get_metric()) {
        let labels: Vec<_> = row.get_label().iter().collect();
        let node = labels.iter().find(|label| label.name() == "node");
        if node.is_some_and(|node| !nodes.iter().any(|known| known.as_str() == node.value())) {
            let row = labels.iter().map(|label| (label.name(), label.value()));
            // Another page may have been quicker.
            let _ = family.remove(&row.collect::<HashMap<_, _>>());
        }
    }
}
