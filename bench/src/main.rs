//! The load generator's binary.

fn main() -> std::process::ExitCode {
    bench::cli::main()
}
