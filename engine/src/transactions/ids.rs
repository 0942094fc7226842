//! All transactional ids of one partition, in number and bytes, and which finished one is oldest.

use super::transaction::{Next, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// See the head of this file.
///
/// Invariants: `bytes` is the sum over those that stay; `idle` has exactly those that may be forgotten.
#[derive(Default)]
pub struct Ids {
    by_id: BTreeMap<Arc<str>, Transaction>,
    /// By the time of their last step.
    idle: BTreeSet<(i64, Arc<str>)>,
    bytes: usize,
    /// Whose tombstone is on its way.
    dying: usize,
    /// How often there was no room.
    refused: u64,
}

impl Ids {
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Those that stay.
    pub fn staying(&self) -> usize {
        self.by_id.len() - self.dying
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Since this coordinator leads the partition.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Nothing that could be forgotten made room.
    pub fn note_refused(&mut self) {
        self.refused += 1;
    }

    pub fn get(&self, id: &str) -> Option<&Transaction> {
        self.by_id.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.by_id.values()
    }

    /// Changes one, which is made where it is missing.
    pub fn change<T>(&mut self, id: &Arc<str>, change: impl FnOnce(&mut Transaction) -> T) -> T {
        let entry = self.by_id.entry(Arc::clone(id));
        let transaction = entry.or_insert_with(|| Transaction::new(Arc::clone(id)));
        // A new one counts from here on.
        let is_counted = transaction.known.is_some() || transaction.next.is_some();
        let bytes = if is_counted { staying_bytes(transaction) } else { 0 };
        let was_dying = is_dying(transaction);
        let idle = Self::idle_key(transaction);
        let changed = change(transaction);
        self.bytes += staying_bytes(transaction);
        self.bytes -= bytes;
        self.dying += usize::from(is_dying(transaction));
        self.dying -= usize::from(was_dying);
        let idle_now = Self::idle_key(transaction);
        if idle != idle_now {
            if let Some(key) = idle {
                self.idle.remove(&key);
            }
            self.idle.extend(idle_now);
        }
        assert!(
            transaction.known.is_some() || transaction.next.is_some(),
            "transactional id {id}: nothing is known of it and nothing written"
        );
        changed
    }

    pub fn remove(&mut self, id: &str) -> Option<Transaction> {
        let transaction = self.by_id.remove(id)?;
        self.bytes -= staying_bytes(&transaction);
        self.dying -= usize::from(is_dying(&transaction));
        if let Some(key) = Self::idle_key(&transaction) {
            self.idle.remove(&key);
        }
        Some(transaction)
    }

    /// Those that may be forgotten, with when they were used: the oldest first.
    pub fn idle(&self) -> impl Iterator<Item = (i64, &Arc<str>)> {
        self.idle.iter().map(|(updated_ms, id)| (*updated_ms, id))
    }

    fn idle_key(transaction: &Transaction) -> Option<(i64, Arc<str>)> {
        let known = transaction.known.as_ref().filter(|_| transaction.is_idle())?;
        Some((known.updated_ms, Arc::clone(&transaction.id)))
    }

    #[cfg(test)]
    pub fn check(&self) {
        assert_eq!(self.bytes, self.iter().map(staying_bytes).sum::<usize>());
        assert_eq!(self.dying, self.iter().filter(|transaction| is_dying(transaction)).count());
        assert_eq!(self.idle, self.iter().filter_map(Self::idle_key).collect());
    }
}

fn staying_bytes(transaction: &Transaction) -> usize {
    if is_dying(transaction) { 0 } else { transaction.bytes() }
}

fn is_dying(transaction: &Transaction) -> bool {
    matches!(transaction.next, Some(Next::Forgotten))
}

#[cfg(test)]
mod tests {
    use super::super::metadata::TransactionMetadata;
    use super::*;
    use crate::port::TransactionVersion;

    #[test]
    fn what_is_counted_is_what_is_there() {
        let mut ids = Ids::default();
        let names: Vec<Arc<str>> = (0..5).map(|number| format!("id-{number}").into()).collect();
        for (at, id) in (0..).zip(&names) {
            ids.change(id, |transaction| {
                transaction.known = Some(TransactionMetadata::new(at, 1_000, 10 - at))
            });
            ids.check();
        }
        assert_eq!(ids.idle().next(), Some((6, &names[4])));
        ids.change(&names[4], |transaction| {
            let known = transaction.known.as_ref().expect("just set");
            transaction.known = Some(known.with_partitions([("t".into(), 1)], TransactionVersion::Two, 20));
        });
        ids.check();
        assert_eq!(ids.idle().next(), Some((7, &names[3])), "an open one is never forgotten");
        ids.change(&names[3], |transaction| transaction.next = Some(Next::Forgotten));
        ids.check();
        assert_eq!((ids.count(), ids.staying(), ids.idle().next()), (5, 4, Some((8, &names[2]))));
        for id in &names {
            assert!(ids.remove(id).is_some());
            ids.check();
        }
        assert_eq!((ids.count(), ids.bytes()), (0, 0));
    }

    #[test]
    #[should_panic(expected = "nothing is known of it")]
    fn one_that_nothing_is_known_of_is_a_fault() {
        Ids::default().change(&"id".into(), |_| {});
    }
}
