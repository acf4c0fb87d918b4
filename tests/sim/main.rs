//! Does the policy keep its promises? The production code under a virtual clock, against other
//! proxies' rules and against bounds that nothing can beat. `make sim` prints the tables.
#![allow(
    clippy::print_stdout,
    reason = "the figures are shown with --nocapture"
)]

mod closed_forms;
mod determinism;
mod faults;
mod fleet;
mod gate;
mod lab;
mod replay;
mod scenarios;
