//! What do strangers get who send what no client of Dify's would? Raw bytes over raw sockets, one
//! table per question: what they are answered, whether they are cut off, and what of it a node saw.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod announced;
mod answers;
mod descriptors;
mod forwarding;
mod framing;
mod h2;
mod memory;
mod operator;
#[path = "../tls/peer.rs"]
mod peer;
mod rates;
mod rig;
mod slow;
#[path = "../support/mod.rs"]
mod support;
