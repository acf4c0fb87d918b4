//! A gateway for one test: production code, ports of its own, any configuration.

use super::client::Dify;
use super::stream::Response;
use std::net::SocketAddr;
use twolane::config::{self, Config, Known};
use twolane::demo::daemon::Daemon;
use twolane::server::{Embedded, Options, known};

/// A running gateway.
pub struct Gateway {
    pub embedded: Embedded,
}

/// A configuration over these nodes: `more` is YAML that is added to (or put in place of) what
/// tests need, which is: free ports, quick checks, debug headers.
pub fn config(nodes: &[&Daemon], more: &str) -> Config {
    config_of(nodes, more, &known())
}

/// The same, with words of the program's own.
pub fn config_of(nodes: &[&Daemon], more: &str, known: &Known) -> Config {
    let addresses: Vec<_> = nodes
        .iter()
        .map(|node| (node.id().to_owned(), node.addr()))
        .collect();
    parse_of(&yaml(&addresses, more), known)
}

/// The YAML of [`config`].
pub fn yaml(nodes: &[(String, SocketAddr)], more: &str) -> String {
    let mut text = String::new();
    let sections = [
        ("listen", "listen: 127.0.0.1:0"),
        ("admin", "admin: { listen: 127.0.0.1:0 }"),
        ("health", "health: { interval: 200ms, timeout: 1s }"),
        ("debug", "debug: { headers: true }"),
    ];
    let given = |key: &str| {
        more.lines()
            .any(|line| line.starts_with(&format!("{key}:")))
    };
    for (key, section) in sections.iter().filter(|(key, _)| !given(key)) {
        let _ = key;
        text.push_str(section);
        text.push('\n');
    }
    if !given("nodes") && !given("pools") {
        text.push_str("nodes:\n");
        for (id, address) in nodes {
            text.push_str(&format!("  - {{ id: {id}, address: \"{address}\" }}\n"));
        }
    }
    text.push_str(more);
    text
}

/// A configuration from YAML, which must be right.
pub fn parse(yaml: &str) -> Config {
    parse_of(yaml, &known())
}

fn parse_of(yaml: &str, known: &Known) -> Config {
    match config::load(yaml, "test.yaml", known, &|_| None) {
        Ok(config) => config,
        Err(problems) => panic!("{}\n{yaml}", problems.render()),
    }
}

impl Gateway {
    pub async fn start(config: Config) -> Self {
        Self::start_with(config, Options::default()).await
    }

    pub async fn start_with(config: Config, options: Options) -> Self {
        let embedded = Embedded::start(config, options)
            .await
            .expect("the gateway starts");
        Self { embedded }
    }

    /// A gateway in front of these nodes.
    pub async fn before(nodes: &[&Daemon], more: &str) -> Self {
        Self::start(config(nodes, more)).await
    }

    /// A Dify that knows the gateway as its plugin daemon.
    pub fn dify(&self) -> Dify {
        Dify::new(self.embedded.data(), None)
    }

    /// Asks the admin listener.
    pub async fn admin(&self, target: &str) -> Response {
        Dify::new(self.embedded.admin(), None).get(target).await
    }

    /// Every lease of every node, short and long.
    pub fn in_flight(&self) -> u32 {
        let nodes = self.embedded.live().snapshot().nodes();
        nodes.iter().map(|node| node.total_in_flight()).sum()
    }

    /// Returns as soon as a condition holds; looks again every few milliseconds. Its caller bounds
    /// it with `within`.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        while !condition(self) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}
