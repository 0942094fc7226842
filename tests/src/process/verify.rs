//! `duramen-bench verify` as a process: load that proves itself, while the test does what it does.

use super::broker::{die_with_this_thread, print_tail};
use super::{Deadline, binary};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A command of the tool, ended when it takes longer than any test should.
pub fn bench(bootstrap: &str, folder: &Path, command: &str, arguments: &[&str]) -> Command {
    let mut bench = Command::new("timeout");
    bench.arg("180").arg(binary::bench()).arg(command);
    bench.args(["--brokers", bootstrap]).args(arguments).current_dir(folder);
    bench
}

/// The last line of that type in a file of `--json`.
pub fn last_line(file: &Path, kind: &str) -> Value {
    let text = std::fs::read_to_string(file).expect("a file of JSON lines");
    let mut lines =
        text.lines().rev().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.find(|line| line["type"] == kind).expect("a line of that type")
}

pub fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// `verify`, running.
#[derive(Debug)]
pub struct Verify {
    child: Child,
    folder: PathBuf,
}

impl Verify {
    /// Its files lie in `folder`: `acked`, `verify.json`, `verify.log`.
    pub fn start(bootstrap: &str, folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(bootstrap, folder, &[arguments, &["--acked", "acked"]].concat())
    }

    /// The same with nothing but these arguments, and `verify.json`.
    pub fn start_with(bootstrap: &str, folder: &Path, arguments: &[&str]) -> Self {
        // Without a time-out in between: what it is told by signals it is to hear once.
        let mut command = Command::new(binary::bench());
        command.args(["verify", "--brokers", bootstrap]).args(arguments).current_dir(folder);
        command.args(["--json", "verify.json"]);
        die_with_this_thread(&mut command);
        let log = File::create(folder.join("verify.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        Self { child: command.spawn().expect("it starts"), folder: folder.to_owned() }
    }

    pub fn acks(&self) -> usize {
        let read = std::fs::read(self.folder.join("acked")).unwrap_or_default();
        read.iter().filter(|byte| **byte == b'\n').count()
    }

    pub fn wait_for_acks(&self, more: usize) {
        let before = self.acks();
        let acked = || (self.acks() >= before + more).then_some(());
        Deadline::seconds(60).wait_for("acks under load", acked);
    }

    /// Transactions that were committed, as it told last.
    pub fn commits(&self) -> u64 {
        let text = std::fs::read_to_string(self.folder.join("verify.json")).unwrap_or_default();
        let mut lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let last = lines.find(|line| line["type"] == "transactions");
        last.map_or(0, |line| whole(&line["committed"]))
    }

    pub fn wait_for_commits(&self, more: u64) {
        let before = self.commits();
        let committed = || (self.commits() >= before + more).then_some(());
        // A chapter may end meanwhile: then nothing begins until all copies are made and all is read.
        Deadline::seconds(240).wait_for("transactions are committed under load", committed);
    }

    /// Asks it to produce no more, and to read back and judge.
    pub fn enough(&self) {
        let id = libc::pid_t::try_from(self.child.id()).expect("a process");
        // SAFETY: a signal to a child that was not waited for.
        assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0, "SIGINT to {id}");
    }

    /// Its exit code and what it said.
    pub fn end(mut self) -> (i32, String) {
        let status = self.child.wait().expect("it ends");
        let said = std::fs::read_to_string(self.folder.join("verify.log")).expect("its words");
        (status.code().expect("an exit code"), said)
    }
}

impl Drop for Verify {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("verify.log")).unwrap_or_default();
            print_tail(&format!("{} acks; the last lines of verify:", self.acks()), &log);
        }
    }
}
