//! A clean history, and one with each anomaly planted.

use super::check::{check, check_uncommitted};
use super::history::{Operation, Outcome, Step};

fn send(key: u32, value: u64, offset: i64) -> Step {
    Step::Send { key, value, offset: Some(offset) }
}

fn poll(key: u32, read: &[(i64, u64)]) -> Step {
    Step::Poll { read: [(key, read.to_vec())].into() }
}

fn operation(process: u32, outcome: Outcome, steps: Vec<Step>) -> Operation {
    Operation { process, outcome, steps }
}

/// Two clients write transactions to key 1, one of which is aborted and one of which nobody answered; a third one reads
/// and writes on to key 2. In the end all is read by others.
fn clean() -> Vec<Operation> {
    vec![
        operation(0, Outcome::Ok, vec![send(1, 10, 0), send(1, 11, 1)]),
        operation(1, Outcome::Failed, vec![send(1, 12, 3)]),
        operation(1, Outcome::Unknown, vec![send(1, 13, 5)]),
        operation(2, Outcome::Ok, vec![poll(1, &[(0, 10), (1, 11)]), send(2, 20, 0)]),
        operation(0, Outcome::Ok, vec![send(1, 14, 7)]),
        operation(2, Outcome::Ok, vec![poll(1, &[(5, 13), (7, 14)]), send(2, 21, 2)]),
        operation(3, Outcome::Ok, vec![poll(1, &[(0, 10), (1, 11), (5, 13), (7, 14)])]),
        operation(4, Outcome::Ok, vec![poll(2, &[(0, 20), (2, 21)])]),
    ]
}

/// What is found when this is changed.
fn planted(change: impl FnOnce(&mut Vec<Operation>)) -> Vec<&'static str> {
    let mut history = clean();
    change(&mut history);
    check(&history).iter().map(|anomaly| anomaly.name()).collect()
}

#[test]
fn a_clean_history_is_clean() {
    assert_eq!(check(&clean()), []);
}

#[test]
fn an_offset_with_two_values_is_found() {
    let found = planted(|history| history.push(operation(5, Outcome::Ok, vec![poll(2, &[(2, 20)])])));
    assert_eq!(found, ["inconsistent-offsets", "duplicate"], "the value has two offsets then, too");
}

#[test]
fn a_value_that_stands_twice_is_found() {
    let found = planted(|history| history.push(operation(5, Outcome::Ok, vec![poll(1, &[(9, 14)])])));
    assert_eq!(found, ["duplicate"]);
}

#[test]
fn a_write_that_is_lost_is_told_from_one_that_is_unseen() {
    let sends = |offset| {
        move |history: &mut Vec<Operation>| {
            history.push(operation(5, Outcome::Ok, vec![send(1, 15, offset)]));
        }
    };
    assert_eq!(planted(sends(6)), ["lost-write"]);
    assert_eq!(planted(sends(9)), ["unseen"]);
}

#[test]
fn half_of_a_transaction_that_nobody_answered_is_lost() {
    let found = planted(|history| history[2].steps.push(Step::Send { key: 1, value: 16, offset: None }));
    assert_eq!(found, ["unseen"]);
}

#[test]
fn an_aborted_value_that_is_read_is_found() {
    let found = planted(|history| history.push(operation(5, Outcome::Ok, vec![poll(1, &[(3, 12)])])));
    assert_eq!(found, ["aborted-read", "poll-skip", "poll-skip"], "all others passed over it");
}

#[test]
fn a_transaction_that_reads_its_own_write_is_found() {
    let found = planted(|history| history[4].steps.push(poll(1, &[(7, 14)])));
    assert_eq!(found, ["precommitted-read"]);
}

#[test]
fn a_client_that_passes_over_something_is_found() {
    let found = planted(|history| history[5].steps[0] = poll(1, &[(7, 14)]));
    assert_eq!(found, ["poll-skip"]);
}

#[test]
fn a_client_that_goes_back_is_found() {
    let found = planted(|history| history[5].steps[0] = poll(1, &[(1, 11), (5, 13), (7, 14)]));
    assert_eq!(found, ["nonmonotonic-poll"]);
}

#[test]
fn sends_that_stand_in_another_order_are_found() {
    let found = planted(|history| history[0].steps.reverse());
    assert_eq!(found, ["nonmonotonic-send"]);
}

#[test]
fn transactions_that_read_each_other_are_found() {
    let found = planted(|history| history[4].steps.insert(0, poll(2, &[(2, 21)])));
    assert_eq!(found, ["G1c"]);
}

#[test]
fn a_value_that_nobody_sent_is_found() {
    let found =
        planted(|history| history.push(operation(5, Outcome::Ok, vec![poll(2, &[(2, 21), (4, 99)])])));
    assert_eq!(found, ["garbage-read"]);
}

/// What is found with a reader that sees this of key 1 while nothing is hidden from it.
fn uncommitted(read: &[(i64, u64)]) -> Vec<&'static str> {
    let dirty = [operation(9, Outcome::Ok, vec![poll(1, read)])];
    check_uncommitted(&clean(), &dirty).iter().map(|anomaly| anomaly.name()).collect()
}

#[test]
fn a_reader_of_all_sees_what_is_aborted_and_passes_over_nothing() {
    assert!(uncommitted(&[(0, 10), (1, 11), (3, 12), (5, 13), (7, 14)]).is_empty());
    assert_eq!(uncommitted(&[(0, 10), (1, 11), (3, 12), (7, 14)]), ["poll-skip"]);
    assert_eq!(uncommitted(&[(0, 10), (1, 11), (4, 12)]), ["duplicate", "poll-skip"], "the leader said 3");
    assert_eq!(uncommitted(&[(0, 99)]), ["inconsistent-offsets", "garbage-read"]);
    assert_eq!(uncommitted(&[(1, 11), (0, 10)]), ["nonmonotonic-poll"]);
}

#[test]
fn what_an_aborted_transaction_sent_may_be_sent_again_and_stands_once() {
    let again = |history: &mut Vec<Operation>| {
        history.push(operation(6, Outcome::Failed, vec![send(2, 30, 4)]));
        history.push(operation(6, Outcome::Ok, vec![send(2, 30, 6)]));
        history.push(operation(5, Outcome::Ok, vec![poll(2, &[(0, 20), (2, 21), (6, 30)])]));
    };
    assert!(planted(again).is_empty());
    let twice = |history: &mut Vec<Operation>| {
        again(history);
        history.push(operation(7, Outcome::Ok, vec![send(2, 30, 8)]));
        history.push(operation(5, Outcome::Ok, vec![poll(2, &[(8, 30)])]));
    };
    assert_eq!(planted(twice), ["duplicate"], "copied twice");
}
