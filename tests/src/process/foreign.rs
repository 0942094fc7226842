//! Clients that are not Rust: kcat, and Python's in `tests/.venv`. Where they are missing a test
//! says that it was skipped; where `DURAMEN_TESTS_REQUIRE_CLIENTS` is set it fails.

use super::binary::workspace_folder;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The path of kcat.
pub fn kcat(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("kcat")).find(|file| file.is_file());
    found.or_else(|| skip(test, "kcat is not installed"))
}

/// The Python that has the client packages of `tests/requirements.txt`.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = workspace_folder().join("tests/.venv/bin/python");
    if python.is_file() { Some(python) } else { skip(test, "tests/.venv is missing (.ci/run makes it)") }
}

/// The folder with the packages of `tests/clients/kafkajs/package.json`, where node is there, too.
pub fn node_modules(test: &str) -> Option<PathBuf> {
    let modules = workspace_folder().join("target/suites/kafkajs/node_modules");
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if has_node && modules.is_dir() {
        return Some(modules);
    }
    skip(test, "node or target/suites/kafkajs is missing (.ci/run makes it)")
}

/// Says on the real stderr that a test was skipped, which the test runner does not capture.
pub fn skip<T>(test: &str, why: &str) -> Option<T> {
    assert!(
        std::env::var_os("DURAMEN_TESTS_REQUIRE_CLIENTS").is_none(),
        "{test}: {why}, and a skip is a failure here"
    );
    say_skipped(test, why);
    None
}

/// The same for a client that no machine has to have.
pub fn say_skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// Runs it to its end and shows what it said if that was no success.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// What a case of others' programs ends with when it cannot run here.
const SKIPPED: i32 = 77;

/// Runs a case to its end, which says what it lacks where it cannot run; gives what it said.
pub fn run_case(test: &str, command: &mut Command) -> Option<String> {
    let output = command.output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => Some(said),
        Some(SKIPPED) => skip(test, said.trim()),
        _ => panic!("{test}: {}:\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// Runs a script of `tests/clients` against a broker; its arguments are the bootstrap servers and
/// a topic of its own.
pub fn run_script(test: &str, script: &str, bootstrap: &str) {
    let Some(python) = python(test) else { return };
    let path = workspace_folder().join("tests/clients").join(script);
    let output = run(Command::new("timeout").arg("120").arg(python).arg(path).arg(bootstrap).arg(test));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.trim_end().ends_with("ok"), "{script} said:\n{said}");
}

/// The same by node.
pub fn run_node_script(test: &str, script: &str, bootstrap: &str) {
    let Some(modules) = node_modules(test) else { return };
    let path = workspace_folder().join("tests/clients").join(script);
    let mut command = Command::new("timeout");
    command.arg("240").arg("node").arg(path).arg(bootstrap).arg(test).env("NODE_PATH", modules);
    let said = String::from_utf8_lossy(&run(&mut command).stdout).into_owned();
    assert!(said.trim_end().ends_with("ok"), "{script} said:\n{said}");
}
