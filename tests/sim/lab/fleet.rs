//! How do several gateways hear of each other, and how late?

use super::gateway::Gateway;
use super::time::instant;
use std::time::Instant;
use twolane::model::Class;
use twolane::nodes::Remote;

/// Several gateways in front of the same nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fleet {
    pub(crate) gateways: u16,
    /// What each does is counted every so many seconds, and the others hear of it as much later;
    /// `None`: never.
    pub(crate) lag: Option<f64>,
    /// They are told how fast the counts change, so that old ones count less.
    pub(crate) damped: bool,
}

impl Fleet {
    /// One gateway.
    pub(crate) const ALONE: Self = Self {
        gateways: 1,
        lag: None,
        damped: true,
    };
}

/// The rate at which a gateway begins requests is averaged over this time, in seconds.
const MEMORY: f64 = 10.0;

/// What one gateway does on one node.
#[derive(Clone, Debug, Default)]
struct Count {
    total: u32,
    long: u32,
    plugins: Vec<u32>,
    taken: u64,
    rate: f64,
}

/// The last counts, by gateway and node.
pub(crate) struct Exchange {
    fleet: Fleet,
    base: Instant,
    at: f64,
    counts: Vec<Vec<Count>>,
}

impl Exchange {
    pub(crate) fn new(fleet: Fleet, gateways: &[Gateway], base: Instant) -> Self {
        let counts = gateways
            .iter()
            .map(|it| vec![Count::default(); it.nodes.len()])
            .collect();
        Self {
            fleet,
            base,
            at: 0.0,
            counts,
        }
    }

    /// Tells what was counted last time, then counts anew.
    pub(crate) fn tick(&mut self, gateways: &[Gateway], now: f64) {
        for (own, gateway) in gateways.iter().enumerate() {
            for at in 0..gateway.nodes.len() {
                let news = self.of_others(own, at, gateway);
                gateway.nodes[at].note_remote(&news);
            }
        }
        let seconds = now - self.at;
        self.at = now;
        for (gateway, counts) in gateways.iter().zip(&mut self.counts) {
            for (node, count) in gateway.nodes.iter().zip(counts) {
                let began = (node.taken() - count.taken) as f64 / seconds.max(1e-9);
                count.rate += (began - count.rate) * (1.0 - (-seconds / MEMORY).exp());
                count.taken = node.taken();
                count.total = node.total_in_flight();
                count.long = node.in_flight(Class::Long);
                count.plugins = (gateway.plugins.iter())
                    .map(|plugin| node.runtime_in_flight(plugin.place()))
                    .collect();
            }
        }
    }

    /// What all gateways but one do on a node.
    fn of_others(&self, own: usize, node: usize, gateway: &Gateway) -> Remote {
        let mut news = Remote {
            total: 0,
            long: 0,
            plugins: (gateway.plugins.iter())
                .map(|plugin| (plugin.place(), 0))
                .collect(),
            as_of: instant(self.base, self.at),
            rate: 0.0,
        };
        let others = self.counts.iter().enumerate().filter(|(at, _)| *at != own);
        for (_, counts) in others {
            let count = &counts[node];
            news.total += count.total;
            news.long += count.long;
            if self.fleet.damped {
                news.rate += count.rate;
            }
            // Every gateway has met the plugins in the same order, so places are the same.
            for ((_, sum), more) in news.plugins.iter_mut().zip(&count.plugins) {
                *sum += more;
            }
        }
        news
    }
}
