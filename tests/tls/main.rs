//! TLS: from clients, to nodes, and while certificates are replaced.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod clients;
mod files;
mod nodes;
mod peer;
#[path = "../support/mod.rs"]
mod support;
mod swap;

/// The plugin that everybody asks for.
pub(crate) const PLUGIN: &str = "langgenius/openai";
