//! twolane: the edge gateway in front of Dify plugin daemons.
//!
//! **Short calls never wait behind long ones.** That is the aim: the gateway learns which calls are
//! long, and sends each to the node where it waits least.
//!
//! # The layers
//!
//! Each module answers one question. Arrows only point down; within a layer there are none, except
//! that [`demo`] runs the gateway of [`server`]. `tests/house.rs` checks it.
//!
//! ```text
//! 7  cli                           What was typed?
//! 6  server  demo  adopt           How does it start, reload, stop?  |  How does it look at work?
//!                                  How does it come in front of a Dify that is there?
//! 5  proxy  admin                  What happens to one request?  |  What does the operator see?
//! 4  upstream                      How do we reach the nodes?
//! 3  select  admit  share          Who takes it?  |  May it go now?  |  What do others know?
//! 2  nodes  route                  Who can work, and how busy?  |  Which pool is this for?
//! 1  config  dify  learn  observe  What was asked for?  |  What does Dify say?
//!                                  Will it be long?  |  What do we write down?
//! 0  model                         What do we call things?
//! ```
//!
//! # How to read this crate
//!
//! Follow one request; each file is short.
//!
//! 1. `proxy/hooks.rs`: the order in which Pingora calls us, a line each.
//! 2. `proxy/ctx.rs`: what is known of a request, stage by stage.
//! 3. `proxy/request_filter.rs`: may it pass ([`admit`]), what is it ([`dify`]), where does it go
//!    ([`route`]), will it be long ([`learn`])?
//! 4. `proxy/upstream_peer.rs`: one attempt; a node is chosen and leased without a pause between.
//! 5. `upstream/pool.rs` and `upstream/selector.rs`: through Pingora's selection hook ...
//! 6. `nodes/screen.rs`: ... to those who may serve,
//! 7. `select/adaptive.rs`: and to the one who should.
//! 8. `proxy/hold.rs`, `proxy/again.rs` and `admit/again.rs`: what if the node refuses or fails?
//! 9. `proxy/upstream_response_body_filter.rs`: the last piece; the node is free.
//! 10. `nodes/lease.rs`, then `learn/learner.rs`: what did it teach?
//! 11. `proxy/fail_to_proxy.rs` and [`model::rejection`]: what do we say if nobody can serve it?
//! 12. `proxy/logging.rs`: how did it end?
//!
//! Then `server/run.rs` for how all of it is put together, and `ARCHITECTURE.md` for the paths of a
//! sample and of a reload, the words, and what is absent.
//!
//! # Embedding
//!
//! [`server::Gateway`] makes a gateway with strategies, classifiers, discoveries and metrics of a
//! program's own ([`select::Strategy`] has an example; `examples/` has whole programs);
//! [`server::Embedded`] is one on the caller's runtime, [`cli::main_with`] one with every command.

pub mod model;

pub mod config;

pub mod admin;
pub mod admit;
pub mod adopt;
pub mod cli;
pub mod demo;
pub mod dify;
pub mod learn;
pub mod nodes;
pub mod observe;
pub mod proxy;
pub mod route;
pub mod select;
pub mod server;
pub mod share;
pub mod upstream;
