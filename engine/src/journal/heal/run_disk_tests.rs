//! A run's file grows in pieces, is proven and takes its name; whatever is bad in it is told by its place.

use super::*;
use crate::batch::{BatchBuilder, NewRecord};
use crate::disk::memory::MemoryDisk;
use crate::ids::{ClusterId, Index, JournalId, Offset, PartitionId};
use crate::rewrite::run_writer::{RunWriter, whole_file};
use crate::rewrite::{RewriteRule, RunInput, RunPlan};

const IDENTITY: JournalIdentity = JournalIdentity { cluster: ClusterId(1), journal: JournalId(2), secret: 3 };
const RUN: RunId = RunId(1 << 32);
const PIECE: usize = RUN_PIECE_BYTES;

/// A run of so many batches of 60,000 bytes, and a small one of another partition.
fn run(batches: i64) -> (Vec<u8>, WantedRun) {
    let inputs = vec![RunInput::Segment { base: Index(1), last: Index(9) }];
    let plan = RunPlan { run: RUN, applied: Index(10), rule: RewriteRule::Copy, inputs };
    let mut writer = RunWriter::new(IDENTITY, plan, BufferPool::new(1 << 20));
    for (partition, batches, bytes) in [(1, batches, 60_000), (5, 1, 10)] {
        writer.begin(PartitionId(partition), Offset(0)..Offset(batches));
        for base in 0..batches {
            let mut builder = BatchBuilder::new(1_000);
            builder.base_offset(base).push(NewRecord::value(&vec![base as u8; bytes]));
            writer.push(&builder.build(), 1_000);
        }
        writer.end();
    }
    writer.finish();
    let file = whole_file(&mut writer);
    let name = RunName { run: RUN, sum: writer.foot().partitions_sum.get() };
    let bytes = file.len() as u64;
    (file, WantedRun { name, bytes })
}

fn disk() -> (MemoryDisk, RunFiles) {
    let mut disk = MemoryDisk::new();
    let files = RunFiles { io: disk.io.clone(), pool: disk.pool.clone(), identity: IDENTITY };
    let (io, dir) = (disk.io.clone(), files.dir());
    disk.run(async move { io.create_dir(&dir).await }).expect("a folder");
    (disk, files)
}

fn write_from(disk: &mut MemoryDisk, files: &RunFiles, (file, wanted): &(Vec<u8>, WantedRun), from: usize) {
    for (at, piece) in file.chunks(PIECE).enumerate().skip(from / PIECE) {
        let place = PiecePlace { name: wanted.name, position: (at * PIECE) as u64, mends: false };
        disk.run(write_piece(files.clone(), place, piece.to_vec())).expect("room");
    }
}

#[test]
fn a_run_that_came_whole_takes_its_name() {
    let (mut disk, files) = disk();
    let run = run(40);
    assert_eq!(disk.run(resume(files.clone(), run.1)), Ok(0));
    write_from(&mut disk, &files, &run, 0);
    assert_eq!(disk.run(finish(files.clone(), run.1)), Ok(RunChecked::Good));
    assert!(*disk.file(&files.path(RUN)) == run.0);
    assert_eq!(disk.open_files(), 0);
    let (last, end) = (run.0.len() / PIECE * PIECE, run.0.len());
    for (position, expected) in [(0, Some(0..PIECE)), (last, Some(last..end)), (end, None)] {
        let lent = disk.run(lend_piece(files.clone(), RUN, position as u64)).expect("it can be read");
        assert!(lent == expected.map(|range| run.0[range].to_vec()), "at {position}");
    }
    assert!(disk.run(lend_piece(files.clone(), RunId(9), 0)) == Ok(None), "no such run");
}

#[test]
fn one_that_has_its_name_already_is_whole_at_once_and_a_bad_one_is_not() {
    let (mut disk, files) = disk();
    let run = run(40);
    let path = files.path(RUN);
    let (io, new) = (disk.io.clone(), path.clone());
    disk.run(async move { io.close(io.create(&new).await?).await }).expect("a file");
    *disk.file(&path) = run.0.clone();
    assert_eq!(disk.run(resume(files.clone(), run.1)), Ok(run.1.bytes));
    assert_eq!(
        disk.run(finish(files.clone(), run.1)),
        Ok(RunChecked::Good),
        "there is nothing to take its place"
    );
    assert!(*disk.file(&path) == run.0);
    disk.file(&path)[PIECE + 5] ^= 1;
    assert_eq!(disk.run(resume(files.clone(), run.1)), Ok(0));
    write_from(&mut disk, &files, &run, 0);
    assert_eq!(disk.run(finish(files.clone(), run.1)), Ok(RunChecked::Good));
    assert!(*disk.file(&path) == run.0, "a good one took its place");
    assert_eq!(disk.open_files(), 0);
}

