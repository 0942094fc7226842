//! The broker's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    net::cli::main()
}
