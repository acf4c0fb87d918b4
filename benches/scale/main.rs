//! What becomes of it when there is much: of streams, of nodes, of operations?
//!
//! Three questions, each with its own file: thousands of streams at once (`crowd`), a reload of a
//! thousand nodes while others ask (`reload`), and what one step costs as its table grows (`growth`).
//!
//! `SCALE_IDLE`, `SCALE_ACTIVE`, `SCALE_SECONDS` and `SCALE_NODES` change how much is measured; how to
//! read what is printed is in `benches/README.md`.
#![allow(
    clippy::print_stdout,
    reason = "a measurement is printed for who runs it"
)]

#[path = "../rig/mod.rs"]
mod rig;

mod crowd;
mod growth;
mod reload;

use std::process::ExitCode;

fn main() -> ExitCode {
    rig::process::main(measure)
}

async fn measure() {
    growth::measure();
    reload::measure().await;
    crowd::measure().await;
}
