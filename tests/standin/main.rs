//! The stand-in daemon against the client double: each point of what a daemon must do.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod dispatch;
mod hooks;
mod lifecycle;
mod management;
mod process;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use serde_json::{Value, json};
use support::client::Dify;
use twolane::demo::daemon::{Daemon, Settings};

pub(crate) const PLUGIN: &str = "langgenius/openai";

pub(crate) async fn start(settings: Settings) -> (Daemon, Dify) {
    let daemon = Daemon::start(settings).await.unwrap();
    let dify = Dify::new(daemon.addr(), None);
    (daemon, dify)
}

pub(crate) fn sim(script: Value) -> Value {
    json!({"tool_parameters": {"__sim": script}})
}
