//! The broker's binary, built once for all tests of a process.

use super::broker::workspace_folder;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of `duramen`, as current as the source. `DURAMEN_TESTS_BINARY` names another one.
pub fn duramen() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("DURAMEN_TESTS_BINARY").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "duramen", "--bin", "duramen", "--message-format", "json"])
        .current_dir(workspace_folder())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the broker does not build:\n{errors}");
    // Cargo names the executable: the target folder may be anywhere.
    let messages = String::from_utf8(output.stdout).expect("cargo's messages are text");
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    executables.next_back().expect("cargo names the executable")
}
