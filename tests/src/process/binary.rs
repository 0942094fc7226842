//! The workspace's binaries, each built once for all tests of a process.

use super::broker::workspace_folder;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of `duramen`, as current as the source. `DURAMEN_TESTS_BINARY` names another one.
pub fn duramen() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let given = || std::env::var_os("DURAMEN_TESTS_BINARY").map(PathBuf::from);
    BINARY.get_or_init(|| given().unwrap_or_else(|| build("duramen", "duramen")))
}

/// The path of `duramen-dump`.
pub fn dump() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build("duramen-tools", "duramen-dump"))
}

/// The path of `duramen-bench`.
pub fn bench() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build("duramen-bench", "duramen-bench"))
}

fn build(package: &str, binary: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--bin", binary, "--message-format", "json"])
        .current_dir(workspace_folder())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{binary} does not build:\n{errors}");
    // Cargo names the executable: the target folder may be anywhere.
    let messages = String::from_utf8(output.stdout).expect("cargo's messages are text");
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    executables.next_back().expect("cargo names the executable")
}
