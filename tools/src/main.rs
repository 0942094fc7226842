//! The dump tool's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(tools::dump::run(std::env::args_os(), std::io::stdout()))
}
