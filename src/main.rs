//! The program: hands what was typed to the command line, and its exit code to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    twolane::cli::main()
}
