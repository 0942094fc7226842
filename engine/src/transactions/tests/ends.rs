//! Transactions from begin to end, with both versions of the protocol.

use super::*;

#[test]
fn the_end_is_decided_before_a_marker_is_sent_and_complete_when_all_are_written() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    assert_eq!(producer, ProducerEpoch { id: 101, epoch: 0 });
    world.add("tx", producer, &[0, 1]).expect("added");
    world.commits_at_once = false;
    let request = world.ask_end("tx", producer, Commit, One);
    assert!(world.markers.is_empty(), "PREPARE is not committed yet");
    assert_eq!(world.answer(request), None);
    world.commits_at_once = true;
    world.commit_all();
    assert_eq!(world.ended(request), Ok(producer), "answered before the markers are written");
    assert_eq!(world.written("tx"), ["Empty", "Ongoing", "PrepareCommit"]);
    let markers = world.mark();
    assert_eq!((markers.producer, markers.ending, markers.version), (producer, Commit, One));
    assert_eq!(markers.partitions, [topic(0), topic(1)]);
    assert_eq!(world.written("tx"), ["Empty", "Ongoing", "PrepareCommit", "CompleteCommit"]);
    world.add("tx", producer, &[2]).expect("the next transaction");
    assert_eq!(world.end("tx", producer, Abort, One), Ok(producer));
    assert_eq!(world.mark().ending, Abort);
    assert_eq!(world.state_of("tx"), Some("CompleteAbort"));
}

#[test]
fn version_1_repeats_are_told_by_the_state() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    assert_eq!(world.end("tx", producer, Commit, One), Err(TransactionError::InvalidTxnState));
    world.add("tx", producer, &[0]).expect("added");
    assert_eq!(world.end("tx", epoch(producer, 1), Commit, One), Err(TransactionError::ProducerFenced));
    let other = ProducerEpoch { id: 5, epoch: 0 };
    assert_eq!(world.end("tx", other, Commit, One), Err(TransactionError::InvalidProducerIdMapping));
    assert_eq!(world.end("no", producer, Commit, One), Err(TransactionError::InvalidProducerIdMapping));
    assert_eq!(world.end("", producer, Commit, One), Err(TransactionError::InvalidRequest));
    world.end("tx", producer, Commit, One).expect("ended");
    assert_eq!(world.end("tx", producer, Commit, One), Err(TransactionError::ConcurrentTransactions));
    assert_eq!(world.end("tx", producer, Abort, One), Err(TransactionError::InvalidTxnState));
    world.mark();
    assert_eq!(world.end("tx", producer, Commit, One), Ok(producer), "a repeat");
    assert_eq!(world.end("tx", producer, Abort, One), Err(TransactionError::InvalidTxnState));
    assert!(world.markers.is_empty());
}

/// Each line of the table of version 2: what was before, who asks, for what; the answer.
#[test]
fn version_2_repeats_are_told_by_the_epoch() {
    const FENCED: Result<i16, TransactionError> = Err(TransactionError::ProducerFenced);
    const INVALID: Result<i16, TransactionError> = Err(TransactionError::InvalidTxnState);
    // (before, is the epoch the one of before, wanted, the epoch that is answered)
    let table = [
        (None, true, Abort, FENCED),
        (None, false, Abort, Ok(2)),
        (None, true, Commit, FENCED),
        (None, false, Commit, INVALID),
        (Some(Abort), true, Abort, Ok(2)),
        (Some(Abort), false, Abort, Ok(3)),
        (Some(Abort), true, Commit, INVALID),
        (Some(Abort), false, Commit, INVALID),
        (Some(Commit), true, Abort, INVALID),
        (Some(Commit), false, Abort, Ok(3)),
        (Some(Commit), true, Commit, Ok(2)),
        (Some(Commit), false, Commit, INVALID),
    ];
    for (before, is_repeat, wanted, expected) in table {
        let mut world = World::new();
        world.init("tx").expect("initialised");
        let mut producer = world.init("tx").expect("a second time");
        if let Some(ending) = before {
            world.add("tx", producer, &[0]).expect("added");
            producer = world.end("tx", producer, ending, Two).expect("ended");
            world.mark();
        }
        let asked = epoch(producer, producer.epoch - i16::from(is_repeat));
        let answer = world.end("tx", asked, wanted, Two).map(|told| told.epoch);
        assert_eq!(answer, expected, "{before:?} {is_repeat} {wanted:?}");
    }
}

#[test]
fn version_2_gives_each_transaction_an_epoch_of_its_own() {
    let mut world = World::new();
    let first = world.init("tx").expect("initialised");
    world.add("tx", first, &[0]).expect("added");
    let second = world.end("tx", first, Commit, Two).expect("ended");
    assert_eq!(second, epoch(first, 1));
    assert_eq!(world.end("tx", first, Commit, Two), Err(TransactionError::ConcurrentTransactions));
    assert_eq!(world.end("tx", first, Abort, Two), Err(TransactionError::InvalidTxnState));
    assert_eq!(world.add("tx", first, &[0]), Err(TransactionError::ProducerFenced), "a late batch's");
    let markers = world.mark();
    assert_eq!((markers.producer, markers.version), (second, Two), "above the epoch of the records");
    // Nothing was sent: an abort is an end all the same, without markers.
    let third = world.end("tx", second, Abort, Two).expect("ended");
    assert_eq!((third, world.markers.len()), (epoch(first, 2), 0));
    assert_eq!(world.state_of("tx"), Some("CompleteAbort"));
}

