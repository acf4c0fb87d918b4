//! The program: hands what was typed to the command line, and its exit code to the shell.

use std::process::ExitCode;

/// Pingora and we take memory for every request; `benches/README.md` has what this saves.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    twolane::cli::main()
}
