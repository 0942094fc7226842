//! The broker's binary, and what its memory comes from.

use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// Buffers in pages of 2 MiB: the kernel then hands a whole entry to the disk as a few long pieces
/// instead of 256 short ones, and copies and sums it with few misses in its page tables.
/// (`bench/README.md` has what that is worth.)
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What jemalloc reads at its start: memory is asked for in large pages.
// SAFETY: the name is jemalloc's; it reads a pointer to a C string, which this is.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 29] = b"thp:always,metadata_thp:auto\0";

fn main() -> ExitCode {
    net::cli::main()
}
