//! Several gateways and one real Redis.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]
#![allow(
    clippy::print_stdout,
    reason = "figures are for people; nothing rests on them"
)]
#![allow(
    clippy::too_many_lines,
    clippy::cognitive_complexity,
    reason = "a list of faults is read from top to bottom"
)]

mod book;
mod documented;
mod election;
mod failover;
mod faults;
mod gateways;
mod redis;
mod rig;
mod script;
mod shared;
mod sights;
mod sim;
#[path = "../support/mod.rs"]
mod support;
mod wire;
mod wishes;
