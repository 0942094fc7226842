//! Bounds: transactional ids, their bytes, partitions of a transaction, the history.

use super::*;

fn few() -> TransactionConfig {
    TransactionConfig { ids_max: 10, ..TransactionConfig::default() }
}

#[test]
fn the_oldest_finished_id_is_forgotten_for_a_new_one() {
    let mut world = World::with(few());
    for number in 0..1_000 {
        world.pass_ms(10);
        world.init(&format!("tx-{number}")).expect("there is always room");
        assert!(world.coordinator.figures(world.now).machine.ids <= 10);
    }
    assert_eq!((world.state_of("tx-989"), world.state_of("tx-990")), (None, Some("Empty")));
    assert_eq!(world.written("tx-5"), ["Empty", "-"]);
    world.fail_over();
    assert_eq!(world.coordinator.figures(world.now).machine.ids, 10);
}

#[test]
fn an_open_transaction_is_never_forgotten() {
    let mut world = World::with(few());
    for number in 0..10 {
        let id = format!("tx-{number}");
        let producer = world.init(&id).expect("initialised");
        world.add(&id, producer, &[0]).expect("added");
    }
    assert_eq!(world.init("one-more"), Err(TransactionError::TooMany));
    assert_eq!(world.coordinator.figures(world.now).machine.refused, 1);
    world.end("tx-4", ProducerEpoch { id: 105, epoch: 0 }, Commit, One).expect("ended");
    assert_eq!(world.init("one-more"), Err(TransactionError::TooMany), "markers are on their way");
    world.mark();
    assert!(world.init("one-more").is_ok());
    assert_eq!(world.state_of("tx-4"), None);
}

#[test]
fn ids_that_are_used_once_take_no_more_than_their_bound() {
    let config =
        TransactionConfig { history_bytes_min: 64 << 10, ids_max: 500, ..TransactionConfig::default() };
    let mut world = World::with(config);
    for number in 0..20_000 {
        let id = format!("checkpoint-{number}");
        let producer = world.init(&id).expect("there is always room");
        if number % 8 == 0 {
            world.add(&id, producer, &[0, 1]).expect("added");
            world.end(&id, producer, Commit, Two).expect("ended");
            world.mark();
        }
        if number % 500 == 0 {
            let figures = world.coordinator.figures(world.now).machine;
            let history: usize = world.log.iter().map(|(_, batch)| batch.len()).sum();
            assert!(figures.ids <= 501 && figures.bytes < 64 << 10 && figures.refused == 0, "{figures:?}");
            assert!(history < 400 << 10, "{history} bytes of history after {number}");
        }
    }
}

#[test]
fn bytes_are_bounded_too() {
    let config = TransactionConfig { bytes_max: 100_000, ..TransactionConfig::default() };
    let mut world = World::with(config);
    for number in 0..200 {
        world.init(&format!("{number}-{}", "x".repeat(4_000))).expect("there is always room");
    }
    assert!(world.coordinator.figures(world.now).machine.ids < 13);
    let producer = world.init("tx").expect("initialised");
    let partitions: Vec<i32> = (0..9_000).collect();
    assert_eq!(world.add("tx", producer, &partitions), Ok(()), "finished ids make room");
    let more: Vec<i32> = (9_000..9_999).collect();
    assert_eq!(world.add("tx", producer, &more), Ok(()));
    assert_eq!(world.add("tx", producer, &[10_000, 10_001]), Err(TransactionError::TooMany));
    assert_eq!(world.state_of("tx"), Some("Ongoing"), "it may be ended");
    assert!(world.end("tx", producer, Abort, One).is_ok());
}

#[test]
fn what_nobody_uses_is_forgotten_in_time() {
    let config = TransactionConfig {
        id_expiration_ms: 60_000,
        expiry_interval_ms: 1_000,
        ..TransactionConfig::default()
    };
    let mut world = World::with(config);
    world.init("idle").expect("initialised");
    world.pass_ms(30_000);
    world.init("used").expect("initialised");
    let init =
        InitProducer { transactional_id: "open".into(), timeout_ms: 800_000, expected: None, fresh: Some(7) };
    let request = world.ask(Request::Init(init));
    let open = world.initialised(request).expect("initialised");
    world.add("open", open, &[0]).expect("added");
    world.pass_ms(29_000);
    assert_eq!(world.state_of("idle"), Some("Empty"));
    world.pass_ms(2_000);
    assert_eq!((world.state_of("idle"), world.written("idle")), (None, vec!["Empty", "-"]));
    world.pass_ms(60_000);
    assert_eq!((world.state_of("used"), world.state_of("open")), (None, Some("Ongoing")));
    assert_eq!(world.init("idle").expect("it is new again").epoch, 0);
}

#[test]
fn the_history_is_bounded_and_nothing_is_lost_by_that() {
    let config = TransactionConfig { history_bytes_min: 16 << 10, ..TransactionConfig::default() };
    let mut world = World::with(config);
    let mut producers: Vec<ProducerEpoch> =
        (0..5).map(|number| world.init(&format!("tx-{number}")).expect("initialised")).collect();
    for round in 0..400 {
        for (number, producer) in producers.iter_mut().enumerate() {
            let id = format!("tx-{number}");
            world.add(&id, *producer, &[round]).expect("added");
            *producer = world.end(&id, *producer, Commit, Two).expect("ended");
            world.mark();
        }
        let bytes: usize = world.log.iter().map(|(_, batch)| batch.len()).sum();
        assert!(bytes < 33 << 10, "{bytes} bytes");
    }
    world.fail_over();
    for (number, producer) in producers.into_iter().enumerate() {
        world.add(&format!("tx-{number}"), producer, &[0]).expect("it goes on");
    }
}
