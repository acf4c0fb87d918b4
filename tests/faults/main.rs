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
use std::collections::HashSet;
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

/// Descriptors that this process has open, without those of a runtime: another test may have begun that
/// waits for its turn.
pub(crate) fn descriptors() -> usize {
    let unix = fs::read_to_string("/proc/self/net/unix").unwrap();
    let inodes: HashSet<_> = unix
        .lines()
        .filter_map(|it| it.split_whitespace().nth(6))
        .collect();
    let of_runtime = |link: &str| {
        let socket = link
            .strip_prefix("socket:[")
            .and_then(|it| it.strip_suffix(']'));
        link.starts_with("anon_inode:") || socket.is_some_and(|inode| inodes.contains(inode))
    };
    let all = fs::read_dir("/proc/self/fd").unwrap();
    // One may be closed between listing and reading.
    let links = all.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    links
        .filter(|link| !of_runtime(&link.to_string_lossy()))
        .count()
}
