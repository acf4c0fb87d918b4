//! The program: hands what was typed to the command line, and its exit code to the shell.

use std::process::ExitCode;

/// Most of what a request costs us beside the kernel is memory taken and given back;
/// `benches/README.md` has the figures.
#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    twolane::cli::main()
}
