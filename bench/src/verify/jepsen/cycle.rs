//! Circles of transactions each of which read what the one before wrote: then none of them can have been first.

use super::history::{Key, Operation, Outcome, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One circle, by places in the history, if there is any.
pub fn find(history: &[Operation]) -> Option<Vec<usize>> {
    let mut left = edges(history);
    let mut readers = BTreeMap::<usize, Vec<usize>>::new();
    for (reader, from) in &left {
        from.iter().for_each(|writer| readers.entry(*writer).or_default().push(*reader));
    }
    // Whoever reads from nobody that is left was first, and stands in no circle.
    let mut first: Vec<usize> =
        left.iter().filter(|(_, from)| from.is_empty()).map(|(reader, _)| *reader).collect();
    while let Some(writer) = first.pop() {
        let gone = left.remove(&writer).expect("each becomes first once");
        assert!(gone.is_empty(), "it reads from nobody");
        for reader in readers.remove(&writer).unwrap_or_default() {
            let from = left.get_mut(&reader).expect("who reads from somebody is left");
            from.remove(&writer);
            if from.is_empty() {
                first.push(reader);
            }
        }
    }
    let (mut path, mut next) = (Vec::new(), *left.keys().next()?);
    loop {
        if let Some(at) = path.iter().position(|one| *one == next) {
            return Some(path.split_off(at));
        }
        path.push(next);
        next = *left[&next].first().expect("those without are gone");
    }
}

/// By transaction: those whose writes it read.
fn edges(history: &[Operation]) -> BTreeMap<usize, BTreeSet<usize>> {
    let all = || history.iter().enumerate().filter(|(_, one)| one.outcome != Outcome::Failed);
    let mut writers = BTreeMap::<(Key, Value), usize>::new();
    for (at, operation) in all() {
        writers.extend(operation.sends().map(|(key, value, _)| ((key, value), at)));
    }
    let of = |(at, operation): (usize, &Operation)| {
        let from = operation.reads().filter_map(|(key, _, value)| writers.get(&(key, value)).copied());
        (at, from.filter(|writer| *writer != at).collect())
    };
    all().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::history::Step;
    use super::*;

    fn copies(read: Value, sent: Value) -> Operation {
        let read = [(1, vec![(read as i64, read)])].into();
        let send = Step::Send { key: 1, value: sent, offset: None };
        Operation { process: 0, outcome: Outcome::Ok, steps: vec![Step::Poll { read }, send] }
    }

    #[test]
    fn a_chain_is_no_circle_and_a_circle_is_found_behind_it() {
        let chain = [copies(0, 1), copies(1, 2), copies(2, 3)];
        assert_eq!(find(&chain), None);
        let circle = [copies(0, 1), copies(4, 2), copies(2, 3), copies(3, 4)];
        let found = find(&circle).expect("three read each other");
        assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), [1, 2, 3].into());
    }
}
