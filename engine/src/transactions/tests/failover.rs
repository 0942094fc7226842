//! Coordinators that change, and appends that fail.

use super::*;

#[test]
fn an_unfinished_end_goes_on_with_the_next_coordinator() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.add("tx", producer, &[0, 1]).expect("added");
    world.end("tx", producer, Commit, Two).expect("ended");
    let (before, _) = world.markers[0];
    for _ in 0..2 {
        world.fail_over();
        assert_eq!(world.markers.len(), 1);
        let (_, markers) = &world.markers[0];
        assert_eq!((markers.ending, markers.producer), (Commit, epoch(producer, 1)));
        assert_eq!(markers.partitions, [topic(0), topic(1)]);
    }
    // What an earlier coordinator's markers came to is nobody's.
    let news = TransactionNews::Marked { transactional_id: "tx".into(), producer: epoch(producer, 1) };
    world.step(Input::Told { tenure: before, news });
    assert_eq!(world.state_of("tx"), Some("PrepareCommit"));
    world.mark();
    world.fail_over();
    assert_eq!((world.state_of("tx"), world.markers.len()), (Some("CompleteCommit"), 0));
}

#[test]
fn who_waits_is_sent_on_and_what_was_not_committed_is_not_there() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.add("tx", producer, &[0]).expect("added");
    world.commits_at_once = false;
    let end = world.ask_end("tx", producer, Commit, One);
    let waiting = world.ask_add("tx", producer, &[1]);
    let new = world.init_with("other", None);
    world.fail_over();
    assert_eq!(world.ended(end), Err(TransactionError::NotCoordinator));
    assert_eq!(world.added(waiting), Err(TransactionError::NotCoordinator));
    assert_eq!(world.initialised(new), Err(TransactionError::NotCoordinator));
    assert_eq!((world.state_of("tx"), world.state_of("other")), (Some("Ongoing"), None));
    assert!(world.markers.is_empty());
}

#[test]
fn an_open_transaction_runs_out_of_time_with_the_next_coordinator() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.add("tx", producer, &[0]).expect("added");
    world.pass_ms(6_000);
    world.fail_over();
    world.pass_ms(3_990);
    assert!(world.markers.is_empty());
    world.pass_ms(20);
    assert_eq!(world.markers.len(), 1);
    // A clock that jumped makes it no longer than its time, and no shorter than none.
    for jump_ms in [-1_000_000, 1_000_000] {
        let mut world = World::new();
        let producer = world.init("tx").expect("initialised");
        world.add("tx", producer, &[0]).expect("added");
        world.now.wall_ms += jump_ms;
        world.fail_over();
        world.pass_ms(10_010);
        assert_eq!(world.markers.len(), 1, "{jump_ms}");
    }
}

#[test]
fn an_append_that_fails_changes_nothing() {
    let mut world = World::new();
    world.commits_at_once = false;
    let request = world.init_with("tx", None);
    world.fail_first(AppendError::Unavailable);
    assert_eq!(world.initialised(request), Err(TransactionError::CoordinatorNotAvailable));
    assert_eq!(world.state_of("tx"), None, "nothing is known of it");
    let request = world.init_with("tx", None);
    let waiting = world.ask_add("tx", ProducerEpoch { id: 102, epoch: 0 }, &[0]);
    world.fail_first(AppendError::TooLarge);
    assert_eq!(world.initialised(request), Err(TransactionError::TooMany));
    assert_eq!(world.added(waiting), Err(TransactionError::InvalidProducerIdMapping));
    let request = world.init_with("tx", None);
    world.commit_first();
    let producer = world.initialised(request).expect("initialised");
    let request = world.ask_add("tx", producer, &[0]);
    world.fail_first(AppendError::Unavailable);
    assert_eq!(world.added(request), Err(TransactionError::CoordinatorNotAvailable));
    assert_eq!(world.state_of("tx"), Some("Empty"));
    let request = world.ask_add("tx", producer, &[0]);
    world.commit_first();
    assert_eq!(world.added(request), Ok(()));
    let request = world.ask_end("tx", producer, Commit, Two);
    world.fail_first(AppendError::Unavailable);
    assert_eq!(world.ended(request), Err(TransactionError::CoordinatorNotAvailable));
    assert!(world.markers.is_empty());
    assert_eq!(world.state_of("tx"), Some("Ongoing"));
    let request = world.ask_end("tx", producer, Commit, Two);
    world.commit_first();
    assert_eq!(world.ended(request), Ok(epoch(producer, 1)), "the epoch rose once");
}

#[test]
fn complete_is_written_again_until_it_is() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.add("tx", producer, &[0]).expect("added");
    let second = world.end("tx", producer, Commit, Two).expect("ended");
    world.commits_at_once = false;
    world.mark();
    for _ in 0..3 {
        world.fail_first(AppendError::Unavailable);
        assert!(world.appends.is_empty());
        world.pass_ms(110);
        assert_eq!((world.appends.len(), world.markers.len()), (1, 0));
    }
    let waiting = world.ask_add("tx", second, &[1]);
    world.commit_first();
    assert_eq!(world.state_of("tx"), Some("CompleteCommit"));
    world.commit_first();
    assert_eq!(world.added(waiting), Ok(()));
}

#[test]
fn a_time_out_that_cannot_be_written_is_tried_again() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.add("tx", producer, &[0]).expect("added");
    world.commits_at_once = false;
    world.pass_ms(10_010);
    world.fail_first(AppendError::Unavailable);
    assert!(world.appends.is_empty());
    world.pass_ms(110);
    world.commit_first();
    assert_eq!(world.markers.len(), 1);
}

#[test]
fn markers_of_another_transaction_complete_nothing() {
    let mut world = World::new();
    let producer = world.init("tx").expect("initialised");
    world.add("tx", producer, &[0]).expect("added");
    let tenure = world.tenure;
    for (id, of) in [("tx", producer), ("no", producer), ("tx", epoch(producer, 7))] {
        let news = TransactionNews::Marked { transactional_id: id.into(), producer: of };
        world.step(Input::Told { tenure, news });
    }
    assert_eq!(world.state_of("tx"), Some("Ongoing"));
}
