//! Daemons, and a gateway that has to find them.

use crate::support::client::{Dify, expect_events};
use crate::support::filed::Filed;
use crate::support::gateway::Gateway;
use crate::support::{eventually, within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use twolane::demo::daemon::{Daemon, Settings, World};
use twolane::nodes::Node;

pub(crate) const PLUGIN: &str = "langgenius/openai";

/// Daemons that share a ledger, named n1, n2, ..., each with an address of its own.
pub(crate) async fn daemons(count: u8) -> Vec<Daemon> {
    let world = World::default();
    let mut daemons = Vec::new();
    for n in 1..=count {
        let settings = Settings {
            listen: SocketAddr::from((Ipv4Addr::new(127, 0, 0, n), 0)),
            ..Settings::named(&format!("n{n}"), &world)
        };
        daemons.push(Daemon::start(settings).await.unwrap());
    }
    daemons
}

pub(crate) fn sim(script: Value) -> Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": script}})
}

/// One call that must work: the node that took it, by the debug header.
pub(crate) async fn call(dify: &Dify, plugin: &str) -> (String, String) {
    let mut stream = dify
        .open("tool/invoke", plugin, sim(json!({})))
        .await
        .unwrap();
    let (_, headers) = within("an answer", stream.head()).await.unwrap();
    let header = |name: &str| {
        let found = headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let told = (header("X-Twolane-Node"), header("X-Twolane-Why"));
    let whole = within("the whole answer", stream.whole()).await.unwrap();
    assert_eq!(whole.status, 200, "{}", whole.text());
    told
}

pub(crate) async fn works(gateway: &Gateway) {
    let answer = gateway
        .dify()
        .all("tool/invoke", PLUGIN, sim(json!({})))
        .await;
    expect_events(answer);
}

/// The nodes of a gateway, by name.
pub(crate) fn members(gateway: &Gateway) -> BTreeSet<String> {
    let nodes = gateway.embedded.live().snapshot().nodes();
    nodes.iter().map(|node| node.id().to_string()).collect()
}

pub(crate) fn node(gateway: &Gateway, id: &str) -> Arc<Node> {
    let nodes = gateway.embedded.live().snapshot().nodes();
    let found = nodes.into_iter().find(|node| node.id().as_str() == id);
    found.expect("the gateway should know the node")
}

/// Waits until these are the nodes, and no others.
pub(crate) async fn become_members(gateway: &Gateway, ids: &[&str]) {
    let goal: BTreeSet<_> = ids.iter().map(|&id| id.to_owned()).collect();
    let name = format!("the members are {ids:?}");
    eventually(&name, async || members(gateway) == goal).await;
}

/// Waits until the metric says that the sources answer, or that one does not.
pub(crate) async fn become_up(gateway: &Gateway, up: bool) {
    let goal = f64::from(u8::from(up));
    let name = format!("twolane_discovery_up is {goal}");
    eventually(&name, async || {
        let page = gateway.metrics().await;
        page.get("twolane_discovery_up{pool=\"main\"}") == Some(goal)
    })
    .await;
}

pub(crate) fn id(daemon: &Daemon) -> String {
    daemon.addr().to_string()
}

/// A gateway that follows a file, with quick looks and addresses of this machine allowed.
pub(crate) async fn looking(source: &str, more: &str) -> Filed {
    Filed::start(&yaml(source, more)).await
}

/// The YAML of [`looking`].
pub(crate) fn yaml(source: &str, more: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\n\
         admin: {{ listen: 127.0.0.1:0 }}\n\
         health: {{ interval: 200ms, timeout: 1s }}\n\
         debug: {{ headers: true }}\n\
         reload: {{ poll: \"off\" }}\n\
         {more}discover:\n  refresh: 50ms\n  allow: [127.0.0.0/8]\n{source}"
    )
}
