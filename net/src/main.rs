//! The broker's binary, and what its memory comes from.

use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// Buffers of many sizes come and go for months: this one keeps them together, and gives back what
/// was not used for ten seconds.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    net::process::cli::main()
}
