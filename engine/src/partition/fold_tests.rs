//! The fold, entry by entry.

use super::*;
use crate::batch::Ending;
use crate::batch::header::attribute;
use crate::entry::MarkerFields;
use crate::entry::item::ProducerSnapshot;
use crate::entry::run_made::samples::run_made;
use crate::partition::fold_bytes::*;
use zerocopy::{FromZeros, IntoBytes};

const P: PartitionId = PartitionId(9);

fn head(index: u64, term: u64, kind: EntryKind, rest: &[u8], count: u32) -> (EntryHeader, Vec<u8>) {
    let mut header = EntryHeader::new_zeroed();
    header.index.set(index);
    header.term.set(term);
    header.kind = kind as u8;
    header.count.set(count);
    header.wall_ms.set(1000 * index as i64);
    let mut head = header.as_bytes().to_vec();
    head.extend_from_slice(rest);
    (header, head)
}

fn items(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    items.iter().for_each(|item| item.encode(&mut bytes));
    bytes
}

fn batch(base_offset: i64, records: u32, epoch: i32, producer: i64, sequence: i32) -> BatchDescriptor {
    let mut batch = BatchDescriptor::new_zeroed();
    batch.partition.set(P.0);
    batch.base_offset.set(base_offset);
    batch.record_count.set(records);
    batch.leader_epoch.set(epoch);
    batch.producer_id.set(producer);
    batch.base_sequence.set(sequence);
    batch.bytes.set(100);
    batch
}

fn opened(span: u32, first_offset: i64) -> Item {
    let (span, first_offset) = (SpanNumber(span), Offset(first_offset));
    Item::PartitionOpened { partition: P, span, first_offset, epoch_base: 0, producers: vec![] }
}

fn apply(fold: &mut Fold, all: &[Item]) {
    let index = fold.applied.0 + 1;
    let (header, bytes) = head(index, 4, EntryKind::Control, &items(all), all.len() as u32);
    fold.apply(&header, &bytes).expect("known items");
}

fn folded() -> Fold {
    let mut fold = Fold::default();
    let open = opened(0, 0);
    let (header, bytes) = head(1, 1, EntryKind::Control, &items(&[open]), 1);
    fold.apply(&header, &bytes).expect("known items");
    let batches = [batch(0, 10, 1, 5, 0), batch(10, 5, 1, -1, -1)];
    let (header, bytes) = head(2, 1, EntryKind::Batches, batches.as_bytes(), 2);
    fold.apply(&header, &bytes).expect("batches");
    let (header, bytes) = head(3, 4, EntryKind::Batches, [batch(15, 1, 4, 5, 10)].as_bytes(), 1);
    fold.apply(&header, &bytes).expect("batches");
    fold
}

#[test]
fn batches_move_offsets_epochs_and_producers() {
    let fold = folded();
    let partition = fold.partition(P).expect("opened");
    assert_eq!((partition.next_offset, partition.kept_bytes), (Offset(16), 300));
    assert_eq!(partition.epochs, [(LeaderEpoch(1), Offset(0)), (LeaderEpoch(4), Offset(15))]);
    assert_eq!(partition.epoch_end(LeaderEpoch(3)), Some((LeaderEpoch(1), Offset(15))));
    assert_eq!(partition.epoch_end(LeaderEpoch(9)), Some((LeaderEpoch(4), Offset(16))));
    assert_eq!(partition.epoch_end(LeaderEpoch(0)), None);
    assert_eq!(partition.producers[&ProducerId(5)].last_sequence(), 10);
    assert_eq!(fold.terms(), [(Index(1), Term(1)), (Index(3), Term(4))]);
}

