//! What was typed?

mod operate;
mod serve;
mod show;
mod typed;

use crate::demo::Wish;
use crate::nodes::Hand;
use clap::Parser;
use std::process::ExitCode;
use typed::{Command, Typed};

/// Bad configuration (`EX_CONFIG` of sysexits; systemd's `RestartPreventExitStatus=78` ends the
/// crash loop it would otherwise be).
const BAD_CONFIGURATION: u8 = 78;
/// The admin listener does not answer (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;

/// Does what was typed.
#[must_use]
pub fn main() -> ExitCode {
    let typed = Typed::parse();
    let from = &typed.from;
    match typed.command.unwrap_or(Command::Run) {
        Command::Run => serve::run(from),
        Command::Check { print } => serve::check(from, print),
        Command::Demo {
            seconds,
            seed,
            json,
        } => show::watch(Wish {
            seed,
            seconds,
            json,
        }),
        Command::Node(node) => show::stand_in(node),
        Command::Drain(what) => operate::set(from, &what, Hand::Drain),
        Command::Undrain(what) => operate::set(from, &what, Hand::Ready),
        Command::Maint(what) => operate::set(from, &what, Hand::Maint),
    }
}

fn on_runtime<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::runtime::Runtime::new()?.block_on(work)
}

/// To standard output. A reader that has gone (`| head`) is no error.
fn out(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
