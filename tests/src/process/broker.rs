//! One broker process: start, readiness, kill, restart, stop.

use super::ports::Ports;
use super::{Deadline, binary, http};
use crate::process::workspace_folder;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// A debug build on a busy machine of two cores, recovery included.
const READY_SECONDS: u64 = 60;
/// What the broker promises is 10; the rest is for a busy machine's process table.
const STOP_SECONDS: u64 = 12;

/// How a broker is started.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    pub shards: u16,
    pub segment_bytes: u64,
    /// `KEY=VALUE` of Kafka's settings.
    pub set: Vec<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Where its data is, instead of a folder of the test's own.
    pub data_dir: Option<PathBuf>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self { shards: 2, segment_bytes: 32 << 20, set: Vec::new(), arguments: Vec::new(), data_dir: None }
    }
}

/// A broker process; dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Broker {
    pub options: BrokerOptions,
    pub ports: Ports,
    folder: TempDir,
    child: Option<Child>,
}

/// A folder for one test, beside the build: /tmp may be a file system without O_DIRECT.
pub fn test_folder() -> TempDir {
    let parent = workspace_folder().join("target/tests-tmp");
    std::fs::create_dir_all(&parent).expect("a folder for the tests' folders");
    tempfile::tempdir_in(parent).expect("a folder for the test")
}

impl Broker {
    /// A broker that is not running yet.
    pub fn prepare(options: BrokerOptions) -> Self {
        Self { options, ports: Ports::take(), folder: test_folder(), child: None }
    }

    /// A broker that answers clients.
    pub fn start(options: BrokerOptions) -> Self {
        let mut broker = Self::prepare(options);
        broker.run();
        broker
    }

    /// Starts the process and waits until it answers clients.
    pub fn run(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = self.command();
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().expect("the broker starts"));
    }

    /// The command line of this broker, for a test that wants its streams otherwise.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary::duramen());
        command
            .arg("start")
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--listen", &format!("127.0.0.1:{}", self.ports.kafka())])
            .args(["--http-listen", &format!("127.0.0.1:{}", self.ports.http())])
            .args(["--shards", &self.options.shards.to_string()])
            .args(["--memory", &format!("{}MiB", 160 * self.options.shards)])
            .args(["--segment-bytes", &self.options.segment_bytes.to_string()])
            .args(self.options.set.iter().flat_map(|setting| ["--set", setting]))
            .args(&self.options.arguments)
            .stdin(Stdio::null());
        die_with_this_thread(&mut command);
        command
    }

    /// Takes over a process that was started from [`Broker::command`].
    pub fn adopt(&mut self, child: Child) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(child);
    }

    pub fn wait_ready(&mut self) {
        let deadline = Deadline::seconds(READY_SECONDS);
        loop {
            if let Some(status) = self.child.as_mut().expect("it was started").try_wait().expect("a child") {
                panic!("the broker ended with {status} instead of serving:\n{}", self.log());
            }
            if http::get(self.ports.http(), "/readyz").is_ok_and(|(code, _)| code == 200) {
                return;
            }
            assert!(!deadline.is_over(), "not ready within {READY_SECONDS} s:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// What clients are given to begin with: every shard.
    pub fn bootstrap(&self) -> String {
        let address = |shard| format!("127.0.0.1:{}", self.ports.kafka() + shard);
        (0..self.options.shards).map(address).collect::<Vec<_>>().join(",")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.options.data_dir.clone().unwrap_or_else(|| self.folder.path().join("data"))
    }

    /// For files of the test beside the data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("broker.log")
    }

    /// All that the process and its predecessors on this folder printed and logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The newest metrics page.
    pub fn metrics(&self) -> String {
        http::get(self.ports.http(), "/metrics").expect("the metrics page").1
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// kill -9, and waits until the process is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// SIGTERM; the process may take as long as it promises.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_end(STOP_SECONDS)
    }

    /// SIGSTOP, and waits until no thread of it runs any more: one may still be on its core.
    pub fn freeze(&self) {
        self.signal("STOP");
        let threads = std::path::PathBuf::from(format!("/proc/{}/task", self.process()));
        let is_stopped = |thread: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        Deadline::seconds(STOP_SECONDS).wait_for("every thread is stopped", || {
            let mut threads = std::fs::read_dir(&threads).ok()?.filter_map(Result::ok);
            threads.all(is_stopped).then_some(())
        });
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", "kill -$0 $1", name, &self.process().to_string()]).status();
        assert!(sent.expect("sh runs").success(), "SIG{name} to {}", self.process());
    }

    pub fn wait_end(&mut self, seconds: u64) -> ExitStatus {
        let child = self.child.as_mut().expect("it runs");
        let deadline = Deadline::seconds(seconds);
        let status = deadline.wait_for("the broker ends", || child.try_wait().expect("a child"));
        self.child = None;
        status
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            print_tail("the broker's last lines:", &self.log());
        }
    }
}

/// What a process logged last, for a test that fails.
pub(super) fn print_tail(title: &str, log: &str) {
    eprintln!("{title}");
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].iter().for_each(|line| eprintln!("  {line}"));
}

/// A test process that is itself killed must not leave others behind.
pub(super) fn die_with_this_thread(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe, takes plain numbers, and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}
