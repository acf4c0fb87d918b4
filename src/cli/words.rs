//! What may be typed, told to shells, to `man` and to editors?

use super::out;
use super::typed::Typed;
use crate::config;
use crate::server::Builder;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::process::ExitCode;

/// The schema of the configuration, to standard output.
pub(super) fn schema(builder: &Builder) -> ExitCode {
    out(&config::schema(&builder.known()));
    ExitCode::SUCCESS
}

/// The completions of a shell, to standard output.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Typed::command(), "twolane", &mut text);
    out(&String::from_utf8_lossy(&text));
    ExitCode::SUCCESS
}

/// The manual, a page for each command behind one for the program, to standard output.
pub(super) fn man() -> ExitCode {
    let mut text = Vec::new();
    match pages(&mut text) {
        Ok(()) => {
            out(&String::from_utf8_lossy(&text));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pages(to: &mut dyn Write) -> std::io::Result<()> {
    let mut program = Typed::command();
    program.build();
    clap_mangen::Man::new(program.clone()).render(to)?;
    for command in program.get_subcommands().filter(|one| !one.is_hide_set()) {
        clap_mangen::Man::new(command.clone()).render(to)?;
    }
    Ok(())
}
