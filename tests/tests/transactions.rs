//! Transactions as the leaders of their partitions see them, scripted.

use engine::batch::Ending;
use engine::ids::{Offset, PartitionId};
use engine::port::{BatchWriter, MarkerAnswer, Refusal, TransactionVersion};
use tests::sim::cluster::SECOND;
use tests::sim::transacting::Transactor;
use tests::sim::transaction_scenes::{decided, together};

fn transactor(producer: i64, version: TransactionVersion) -> Transactor {
    Transactor { producer, epoch: 0, version }
}

#[test]
fn a_transaction_holds_the_stable_offset_until_its_marker() {
    for version in [TransactionVersion::One, TransactionVersion::Two] {
        let (mut cluster, partitions) = together(1, 3, 2);
        let who = transactor(7, version);
        for partition in &partitions {
            assert_eq!(cluster.transact(&who, *partition, &who.batch(0, 2)), Ok(Offset(0)));
            assert_eq!(cluster.guard(*partition, &who.batch(2, 1)), None, "it is open");
            assert_eq!(cluster.transact(&who, *partition, &who.batch(2, 1)), Ok(Offset(2)));
            assert_eq!(cluster.first_unstable(*partition), Some(Offset(0)));
        }
        assert_eq!(cluster.mark(who.end(Ending::Commit, &partitions)), [MarkerAnswer::Done; 2]);
        for partition in &partitions {
            assert_eq!(cluster.first_unstable(*partition), None);
        }
        cluster.check(&partitions);
    }
}

#[test]
fn a_batch_whose_transaction_nobody_confirmed_is_refused() {
    let (mut cluster, partitions) = together(2, 1, 1);
    let who = transactor(7, TransactionVersion::Two);
    let batch = who.batch(0, 1);
    let without = BatchWriter::Transactional { version: who.version, guard: None };
    assert_eq!(cluster.send(partitions[0], &batch, without), Err(Refusal::InvalidTransaction));
    let other = cluster.guard(partitions[0], &transactor(8, who.version).batch(0, 1));
    let foreign = BatchWriter::Transactional { version: who.version, guard: other };
    assert_eq!(cluster.send(partitions[0], &batch, foreign), Err(Refusal::InvalidTransaction));
    let late = who.batch(5, 1);
    let guard = cluster.guard(partitions[0], &late);
    let writer = BatchWriter::Transactional { version: who.version, guard };
    assert_eq!(cluster.send(partitions[0], &late, writer), Err(Refusal::OutOfOrderSequence));
    let refused = cluster.send(partitions[0], &batch, BatchWriter::Client);
    assert!(matches!(refused, Err(Refusal::Batch(_))), "{refused:?}");
    assert_eq!(cluster.transact(&who, partitions[0], &batch), Ok(Offset(0)));
    let plain = cluster.send(partitions[0], &who.plain(1), BatchWriter::Client);
    assert_eq!(plain, Err(Refusal::InvalidTransaction), "its transaction is open");
}

#[test]
fn the_next_transaction_may_come_before_the_marker_of_the_one_before_and_waits_for_it() {
    let (mut cluster, partitions) = together(5, 1, 1);
    let who = transactor(7, TransactionVersion::Two);
    assert_eq!(cluster.transact(&who, partitions[0], &who.batch(0, 1)), Ok(Offset(0)));
    let next = Transactor { epoch: 1, ..transactor(7, TransactionVersion::Two) };
    let batch = next.batch(0, 1);
    let early = cluster.guard(partitions[0], &batch);
    assert!(early.is_some(), "its coordinator is asked, which says nothing before the marker is there");
    let writer = BatchWriter::Transactional { version: TransactionVersion::Two, guard: early };
    assert_eq!(cluster.send(partitions[0], &batch, writer), Err(Refusal::InvalidTransaction));
    assert_eq!(cluster.mark(who.end(Ending::Commit, &partitions)), [MarkerAnswer::Done]);
    assert_eq!(cluster.send(partitions[0], &batch, writer), Err(Refusal::InvalidTransaction));
    assert_ne!(cluster.guard(partitions[0], &batch), early, "so that it is asked again");
    assert_eq!(cluster.transact(&next, partitions[0], &batch), Ok(Offset(2)));
    assert_eq!(cluster.mark(next.end(Ending::Commit, &partitions)), [MarkerAnswer::Done]);
    cluster.check(&partitions);
}

