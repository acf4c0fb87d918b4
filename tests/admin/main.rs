//! What the operator sees and may do: the admin API, the dashboard in a real browser.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod api;
mod dashboard;
mod events;
mod process;
mod rig;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
