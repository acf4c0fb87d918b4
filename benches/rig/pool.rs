//! A pool whose nodes nobody looks at, and requests that run there.

use std::sync::Arc;
use twolane::config;
use twolane::model::{Class, clock};
use twolane::nodes::{Lease, Node, Plugins, Roster};
use twolane::observe::Metrics;
use twolane::observe::access::Sinks;
use twolane::server::known;
use twolane::upstream::discovery::Sources;
use twolane::upstream::{Checks, Limiters, Own, Parts, Rooms, Snapshot};

/// A pool of so many nodes; nothing listens there, and nobody looks.
pub(crate) async fn snapshot(strategy: &str, nodes: u16) -> Arc<Snapshot> {
    let list: Vec<_> = (0..nodes)
        .map(|n| format!("127.0.0.1:{}", 20_000 + n))
        .collect();
    let text = format!(
        "strategy: {strategy}\nhealth: {{ enabled: false }}\nnodes: [{}]\n",
        list.join(", ")
    );
    let config = match config::load(&text, "bench.yaml", &known(), &|_| None) {
        Ok(config) => config,
        Err(problems) => panic!("{}", problems.render()),
    };
    let roster = Arc::new(Roster::default());
    let metrics = Metrics::new().expect("every family has a name of its own");
    let parts = Parts {
        checks: Checks::new(&roster, &config.health, metrics.checks.clone()),
        roster,
        connections: Arc::default(),
        sources: Sources::default(),
        rooms: Rooms::default(),
        limiters: Limiters::default(),
        sinks: Sinks::new(metrics.access().clone()),
        metrics,
        own: Own::default(),
    };
    Snapshot::compile(config, 1, &parts)
        .await
        .expect("the configuration was checked")
}

/// Requests on the nodes, so that their loads differ.
pub(crate) fn crowd(nodes: &[Arc<Node>], plugins: &Plugins) -> Vec<Lease> {
    let mut held = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let plugin = plugins.find(Some(["a/b", "c/d", "e/f"][at % 3]));
        for n in 0..=at % 5 {
            let class = if n % 3 == 2 {
                Class::Long
            } else {
                Class::Short
            };
            held.push(Lease::take(node, &plugin, class, clock::now()));
        }
    }
    held
}