#[test]
fn a_checkpoint_is_the_state() {
    let fold = folded();
    let bytes = fold.encode();
    let again = Fold::decode(&bytes).expect("just encoded");
    assert_eq!(again.encode(), bytes);
    assert_eq!(again.partition(P), fold.partition(P));
    for cut in 0..bytes.len() {
        assert!(Fold::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn an_opening_that_is_not_of_a_later_span_is_void() {
    let mut fold = folded();
    apply(&mut fold, &[Item::SpanSealed { partition: P, end_offset: Offset(16) }]);
    let sealed = fold.clone();
    apply(&mut fold, &[opened(0, 0), opened(0, 16), opened(1, 3)]);
    assert_eq!(fold.partition(P), sealed.partition(P), "the same span again, or one that began earlier");
    // A leader that did not know of the seal wrote this behind it.
    let (header, bytes) = head(6, 4, EntryKind::Batches, [batch(0, 1, 4, -1, -1)].as_bytes(), 1);
    fold.apply(&header, &bytes).expect("batches");
    assert_eq!(fold.partition(P), sealed.partition(P));
    apply(&mut fold, &[opened(2, 90)]);
    let partition = fold.partition(P).expect("opened again");
    assert_eq!((partition.span, partition.sealed), (SpanNumber(2), false));
    assert_eq!((partition.log_start, partition.next_offset), (Offset(0), Offset(90)));
    assert_eq!(partition.skipped_below, Offset(90));
    assert_eq!(partition.producers.len(), 1, "who wrote before the seal is still known");
    let bytes = fold.encode();
    assert_eq!(bytes[..2], FOLD_VERSION_SPANS.to_le_bytes());
    assert_eq!(Fold::decode(&bytes).expect("just encoded").encode(), bytes);
    assert_eq!(sealed.encode()[..2], FOLD_VERSION_FIRST_SPANS.to_le_bytes());
    apply(&mut fold, &[Item::PartitionDropped { partition: P }]);
    assert!(fold.is_empty(), "a drop is of sealed spans, too");
}

#[test]
fn an_entry_with_an_unknown_item_changes_nothing() {
    let mut fold = folded();
    let before = fold.encode();
    let unknown = [items(&[opened(1, 90)]), vec![99, 0, 0, 0, 0, 0]].concat();
    let (header, bytes) = head(4, 4, EntryKind::Control, &unknown, 2);
    assert_eq!(fold.apply(&header, &bytes), Err(ItemError::Unknown(99)));
    assert_eq!(fold.encode(), before);
}

#[test]
fn log_starts_never_fall_and_old_epochs_go() {
    let mut fold = folded();
    let moved = |start| Item::LogStartMoved { partition: P, log_start: Offset(start), kept_bytes: 7 };
    let (header, bytes) = head(4, 4, EntryKind::Control, &items(&[moved(15), moved(3)]), 2);
    fold.apply(&header, &bytes).expect("known items");
    let partition = fold.partition(P).expect("opened");
    assert_eq!((partition.log_start, partition.kept_bytes), (Offset(15), 7));
    assert_eq!(partition.epochs, [(LeaderEpoch(4), Offset(15))]);
}

#[test]
fn a_log_start_beyond_a_lost_entry_moves_the_next_offset_too() {
    let mut fold = folded();
    fold.skip_lost(Index(4), None);
    let moved = Item::LogStartMoved { partition: P, log_start: Offset(90), kept_bytes: 0 };
    let (header, bytes) = head(5, 4, EntryKind::Control, &items(&[moved]), 1);
    fold.apply(&header, &bytes).expect("known items");
    let partition = fold.partition(P).expect("opened");
    let reached = (partition.log_start, partition.next_offset, partition.skipped_below);
    assert_eq!(reached, (Offset(90), Offset(90), Offset(90)));
}

#[test]
fn silent_producers_are_forgotten() {
    let mut fold = folded();
    fold.wall_ms = 3000 + EXPIRATION_MS;
    fold.expire_producers();
    assert_eq!(fold.partition(P).expect("opened").producers.len(), 1);
    fold.wall_ms += 1;
    fold.expire_producers();
    assert!(fold.partition(P).expect("opened").producers.is_empty());
}

/// A batch of a transaction, or the marker that ends one.
fn transactional(base_offset: i64, producer: i64, epoch: i16, sequence: i32) -> BatchDescriptor {
    let mut batch = batch(base_offset, 1, 4, producer, sequence);
    batch.producer_epoch.set(epoch);
    batch.attributes.set(attribute::TRANSACTIONAL);
    batch
}

fn marker(base_offset: i64, producer: i64, epoch: i16, first_offset: i64, stable: i64) -> BatchDescriptor {
    let mut batch = transactional(base_offset, producer, epoch, -1);
    batch.attributes.set(attribute::TRANSACTIONAL | attribute::CONTROL);
    batch.set_marker(&MarkerFields {
        ending: Ending::Abort,
        coordinator_epoch: 3,
        first_offset: Offset(first_offset),
        stable: Some(Offset(stable)),
    });
    batch
}

fn append(fold: &mut Fold, batches: &[BatchDescriptor]) {
    let index = fold.applied.0 + 1;
    let (header, bytes) = head(index, 4, EntryKind::Batches, batches.as_bytes(), batches.len() as u32);
    fold.apply(&header, &bytes).expect("batches");
}

#[test]
fn the_first_unstable_offset_is_that_of_the_oldest_open_transaction() {
    let mut fold = folded();
    let first_unstable = |fold: &Fold| fold.partition(P).expect("opened").first_unstable();
    append(&mut fold, &[transactional(16, 7, 0, 0), transactional(17, 8, 0, 0), transactional(18, 7, 0, 1)]);
    assert_eq!((first_unstable(&fold), fold.open_transactions()), (Some(Offset(16)), 2));
    append(&mut fold, &[marker(19, 7, 1, 16, 17)]);
    assert_eq!((first_unstable(&fold), fold.open_transactions()), (Some(Offset(17)), 1));
    apply(&mut fold, &[Item::LogStartMoved { partition: P, log_start: Offset(19), kept_bytes: 7 }]);
    assert_eq!(first_unstable(&fold), Some(Offset(19)), "what was deleted is decided");
    append(&mut fold, &[marker(20, 8, 1, 17, 21)]);
    assert_eq!((first_unstable(&fold), fold.open_transactions()), (None, 0));
    let producer = &fold.partition(P).expect("opened").producers[&ProducerId(7)];
    assert_eq!((producer.epoch, producer.coordinator_epoch, producer.last_sequence()), (1, 3, -1));
}

#[test]
fn what_is_open_and_silent_for_longest_is_told_with_its_place() {
    let mut fold = folded();
    assert_eq!(fold.silent(i64::MAX), None);
    let other = Item::PartitionOpened {
        partition: PartitionId(10),
        span: SpanNumber(0),
        first_offset: Offset(0),
        epoch_base: 0,
        producers: vec![],
    };
    apply(&mut fold, &[other]);
    append(&mut fold, &[transactional(16, 7, 0, 0)]);
    let mut elsewhere = transactional(0, 9, 0, 0);
    elsewhere.partition.set(10);
    append(&mut fold, &[transactional(17, 8, 0, 0), elsewhere]);
    // Entries are as many seconds old as their index says.
    let (silent, partitions) = fold.silent(i64::MAX).expect("all are");
    let told = (silent.partition, silent.first, silent.producer);
    assert_eq!((told, partitions), ((P, Offset(16), ProducerId(7)), 2));
    assert_eq!(fold.silent(silent.since_ms), None, "it is not before that");
    assert_eq!(fold.silent(silent.since_ms + 1), Some((silent, 1)));
    append(&mut fold, &[marker(18, 7, 1, 16, 17)]);
    let (next, partitions) = fold.silent(i64::MAX).expect("two are left");
    assert!(next.since_ms > silent.since_ms && partitions == 2, "{next:?}");
}

#[test]
fn a_checkpoint_keeps_open_transactions() {
    let mut fold = folded();
    assert_eq!(fold.encode()[..2], FOLD_VERSION_FIRST_SPANS.to_le_bytes(), "older programs read it");
    append(&mut fold, &[transactional(16, 7, 2, 0), transactional(17, 8, 0, 0), marker(18, 8, 0, 17, 16)]);
    let bytes = fold.encode();
    assert_eq!(bytes[..2], FOLD_VERSION_TRANSACTIONS.to_le_bytes());
    let again = Fold::decode(&bytes).expect("just encoded");
    assert_eq!((again.encode(), again.open_transactions()), (bytes.clone(), 1));
    let partition = again.partition(P).expect("opened");
    assert_eq!(partition.first_unstable(), Some(Offset(16)));
    assert!(partition.producers[&ProducerId(7)].is_open(2));
    assert!(partition.transactions.may_concern(Offset(18), Offset(19)));
    for cut in 0..bytes.len() {
        assert!(Fold::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut dropped = again;
    apply(&mut dropped, &[Item::PartitionDropped { partition: P }]);
    assert_eq!(dropped.open_transactions(), 0);
}

#[test]
fn a_producer_with_an_open_transaction_is_never_forgotten() {
    let mut fold = folded();
    append(&mut fold, &[transactional(16, 7, 0, 0)]);
    fold.wall_ms += 10 * EXPIRATION_MS;
    fold.expire_producers();
    let partition = fold.partition(P).expect("opened");
    assert_eq!(partition.producers.keys().collect::<Vec<_>>(), [&ProducerId(7)]);
    fold.forget_longest_silent(1);
    assert_eq!(fold.partition(P).expect("opened").first_unstable(), Some(Offset(16)));
    append(&mut fold, &[marker(17, 7, 1, 16, 18)]);
    fold.wall_ms += 10 * EXPIRATION_MS;
    fold.expire_producers();
    let partition = fold.partition(P).expect("opened");
    assert!(partition.producers.is_empty() && partition.first_unstable().is_none());
}

#[test]
fn a_span_that_begins_again_keeps_what_is_open() {
    let mut fold = folded();
    append(&mut fold, &[transactional(16, 7, 0, 0)]);
    let (producer, last_offset) = (ProducerId(7), Offset(40));
    let snapshot = ProducerSnapshot { producer, epoch: 0, last_sequence: 9, last_offset, last_wall_ms: 1 };
    let producers = vec![snapshot];
    let span = SpanNumber(1);
    let open =
        Item::PartitionOpened { partition: P, span, first_offset: Offset(50), epoch_base: 0, producers };
    apply(&mut fold, &[Item::SpanSealed { partition: P, end_offset: Offset(17) }, open]);
    append(&mut fold, &[marker(50, 7, 1, 16, 51)]);
    assert_eq!(fold.partition(P).expect("opened").first_unstable(), None);
}

#[test]
fn a_settled_run_lessens_what_is_kept_and_a_checkpoint_names_it() {
    let mut fold = folded();
    let kept = fold.partition(P).expect("opened").kept_bytes;
    let without = fold.encode();
    assert_eq!(without[..2], [1, 0], "no run, no newer version");
    apply(&mut fold, &[Item::RunMade(Box::new(run_made(1, &[], &[(1, 1)])))]);
    assert_eq!(fold.partition(P).expect("opened").kept_bytes, kept, "it may become void");
    assert_eq!(Fold::decode(&fold.encode()).expect("its own").runs(), fold.runs());
    apply(&mut fold, &[Item::RunSettled { run: RunId(1) }, Item::RunSettled { run: RunId(1) }]);
    assert_eq!(fold.partition(P).expect("opened").kept_bytes, kept - 100);
    assert_eq!((fold.runs().rewritten(), fold.runs().made()), (Index(1), None));
    let bytes = fold.encode();
    assert_eq!((bytes[..2].to_vec(), Fold::decode(&bytes).expect("its own").encode()), (vec![4, 0], bytes));
}
