//! Producers that take over, that go on after an error, and that took too long.

use super::*;

#[test]
fn a_producer_that_begins_ends_what_the_one_before_left_open() {
    let mut world = World::new();
    let zombie = world.init("tx").expect("initialised");
    world.add("tx", zombie, &[0]).expect("added");
    assert_eq!(world.init("tx"), Err(TransactionError::ConcurrentTransactions));
    assert_eq!(world.init("tx"), Err(TransactionError::ConcurrentTransactions), "until it is ended");
    let markers = world.mark();
    assert_eq!((markers.ending, markers.producer), (Abort, epoch(zombie, 2)), "above all that was told");
    let next = world.init("tx").expect("initialised");
    assert_eq!(next, epoch(zombie, 3));
    assert_eq!(world.add("tx", zombie, &[0]), Err(TransactionError::ProducerFenced));
    assert_eq!(world.verify("tx", zombie, 0), Err(TransactionError::ProducerFenced));
    for version in [One, Two] {
        assert_eq!(world.end("tx", zombie, Commit, version), Err(TransactionError::ProducerFenced));
    }
    assert_eq!(world.go_on_from("tx", zombie), Err(TransactionError::ProducerFenced));
}

/// KIP-360: it says who it was, and is told the same again when it did not hear the answer.
#[test]
fn a_producer_that_goes_on_says_who_it_was() {
    let mut world = World::new();
    let first = world.init("tx").expect("initialised");
    let second = world.go_on_from("tx", first).expect("it goes on");
    assert_eq!(second, epoch(first, 1));
    assert_eq!(world.go_on_from("tx", first), Ok(second), "a repeat");
    let third = world.go_on_from("tx", second).expect("once more");
    assert_eq!(world.go_on_from("tx", first), Err(TransactionError::ProducerFenced));
    let stranger = ProducerEpoch { id: 5, epoch: 0 };
    assert_eq!(world.go_on_from("tx", stranger), Err(TransactionError::ProducerFenced));
    assert_eq!(world.init("tx"), Ok(epoch(third, third.epoch + 1)));
    assert_eq!(world.go_on_from("tx", third), Err(TransactionError::ProducerFenced), "another one began");
    // Whoever it was: the id is not known any more, so it is new.
    assert!(world.go_on_from("other", stranger).is_ok_and(|told| told.epoch == 0 && told.id != 5));
}

#[test]
fn a_producer_id_whose_epochs_ended_is_followed_by_another() {
    let mut world = World::new();
    let first = world.init("tx").expect("initialised");
    let mut last = first;
    for _ in 0..i16::MAX - 1 {
        last = world.init("tx").expect("initialised");
        assert_eq!(last.id, first.id);
    }
    assert_eq!(last.epoch, i16::MAX - 1);
    let next = world.go_on_from("tx", last).expect("it goes on");
    assert_eq!((next.epoch, next.id), (0, world.fresh));
    assert_eq!(world.go_on_from("tx", last), Ok(next), "a repeat under the producer id of before");
    // The last epoch can be fenced, too.
    let mut last = next;
    for _ in 0..i16::MAX - 1 {
        last = world.init("tx").expect("initialised");
    }
    world.add("tx", last, &[0]).expect("added");
    assert_eq!(world.init("tx"), Err(TransactionError::ConcurrentTransactions));
    assert_eq!(world.mark().producer.epoch, i16::MAX);
    let strange = epoch(last, i16::MAX);
    for expected in [last, epoch(last, i16::MAX - 2)] {
        assert_eq!(world.go_on_from("tx", expected), Err(TransactionError::ProducerFenced));
    }
    assert!(world.go_on_from("tx", strange).is_ok_and(|told| told.epoch == 0));
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.add("tx", producer, &[0]).expect("added");
    world.pass_ms(5_000);
    world.add("tx", producer, &[1]).expect("it counts from the begin");
    world.pass_ms(4_990);
    assert!(world.markers.is_empty());
    world.pass_ms(20);
    assert_eq!(world.state_of("tx"), Some("PrepareAbort"));
    let markers = world.mark();
    assert_eq!((markers.ending, markers.partitions.len()), (Abort, 2));
    assert_eq!(markers.producer, epoch(producer, 2));
    assert_eq!(world.add("tx", producer, &[0]), Err(TransactionError::ProducerFenced));
    assert_eq!(world.end("tx", producer, Commit, Two), Err(TransactionError::ProducerFenced));
    // The producer puts it right with another epoch, and its time begins anew.
    let next = world.init("tx").expect("initialised");
    world.add("tx", next, &[0]).expect("added");
    world.pass_ms(9_000);
    assert_eq!(world.state_of("tx"), Some("Ongoing"));
}

#[test]
fn the_time_of_the_next_transaction_is_its_own() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    for _ in 0..5 {
        world.add("tx", producer, &[0]).expect("added");
        world.pass_ms(7_000);
        world.end("tx", producer, Commit, One).expect("in time");
        world.mark();
        world.pass_ms(2_000);
    }
}

#[test]
fn requests_that_say_nothing_are_refused() {
    let mut world = World::new();
    assert_eq!(world.init(""), Err(TransactionError::InvalidRequest));
    assert_eq!(world.init(&"x".repeat(9 << 10)), Err(TransactionError::InvalidRequest));
    for timeout_ms in [-1, 0, 900_001] {
        let id = "tx".into();
        let init = InitProducer { transactional_id: id, timeout_ms, expected: None, fresh: Some(1) };
        let request = world.ask(Request::Init(init));
        assert_eq!(world.initialised(request), Err(TransactionError::InvalidTransactionTimeout));
    }
    let nobody = ProducerEpoch { id: 1, epoch: 0 };
    assert_eq!(world.add("", nobody, &[0]), Err(TransactionError::InvalidRequest));
    assert_eq!(world.add("tx", nobody, &[0]), Err(TransactionError::InvalidProducerIdMapping));
    assert!(world.log.is_empty());
}
