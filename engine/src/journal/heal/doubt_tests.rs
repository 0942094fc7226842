//! Each answer here was one by which a page before this one would have lost acknowledged records.

use crate::entry::reader::Link;
use crate::ids::{Index, Term};
use crate::journal::format::doubt_record::{Hidden, Place};
use crate::journal::heal::doubt::*;
use crate::peer::doubt::Held;

const ASKER: RaftId = RaftId(2);

fn end(term: u64, index: u64) -> LogEnd {
    LogEnd { term: Term(term), index: Index(index) }
}

fn doubt() -> Doubt {
    Doubt {
        good: Link { index: Index(9), term: Term(5), checksum: 77 },
        end: end(5, 12),
        first: Hidden { term: Term(5), checksum: 78 },
        place: Place { segment: Index(1), position: 4096, bytes: 8192 },
    }
}

fn three() -> Vec<Voters> {
    vec![Voters { now: [1, 2, 3].map(RaftId).to_vec(), before: vec![] }]
}

fn answer(from: u64, end: LogEnd, held: Held) -> (RaftId, Answer) {
    let (from, to) = (RaftId(from), ASKER);
    let voters = three();
    (from, Answer { from, to, nonce: 1, term: Term(6), end, held, floor: None, leads: false, voters })
}

fn has(term: u64, checksum: u32) -> Held {
    Held::Entry { term: Term(term), checksum }
}

fn judged(answers: impl IntoIterator<Item = (RaftId, Answer)>) -> Judged {
    judge(&doubt(), ASKER, &three(), &answers.into_iter().collect())
}

#[test]
fn one_of_three_without_it_says_nothing_and_two_say_that_it_never_counted() {
    let without = |id| answer(id, end(5, 9), Held::Nothing);
    assert_eq!(judged([]), Judged::Open);
    assert_eq!(judged([without(3)]), Judged::Open, "the third may have it");
    assert_eq!(judged([without(1), without(3)]), Judged::NoMajorityHad);
}

#[test]
fn who_is_in_doubt_is_heard_and_says_nothing_of_what_it_lost() {
    let (id, mut other) = answer(1, end(5, 8), Held::Nothing);
    other.floor = Some(end(5, 10));
    let whole = answer(3, end(5, 7), Held::Nothing);
    assert_eq!(judged([(id, other), whole]), Judged::End(end(5, 8)), "three torn tails need nobody");
}

#[test]
fn where_all_are_heard_the_highest_log_is_the_one_that_counts() {
    let has_it = answer(1, end(5, 11), has(5, 78));
    let without = answer(3, end(4, 40), Held::Nothing);
    assert_eq!(judged([has_it, without]), Judged::End(end(5, 11)), "by raft's order");
}

#[test]
fn another_entry_in_its_place_is_not_it() {
    let other = |id| answer(id, end(5, 12), has(5, 79));
    let later = |id| answer(id, end(6, 12), has(6, 80));
    assert_eq!(judged([other(1), later(3)]), Judged::NoMajorityHad);
    let unknown = Doubt { first: Hidden::default(), ..doubt() };
    let judged = |answers: [_; 2]| judge(&unknown, ASKER, &three(), &BTreeMap::from(answers));
    assert_eq!(judged([later(1), later(3)]), Judged::NoMajorityHad, "no entry of that term was taken here");
    assert_eq!(judged([other(1), later(3)]), Judged::End(end(6, 12)), "it may be the one");
    let short = |id| answer(id, end(5, 12), has(5, 0));
    let all = BTreeMap::from([short(1), short(3)]);
    assert_eq!(judge(&doubt(), ASKER, &three(), &all), Judged::End(end(5, 12)), "without its checksum");
}

#[test]
fn a_log_that_begins_behind_it_has_it() {
    let passed = answer(1, end(6, 30), Held::Passed);
    let without = answer(3, end(5, 9), Held::Nothing);
    assert_eq!(judged([passed, without]), Judged::End(end(6, 30)));
}

#[test]
fn voters_that_another_log_names_are_asked_too() {
    let joint = Voters { now: [1, 2, 4].map(RaftId).to_vec(), before: [1, 2, 3].map(RaftId).to_vec() };
    let (id, mut one) = answer(1, end(5, 9), Held::Nothing);
    one.voters.push(joint.clone());
    one.voters.push(Voters { now: joint.now, before: vec![] });
    let three_too = answer(3, end(5, 9), Held::Nothing);
    let answers = BTreeMap::from([(id, one), three_too]);
    let asked: Vec<u64> = voters(&three(), &answers).iter().map(|id| id.0).collect();
    assert_eq!(asked, [1, 2, 3, 4]);
    assert_eq!(judge(&doubt(), ASKER, &three(), &answers), Judged::Open, "1, 2 and 4 may have had it");
}

#[test]
fn a_second_bad_tail_takes_the_higher_end() {
    let second = Doubt { end: end(4, 40), good: Link { index: Index(10), ..doubt().good }, ..doubt() };
    assert_eq!(second.beside(Some(doubt())).end, end(5, 12), "by raft's order");
    assert_eq!(second.beside(Some(doubt())).asked_for(), Index(11));
    assert_eq!(second.beside(Some(doubt())).first, Hidden::default());
    let raised = Doubt { end: end(9, 9), ..doubt() };
    assert_eq!(raised.beside(Some(doubt())), doubt(), "its term is not raised by a second look");
    assert_eq!(second.beside(None), second);
}