#[test]
fn after_a_crash_it_goes_on_from_what_was_synced() {
    let (mut disk, files) = disk();
    let run = run(200);
    let sync = SYNC_BYTES as usize;
    assert!(run.0.len() > 2 * sync);
    let part = files.part_path(run.1.name);
    assert_eq!(disk.run(resume(files.clone(), run.1)), Ok(0));
    for (length, expected) in
        [(0, 0), (sync, 0), (sync + BLOCK, sync), (2 * sync, sync), (2 * sync + BLOCK, 2 * sync)]
    {
        *disk.file(&part) = run.0[..length].to_vec();
        assert_eq!(disk.run(resume(files.clone(), run.1)), Ok(expected as u64), "{length} bytes are there");
    }
    // What lay behind may be anything.
    disk.file(&part)[2 * sync..].fill(7);
    write_from(&mut disk, &files, &run, 2 * sync);
    assert_eq!(disk.run(finish(files.clone(), run.1)), Ok(RunChecked::Good));
    assert!(*disk.file(&files.path(RUN)) == run.0);
}

#[test]
fn what_is_bad_is_told_by_its_place_and_mended_there() {
    let (mut disk, files) = disk();
    let run = run(40);
    disk.run(resume(files.clone(), run.1)).expect("room");
    write_from(&mut disk, &files, &run, 0);
    let part = files.part_path(run.1.name);
    for at in (0..run.0.len()).step_by(9_973).chain([run.0.len() - 4096, run.0.len() - 1]) {
        disk.file(&part)[at] ^= 4;
        let Ok(RunChecked::Bad { position }) = disk.run(finish(files.clone(), run.1)) else {
            panic!("byte {at} is bad")
        };
        disk.file(&part)[at] ^= 4;
        let is_body = at >= BLOCK && at < run.0.len() - 8 * BLOCK;
        let near = (at as u64).abs_diff(position) < 70_000;
        assert!(!is_body || near, "byte {at} is bad, and {position} is said to be");
    }
    assert_eq!(disk.run(finish(files.clone(), run.1)), Ok(RunChecked::Good));
    disk.file(&files.path(RUN))[PIECE + 5] ^= 1;
    let place = PiecePlace { name: run.1.name, position: PIECE as u64, mends: true };
    disk.run(write_piece(files.clone(), place, run.0[PIECE..2 * PIECE].to_vec())).expect("room");
    assert!(*disk.file(&files.path(RUN)) == run.0);
}

#[test]
fn another_run_of_that_id_is_not_taken_and_a_longer_file_is_cut() {
    let (mut disk, files) = disk();
    let (file, wanted) = run(3);
    let other = WantedRun { name: RunName { sum: 1, ..wanted.name }, ..wanted };
    disk.run(resume(files.clone(), other)).expect("room");
    write_from(&mut disk, &files, &(file.clone(), other), 0);
    let last = wanted.bytes - BLOCK as u64;
    assert_eq!(disk.run(finish(files.clone(), other)), Ok(RunChecked::Bad { position: last }));
    disk.run(resume(files.clone(), wanted)).expect("room");
    write_from(&mut disk, &files, &(file.clone(), wanted), 0);
    disk.file(&files.part_path(wanted.name)).extend([0; BLOCK]);
    assert_eq!(disk.run(finish(files.clone(), wanted)), Ok(RunChecked::Good));
    // What is left of the other one goes, once nobody wants it.
    disk.run(sweep(files.clone(), vec![other.name])).expect("no fault");
    assert!(!disk.file(&files.part_path(other.name)).is_empty());
    disk.run(sweep(files.clone(), vec![])).expect("no fault");
    let (io, dir) = (disk.io.clone(), files.dir());
    let left = disk.run(async move { io.list(&dir).await }).expect("a folder");
    assert_eq!(left.len(), 1, "{left:?}");
}
