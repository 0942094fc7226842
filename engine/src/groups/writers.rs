//! Which groups a producer wrote offsets of within its transaction: a marker is about these, and visits no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// See the head of this file.
///
/// Invariant: a group in which something of a producer is undecided stands here. It may stand for longer, up to the
/// producer's next marker, which comes wherever its transaction was.
#[derive(Debug, Default)]
pub struct Writers(BTreeMap<i64, BTreeSet<Arc<str>>>);

impl Writers {
    /// Something of this producer is undecided in a group.
    pub fn note(&mut self, producer: i64, group: &Arc<str>) {
        let groups = self.0.entry(producer).or_default();
        if !groups.contains(group) {
            groups.insert(Arc::clone(group));
        }
        assert!(self.0[&producer].contains(group), "a marker of {producer} finds {group}");
    }

    /// Those that a marker is about; where something is still undecided the group is noted anew.
    pub fn take(&mut self, producer: i64) -> BTreeSet<Arc<str>> {
        self.0.remove(&producer).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_about_the_groups_of_its_producer_alone() {
        let mut writers = Writers::default();
        for (producer, group) in [(7, "a"), (7, "b"), (7, "a"), (8, "c")] {
            writers.note(producer, &group.into());
        }
        assert_eq!(writers.take(7), ["a", "b"].map(Arc::from).into());
        assert!(writers.take(7).is_empty(), "they are taken once");
        assert_eq!((writers.take(9).len(), writers.take(8).len()), (0, 1));
    }
}
