//! Operations and the procedures that await them, without a disk.

use super::*;
use crate::disk::{BLOCK, BufferPool};

const FILE: FileId = FileId(7);

fn both() -> (Io, Procedures<usize>) {
    let io = Io::new();
    (io.clone(), Procedures::new(io))
}

fn read(bytes: usize) -> DiskResult {
    Ok(DiskDone::Read(BufferPool::new(0).copy_of(&vec![1; bytes])))
}

async fn one_read(io: Io) -> usize {
    io.join_read(FILE, 0, BLOCK).read().await.map_or(0, |read| read.len())
}

#[test]
fn a_procedure_goes_on_with_the_completion_that_it_awaits_and_no_other() {
    let (io, mut procedures) = both();
    let mine = io.clone();
    let ended = procedures.start(async move {
        let first = mine.read_ahead(FILE, 0, BLOCK);
        let second = mine.read_ahead(FILE, BLOCK as u64, BLOCK);
        second.read().await.expect("it is read").len() * 10 + first.read().await.expect("it is read").len()
    });
    assert_eq!(ended, None);
    let issued: Vec<OpId> = io.take_issued().into_iter().map(|(op, _)| op).collect();
    assert_eq!(issued.len(), 2, "both are in flight");
    assert!(io.take_issued().is_empty() && issued.iter().all(|op| procedures.owns(*op)));
    assert!(procedures.complete(issued[0], read(BLOCK)).is_empty(), "it awaits the second first");
    assert_eq!(procedures.complete(issued[1], read(2 * BLOCK))[..], [21 * BLOCK]);
    assert!(procedures.is_empty());
}

#[test]
fn who_joins_a_read_in_flight_gets_the_same_and_issues_none() {
    let (io, mut procedures) = both();
    assert!(procedures.start(one_read(io.clone())).is_none());
    assert!(procedures.start(one_read(io.clone())).is_none());
    let issued = io.take_issued();
    assert_eq!((issued.len(), procedures.len()), (1, 2));
    assert_eq!(procedures.complete(issued[0].0, read(BLOCK))[..], [BLOCK, BLOCK]);
    assert!(procedures.start(one_read(io.clone())).is_none());
    assert_eq!(io.take_issued().len(), 1, "a read that is over is joined by nobody");
}

#[test]
fn what_a_procedure_left_in_flight_is_nobodys() {
    let (io, mut procedures) = both();
    let mine = io.clone();
    let ended = procedures.start(async move {
        drop(mine.read_ahead(FILE, 0, BLOCK));
        5
    });
    assert_eq!(ended, Some(5));
    let op = io.take_issued()[0].0;
    assert!(io.has_abandoned() && !procedures.owns(op));
    assert!(io.completed_abandoned(op) && !io.has_abandoned());
    assert!(!io.completed_abandoned(op), "it is over");
}

#[test]
fn numbers_are_never_given_twice() {
    let io = Io::new();
    let files = [io.file_id(), io.file_id()];
    let ops = [io.issue(DiskRequest::Rest), io.issue(DiskRequest::Rest)];
    assert!(files[0] < files[1] && ops[0] < ops[1]);
    io.take_issued();
    assert!(io.issue(DiskRequest::Rest) > ops[1]);
}
