//! The gateway between stand-in daemons and a Dify that reads as Dify does.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod access;
mod admin;
mod applications;
mod bodies;
mod carried;
mod choosing;
mod connecting;
mod counters;
mod debug;
mod expects;
mod explain;
mod failing;
mod forward;
mod habits;
mod hashing;
mod health;
mod kinds;
mod learning;
mod metrics;
mod pools;
mod presence;
mod rejections;
mod reload;
mod rig;
mod streaming;
#[path = "../support/mod.rs"]
mod support;
mod tracing;
mod users;
mod waiting;
mod warming;
mod websocket;

use serde_json::{Value, json};
use twolane::demo::daemon::{Daemon, Settings, World};

pub(crate) const PLUGIN: &str = "langgenius/openai";

/// Daemons that share a ledger, named n1, n2, ...
pub(crate) async fn daemons(count: usize) -> Vec<Daemon> {
    let world = World::default();
    let mut daemons = Vec::new();
    for n in 1..=count {
        let settings = Settings::named(&format!("n{n}"), &world);
        daemons.push(Daemon::start(settings).await.unwrap());
    }
    daemons
}

/// The body of a tool call that the stand-in plays by this script.
pub(crate) fn sim(script: Value) -> Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": script}})
}
