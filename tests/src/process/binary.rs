//! The workspace's binaries, each built once for all tests of a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of `duramen`, as current as the source. `DURAMEN_TESTS_BINARY` names another one.
pub fn duramen() -> &'static Path {
    static GIVEN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let given = GIVEN.get_or_init(|| std::env::var_os("DURAMEN_TESTS_BINARY").map(PathBuf::from));
    given.as_deref().unwrap_or_else(|| built("duramen"))
}

/// The path of `duramen-dump`.
pub fn dump() -> &'static Path {
    built("duramen-dump")
}

/// The path of `duramen-bench`.
pub fn bench() -> &'static Path {
    built("duramen-bench")
}

/// The path of one of the binaries, which are built together: what they share is then built once.
fn built(binary: &str) -> &'static Path {
    static BINARIES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let mut binaries = BINARIES.get_or_init(build).iter();
    binaries.find(|path| path.file_name() == Some(binary.as_ref())).expect("cargo names the executable")
}

fn build() -> Vec<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--bins", "--message-format", "json"])
        .args(["--package", "duramen", "--package", "duramen-bench", "--package", "duramen-tools"])
        .current_dir(workspace_folder())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the binaries do not build:\n{errors}");
    // Cargo names the executables: the target folder may be anywhere.
    let messages = String::from_utf8(output.stdout).expect("cargo's messages are text");
    let executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    executables.collect()
}

/// The workspace's root.
pub fn workspace_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}
