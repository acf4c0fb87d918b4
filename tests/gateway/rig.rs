//! What several rows need: daemons behind a gateway, held calls, learned keys, metrics.

use crate::support::client::Dify;
use crate::support::gateway::{Gateway, config_of};
use crate::support::stream::{Response, Stream};
use crate::support::within;
use crate::{daemons, sim};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Daemon, Ledger, Stop};
use twolane::learn::KeyView;
use twolane::model::{Class, PluginPlace, clock};
use twolane::nodes::{Node, Plugins};
use twolane::server::Options;

/// Without checks every node counts as healthy, and no probe reports a load of its own.
pub(crate) const UNCHECKED: &str = "health: { enabled: false }\n";

/// Daemons n1, n2, ... and the gateway in front of them.
pub(crate) struct Rig {
    pub(crate) nodes: Vec<Daemon>,
    pub(crate) gateway: Gateway,
}

impl Rig {
    /// So many daemons, and a gateway with this configuration besides what tests need.
    pub(crate) async fn new(count: usize, yaml: &str) -> Self {
        Self::with(count, yaml, Options::default()).await
    }

    pub(crate) async fn with(count: usize, yaml: &str, options: Options) -> Self {
        let nodes = daemons(count).await;
        let all: Vec<_> = nodes.iter().collect();
        let gateway = Gateway::start_with(config_of(&all, yaml, &options.known()), options).await;
        Self { nodes, gateway }
    }

    /// The first node refuses connections from the start, and counts as healthy all the same. Every
    /// request tries it first: the seed's main node is the first.
    pub(crate) async fn first_is_dead(yaml: &str) -> Self {
        let nodes = daemons(2).await;
        nodes[0].stop(Stop::Cut).await;
        let all: Vec<_> = nodes.iter().collect();
        let more = format!("{UNCHECKED}strategy: seed\nlearn: {{ unknown: short }}\n{yaml}");
        let gateway = Gateway::before(&all, &more).await;
        Self { nodes, gateway }
    }

    pub(crate) fn dify(&self) -> Dify {
        self.gateway.dify()
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.nodes[0].ledger()
    }

    /// What the gateway knows of the node with this name.
    pub(crate) fn node(&self, id: &str) -> std::sync::Arc<Node> {
        let nodes = self.gateway.embedded.live().snapshot().nodes();
        let found = nodes.into_iter().find(|node| node.id().as_str() == id);
        found.expect("the gateway should know the node")
    }

    /// Waits until nobody is inside and no node is held.
    pub(crate) async fn quiet(&self) {
        let quiet = self
            .gateway
            .until(|gateway| gateway.in_flight() == 0 && open(gateway) == 0);
        within("the gateway becomes quiet", quiet).await;
    }

    /// Opens a call that a node holds for ever after `events` events, and returns once it runs.
    pub(crate) async fn hold(&self, plugin: &str, events: u32) -> Held {
        let before = self.ledger().executions().len();
        let script = sim(json!({"fail": "hang", "fail_after": events}));
        let call = self.dify().open("tool/invoke", plugin, script).await;
        let runs = self.ledger().until(|all| all.len() > before);
        within("the held call runs on a node", runs).await;
        Held {
            stream: call.expect("the gateway should take the call"),
            node: self.ledger().executions()[before].node.clone(),
        }
    }

    /// Lets a held call go, and returns once its node is free of it.
    pub(crate) async fn let_go(&self, held: Held) {
        let before = self.gateway.in_flight();
        held.stream.abort();
        let freed = self.gateway.until(|gateway| gateway.in_flight() < before);
        within("the node of the call that was let go is free", freed).await;
    }

    /// How often each runtime of each node is held, all added up.
    pub(crate) fn runtimes_in_flight(&self) -> u32 {
        let nodes = self.gateway.embedded.live().snapshot().nodes();
        let of = |node: &Node| {
            (0..Plugins::CAPACITY)
                .map(|place| {
                    node.runtime_in_flight(PluginPlace {
                        index: place,
                        generation: 0,
                    })
                })
                .sum::<u32>()
        };
        nodes.iter().map(|node| of(node)).sum()
    }

