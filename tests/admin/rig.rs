//! Daemons, a gateway before them, and an operator who asks it.

use crate::support::client::{Dify, expect_events};
use crate::support::gateway::{Gateway, config};
use crate::support::stream::Response;
use crate::support::within;
use serde_json::{Value, json};
use twolane::demo::daemon::{Daemon, Settings, World};

pub(crate) const PLUGIN: &str = "langgenius/openai";

pub(crate) struct Rig {
    pub(crate) nodes: Vec<Daemon>,
    pub(crate) gateway: Gateway,
}

impl Rig {
    /// So many daemons n1, n2, ... and a gateway with this configuration besides what tests need.
    pub(crate) async fn new(count: usize, yaml: &str) -> Self {
        let nodes = daemons(count).await;
        let all: Vec<_> = nodes.iter().collect();
        let gateway = Gateway::start(config(&all, yaml)).await;
        Self { nodes, gateway }
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, body: &Value) -> Response {
        ask(&self.gateway, method, target, &[], body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Value {
        let answer = self.gateway.admin(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    /// A call through the gateway that the daemon plays by this script.
    pub(crate) async fn call(&self, script: Value) {
        let dify = self.gateway.dify();
        let answer = dify.all("tool/invoke", PLUGIN, sim(script)).await;
        expect_events(within("an answer", async { answer }).await);
    }
}

/// Daemons that share a ledger.
pub(crate) async fn daemons(count: usize) -> Vec<Daemon> {
    let world = World::default();
    let mut daemons = Vec::new();
    for n in 1..=count {
        let settings = Settings::named(&format!("n{n}"), &world);
        daemons.push(Daemon::start(settings).await.unwrap());
    }
    daemons
}

pub(crate) fn sim(script: Value) -> Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": script}})
}

/// Asks the admin listener of any gateway; no body where it is null.
pub(crate) async fn ask(
    gateway: &Gateway,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Response {
    let admin = Dify::new(gateway.embedded.admin(), None);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = admin.raw(method, target, headers, body.as_bytes());
    within("the admin listener answers", answer).await.unwrap()
}
