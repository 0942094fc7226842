//! A coordinator's log by itself: order, and when its history is written again.

use super::*;
use crate::coordinator::vocabulary::Vocabulary;

#[derive(Debug)]
enum Words {}

impl Vocabulary for Words {
    type Config = u64;
    type Request = ();
    type Answer = ();
    type Pending = u32;
    type Timer = ();
    type News = ();
    type Effect = ();
    type Figures = ();

    fn history_bytes_min(config: &u64) -> u64 {
        *config
    }
}

const LONG: u64 = 1_000;

fn at(mono_ns: u64) -> Now {
    Now { mono_ns, wall_ms: 0 }
}

fn log() -> Log<Words> {
    Log::new(Tenure { partition: 3, number: 8 })
}

fn append(log: &mut Log<Words>, pending: Pending<u32>, out: &mut Vec<Output<Words>>) {
    log.append(pending, &[(b"key".to_vec(), Some(vec![1; 100]))], None, at(0), out);
}

/// The numbers of what was sent.
fn sent(out: &mut Vec<Output<Words>>) -> Vec<u64> {
    let number = |output| match output {
        Output::Append { append, .. } => append.number,
        other => panic!("{other:?}"),
    };
    out.drain(..).map(number).collect()
}

/// Before which offset the log may end, once a rewrite is over.
fn freed(log: &mut Log<Words>, result: Result<Offset, AppendError>, mono_ns: u64) -> Option<Option<Offset>> {
    log.rewritten(result, at(mono_ns)).map(|rewritten| rewritten.frees_before())
}

#[test]
fn appends_are_sent_in_order_and_each_has_one_outcome() {
    let (mut log, mut out) = (log(), Vec::new());
    (0..3).for_each(|pending| append(&mut log, Pending::Machine(pending), &mut out));
    assert_eq!(sent(&mut out), [0, 1, 2]);
    assert!(matches!(log.outcome(1), Pending::Machine(1)));
    append(&mut log, Pending::Rewrite, &mut out);
    assert_eq!(log.give_up().collect::<Vec<_>>(), [0, 2], "nobody waits for what is written again");
}

#[test]
fn a_long_history_is_written_again_once_nothing_is_on_its_way_and_new_appends_wait() {
    let (mut log, mut out) = (log(), Vec::new());
    assert!(!log.must_rewrite(&LONG, 0, at(0)));
    log.note_read(LONG);
    append(&mut log, Pending::Machine(0), &mut out);
    assert!(!log.must_rewrite(&LONG, 0, at(0)), "one is on its way");
    append(&mut log, Pending::Machine(1), &mut out);
    assert_eq!(sent(&mut out), [0], "the second is held");
    log.outcome(0);
    assert!(log.must_rewrite(&LONG, 0, at(0)));
    log.begin_rewrite(1, 50, 0, None);
    append(&mut log, Pending::Rewrite, &mut out);
    log.release(&mut out);
    assert_eq!(sent(&mut out), [2, 1], "what was held follows what was written again");
    assert!(!log.must_rewrite(&0, 0, at(0)), "one at a time");
    assert_eq!(freed(&mut log, Ok(Offset(40)), 0), Some(Some(Offset(40))), "the log may begin there");
}

#[test]
fn a_rewrite_that_failed_frees_nothing_and_is_tried_later() {
    let (mut log, mut out) = (log(), Vec::new());
    log.note_read(2 * LONG);
    assert!(log.must_rewrite(&LONG, 0, at(0)));
    log.begin_rewrite(2, 50, 0, Some(Offset(3)));
    assert_eq!(log.history_bytes(), 0);
    assert_eq!(freed(&mut log, Ok(Offset(40)), 0), None, "another one is on its way");
    assert_eq!(freed(&mut log, Err(AppendError::Unavailable), 7), Some(None));
    assert_eq!(log.history_bytes(), 2 * LONG);
    let retry_ns = at(7).plus(RETRY);
    assert!(!log.must_rewrite(&LONG, 0, at(retry_ns - 1)) && log.must_rewrite(&LONG, 0, at(retry_ns)));
    append(&mut log, Pending::Machine(0), &mut out);
    assert_eq!(sent(&mut out), [0], "none is held when none is being written again");
}

#[test]
fn a_quiet_history_that_pins_what_others_write_is_written_again() {
    let mut log = log();
    log.note_read(10);
    log.loaded(10, 500);
    assert!(!log.must_rewrite(&LONG, 500 + QUIET_BYTES_MAX, at(0)));
    assert!(log.must_rewrite(&LONG, 501 + QUIET_BYTES_MAX, at(0)));
}

#[test]
fn what_is_needed_beside_the_rewrite_is_not_freed() {
    let mut log = log();
    log.begin_rewrite(1, 0, 0, Some(Offset(30)));
    assert_eq!(freed(&mut log, Ok(Offset(40)), 0), Some(Some(Offset(30))));
}
