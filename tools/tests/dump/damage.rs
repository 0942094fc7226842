//! One byte changed anywhere: the verdict, and the place that it names.

use super::folder::{LAST, SYNCED, contents, copy, golden, golden_of, golden_path, make};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

const BLOCK: u64 = 4096;
/// Heads, rows and records lie in the first bytes of each block; of the zeros behind them one in so
/// many is tried.
const DENSE_BYTES: u64 = 400;
const SPARSE_STEP: u64 = 173;

/// Like the process, within this one: thousands of runs are wanted.
fn verify(path: &Path) -> (Vec<Value>, u8) {
    let arguments = ["duramen-dump", "verify", "--strict", "--json", "--threads", "1"].map(Into::into);
    let mut rows = Vec::new();
    let code = tools::dump::run(arguments.into_iter().chain([path.into()]), &mut rows);
    let rows = String::from_utf8(rows).expect("JSON is text");
    (rows.lines().map(|line| serde_json::from_str(line).expect("an object")).collect(), code)
}

/// What a flip in a file at a byte comes to: above both bounds of the log a tail that was torn.
fn expected(file: &str, position: u64) -> u8 {
    let active_base = if file.contains(&format!("{:016x}/", 0)) { 1 } else { 11 };
    let last_durable = if active_base == 1 { 2 } else { SYNCED };
    let is_active = file.ends_with(&format!("{active_base:020}.seg"));
    let durable_bytes = (last_durable + 1 - active_base) * BLOCK;
    if is_active && position >= durable_bytes { 2 } else { 3 }
}

/// The row that names the damage: this file, this block.
fn names(row: &Value, file: &str, position: u64) -> bool {
    let named = row["file"].as_str().is_some_and(|name| file.ends_with(name));
    let at = row["position"].as_u64().unwrap_or(u64::MAX);
    // A tail begins where the log ends; a checkpoint's checksum over its body is in its first block.
    let begins_before = (row["what"] == "torn" || file.ends_with(".ckpt")) && at <= position;
    named && (at / BLOCK == position / BLOCK || begins_before)
}

fn flips(root: &Path) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for (name, bytes) in contents(root) {
        let name = name.to_str().expect("plain names").to_owned();
        let tried = |position: &u64| {
            let in_block = position % BLOCK;
            in_block < DENSE_BYTES || in_block.is_multiple_of(SPARSE_STEP) || in_block == BLOCK - 1
        };
        all.extend((0..bytes.len() as u64).filter(tried).map(|position| (name.clone(), position)));
    }
    all
}

#[test]
fn every_flip_in_every_file_is_found_and_named() {
    let flips = flips(&golden_path());
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let dir = golden();
                while let Some((name, position)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
                    one_flip(dir.path(), name, *position);
                }
                assert_eq!(verify(dir.path()).1, 0, "each flip was taken back");
            });
        }
    });
    println!("{} flips", flips.len());
    assert!(flips.len() > 15_000, "{} flips", flips.len());
}

fn one_flip(root: &Path, name: &str, position: u64) {
    let file = fs::File::options().read(true).write(true).open(root.join(name)).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).expect("within the file");
    file.write_all_at(&[byte[0] ^ 0x40], position).expect("ours");
    let (rows, code) = verify(root);
    file.write_all_at(&byte, position).expect("ours");
    assert_eq!(code, expected(name, position), "{name} byte {position}: {rows:?}");
    assert!(rows.iter().any(|row| names(row, name, position)), "{name} byte {position}: {rows:?}");
}

#[test]
fn the_golden_folder_is_what_is_written_today() {
    let made = tempfile::tempdir().expect("a temporary folder");
    make(made.path());
    if std::env::var_os("DURAMEN_BLESS").is_some() {
        copy(made.path(), &golden_path());
    }
    let (kept, made) = (contents(&golden_path()), contents(made.path()));
    assert!(kept.keys().eq(made.keys()), "{:?} and {:?}", kept.keys(), made.keys());
    for (name, bytes) in &kept {
        let differs = bytes.iter().zip(&made[name]).position(|(kept, made)| kept != made);
        assert_eq!((differs, bytes.len()), (None, made[name].len()), "{}", name.display());
    }
    assert_eq!(kept.len(), 13, "{:?}", kept.keys());
    assert_eq!(LAST, 14);
}

#[test]
fn what_version_1_wrote_is_read_as_it_was() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    copy(&golden_of("v1"), dir.path());
    std::fs::write(dir.path().join("lock"), b"").expect("a folder of our own");
    let ((old, old_code), (new, new_code)) = (verify(dir.path()), verify(golden().path()));
    assert_eq!((old_code, new_code), (0, 0), "{old:?}");
    assert_eq!(old, new);
}