#[test]
fn who_adds_while_the_one_before_is_ended_waits_a_moment() {
    let mut world = World::new();
    let first = world.init("tx").expect("initialised");
    world.add("tx", first, &[0]).expect("added");
    let second = world.end("tx", first, Commit, Two).expect("ended");
    let (one, two) = (world.ask_add("tx", second, &[1]), world.ask_add("tx", second, &[2]));
    assert_eq!((world.answer(one), world.answer(two)), (None, None));
    let records = world.written("tx").len();
    world.mark();
    assert_eq!((world.added(one), world.added(two)), (Ok(()), Ok(())));
    assert_eq!(world.written("tx").len(), records + 2, "COMPLETE, and one record for both");
    // Markers that take long: it is told to come again.
    let third = world.end("tx", second, Commit, Two).expect("ended");
    let late = world.ask_add("tx", third, &[1]);
    world.pass_ms(90);
    assert_eq!(world.answer(late), None);
    world.pass_ms(20);
    assert_eq!(world.added(late), Err(TransactionError::ConcurrentTransactions));
}

#[test]
fn adds_that_come_together_become_few_records() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.commits_at_once = false;
    let requests: Vec<u64> = (0..10).map(|number| world.ask_add("tx", producer, &[number])).collect();
    assert_eq!(world.appends.len(), 1);
    world.commits_at_once = true;
    world.commit_all();
    for request in requests {
        assert_eq!(world.added(request), Ok(()));
    }
    assert_eq!(world.written("tx"), ["Empty", "Ongoing", "Ongoing"]);
    let records = world.log.len();
    world.add("tx", producer, &[3, 4]).expect("they are there");
    assert_eq!(world.log.len(), records, "nothing is written for what is there");
}

#[test]
fn a_leader_that_asks_is_told_what_belongs_to_the_transaction() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    assert_eq!(world.verify("tx", producer, 0), Err(TransactionError::TransactionAbortable));
    world.add("tx", producer, &[0]).expect("added");
    assert_eq!(world.verify("tx", producer, 0), Ok(()));
    assert_eq!(world.verify("tx", producer, 1), Err(TransactionError::TransactionAbortable));
    assert_eq!(world.verify("tx", epoch(producer, 1), 0), Err(TransactionError::ProducerFenced));
    let other = ProducerEpoch { id: 5, ..producer };
    assert_eq!(world.verify("tx", other, 0), Err(TransactionError::InvalidProducerIdMapping));
    assert_eq!(world.verify("no", producer, 0), Err(TransactionError::InvalidProducerIdMapping));
    world.end("tx", producer, Commit, One).expect("ended");
    assert_eq!(world.verify("tx", producer, 0), Err(TransactionError::ConcurrentTransactions));
    world.mark();
    assert_eq!(world.verify("tx", producer, 0), Err(TransactionError::TransactionAbortable));
}

#[test]
fn epochs_that_end_go_on_under_another_producer_id() {
    let mut world = World::new();
    let first = world.init("tx").expect("initialised");
    world.log.clear();
    let last = epoch(first, i16::MAX - 1);
    let known = super::super::metadata::TransactionMetadata {
        epoch: last.epoch,
        ..super::super::metadata::TransactionMetadata::new(first.id, TIMEOUT_MS, START_MS)
    };
    let mut batch = crate::batch::BatchBuilder::new(START_MS);
    let (key, value) = (record::key("tx"), record::value(&known));
    batch.push(crate::batch::NewRecord { key: Some(&key), value: Some(&value), ..Default::default() });
    world.log.push((0, batch.build()));
    world.fail_over();
    world.add("tx", last, &[0]).expect("added");
    let next = world.end("tx", last, Commit, Two).expect("ended");
    assert_eq!(next, ProducerEpoch { id: world.fresh, epoch: 0 });
    let waits = world.ask_add("tx", next, &[1]);
    assert_eq!(world.mark().producer, epoch(first, i16::MAX), "the marker is the old producer's");
    assert_eq!(world.added(waits), Ok(()));
    assert_eq!(
        world.end("tx", last, Commit, Two),
        Err(TransactionError::InvalidProducerIdMapping),
        "not while the next is open"
    );
    let repeat = world.end("tx", next, Commit, Two).expect("ended");
    assert_eq!(repeat, epoch(next, 1));
}

#[test]
fn tools_see_what_there_is() {
    let mut world = World::new();
    let producer = world.init("a").expect("initialised");
    world.init("b").expect("initialised");
    world.add("a", producer, &[0, 3]).expect("added");
    world.pass_ms(500);
    let request = world.ask(Request::Describe { transactional_id: "a".into() });
    let Some(Answer::Described(Ok(described))) = world.answer(request) else { panic!("described") };
    assert_eq!((described.producer, described.started_ms), (producer, START_MS));
    assert_eq!((described.partitions, described.timeout_ms), (vec![topic(0), topic(3)], TIMEOUT_MS));
    let mut list = |filter: super::super::request::ListFilter| {
        let request = world.ask(Request::List(filter));
        match world.answer(request) {
            Some(Answer::Listed { loading: false, transactions }) => {
                transactions.iter().map(|listed| listed.transactional_id.to_string()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(Default::default()), ["a", "b"]);
    let states = vec!["Empty".to_owned()];
    assert_eq!(list(super::super::request::ListFilter { states, ..Default::default() }), ["b"]);
    let producers = vec![producer.id];
    assert_eq!(list(super::super::request::ListFilter { producers, ..Default::default() }), ["a"]);
    for (longer_ms, expected) in [(499, vec!["a"]), (500, vec![])] {
        let open_longer_than_ms = Some(longer_ms);
        assert_eq!(
            list(super::super::request::ListFilter { open_longer_than_ms, ..Default::default() }),
            expected
        );
    }
    let figures = world.coordinator.figures(world.now).machine;
    assert_eq!((figures.ids, figures.open, figures.oldest_ms), (2, 1, 500));
}
