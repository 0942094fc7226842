//! What the book promises: batches in the order of records, again in that order, none twice.

use super::book::{Book, Bounds};
use super::partition::Batch;
use crate::cluster::directory::Identity;

pub const LINGER_NS: u64 = 1_000;

pub fn book(partitions: u32) -> Book {
    let bounds = Bounds {
        batch_records: 4,
        record_bytes_in_batch: 100,
        request_bytes: 1_000,
        buffer_bytes: 5_000,
        linger_ns: LINGER_NS,
    };
    let mut book = Book::new(partitions, bounds, Identity { id: 7, epoch: 0 });
    book.set_links(2);
    (0..partitions).for_each(|partition| book.route(partition, Some(0), 0));
    book
}

/// A book whose identity the brokers know: several batches of a partition may be under way.
fn known_book(partitions: u32) -> Book {
    let mut book = book(partitions);
    for partition in 0..partitions {
        fill(&mut book, partition, 4);
        let first = book.take_request(0, 10).remove(0);
        book.acked(&first);
    }
    book
}

fn fill(book: &mut Book, partition: u32, records: u32) {
    for _ in 0..records {
        book.add(partition, 1, 10, 10);
    }
}

fn taken(batches: &[Batch]) -> Vec<(u32, u64, u32)> {
    batches.iter().map(|batch| (batch.partition, batch.record, batch.count)).collect()
}

#[test]
fn an_identity_s_first_batch_goes_alone() {
    let mut book = book(1);
    fill(&mut book, 0, 10);
    let first = book.take_request(0, 5_000).remove(0);
    assert!(book.take_request(0, 5_000).is_empty(), "the broker would take the second one for the first");
    book.again(first, 5_000, 5_001);
    book.release(5_001);
    let first = book.take_request(0, 5_001).remove(0);
    assert_eq!((first.record, book.take_request(0, 5_001).len()), (0, 0));
    book.acked(&first);
    let rest: Vec<_> = (0..2).flat_map(|_| taken(&book.take_request(0, 5_001))).collect();
    assert_eq!(rest, [(0, 4, 4), (0, 8, 2)]);
}

#[test]
fn a_young_batch_waits_and_a_whole_one_does_not() {
    let mut book = known_book(2);
    fill(&mut book, 0, 5);
    fill(&mut book, 1, 1);
    assert_eq!(taken(&book.take_request(0, 20)), [(0, 4, 4)]);
    assert!(!book.has_work(0, 20));
    assert_eq!(book.next_due_ns(), Some(10 + LINGER_NS));
    assert_eq!(taken(&book.take_request(0, 10 + LINGER_NS)), [(0, 8, 1), (1, 4, 1)]);
}

#[test]
fn a_request_has_one_batch_of_a_partition_and_not_too_many_bytes() {
    let mut book = known_book(3);
    fill(&mut book, 0, 12);
    assert_eq!(taken(&book.take_request(0, 20)), [(0, 4, 4)]);
    fill(&mut book, 1, 4);
    fill(&mut book, 2, 4);
    // Two batches of 461 bytes, the third does not fit.
    assert_eq!(book.take_request(0, 20).len(), 2);
    let rest: Vec<_> = (0..2).flat_map(|_| taken(&book.take_request(0, 20))).collect();
    assert_eq!(rest.iter().map(|one| one.0).collect::<Vec<_>>(), [2, 0]);
    assert!(book.take_request(0, 20).is_empty());
}

#[test]
fn what_failed_goes_first_and_alone_until_all_has_its_answer() {
    let mut book = known_book(1);
    fill(&mut book, 0, 12);
    let first = book.take_request(0, 20).remove(0);
    let second = book.take_request(0, 20).remove(0);
    book.again(first, 30, 50);
    book.release(60);
    assert!(book.take_request(0, 60).is_empty(), "the second one has no answer yet");
    book.again(second, 61, 65);
    book.release(64);
    assert!(book.take_request(0, 64).is_empty(), "it is too early");
    book.release(65);
    let order: Vec<_> = (0..3).flat_map(|_| taken(&book.take_request(0, 66))).collect();
    assert_eq!(order, [(0, 4, 4), (0, 8, 4), (0, 12, 4)]);
    assert_eq!(book.partition(0).sequence(8), 8);
}

#[test]
fn a_partition_moves_with_all_that_waits_once_nothing_is_under_way() {
    let mut book = book(1);
    fill(&mut book, 0, 6);
    let first = book.take_request(0, 20).remove(0);
    book.route(0, Some(1), 30);
    book.release(40);
    assert!(book.take_request(1, 9_000).is_empty(), "the old leader has not answered");
    book.acked(&first);
    book.release(41);
    book.prune();
    assert!(!book.has_work(0, 9_000), "the old leader may be gone for good");
    assert_eq!(taken(&book.take_request(1, 9_000)), [(0, 4, 2)]);
    assert_eq!(book.backlog_bytes(0) + book.backlog_bytes(1), 0);
}

#[test]
fn without_a_leader_all_waits() {
    let mut book = known_book(1);
    book.route(0, None, 5);
    fill(&mut book, 0, 5);
    book.release(50);
    assert_eq!(book.troubled_since_ns(), Some(5));
    book.route(0, Some(1), 60);
    book.release(61);
    assert_eq!(taken(&book.take_request(1, 9_000)), [(0, 4, 4)]);
    assert_eq!(taken(&book.take_request(1, 9_000)), [(0, 8, 1)]);
}

#[test]
fn a_new_identity_begins_its_sequence_and_gives_up_what_was_sent() {
    let mut book = known_book(1);
    fill(&mut book, 0, 12);
    let first = book.take_request(0, 20).remove(0);
    let second = book.take_request(0, 20).remove(0);
    book.given_up(&first, 30);
    assert_eq!(book.renewing().count(), 0, "one is under way");
    book.again(second.clone(), 31, 31);
    assert_eq!(book.renewing().collect::<Vec<_>>(), [0]);
    let unknown = book.renew(0, Identity { id: 8, epoch: 0 });
    assert_eq!(taken(&unknown), taken(&[second]));
    book.release(40);
    assert_eq!(taken(&book.take_request(0, 40)), [(0, 12, 4)]);
    assert_eq!((book.partition(0).identity.id, book.partition(0).sequence(12)), (8, 0));
}

#[test]
fn a_full_buffer_sends_young_batches() {
    let mut book = book(20);
    for partition in 0..20 {
        fill(&mut book, partition, 3);
    }
    assert!(book.is_full());
    assert!(!book.take_request(0, 20).is_empty());
}

#[test]
fn it_is_drained_when_all_is_acked() {
    let mut book = book(1);
    fill(&mut book, 0, 3);
    book.flush();
    let batch = book.take_request(0, 11).remove(0);
    assert!(!book.is_drained());
    book.acked(&batch);
    assert!(book.is_drained());
}