    /// The samples of every line of a metric that carries these labels, added up.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.gateway.admin("/metrics").await;
        let lines = page.text().lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        lines.filter_map(value).sum()
    }
}

/// A call that a node holds.
pub(crate) struct Held {
    pub(crate) stream: Stream,
    /// The node it runs on.
    pub(crate) node: String,
}

/// Requests inside the gateway.
pub(crate) fn open(gateway: &Gateway) -> usize {
    gateway.embedded.live().lifecycle.open()
}

/// What was learned under a key.
pub(crate) fn learned(gateway: &Gateway, key: &str) -> Option<KeyView> {
    let view = gateway
        .embedded
        .live()
        .learner
        .view(usize::MAX, clock::now());
    view.into_iter().find(|row| row.key == key)
}

/// The body of a call of one tool that the stand-in plays by this script.
pub(crate) fn tool(name: &str, script: Value) -> Value {
    json!({"provider": "demo", "tool": name, "tool_parameters": {"__sim": script}})
}

/// A tool call's whole answer, with its headers.
pub(crate) async fn ask(dify: &Dify, plugin: &str, data: Value) -> Response {
    let stream = dify.open("tool/invoke", plugin, data).await;
    let whole = stream.expect("the call should be sent").whole();
    within("the whole answer", whole)
        .await
        .expect("the answer should come to its end")
}

/// So many calls at once; the answers in no order.
pub(crate) async fn ask_at_once(
    dify: &Dify,
    plugin: &str,
    data: &Value,
    times: usize,
) -> Vec<Response> {
    let mut calls = JoinSet::new();
    for _ in 0..times {
        let (dify, plugin, data) = (dify.clone(), plugin.to_owned(), data.clone());
        calls.spawn(async move { ask(&dify, &plugin, data).await });
    }
    calls.join_all().await
}

/// The debug header that names the node.
pub(crate) fn node_of(answer: &Response) -> &str {
    answer
        .header("X-Twolane-Node")
        .expect("a debug header should name the node")
}

/// The debug header that names the class.
pub(crate) fn class_of(answer: &Response) -> &str {
    answer
        .header("X-Twolane-Class")
        .expect("a debug header should name the class")
}

/// The debug header that names the ground of the class.
pub(crate) fn basis_of(answer: &Response) -> &str {
    answer
        .header("X-Twolane-Basis")
        .expect("a debug header should name the basis")
}

/// Leases of one class on one node.
pub(crate) fn held(rig: &Rig, node: &str, class: Class) -> u32 {
    rig.node(node).in_flight(class)
}

/// The YAML of nodes with roles.
pub(crate) fn nodes_yaml(nodes: &[(&str, SocketAddr, &str)]) -> String {
    let rows = nodes.iter().map(|(id, address, role)| {
        format!("  - {{ id: {id}, address: \"{address}\", role: {role} }}\n")
    });
    format!("nodes:\n{}", rows.collect::<String>())
}

/// Checks that an answer is a rejection that Dify can read: one line of the daemon's envelope.
pub(crate) fn expect_rejection(answer: &Response, status: u16, word: &str) -> String {
    let text = answer.text();
    assert_eq!(
        (answer.status, answer.header("X-Twolane-Error")),
        (status, Some(word)),
        "the status and the word of the rejection should be those of the table: {text}"
    );
    assert!(
        !text.contains(['\n', '\r']) && !text.is_empty(),
        "a rejection should be exactly one line, or Dify cannot read it: {text:?}"
    );
    let envelope = answer.json();
    assert!(
        envelope["code"].as_i64().is_some_and(|code| code < 0),
        "Dify reads any code but a negative one as success: {text}"
    );
    let inner = envelope["message"].as_str().expect("a message of text");
    let inner: Value = serde_json::from_str(inner).expect("the message should be JSON itself");
    inner["message"]
        .as_str()
        .expect("the error should have a message")
        .to_owned()
}
