//! Rows from a damaged entry are marked, and the exit code says that there are some.

use super::folder::{LAST, SYNCED, VALUE, flip, golden, position_of, segment};
use super::{dump, rows, text};
use std::fs;

#[test]
fn each_row_of_a_damaged_entry_is_marked() {
    let dir = golden();
    // The value of the first record of entry 4's first batch, and nothing else.
    let path = segment(dir.path(), 1);
    let bytes = fs::read(&path).expect("it was made");
    let from = position_of(4) as usize;
    let at =
        bytes[from..].windows(VALUE.len()).position(|window| window == VALUE.as_bytes()).expect("a record");
    flip(&path, (from + at) as u64);
    for (command, of_it) in [("batches", 2), ("records", 4)] {
        let (found, code) = rows(&[command, text(dir.path())]);
        assert_eq!(code, 3, "{command}");
        let (marked, plain): (Vec<_>, Vec<_>) = found.iter().partition(|row| row["damaged"] == true);
        assert_eq!(marked.len(), of_it, "{marked:?}");
        assert!(marked.iter().all(|row| row["index"] == 4) && plain.iter().all(|row| row["index"] != 4));
        let output = dump(&[command, text(dir.path()), "--journal", "1"]);
        let table = String::from_utf8(output.stdout).expect("text");
        let lines = table.lines().filter(|line| line.starts_with(" !")).count();
        assert_eq!(lines, of_it + 1, "the column's head, too: {table}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("entry 4"));
    }
    let (found, _) = rows(&["records", text(dir.path())]);
    let values: Vec<_> = found.iter().filter(|row| row["value"] != VALUE).collect();
    assert!(values.len() == 1 && values[0]["damaged"] == true, "{values:?}");
}

#[test]
fn a_torn_tail_is_marked_and_no_damage_and_one_that_is_being_written_is_not_shown() {
    let dir = golden();
    flip(&segment(dir.path(), 11), position_of(LAST) + 300);
    let (found, code) = rows(&["batches", text(dir.path())]);
    assert_eq!((found.iter().filter(|row| row["damaged"] == true).count(), code), (2, 2));
    let lock = fs::File::open(dir.path().join("lock")).expect("it was made");
    lock.lock().expect("nobody else holds it");
    let (found, code) = rows(&["batches", text(dir.path())]);
    assert_eq!((found.len() as u64, code), ((LAST - 3) * 2, 0));
    // Below the bound it has to be whole, live or not.
    flip(&segment(dir.path(), 11), position_of(SYNCED) + 300);
    assert_eq!(rows(&["batches", text(dir.path())]).1, 3);
}

#[test]
fn times_are_for_people_in_tables_and_topics_come_first() {
    let dir = golden();
    let table = |more: &[&str]| {
        let arguments = [&["records", text(dir.path()), "--limit", "1"], more].concat();
        String::from_utf8(dump(&arguments).stdout).expect("text")
    };
    let utc = table(&["--utc"]);
    assert!(utc.contains("2025-06-15 15:06:40.000Z"), "{utc}");
    assert!(utc.trim_start().starts_with("!  topic    offset"), "{utc}");
    assert!(!table(&[]).contains("1750000000000"));
    let (found, _) = rows(&["records", text(dir.path()), "--limit", "1"]);
    assert_eq!(found[0]["timestamp"], 1_750_000_000_000i64);
}
