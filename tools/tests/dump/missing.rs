//! What is not there any more is damage, and named: each file, emptied and removed.

use super::folder::{DATA, LAST, SYNCED, contents, copy, golden, position_of, segment, trimmed};
use super::{rows, text, verify};
use engine::folder::{hard_state_path, index_path, journal_dir, journal_meta_path, segment_path};
use engine::ids::{Index, META_JOURNAL};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Removed,
    Emptied,
    /// Zeros of the same length.
    Zeroed,
    /// To a whole number of blocks.
    Halved,
}

fn lose(path: &Path, loss: Loss) {
    let bytes = fs::metadata(path).expect("it was made").len();
    let cut = |bytes| fs::File::options().write(true).open(path).and_then(|file| file.set_len(bytes));
    match loss {
        Loss::Removed => fs::remove_file(path),
        Loss::Emptied => cut(0),
        Loss::Zeroed => cut(0).and_then(|()| cut(bytes)),
        Loss::Halved => cut(bytes / 2 / 4096 * 4096),
    }
    .expect("a folder of our own");
}

fn names<'a>(found: &'a [Value], file: &str) -> Option<&'a Value> {
    found
        .iter()
        .find(|row| row["what"] == "damage" && row["file"].as_str().is_some_and(|name| file.ends_with(name)))
}

#[test]
fn a_lost_file_is_damage_and_named_itself() {
    use Loss::{Emptied, Halved, Removed, Zeroed};
    let all = &[Removed, Emptied, Zeroed, Halved][..];
    let files = [
        ("node.meta".to_owned(), &[Removed, Emptied, Zeroed, Halved][..]),
        (journal_meta_path(META_JOURNAL), all),
        (journal_meta_path(DATA), all),
        (hard_state_path(META_JOURNAL), all),
        (hard_state_path(DATA), all),
        (segment_path(META_JOURNAL, Index(1)), &[Removed, Emptied, Zeroed]),
        (segment_path(DATA, Index(1)), all),
        (segment_path(DATA, Index(6)), all),
        (segment_path(DATA, Index(11)), &[Removed, Emptied, Zeroed]),
        (index_path(DATA, Index(6)), &[Emptied, Zeroed]),
    ];
    for (file, losses) in files {
        for loss in losses {
            let dir = golden();
            lose(&dir.path().join(&file), *loss);
            let before = contents(dir.path());
            let (found, code) = verify(dir.path());
            assert_eq!(code, 3, "{file} {loss:?}: {found:?}");
            assert!(names(&found, &file).is_some(), "{file} {loss:?}: {found:?}");
            assert_eq!(contents(dir.path()), before);
        }
    }
}

#[test]
fn a_lost_folder_is_damage_with_the_topics_that_it_held() {
    for (journal, says) in [(META_JOURNAL, "topics, settings"), (DATA, "records of rings")] {
        let dir = golden();
        fs::remove_dir_all(dir.path().join(journal_dir(journal))).expect("it was made");
        let (found, code) = verify(dir.path());
        assert_eq!(code, 3, "{found:?}");
        let row = names(&found, &journal_dir(journal)).unwrap_or_else(|| panic!("{found:?}"));
        assert!(row["text"].as_str().is_some_and(|text| text.contains(says)), "{row}");
    }
    let dir = golden();
    fs::remove_dir_all(dir.path().join("journals")).expect("it was made");
    assert_eq!(verify(dir.path()).1, 3);
}

#[test]
fn a_missing_segment_is_named_with_its_entries_and_only_once() {
    let dir = golden();
    for path in [segment(dir.path(), 6), dir.path().join(index_path(DATA, Index(6)))] {
        fs::remove_file(path).expect("it was made");
    }
    let (found, code) = verify(dir.path());
    assert_eq!((found.len(), code), (2, 3), "{found:?}");
    let row = names(&found, "00000000000000000006.seg").expect("it is named");
    assert!(row["text"].as_str().is_some_and(|text| text.contains("entries 6 to 10")), "{row}");
    let dir = golden();
    fs::remove_file(segment(dir.path(), 11)).expect("it was made");
    let (found, _) = verify(dir.path());
    let row = names(&found, "00000000000000000011.seg").expect("it is named");
    assert!(row["text"].as_str().is_some_and(|text| text.contains(&SYNCED.to_string())), "{row}");
}

#[test]
fn what_was_deleted_is_not_missing() {
    // A checkpoint covers the first segment in both; only in one its records are deleted.
    for (dir, expected) in [(trimmed(), 0), (golden(), 3)] {
        fs::remove_file(segment(dir.path(), 1)).expect("it was made");
        let (found, code) = verify(dir.path());
        assert_eq!(code, expected, "the segment goes before its index: {found:?}");
        fs::remove_file(dir.path().join(index_path(DATA, Index(1)))).expect("it was made");
        let (found, code) = verify(dir.path());
        assert_eq!(code, expected, "{found:?}");
    }
}

#[test]
fn a_journal_that_was_never_written_to_may_lack_its_record() {
    let dir = golden();
    let made = dir.path().join("journals/0000000000000007");
    fs::create_dir_all(&made).expect("a folder of our own");
    assert_eq!(verify(dir.path()).1, 0, "only the folder");
    fs::write(made.join("00000000000000000001.seg"), vec![0; 8192]).expect("ours");
    let mut hard_state = vec![0; 4 * 4096];
    hard_state[2 * 4096] = b'D';
    fs::write(made.join("hard-state"), &hard_state).expect("ours");
    assert_eq!(verify(dir.path()).1, 0, "the first generation of its hard state, and no entry");
    hard_state[0] = b'D';
    fs::write(made.join("hard-state"), &hard_state).expect("ours");
    assert_eq!(verify(dir.path()).1, 3, "it was written again: there was a term or a vote");
}

#[test]
fn files_of_another_folder_are_named() {
    let dir = golden();
    let (meta, data) = (journal_meta_path(META_JOURNAL), journal_meta_path(DATA));
    fs::copy(dir.path().join(meta), dir.path().join(&data)).expect("both are there");
    let (found, code) = verify(dir.path());
    assert_eq!(code, 3, "{found:?}");
    assert!(
        names(&found, &data).is_some_and(|row| row["text"].to_string().contains("journal 0")),
        "{found:?}"
    );
}

#[test]
fn all_but_what_is_lost_is_shown_and_the_exit_code_says_so() {
    let dir = golden();
    fs::remove_file(dir.path().join(hard_state_path(DATA))).expect("it was made");
    let (found, code) = rows(&["records", text(dir.path())]);
    assert_eq!((found.len() as u64, code), ((LAST - 2) * 4, 3));
    fs::remove_file(segment(dir.path(), 6)).expect("it was made");
    let (found, code) = rows(&["batches", text(dir.path())]);
    assert_eq!((found.len(), code), (14, 3), "{found:?}");
    for command in ["entries", "stats", "segments"] {
        assert_eq!(rows(&[command, text(dir.path())]).1, 3, "{command}");
    }
    // The folder of a journal by itself is judged by the same rules.
    let dir = golden();
    let alone = dir.path().join("alone");
    copy(&dir.path().join(journal_dir(DATA)), &alone);
    let file = alone.join("00000000000000000011.seg");
    let cut = fs::File::options().write(true).open(file).expect("it was made");
    cut.set_len(position_of(12)).expect("ours");
    assert_eq!(rows(&["verify", text(&alone)]).1, 3);
    assert_eq!(rows(&["records", text(&alone)]).1, 3);
}
