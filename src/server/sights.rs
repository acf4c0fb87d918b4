//! Which plugins run where, as one gateway saw it and another may not know yet?

use crate::nodes::{Node, Plugin, Sight, Told};
use crate::share::{Neighbour, Report, Seen, newest};
use crate::upstream::Live;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What we saw ourselves, the newest first when there is too much of it.
pub(super) fn ours(nodes: &[Arc<Node>], plugins: &[Arc<Plugin>], now: Instant) -> Vec<Seen> {
    let mut all: Vec<_> = nodes
        .iter()
        .flat_map(|node| {
            node.sights(plugins, now)
                .into_iter()
                .map(move |it| (node, it))
        })
        .collect();
    all.sort_by_key(|(_, (_, sight))| Reverse(sight.at));
    all.truncate(Report::SIGHTS);
    let seen = |(node, (plugin, sight)): (&Arc<Node>, (Arc<Plugin>, Sight))| Seen {
        node: node.id().clone(),
        plugin: plugin.name().to_owned(),
        present: sight.present,
        age: millis(now.saturating_duration_since(sight.at)),
        ms: millis(sight.lasting),
    };
    all.into_iter().map(seen).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Gives each node what the others saw there.
pub(super) fn hear(live: &Live, others: &[Neighbour], now: Instant) {
    let newest = newest(others);
    for node in live.snapshot().nodes() {
        let told = newest.get(node.id()).into_iter().flatten();
        let told: Vec<_> = told
            .map(|(name, it)| {
                let sight = Sight {
                    present: it.present,
                    at: now.checked_sub(it.age).unwrap_or(live.identity.started),
                    lasting: it.lasting,
                };
                Told {
                    plugin: live.plugins.find(Some(name)).place(),
                    sight,
                    missed: it.missed,
                }
            })
            .collect();
        node.hear_sights(&told, now);
    }
}
