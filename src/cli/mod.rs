//! What was typed?

mod adopt;
mod ask;
mod explain;
mod figures;
mod online;
mod operate;
mod plugins;
mod serve;
mod show;
#[cfg(all(test, feature = "tui"))]
mod snapshot;
mod status;
#[cfg(feature = "tui")]
mod top;
mod typed;
#[cfg(feature = "tui")]
mod watch;
mod words;

use crate::nodes::Hand;
use crate::server::{Builder, Gateway};
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
    main_with(Gateway::builder())
}

/// Does what was typed, with a gateway of the program's own: the same commands, and its words in
/// the configuration.
#[must_use]
pub fn main_with(builder: Builder) -> ExitCode {
    let typed = Typed::parse();
    let from = &typed.from;
    match typed.command.unwrap_or(Command::Run { upgrade: false }) {
        Command::Run { upgrade } => serve::run(from, builder.upgrading(upgrade)),
        Command::Check { print, online } => serve::check(from, &builder, print, online),
        Command::Demo(what) => show::watch(&what),
        Command::Node(node) => show::stand_in(node),
        Command::Drain(what) => operate::set(from, &builder, &what, Hand::Drain),
        Command::Undrain(what) => operate::set(from, &builder, &what, Hand::Ready),
        Command::Maint(what) => operate::set(from, &builder, &what, Hand::Maint),
        Command::Explain(what) => explain::explain(from, &builder, &what),
        Command::Status(what) => status::status(from, &builder, &what),
        #[cfg(feature = "tui")]
        Command::Top(what) => top::top(from, &builder, &what),
        Command::Plugins(what) => plugins::plugins(from, &builder, &what),
        Command::Health(what) => ask::health(from, &builder, &what),
        Command::Reload(what) => ask::reload(from, &builder, &what),
        Command::Init(what) => adopt::init(&what),
        Command::Doctor(what) => adopt::doctor(from, &builder, &what),
        Command::Schema => words::schema(&builder),
        Command::Completions { shell } => words::completions(shell),
        Command::Man => words::man(),
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
