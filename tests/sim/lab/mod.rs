//! What would the production code have done? A discrete-event simulation of nodes in virtual time.
//!
//! The gateway's own `learn`, `nodes`, `select` and `admit` are driven, not copies of them: `now`
//! and the dice are arguments there. Only the nodes and the traffic are made up here.
//!
//! | file | question |
//! |---|---|
//! | `time` | What is a moment? |
//! | `workload` | Which operations are there, and how long do they take? |
//! | `trace` | Who arrives when, so that the load is exactly the stated one? |
//! | `farm` | Which nodes are there? |
//! | `stations` | How does a node work off what it was given? |
//! | `peers` | How do other proxies choose? |
//! | `policy` | Which rule chooses in this run? |
//! | `gateway` | How does the production code see it? |
//! | `fleet` | How do several gateways hear of each other? |
//! | `faults` | What goes wrong? |
//! | `run` | What happens next? |
//! | `replay` | Which calls were those of Traefik's issue 12306? |
//! | `seed` | What did seed 000 promise? |
//! | `slots` | Which calls does race A consist of? |
//! | `draw` | Which dice draw its arrivals? |
//! | `figures` | What came of it? |
//! | `cells` | Which combinations are looked at? |
//! | `limits` | What is promised of a cell, and is it kept? |
//! | `race` | How do several rules compare on the same traces? |
#![allow(
    dead_code,
    reason = "the tests and the tables are two programs, each of which uses a part"
)]

pub(crate) mod cells;
#[path = "../../../benches/race/dice.rs"]
pub(crate) mod draw;
pub(crate) mod farm;
pub(crate) mod faults;
pub(crate) mod figures;
pub(crate) mod fleet;
pub(crate) mod gateway;
pub(crate) mod limits;
pub(crate) mod peers;
pub(crate) mod policy;
pub(crate) mod race;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod seed;
pub(crate) mod slots;
pub(crate) mod stations;
pub(crate) mod time;
pub(crate) mod trace;
pub(crate) mod workload;
