//! `duramen-dump` on golden data folders: clean, torn, damaged in each structure, newer.

mod folder;

use engine::folder::{checkpoint_path, hard_state_path, index_path, journal_dir, journal_meta_path};
use engine::ids::Index;
use folder::{DATA, LAST, SYNCED, VALUE, flip, identity, make, position_of, segment};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn folder() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    make(dir.path());
    dir
}

fn dump(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duramen-dump")).args(arguments).output().expect("it runs")
}

/// The rows and the exit code.
fn rows(arguments: &[&str]) -> (Vec<Value>, i32) {
    let output = dump(&[arguments, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    let rows = text.lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect();
    (rows, output.status.code().expect("it ended by itself"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn verify(path: &Path) -> (Vec<Value>, i32) {
    rows(&["verify", "--strict", text(path)])
}

#[test]
fn a_clean_folder_is_clean() {
    let dir = folder();
    let (found, code) = verify(dir.path());
    assert_eq!((found.len(), code), (1, 0), "{found:?}");
    assert_eq!(found[0]["result"], "clean");
    assert_eq!(found[0]["entries"], LAST + 2);
    assert_eq!(found[0]["records"], (LAST - 2) * 4);
    assert_eq!(verify(&dir.path().join(journal_dir(DATA))).1, 0);
    assert_eq!(verify(&segment(dir.path(), 21)).1, 0);
}

#[test]
fn reading_leaves_the_folder_as_it_was() {
    let dir = folder();
    let before = contents(dir.path());
    for command in [
        "segments",
        "entries",
        "batches",
        "records",
        "index",
        "hard-state",
        "meta",
        "checkpoint",
        "stats",
        "verify",
    ] {
        let output = dump(&[command, text(dir.path())]);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty(), "{command}");
        let (found, code) = rows(&[command, text(dir.path())]);
        assert!(!found.is_empty() && code == 0, "{command}");
    }
    assert_eq!(contents(dir.path()), before);
}

/// Every file with its bytes.
fn contents(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("a name").path();
        if path.is_dir() {
            all.extend(contents(&path))
        } else {
            all.push((path.clone(), fs::read(path).expect("a file")))
        }
    }
    all.sort();
    all
}

#[test]
fn a_torn_tail_is_two_and_a_live_one_is_nothing() {
    let dir = folder();
    let tail = segment(dir.path(), 21);
    flip(&tail, position_of(LAST) + 300);
    let (found, code) = verify(dir.path());
    assert_eq!(code, 2, "{found:?}");
    assert_eq!((&found[0]["what"], &found[0]["index"]), (&"torn".into(), &LAST.into()));
    // Two deep: the first of two unsynced entries is bad, the second is whole.
    flip(&tail, position_of(LAST) + 300);
    flip(&tail, position_of(SYNCED + 1) + 20);
    let (found, code) = verify(dir.path());
    assert_eq!(code, 2, "{found:?}");
    assert_eq!(found[0]["position"], position_of(SYNCED + 1));

    let lock = fs::File::open(dir.path().join("lock")).expect("it was made");
    lock.lock().expect("nobody else holds it");
    let (found, code) = verify(dir.path());
    assert_eq!((code, &found[0]["live"]), (0, &true.into()), "{found:?}");
    // Below the bound it is damage, live or not.
    flip(&tail, position_of(SYNCED) + 300);
    assert_eq!(verify(dir.path()).1, 3);
}

#[test]
fn damage_in_each_structure_is_three_and_names_its_place() {
    // The offsets of one byte in each part of an entry: magic, lengths, descriptor, batch, padding.
    let in_entry = [0, 9, 60, 89, 109, 130, 128 + 72 + 5, 128 + 144 + 30, 4000];
    for (base, index) in [(1, 5), (11, 15), (21, SYNCED)] {
        for offset in in_entry {
            let dir = folder();
            let file = segment(dir.path(), base);
            flip(&file, position_of(index) + offset);
            let (found, code) = verify(dir.path());
            assert_eq!(code, 3, "entry {index} byte {offset}: {found:?}");
            let row = found.iter().find(|row| row["index"] == index).expect("the entry is named");
            assert_eq!(row["file"], file.file_name().and_then(|name| name.to_str()).expect("a name"));
            let position = row["position"].as_u64().expect("a number");
            assert!((position_of(index)..position_of(index) + 4096).contains(&position), "{row}");
        }
    }
}

#[test]
fn damage_beside_the_segments_is_three() {
    let journal = |name: String| name;
    let places = [
        ("node.meta".to_owned(), 100),
        (journal(journal_meta_path(DATA)), 5000),
        (hard_state_path(DATA), 40),
        (hard_state_path(DATA), 4096 * 3 + 5),
        (checkpoint_path(DATA, Index(10)), 30),
        (checkpoint_path(DATA, Index(20)), 4100),
        (index_path(DATA, Index(1)), 50),
        (index_path(DATA, Index(11)), 4096 + 30),
        (index_path(DATA, Index(11)), 4096 * 5 + 30),
    ];
    for (name, position) in places {
        let dir = folder();
        flip(&dir.path().join(&name), position);
        let (found, code) = verify(dir.path());
        assert_eq!(code, 3, "{name}: {found:?}");
        assert!(name.ends_with(found[0]["file"].as_str().expect("a name")), "{name}: {found:?}");
    }
}

#[test]
fn what_is_missing_is_damage() {
    let dir = folder();
    fs::remove_file(segment(dir.path(), 11)).expect("it was made");
    assert_eq!(verify(dir.path()).1, 3);
    let dir = folder();
    fs::remove_file(segment(dir.path(), 21)).expect("it was made");
    assert_eq!(verify(dir.path()).1, 3, "entries up to the synced bound are gone");
    // A retained segment that a checkpoint covers may be deleted.
    let dir = folder();
    fs::remove_file(segment(dir.path(), 1)).expect("it was made");
    fs::remove_file(dir.path().join(index_path(DATA, Index(1)))).expect("it was made");
    assert_eq!(verify(dir.path()).1, 0);
}

#[test]
fn a_lone_segment_needs_its_secret_and_has_no_bounds() {
    let dir = folder();
    let lone = dir.path().join("lone.seg");
    fs::copy(segment(dir.path(), 21), &lone).expect("a copy");
    let output = dump(&["verify", text(&lone)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--secret"));
    let secret = format!("{:x}", identity(DATA).secret);
    let code = |lone: &Path| rows(&["verify", text(lone), "--secret", &secret]).1;
    assert_eq!(code(&lone), 0);
    flip(&lone, position_of(LAST) + 300);
    assert_eq!(code(&lone), 2, "the last entry is bad");
    flip(&lone, position_of(22) + 300);
    assert_eq!(code(&lone), 3, "good ones follow a bad one");
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let newer = |name: &str, blocks: &[u64]| {
        let dir = folder();
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).expect("it was made");
        blocks.iter().for_each(|block| bytes[*block as usize * 4096 + 8] = 2);
        fs::write(&path, bytes).expect("a folder of our own");
        let output = dump(&["verify", text(dir.path())]);
        assert_eq!(output.status.code(), Some(4), "{name}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = newer("node.meta", &[0, 1]);
    assert!(error.contains("node.meta") && error.contains("version 2"), "{error}");
    let error = newer(&journal_meta_path(DATA), &[0, 1]);
    assert!(error.contains("journal.meta") && error.contains("version 2"), "{error}");
    let error = newer(&hard_state_path(DATA), &[0, 1, 2, 3]);
    assert!(error.contains("hard-state") && error.contains("version 2"), "{error}");
}

#[test]
fn an_entry_of_a_newer_version_is_refused_by_name() {
    let dir = folder();
    let path = segment(dir.path(), 21);
    let mut bytes = fs::read(&path).expect("it was made");
    let at = position_of(23) as usize;
    bytes[at + 8] = 2;
    let head_bytes = u32::from_le_bytes(bytes[at + 92..at + 96].try_into().expect("four")) as usize;
    let checksum = engine::entry::layout::head_checksum(identity(DATA).secret, &bytes[at..at + head_bytes]);
    bytes[at + 108..at + 112].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).expect("a folder of our own");
    let (found, code) = verify(dir.path());
    assert_eq!(code, 4, "{found:?}");
    assert!(found[0]["text"].as_str().expect("text").contains("format version 2"), "{found:?}");
}

#[test]
fn records_are_found_by_filter_and_hidden_by_redact() {
    let dir = folder();
    let path = text(dir.path());
    let (found, _) = rows(&["records", path, "--topic", "rings", "--partition", "1", "--offsets", "4..7"]);
    let offsets: Vec<_> = found.iter().map(|row| row["offset"].as_i64().expect("a number")).collect();
    assert_eq!(offsets, [4, 5, 6]);
    assert_eq!(found[0]["topic"], "rings-1");
    assert_eq!(found[0]["compression"], "zstd");
    assert_eq!((&found[0]["key"], &found[0]["value"]), (&"k1".into(), &VALUE.into()));
    assert_eq!(found[0]["headers"][0]["key"], "h");
    let (found, _) = rows(&["records", path, "--producer-id", "41", "--limit", "3", "--format", "hex"]);
    assert_eq!((found.len(), &found[0]["key"]), (3, &"6b31".into()));
    let times = "1750000000010..1750000000012";
    let (found, _) = rows(&["batches", path, "--times", times]);
    assert_eq!(found.len(), 2, "{found:?}");
    for command in [&["records", path, "--redact"][..], &["records", path, "--redact", "--json"]] {
        let shown = String::from_utf8(dump(command).stdout).expect("text");
        assert!(shown.contains("<9 bytes>") && !shown.contains(VALUE) && !shown.contains("k1"));
    }
}

#[test]
fn positions_are_those_of_the_file() {
    let dir = folder();
    let (found, _) = rows(&["batches", text(dir.path()), "--partition", "1"]);
    for row in found {
        let base = row["file"].as_str().and_then(|file| file[..20].parse().ok()).expect("a base");
        let bytes = fs::read(segment(dir.path(), base)).expect("it was made");
        let at = row["position"].as_u64().expect("a number") as usize;
        let offset = i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight"));
        assert_eq!(row["base_offset"], offset);
    }
}

#[test]
fn the_tables_say_what_was_made() {
    let dir = folder();
    let path = text(dir.path());
    let (found, _) = rows(&["segments", path, "--journal", "1"]);
    let states: Vec<_> = found.iter().map(|row| row["state"].as_str().expect("text")).collect();
    assert_eq!(states, ["sealed", "sealed", "active"]);
    let (found, _) = rows(&["meta", path]);
    assert!(found.iter().any(|row| row["what"] == "topic" && row["topic"] == "rings"));
    assert!(found.iter().any(|row| row["key"] == "retention.ms" && row["value"] == "1000"));
    let (found, _) = rows(&["index", path, "--table", "items", "--topic", "rings", "--partition", "0"]);
    assert_eq!(found.len(), 18, "eight and ten entries hold it");
    let (found, _) = rows(&["hard-state", path, "--journal", "1"]);
    let newest: Vec<_> = found.iter().filter(|row| row["status"] == "newest").collect();
    assert_eq!((found.len(), newest.len()), (4, 2));
    assert_eq!(newest[0]["synced_index"], SYNCED);
    let (found, _) = rows(&["checkpoint", path, "--partition", "2"]);
    assert!(found.iter().any(|row| row["next_offset"] == (20 - 2) * 2));
    let (found, _) = rows(&["stats", path]);
    assert!(found.iter().any(|row| row["compression"] == "zstd" && row["batches"] == LAST - 2));
}

#[test]
fn replicas_part_only_below_the_lower_commit() {
    let (a, b) = (folder(), folder());
    let diff = |a: &TempDir, b: &TempDir| rows(&["diff", text(a.path()), text(b.path())]);
    assert_eq!(diff(&a, &b).1, 0);
    // The entries' own commits reach to 20; behind it a tail may differ.
    flip(&segment(b.path(), 21), position_of(LAST) + 300);
    assert_eq!(diff(&a, &b).1, 0);
    flip(&segment(b.path(), 11), position_of(15) + 300);
    let (found, code) = diff(&a, &b);
    assert_eq!(code, 3);
    let part = found.iter().find(|row| row["result"] == "they part").expect("a row");
    assert_eq!((&part["index"], &part["term_a"]), (&15.into(), &1.into()));
    assert_eq!(part["position_a"], position_of(15) + 300);
}

#[test]
fn wrong_use_is_one_and_nothing_to_read_is_four() {
    assert_eq!(dump(&[]).status.code(), Some(1));
    assert_eq!(dump(&["segments"]).status.code(), Some(1));
    assert_eq!(dump(&["--help"]).status.code(), Some(0));
    assert_eq!(dump(&["verify", "/nowhere/at/all"]).status.code(), Some(4));
    let empty = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(dump(&["verify", text(empty.path())]).status.code(), Some(4));
    let dir = folder();
    let output = dump(&["batches", text(dir.path()), "--topic", "branches"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("branches"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = folder();
    // Small enough a pipe that the output does not fit: many rows of JSON.
    for command in ["records", "entries", "verify"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_duramen-dump"))
            .args([command, text(dir.path()), "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        drop(child.stdout.take());
        let mut errors = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut errors).expect("text");
        assert_eq!(child.wait().expect("it ended").code(), Some(0), "{command}: {errors}");
        assert_eq!(errors, "", "{command}");
    }
}
