//! Records of a consumer group on their way: what was written, what is committed, and who waits.

use crate::groups::request::Answer;
use crate::port::RequestId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Keys and values of a group, its classic one not among them.
pub type Written = BTreeMap<Vec<u8>, Arc<[u8]>>;
pub type RecordChange = (Vec<u8>, Option<Arc<[u8]>>);

/// See the head of this file.
#[derive(Default)]
pub struct Flight {
    /// What the log says when all that is on its way is committed.
    written: Written,
    pub committed: Written,
    /// The classic record is to go with the next batch, or to come.
    pub classic: Option<Option<Vec<u8>>>,
    /// Appends so far, and how many have their outcome.
    pub(super) sent: u64,
    pub(super) done: u64,
    /// One of those on their way was not written.
    pub(super) failed: bool,
    /// In the order of the appends that they wait for.
    pub(super) waiting: VecDeque<(u64, RequestId, Answer)>,
}

impl Flight {
    /// What is asked now cannot be answered: what the group is depends on appends that failed.
    pub fn is_broken(&self) -> bool {
        self.failed
    }

    /// Nothing was written, and nothing is to be.
    pub fn is_void(&self) -> bool {
        self.is_idle() && self.committed.is_empty()
    }

    pub fn is_idle(&self) -> bool {
        self.sent == self.done
    }

    /// Another coordinator's records were read.
    pub fn loaded(&mut self) {
        self.written = self.committed.clone();
    }

    /// All that a tombstone is due for when the group goes.
    pub fn keys(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.written.keys()
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, changes: &mut Vec<RecordChange>) {
        let value: Option<Arc<[u8]>> = value.map(Arc::from);
        if self.written.get(&key) == value.as_ref() {
            return;
        }
        match &value {
            Some(value) => self.written.insert(key.clone(), Arc::clone(value)),
            None => self.written.remove(&key),
        };
        changes.push((key, value));
    }

    /// All that wait are sent on.
    pub fn give_up(&mut self) -> impl Iterator<Item = (RequestId, Answer)> + use<> {
        core::mem::take(&mut self.waiting).into_iter().map(|(_, request, answer)| (request, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_from_what_was_written_is_written() {
        let (mut flight, mut changes) = (Flight::default(), Vec::new());
        let key = || b"k".to_vec();
        flight.put(key(), None, &mut changes);
        assert!(changes.is_empty(), "nothing is to be taken back");
        flight.put(key(), Some(vec![1]), &mut changes);
        flight.put(key(), Some(vec![1]), &mut changes);
        flight.put(key(), None, &mut changes);
        assert_eq!(changes, [(key(), Some([1].into())), (key(), None)]);
        flight.committed.insert(key(), [2].into());
        flight.loaded();
        flight.put(key(), Some(vec![2]), &mut changes);
        assert_eq!((changes.len(), flight.is_void()), (2, false));
    }
}
