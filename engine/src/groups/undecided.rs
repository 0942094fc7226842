//! Offsets that were committed within transactions which are not ended yet (KIP-98): what a producer
//! wrote counts when its marker says so, and not before.

use super::offsets::Committed;
use crate::batch::Ending;
use crate::ids::Offset;
use crate::planted::{Bug, is_planted};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Topic and number.
type Place = (Arc<str>, i32);

/// Of one group.
///
/// Invariants: of each producer the newest offset of a partition alone; a producer is there while it
/// has offsets or appends on their way.
#[derive(Debug, Default)]
pub struct Undecided(BTreeMap<i64, OfProducer>);

#[derive(Debug, Default)]
struct OfProducer {
    /// With the epoch of the transaction.
    offsets: BTreeMap<Place, (i16, Committed)>,
    /// Appends without outcome.
    on_their_way: u32,
    /// The marker of their transaction is in the log already: it was told sooner than they were.
    ended: Option<(i16, Ending)>,
}

impl Undecided {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Something of this producer is undecided, or on its way.
    pub fn has(&self, producer: i64) -> bool {
        self.0.contains_key(&producer)
    }

    /// Something is undecided about this partition.
    pub fn contains(&self, topic: &Arc<str>, partition: i32) -> bool {
        let place = (Arc::clone(topic), partition);
        self.0.values().any(|of| of.offsets.contains_key(&place))
    }

    /// What is undecided, by partition: where its record is.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, Offset)> {
        let all = self.0.values().flat_map(|of| &of.offsets);
        all.map(|((topic, partition), (_, committed))| (topic, *partition, committed.at))
    }

    /// The first record that is needed to know them again.
    #[cfg(test)]
    fn first(&self) -> Option<Offset> {
        self.iter().map(|(.., at)| at).min()
    }

    /// An append of this producer's offsets begins.
    pub fn begin(&mut self, producer: i64) {
        self.0.entry(producer).or_default().on_their_way += 1;
    }

    /// It was not written.
    pub fn failed(&mut self, producer: i64) {
        self.outcome(producer);
    }

    /// It was written: gives what counts at once, because its transaction was committed meanwhile.
    pub fn written(
        &mut self,
        producer: i64,
        epoch: i16,
        offsets: impl Iterator<Item = (Place, Committed)>,
    ) -> Vec<(Place, Committed)> {
        let of = self.0.get_mut(&producer).expect("its append was begun");
        let ended = of.ended.filter(|(ended, _)| epoch <= *ended).map(|(_, ending)| ending);
        let mut counting = Vec::new();
        for (place, committed) in offsets {
            match ended {
                Some(Ending::Commit) => counting.push((place, committed)),
                None if is_planted(Bug::PendingOffsetShown) => counting.push((place, committed)),
                Some(Ending::Abort) => {}
                None => of.put(place, epoch, committed),
            }
        }
        self.outcome(producer);
        counting
    }

    /// A record of a transaction that was read back.
    pub fn read(&mut self, producer: i64, epoch: i16, place: Place, committed: Committed) {
        self.0.entry(producer).or_default().put(place, epoch, committed);
    }

    /// The producer's transaction is ended: gives what counts from now on.
    pub fn end(&mut self, producer: i64, epoch: i16, ending: Ending) -> Vec<(Place, Committed)> {
        let Some(of) = self.0.get_mut(&producer) else { return Vec::new() };
        let over = of.offsets.extract_if(.., |_, (of_epoch, _)| *of_epoch <= epoch);
        let over: Vec<_> = over.map(|(place, (_, committed))| (place, committed)).collect();
        if of.on_their_way > 0 {
            of.ended = Some((epoch, ending));
        }
        self.drop_void(producer);
        if ending == Ending::Commit { over } else { Vec::new() }
    }

    fn outcome(&mut self, producer: i64) {
        let of = self.0.get_mut(&producer).expect("its append was begun");
        of.on_their_way = of.on_their_way.checked_sub(1).expect("an append has one outcome");
        if of.on_their_way == 0 {
            of.ended = None;
        }
        self.drop_void(producer);
    }

    fn drop_void(&mut self, producer: i64) {
        if self.0.get(&producer).is_some_and(|of| of.on_their_way == 0 && of.offsets.is_empty()) {
            self.0.remove(&producer);
        }
    }
}

impl OfProducer {
    fn put(&mut self, place: Place, epoch: i16, committed: Committed) {
        let newer = self.offsets.get(&place).is_some_and(|(_, known)| known.at > committed.at);
        if !newer {
            self.offsets.insert(place, (epoch, committed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::OffsetValue;
    use super::*;

    fn place(partition: i32) -> Place {
        ("t".into(), partition)
    }

    fn committed(at: i64) -> Committed {
        let value = OffsetValue {
            offset: at * 10,
            leader_epoch: -1,
            metadata: "".into(),
            commit_ms: 0,
            expire_ms: None,
        };
        Committed { value, at: Offset(at) }
    }

    #[test]
    fn what_is_undecided_counts_when_its_transaction_is_committed() {
        for (ending, counts) in [(Ending::Commit, vec![(place(0), committed(7))]), (Ending::Abort, vec![])] {
            let mut undecided = Undecided::default();
            for at in [5, 7] {
                undecided.begin(1);
                assert_eq!(undecided.written(1, 0, [(place(0), committed(at))].into_iter()), []);
            }
            assert!(undecided.contains(&"t".into(), 0) && !undecided.contains(&"t".into(), 1));
            assert_eq!(undecided.first(), Some(Offset(7)), "the newest one alone is needed");
            assert_eq!(undecided.end(2, 0, ending), [], "another producer's end");
            assert_eq!(undecided.end(1, 1, ending), counts);
            assert!(undecided.is_empty());
            assert_eq!(undecided.end(1, 1, ending), [], "a repeat");
        }
    }

    #[test]
    fn an_end_that_is_told_sooner_than_the_append_counts_for_it() {
        for (ending, counts) in [(Ending::Commit, vec![(place(0), committed(5))]), (Ending::Abort, vec![])] {
            let mut undecided = Undecided::default();
            undecided.begin(1);
            undecided.begin(1);
            assert_eq!(undecided.end(1, 1, ending), []);
            assert_eq!(undecided.written(1, 0, [(place(0), committed(5))].into_iter()), counts);
            undecided.failed(1);
            assert!(undecided.is_empty());
            // The next transaction is not ended by that.
            undecided.begin(1);
            assert_eq!(undecided.written(1, 1, [(place(0), committed(9))].into_iter()), []);
            assert!(!undecided.is_empty());
        }
    }

    #[test]
    fn a_marker_of_an_older_epoch_ends_nothing_newer() {
        let mut undecided = Undecided::default();
        undecided.read(1, 3, place(0), committed(5));
        assert_eq!(undecided.end(1, 2, Ending::Commit), []);
        assert_eq!(undecided.first(), Some(Offset(5)));
    }
}
