//! Runs in a journal's folder: listed, verified byte for byte, and compared between replicas.

use super::folder::{DATA, flip, golden, identity};
use super::{rows, text, verify};
use engine::batch::{BatchBuilder, NewRecord};
use engine::disk::BufferPool;
use engine::folder::{JournalFile, journal_dir};
use engine::ids::{Index, Offset, PartitionId, RunId};
use engine::rewrite::run_writer::whole_file;
use engine::rewrite::{RewriteRule, RunInput, RunPlan, RunWriter};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const RUN: RunId = RunId(7);
/// A block for the head, then the batches.
const BODY: u64 = 4096;

/// Adds a run of two partitions to the data journal.
pub fn add_run(root: &Path) -> PathBuf {
    let inputs = vec![RunInput::Segment { base: Index(1), last: Index(5) }];
    let plan = RunPlan { run: RUN, applied: Index(9), rule: RewriteRule::Compact, inputs };
    let mut writer = RunWriter::new(identity(DATA), plan, BufferPool::new(0));
    for partition in [PartitionId(1), PartitionId(2)] {
        writer.begin(partition, Offset(0)..Offset(9));
        for base_offset in [2, 8] {
            let mut builder = BatchBuilder::new(1_000);
            builder.base_offset(base_offset).push(NewRecord::value(b"heartwood"));
            writer.push(&builder.build(), 1_000);
        }
        writer.end();
    }
    writer.finish();
    let path = root.join(journal_dir(DATA)).join(JournalFile::Run(RUN).name());
    fs::write(&path, whole_file(&mut writer)).expect("the folder is there");
    path
}

fn with_run() -> (TempDir, PathBuf) {
    let dir = golden();
    let path = add_run(dir.path());
    (dir, path)
}

#[test]
fn keys_say_what_was_kept_of_each_partition_and_why() {
    let (dir, path) = with_run();
    let (found, code) = rows(&["keys", "--partition", "2", text(dir.path())]);
    assert_eq!((found.len(), code), (2, 0), "{found:?}");
    assert_eq!((&found[1]["offset"], &found[1]["what"]), (&8.into(), &"record".into()));
    assert_eq!(found[1]["why"], "it has no key, and was not compared");
    let (found, _) = rows(&["keys", "--offsets", "2..3", "--limit", "1", text(dir.path())]);
    assert_eq!((found.len(), &found[0]["partition"]), (1, &1.into()));
    flip(&path, BODY + 30);
    let (found, code) = rows(&["keys", text(dir.path())]);
    assert_eq!((found.len(), code), (0, 3), "nothing of what is not proven is shown");
}

#[test]
fn a_run_is_listed_with_its_partitions_and_chunks() {
    let (dir, _) = with_run();
    let (found, code) = rows(&["runs", text(dir.path())]);
    assert_eq!((found.len(), code), (1, 0), "{found:?}");
    assert_eq!((&found[0]["run"], &found[0]["rule"]), (&7.into(), &"compact".into()));
    assert_eq!((&found[0]["batches"], &found[0]["inputs"]), (&4.into(), &"segment 1 to 5".into()));
    let (found, _) = rows(&["runs", "--table", "partitions", text(dir.path())]);
    assert_eq!(found.len(), 2);
    assert_eq!((&found[1]["partition"], &found[1]["covered_to"]), (&2.into(), &9.into()));
    let (found, _) = rows(&["runs", "--table", "chunks", "--partition", "2", text(dir.path())]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["first_offset"], &found[0]["batches"]), (&2.into(), &2.into()));
}

#[test]
fn verify_finds_a_flipped_bit_of_a_run_and_names_whose_batch_it_is() {
    let (dir, path) = with_run();
    assert_eq!(verify(dir.path()).1, 0);
    flip(&path, BODY + 65);
    let (found, code) = verify(dir.path());
    assert_eq!(code, 3, "{found:?}");
    let damage = found.iter().find(|row| row["what"] == "damage").expect("a row");
    assert_eq!((&damage["file"], &damage["position"]), (&JournalFile::Run(RUN).name().into(), &BODY.into()));
    let (_, path) = (fs::remove_file(&path).expect("it is there"), add_run(dir.path()));
    fs::write(&path, b"short").expect("written");
    assert_eq!(verify(dir.path()).1, 3);
    assert_eq!(rows(&["runs", text(dir.path())]).1, 3, "it cannot be listed");
}

#[test]
fn runs_of_two_replicas_are_the_same_bytes_or_one_is_damaged() {
    let ((a, _), (b, path)) = (with_run(), with_run());
    let diff = || rows(&["diff", text(a.path()), text(b.path())]);
    let (found, code) = diff();
    assert_eq!(code, 0, "{found:?}");
    assert!(found.iter().any(|row| row["result"] == "runs identical" && row["runs"] == 1), "{found:?}");
    flip(&path, BODY + 70);
    let (found, code) = diff();
    assert_eq!(code, 3);
    let part = found.iter().find(|row| row["result"] == "runs part").expect("a row");
    assert_eq!((&part["run"], &part["position_a"]), (&7.into(), &(BODY + 70).into()));
    fs::remove_file(path).expect("it is there");
    assert_eq!(diff().1, 0, "one that only one of them has is still to come");
}
