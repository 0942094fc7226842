//! What a newer version wrote is refused by its name, whatever is asked of it.

use super::folder::{DATA, golden, identity, position_of, segment};
use super::{dump, rows, text, verify};
use engine::disk::BLOCK;
use engine::entry::layout::head_checksum;
use engine::folder::{checkpoint_path, hard_state_path, index_path, journal_meta_path};
use engine::framing::block_checksum;
use engine::ids::Index;
use std::fs;
use std::path::Path;

/// Where a framed block has its version and its checksum.
const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 16;
/// Files have different newest versions, and older ones are written where nothing needs more.
const NEWER: u8 = 99;

/// Makes every block of `blocks` one of a version above all that are known, whole as a newer program would write it; gives
/// the version.
fn make_newer(path: &Path, blocks: std::ops::Range<usize>, seed: u64) -> String {
    let mut bytes = fs::read(path).expect("it was made");
    for block in bytes.chunks_mut(BLOCK).skip(blocks.start).take(blocks.len()) {
        block[VERSION_AT] = NEWER;
        let checksum = block_checksum(seed, block, CHECKSUM_AT);
        block[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
    }
    fs::write(path, bytes).expect("a folder of our own");
    format!("version {NEWER}")
}

#[test]
fn every_file_of_a_newer_version_is_refused_by_name() {
    let secret = identity(DATA).secret;
    let files = [
        ("node.meta".to_owned(), 0..2, 0, "meta"),
        (journal_meta_path(DATA), 0..2, 0, "segments"),
        (hard_state_path(DATA), 0..4, secret, "hard-state"),
        (checkpoint_path(DATA, Index(10)), 0..1, secret, "checkpoint"),
        (index_path(DATA, Index(6)), 0..1, secret, "index"),
    ];
    for (name, blocks, seed, command) in files {
        let dir = golden();
        let version = make_newer(&dir.path().join(&name), blocks, seed);
        let (found, code) = verify(dir.path());
        assert_eq!(code, 4, "{name}: {found:?}");
        let last = name.rsplit('/').next().expect("a name");
        let is_named = found.iter().any(|row| {
            let text = row["text"].as_str().unwrap_or_default();
            row["what"] == "unreadable"
                && (row["file"].as_str().unwrap_or_default().ends_with(last) || text.contains(last))
                && text.contains(&version)
        });
        assert!(is_named, "{name}: {found:?}");
        let output = dump(&[command, text(dir.path())]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{name}: {error}");
        assert!(error.contains(last) && error.contains(&version), "{name}: {error}");
    }
}

#[test]
fn an_entry_of_a_newer_version_is_refused_by_name() {
    let dir = golden();
    let path = segment(dir.path(), 11);
    let mut bytes = fs::read(&path).expect("it was made");
    let at = position_of(13) as usize;
    bytes[at + VERSION_AT] = NEWER;
    let head_bytes = u32::from_le_bytes(bytes[at + 92..at + 96].try_into().expect("four")) as usize;
    let checksum = head_checksum(identity(DATA).secret, &bytes[at..at + head_bytes]);
    bytes[at + 108..at + 112].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).expect("a folder of our own");
    let (found, code) = verify(dir.path());
    assert_eq!(code, 4, "{found:?}");
    assert!(found[0]["text"].as_str().expect("text").contains("format version 99"), "{found:?}");
    for command in ["entries", "batches", "records", "segments", "stats"] {
        let output = dump(&[command, text(dir.path())]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{command}: {error}");
        assert!(error.contains("format version 99") && error.contains(".seg"), "{command}: {error}");
    }
}

#[test]
fn one_journal_that_cannot_be_read_hides_no_other() {
    let dir = golden();
    make_newer(&dir.path().join(journal_meta_path(engine::ids::META_JOURNAL)), 0..2, 0);
    super::flip(&segment(dir.path(), 1), position_of(4) + 300);
    let (found, code) = rows(&["verify", text(dir.path())]);
    assert_eq!(code, 4, "{found:?}");
    assert!(found.iter().any(|row| row["what"] == "damage" && row["index"] == 4), "{found:?}");
}
