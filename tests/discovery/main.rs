//! Nodes that find themselves: real Redis, real files, real registrations, and stand-in daemons.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod dns;
mod file;
mod process;
mod redis;
mod register;
mod registry;
mod rig;
#[path = "../support/mod.rs"]
mod support;
