//! Faults on purpose, under load. The execution ledger of the stand-in daemons is the judge: what it
//! shows once must never run again, and what it does not show should not have failed.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]
#![allow(
    clippy::print_stdout,
    reason = "the figures are shown with --nocapture"
)]

mod flapping;
mod load;
mod matrix;
mod owed;
mod relay;
mod scenarios;
mod script;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
mod upload;
mod vanish;

use serde_json::{Value, json};
use std::fs;
use tokio::sync::{Mutex, MutexGuard};

pub(crate) const PLUGIN: &str = "langgenius/openai";

/// One test at a time: descriptors are counted for the whole process, and two loads at once on a
/// small machine would only measure each other.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

/// The body of a tool call that the stand-in plays by this script.
pub(crate) fn sim(script: Value) -> Value {
    json!({"provider": "demo", "tool": "t", "tool_parameters": {"__sim": script}})
}

/// So many descriptors another test's runtime has open, which waits for its turn: each of two or three.
pub(crate) const OTHERS: usize = 16;

/// Descriptors that this process has open.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