#[test]
fn a_marker_that_overtakes_the_coordinators_word_is_noticed() {
    for version in [TransactionVersion::One, TransactionVersion::Two] {
        let (mut cluster, partitions) = together(3, 1, 1);
        let who = transactor(7, version);
        let batch = who.batch(0, 1);
        let guard = cluster.guard(partitions[0], &batch);
        assert_eq!(cluster.mark(who.end(Ending::Abort, &partitions)), [MarkerAnswer::Done]);
        let refused = cluster.send(partitions[0], &batch, BatchWriter::Transactional { version, guard });
        let expected = match version {
            TransactionVersion::One => Refusal::InvalidTransaction,
            TransactionVersion::Two => Refusal::InvalidProducerEpoch,
        };
        assert_eq!(refused, Err(expected));
        assert_eq!(cluster.first_unstable(partitions[0]), None, "nothing hangs");
    }
}

#[test]
fn markers_are_fenced_by_epochs_and_repeats_are_done() {
    let (mut cluster, partitions) = together(4, 3, 1);
    let who = transactor(7, TransactionVersion::Two);
    assert_eq!(cluster.transact(&who, partitions[0], &who.batch(0, 1)), Ok(Offset(0)));
    let markers = who.end(Ending::Commit, &partitions);
    let same_epoch = engine::port::Markers { epoch: 0, ..markers.clone() };
    assert_eq!(cluster.mark(same_epoch), [MarkerAnswer::OldEpoch]);
    assert_eq!(cluster.mark(markers.clone()), [MarkerAnswer::Done]);
    assert_eq!(cluster.mark(markers.clone()), [MarkerAnswer::Done]);
    let older = engine::port::Markers { epoch: 2, coordinator_epoch: 0, ..markers.clone() };
    assert_eq!(cluster.mark(older), [MarkerAnswer::OldCoordinator]);
    let leader = cluster.leader(cluster.journal_of(partitions[0])).expect("it is led");
    assert_eq!(cluster.latest(leader, partitions[0]), Ok(Offset(2)), "one batch and one marker");
    let unknown = engine::port::Markers { partitions: vec![PartitionId(1 << 40)], ..markers };
    let request =
        engine::port::Markers { partitions: [&partitions[..], &unknown.partitions].concat(), ..unknown };
    assert_eq!(cluster.mark(request), [MarkerAnswer::Done, MarkerAnswer::Moved], "too new for its metadata");
}

#[test]
fn an_open_transaction_outlives_its_leader_and_its_checkpoints() {
    let (mut cluster, partitions) = together(5, 3, 1);
    let who = transactor(7, TransactionVersion::Two);
    assert_eq!(cluster.transact(&who, partitions[0], &who.batch(0, 1)), Ok(Offset(0)));
    let journal = cluster.journal_of(partitions[0]);
    // Segments roll, and with each there is a checkpoint.
    for _ in 0..200 {
        cluster.produce(partitions[0]);
        cluster.run_for(SECOND / 100);
    }
    let before = cluster.leader(journal).expect("it is led");
    cluster.kill(before, true);
    cluster.expect("another leads", 20 * SECOND, |cluster| {
        cluster.leader(journal).is_some_and(|leader| leader != before)
    });
    cluster.world.start(before);
    cluster.check(&partitions);
    assert_eq!(cluster.first_unstable(partitions[0]), Some(Offset(0)));
    assert_eq!(cluster.transact(&who, partitions[0], &who.batch(1, 1)).map(|_| ()), Ok(()));
    assert_eq!(cluster.mark(who.end(Ending::Abort, &partitions)), [MarkerAnswer::Done]);
    assert_eq!(cluster.first_unstable(partitions[0]), None);
    cluster.check(&partitions);
}

#[test]
fn who_reads_what_is_committed_is_shown_that_and_nothing_else() {
    (0..10).for_each(|seed| decided(seed, 1));
    (0..6).for_each(|seed| decided(seed, 3));
}

#[test]
fn a_parked_reader_of_what_is_committed_wakes_with_the_marker() {
    let (mut cluster, partitions) = together(6, 1, 1);
    let who = transactor(7, TransactionVersion::Two);
    assert_eq!(cluster.transact(&who, partitions[0], &who.batch(0, 2)), Ok(Offset(0)));
    let read = cluster.read_committed(partitions[0], Offset(0));
    assert_eq!((read.shown.len(), read.next, read.last_stable), (0, Offset(0), Offset(0)));
    let parked = cluster.park_committed(partitions[0], Offset(0));
    cluster.produce(partitions[0]);
    cluster.run_for(SECOND);
    assert!(!cluster.is_answered(parked), "nothing is decided yet");
    assert_eq!(cluster.mark(who.end(Ending::Commit, &partitions)), [MarkerAnswer::Done]);
    cluster.expect("the reader is answered", SECOND / 10, |cluster| cluster.is_answered(parked));
}
