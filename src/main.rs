//! The program: hands what was typed to the command line, and its exit code to the shell.

use std::process::ExitCode;

/// Most of what a request costs us beside the kernel is memory taken and given back;
/// `benches/README.md` has the figures.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    twolane::cli::main()
}
