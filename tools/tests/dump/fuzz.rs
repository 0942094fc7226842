//! Folders that went wrong in ways nobody thought of: bytes flipped, files cut, removed, swapped and doubled. Whatever
//! they hold, every command ends in time, with one of its exit codes and without a panic, leaves the folder as it is,
//! and shows no record as good that nobody wrote.

use super::folder::{contents, golden};
use super::runs::add_run;
use engine::rng::Rng;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// In the gate; `DURAMEN_DUMP_SEEDS` tries more.
const SEEDS: u64 = 40;
const DEADLINE: Duration = Duration::from_secs(20);
const COMMANDS: [&[&str]; 16] = [
    &["verify"],
    &["verify", "--strict"],
    &["segments"],
    &["entries"],
    &["batches"],
    &["records"],
    &["records", "--topic", "rings"],
    &["index"],
    &["index", "--table", "items"],
    &["hard-state"],
    &["meta"],
    &["checkpoint"],
    &["stats"],
    &["runs"],
    &["runs", "--table", "chunks"],
    &["diff"],
];

/// One thing done to the folder, in words.
fn spoil(root: &Path, files: &[PathBuf], rng: &mut Rng) -> String {
    let one = |rng: &mut Rng| files[rng.below(files.len() as u64) as usize].clone();
    let name = one(rng);
    let path = root.join(&name);
    let Ok(bytes) = fs::read(&path) else { return "nothing".to_owned() };
    let name = name.display();
    let open = || fs::File::options().write(true).open(&path).expect("ours");
    match rng.below(6) {
        0 | 1 if !bytes.is_empty() => {
            let count = 1 + rng.below(4);
            for _ in 0..count {
                // Where something is more often than where zeros are.
                let at = rng.below(bytes.len() as u64) / 4096 * 4096 + rng.below(400);
                let at = at.min(bytes.len() as u64 - 1);
                let byte = [bytes[at as usize] ^ (1 << rng.below(8))];
                open().write_all_at(&byte, at).expect("ours");
            }
            format!("{count} bits of {name} flipped")
        }
        2 => {
            let block = if rng.below(2) == 0 { 1 } else { 4096 };
            let length = rng.below(bytes.len() as u64 + 1) / block * block;
            open().set_len(length).expect("ours");
            format!("{name} cut to {length} bytes")
        }
        3 => {
            fs::remove_file(&path).expect("ours");
            format!("{name} removed")
        }
        4 => {
            let other = one(rng);
            let Ok(of_other) = fs::read(root.join(&other)) else { return "nothing".to_owned() };
            fs::write(root.join(&other), &bytes).expect("ours");
            fs::write(&path, of_other).expect("ours");
            format!("{name} and {} swapped", other.display())
        }
        _ => {
            let other = one(rng);
            let doubled = if rng.below(2) == 0 { [bytes.clone(), bytes].concat() } else { bytes };
            fs::write(root.join(&other), doubled).expect("ours");
            format!("{name} doubled as {}", other.display())
        }
    }
}

/// Ends a command that does not end in time.
struct Bounded(Child);

impl Bounded {
    /// Exit code, and both outputs.
    fn run(arguments: &[&str], root: &Path, case: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen-dump"));
        command.args(arguments).arg(root).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        if arguments[0] == "diff" {
            command.arg(super::folder::golden_path());
        }
        let mut bounded = Self(command.spawn().expect("it runs"));
        let read = |mut from: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                from.read_to_end(&mut text).expect("a pipe");
                String::from_utf8_lossy(&text).into_owned()
            })
        };
        let out = read(Box::new(bounded.0.stdout.take().expect("piped")));
        let error = read(Box::new(bounded.0.stderr.take().expect("piped")));
        let until = Instant::now() + DEADLINE;
        let code = loop {
            if let Some(status) = bounded.0.try_wait().expect("a child") {
                break status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "{arguments:?} takes more than {DEADLINE:?}: {case}");
            std::thread::sleep(Duration::from_millis(1));
        };
        (code, out.join().expect("it reads"), error.join().expect("it reads"))
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a record is, as far as a reader is concerned.
fn record(row: &Value) -> String {
    ["partition", "offset", "timestamp", "key", "value", "headers"]
        .map(|name| row[name].to_string())
        .join(" ")
}

fn records(out: &str) -> impl Iterator<Item = Value> {
    out.lines().map(|line| serde_json::from_str(line).expect("one object per line"))
}

fn one_seed(seed: u64, written: &BTreeSet<String>) -> BTreeSet<i32> {
    let mut rng = Rng::new(seed);
    let dir = golden();
    add_run(dir.path());
    let files: Vec<_> = contents(dir.path()).into_keys().collect();
    let done: Vec<_> = (0..1 + rng.below(3)).map(|_| spoil(dir.path(), &files, &mut rng)).collect();
    let case = format!("seed {seed}: {}", done.join("; "));
    let before = contents(dir.path());
    let mut codes = BTreeSet::new();
    for arguments in COMMANDS {
        let (code, out, error) = Bounded::run(arguments, dir.path(), &case);
        assert!((0..=4).contains(&code), "{arguments:?} ended with {code}: {case}: {error}");
        assert!(!error.contains("panicked"), "{arguments:?}: {case}: {error}");
        if arguments[0] == "records" {
            for row in records(&out).filter(|row| row["damaged"] == false) {
                assert!(written.contains(&record(&row)), "nobody wrote {row}: {case}");
            }
        }
        codes.insert(code);
    }
    assert_eq!(contents(dir.path()), before, "{case}");
    codes
}

#[test]
fn every_command_bears_every_folder() {
    let dir = golden();
    let (_, out, _) = Bounded::run(&["records"], dir.path(), "the golden folder");
    let written: BTreeSet<String> = records(&out).map(|row| record(&row)).collect();
    assert_eq!(written.len(), 48);
    let seeds = std::env::var("DURAMEN_DUMP_SEEDS").map_or(SEEDS, |text| text.parse().expect("a number"));
    let codes: BTreeSet<i32> = (0..seeds).flat_map(|seed| one_seed(seed, &written)).collect();
    // The folders are bad enough to be told apart.
    assert!([0, 2, 3].iter().all(|code| codes.contains(code)), "{codes:?}");
}
