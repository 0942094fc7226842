//! `duramen-dump` on golden data folders: clean, torn, damaged in each structure, newer.

mod damage;
mod folder;
mod fuzz;
mod groups;
mod marks;
mod missing;
mod newer;
mod runs;

use engine::folder::journal_dir;
use folder::{DATA, LAST, SYNCED, VALUE, contents, flip, golden as folder, identity, position_of, segment};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

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
    assert_eq!(verify(&segment(dir.path(), 11)).1, 0);
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

#[test]
fn a_torn_tail_is_two_and_a_live_one_is_nothing() {
    let dir = folder();
    let tail = segment(dir.path(), 11);
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
fn a_lone_segment_needs_its_secret_and_has_no_bounds() {
    let dir = folder();
    let lone = dir.path().join("lone.seg");
    fs::copy(segment(dir.path(), 11), &lone).expect("a copy");
    let output = dump(&["verify", text(&lone)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--secret"));
    let secret = format!("{:x}", identity(DATA).secret);
    let code = |lone: &Path| rows(&["verify", text(lone), "--secret", &secret]).1;
    assert_eq!(code(&lone), 0);
    flip(&lone, position_of(LAST) + 300);
    assert_eq!(code(&lone), 2, "the last entry is bad");
    flip(&lone, position_of(12) + 300);
    assert_eq!(code(&lone), 3, "good ones follow a bad one");
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
    assert_eq!(found.len(), 8, "three and five entries hold it");
    let (found, _) = rows(&["hard-state", path, "--journal", "1"]);
    let newest: Vec<_> = found.iter().filter(|row| row["status"] == "newest").collect();
    assert_eq!((found.len(), newest.len()), (4, 2));
    assert_eq!(newest[0]["synced_index"], SYNCED);
    let (found, _) = rows(&["checkpoint", path, "--partition", "2"]);
    assert!(found.iter().any(|row| row["next_offset"] == (10 - 2) * 2));
    let (found, _) = rows(&["stats", path]);
    assert!(found.iter().any(|row| row["compression"] == "zstd" && row["batches"] == LAST - 2));
}

#[test]
fn replicas_part_only_below_the_lower_commit() {
    let (a, b) = (folder(), folder());
    let diff = |a: &TempDir, b: &TempDir| rows(&["diff", text(a.path()), text(b.path())]);
    assert_eq!(diff(&a, &b).1, 0);
    // The entries' own commits reach to 10; behind it a tail may differ.
    flip(&segment(b.path(), 11), position_of(LAST) + 300);
    assert_eq!(diff(&a, &b).1, 0);
    flip(&segment(b.path(), 6), position_of(8) + 300);
    let (found, code) = diff(&a, &b);
    assert_eq!(code, 3);
    let part = found.iter().find(|row| row["result"] == "they part").expect("a row");
    assert_eq!((&part["index"], &part["term_a"]), (&8.into(), &2.into()));
    assert_eq!(part["position_a"], position_of(8) + 300);
    // A head that is lost in one of them is named by its own place.
    flip(&segment(b.path(), 6), position_of(7) + 60);
    let (found, _) = diff(&a, &b);
    let part = found.iter().find(|row| row["result"] == "they part").expect("a row");
    assert_eq!((&part["index"], &part["term_b"]), (&7.into(), &Value::Null));
    assert_eq!(part["position_b"], position_of(7) + 60);
    fs::remove_dir_all(b.path().join(journal_dir(DATA))).expect("it was there");
    let (found, code) = diff(&a, &b);
    assert_eq!(code, 0);
    assert!(found.iter().any(|row| row["journal"] == 1 && row["result"] == "only in"), "{found:?}");
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
    for refused in
        [&["verify", "--topic", "rings"][..], &["index", "--times", "1.."], &["meta", "--offsets", "1.."]]
    {
        assert_eq!(dump(&[refused, &[text(dir.path())]].concat()).status.code(), Some(1), "{refused:?}");
    }
    let output = dump(&["batches", text(dir.path()), "--topic", "branches"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("branches"));
}

/// Runs with both streams into a pipe that nobody reads.
fn unread(arguments: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let errors = writer.try_clone().expect("a second handle");
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen-dump"));
    command.args(arguments).stdout(Stdio::from(writer)).stderr(Stdio::from(errors));
    command.status().expect("it runs").code()
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_changes_no_verdict() {
    let dir = folder();
    for command in ["records", "entries", "batches", "segments", "stats", "meta", "verify"] {
        assert_eq!(unread(&[command, text(dir.path())]), Some(0), "{command}");
        assert_eq!(unread(&[command, text(dir.path()), "--json"]), Some(0), "{command}");
    }
    flip(&segment(dir.path(), 1), position_of(4) + 300);
    flip(&segment(dir.path(), 6), position_of(7) + 60);
    for command in ["records", "entries", "batches"] {
        assert_eq!(unread(&[command, text(dir.path())]), Some(3), "complaints have no reader: {command}");
    }
    assert_eq!(unread(&["verify", text(dir.path())]), Some(3));
    let shell =
        format!("{} records {} --json | head -1", env!("CARGO_BIN_EXE_duramen-dump"), text(dir.path()));
    let output = Command::new("sh").args(["-c", &shell]).output().expect("sh runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn positions_are_what_xxd_shows() {
    let dir = folder();
    let (found, _) = rows(&["entries", text(dir.path()), "--journal", "1"]);
    for row in found {
        let base = row["file"].as_str().and_then(|file| file[..20].parse().ok()).expect("a base");
        let file = segment(dir.path(), base);
        let position = row["position"].to_string();
        let xxd = Command::new("xxd").args(["-s", &position, "-l", "8", "-p", text(&file)]).output();
        // xxd is no part of every system; its bytes are the file's.
        let shown = match xxd {
            Ok(output) => String::from_utf8(output.stdout).expect("text").trim().to_owned(),
            Err(_) => {
                let at: usize = position.parse().expect("a number");
                let bytes = fs::read(&file).expect("it was made");
                bytes[at..at + 8].iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        assert_eq!(shown, "445552414d454e45", "DURAMENE at byte {position}");
    }
}

#[test]
fn segments_are_found_by_what_they_hold() {
    let dir = folder();
    let offset = (8 - 3) * 2;
    let range = format!("{offset}..{}", offset + 2);
    let arguments = ["segments", text(dir.path()), "--topic", "rings", "--offsets", &range];
    let (found, _) = rows(&arguments);
    assert_eq!((found.len(), &found[0]["base"]), (1, &6.into()), "{found:?}");
    assert_eq!(found[0]["batches"], 2);
    assert_eq!(rows(&["segments", text(dir.path()), "--limit", "2"]).0.len(), 2);
}
