//! The leader's speculative part: what entries not yet committed will add to the fold.

use super::fold::{Fold, Partition, items_of};
use super::producers::{Producer, Verdict};
use crate::collections::Map;
use crate::entry::item::{Item, ItemError};
use crate::entry::{BatchDescriptor, EntryHeader, EntryKind, layout};
use crate::ids::{Index, Offset, PartitionId, ProducerId, SpanNumber};
use std::collections::BTreeSet;

/// Partitions touched by entries above the commit. A partition leaves when the last entry that
/// touched it is folded: from then on the fold says the same.
#[derive(Debug, Default)]
pub struct Tail {
    partitions: Map<PartitionId, TailPartition>,
}

#[derive(Debug)]
struct TailPartition {
    span: SpanNumber,
    next_offset: Offset,
    epoch_base: i32,
    sealed: bool,
    dropped: bool,
    /// The newest entry that touches the partition.
    last: Index,
    /// Producers that changed: the fold's state with the tail's batches added.
    producers: Map<ProducerId, Producer>,
}

/// What a leader needs to append to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub next_offset: Offset,
    pub epoch_base: i32,
}

impl TailPartition {
    fn over(partition: &Partition) -> Self {
        Self {
            span: partition.span,
            next_offset: partition.next_offset,
            epoch_base: partition.epoch_base,
            sealed: partition.sealed,
            dropped: false,
            last: Index::NONE,
            producers: Map::default(),
        }
    }
}

impl Tail {
    /// Forgets everything: the leader stepped down.
    pub fn clear(&mut self) {
        self.partitions.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Where the next batch of a partition goes; `None` when it is not open here.
    pub fn head(&self, fold: &Fold, id: PartitionId) -> Option<Head> {
        if let Some(tail) = self.partitions.get(&id) {
            let open = !tail.dropped && !tail.sealed;
            return open.then_some(Head { next_offset: tail.next_offset, epoch_base: tail.epoch_base });
        }
        let partition = fold.partition(id).filter(|partition| !partition.sealed)?;
        Some(Head { next_offset: partition.next_offset, epoch_base: partition.epoch_base })
    }

    /// The newest span of a partition that was opened here, sealed or not.
    pub fn span(&self, fold: &Fold, id: PartitionId) -> Option<SpanNumber> {
        self.known(fold, id).map(|(span, _)| span)
    }

    fn known(&self, fold: &Fold, id: PartitionId) -> Option<(SpanNumber, Offset)> {
        match self.partitions.get(&id) {
            Some(tail) => (!tail.dropped).then_some((tail.span, tail.next_offset)),
            None => fold.partition(id).map(|partition| (partition.span, partition.next_offset)),
        }
    }

    /// Whether something of a partition is here that no entry drops yet.
    pub fn is_kept(&self, fold: &Fold, id: PartitionId) -> bool {
        self.known(fold, id).is_some()
    }

    /// Whether an idempotent producer's batch is new, a duplicate or wrong.
    pub fn judge(&self, fold: &Fold, batch: &BatchDescriptor) -> Verdict {
        let producer = batch.producer_id();
        if producer == ProducerId::NONE {
            return Verdict::Append;
        }
        Producer::judge(self.producer(fold, batch.partition(), producer), batch)
    }

    fn producer<'a>(&'a self, fold: &'a Fold, id: PartitionId, producer: ProducerId) -> Option<&'a Producer> {
        let tail = self.partitions.get(&id).and_then(|tail| tail.producers.get(&producer));
        tail.or_else(|| fold.partition(id)?.producers.get(&producer))
    }

    /// Adds a batch of the entry that will have `index`.
    pub fn append(&mut self, fold: &Fold, batch: &BatchDescriptor, index: Index, wall_ms: i64) {
        let id = batch.partition();
        let known = fold.partition(id);
        let tail = self.partitions.entry(id).or_insert_with(|| {
            TailPartition::over(known.expect("a partition is opened before it takes batches"))
        });
        assert!(batch.base_offset() >= tail.next_offset, "offsets ascend");
        tail.next_offset = batch.next_offset();
        tail.last = index;
        let producer = batch.producer_id();
        if producer != ProducerId::NONE {
            let state = tail.producers.entry(producer).or_insert_with(|| {
                let committed = known.and_then(|partition| partition.producers.get(&producer));
                committed.cloned().unwrap_or_else(|| Producer::new(batch.producer_epoch.get()))
            });
            state.append(batch, index, wall_ms);
        }
    }

    /// Adds control items of the entry that will have `index`.
    pub fn apply_items(&mut self, fold: &Fold, items: &[Item], index: Index) {
        for item in items {
            match item {
                Item::PartitionOpened { partition, span, first_offset, epoch_base, producers } => {
                    if !Partition::opens(self.known(fold, *partition), *span, *first_offset) {
                        continue;
                    }
                    let opened = Partition::opened(*span, *first_offset, *epoch_base);
                    let mut opened = TailPartition::over(&opened);
                    for snapshot in producers {
                        let producer = Producer::from_snapshot(snapshot, index);
                        opened.producers.insert(snapshot.producer, producer);
                    }
                    opened.last = index;
                    self.partitions.insert(*partition, opened);
                }
                Item::SpanSealed { partition, end_offset } => self.touch(fold, *partition, index, |p| {
                    p.next_offset = p.next_offset.max(*end_offset);
                    p.sealed = true;
                }),
                Item::PartitionDropped { partition } => {
                    self.touch(fold, *partition, index, |p| p.dropped = true);
                }
                Item::LossAccepted { skip, .. } => self.skip(fold, *skip, index),
                Item::LogStartMoved { .. } | Item::SegmentDigest { .. } => {}
            }
        }
    }

    fn touch(&mut self, fold: &Fold, id: PartitionId, index: Index, change: impl FnOnce(&mut TailPartition)) {
        if !self.partitions.contains_key(&id) {
            let Some(partition) = fold.partition(id) else { return };
            self.partitions.insert(id, TailPartition::over(partition));
        }
        let tail = self.partitions.get_mut(&id).expect("just made");
        tail.last = index;
        change(tail);
    }

    fn skip(&mut self, fold: &Fold, skip: u64, index: Index) {
        let opened_here = self.partitions.keys().copied();
        let ids: BTreeSet<_> = fold.partitions().map(|(id, _)| id).chain(opened_here).collect();
        for id in ids {
            self.touch(fold, id, index, |tail| tail.next_offset.0 += skip as i64);
        }
    }

    /// Adds an entry that is on disk but not committed: done once, when elected. Who cannot decode it
    /// does not know what comes next, and must not lead.
    pub fn apply_entry(&mut self, fold: &Fold, header: &EntryHeader, head: &[u8]) -> Result<(), ItemError> {
        let index = header.index();
        match header.kind() {
            Some(EntryKind::Batches) => {
                let batches = layout::descriptors_of(head, header.count.get()).expect("the head was checked");
                for batch in batches {
                    let open = self.head(fold, batch.partition()).is_some();
                    if open {
                        self.append(fold, batch, index, header.wall_ms.get());
                    }
                }
            }
            _ => self.apply_items(fold, &items_of(header, head)?, index),
        }
        Ok(())
    }

    /// The entry at `index` was folded: partitions last touched by it leave.
    pub fn committed(&mut self, header: &EntryHeader, head: &[u8], items: &[Item]) {
        if self.partitions.is_empty() {
            return;
        }
        let index = header.index();
        if header.kind() == Some(EntryKind::Batches) {
            for batch in layout::descriptors_of(head, header.count.get()).expect("the head was checked") {
                self.leave(batch.partition(), index);
            }
        }
        for item in items {
            match item {
                Item::PartitionOpened { partition, .. }
                | Item::SpanSealed { partition, .. }
                | Item::PartitionDropped { partition } => self.leave(*partition, index),
                Item::LossAccepted { .. } => self.partitions.retain(|_, tail| tail.last > index),
                Item::LogStartMoved { .. } | Item::SegmentDigest { .. } => {}
            }
        }
    }

    fn leave(&mut self, id: PartitionId, index: Index) {
        if self.partitions.get(&id).is_some_and(|tail| tail.last <= index) {
            self.partitions.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::layout::HEADER_BYTES;
    use zerocopy::{FromZeros, IntoBytes};

    const P: PartitionId = PartitionId(9);

    fn opened(span: u32, first_offset: i64) -> Item {
        let (span, first_offset) = (SpanNumber(span), Offset(first_offset));
        Item::PartitionOpened { partition: P, span, first_offset, epoch_base: 0, producers: vec![] }
    }

    fn sealed(end_offset: i64) -> Item {
        Item::SpanSealed { partition: P, end_offset: Offset(end_offset) }
    }

    fn control(items: &[u8]) -> (EntryHeader, Vec<u8>) {
        let mut header = EntryHeader::new_zeroed();
        header.index.set(1);
        header.term.set(1);
        header.kind = EntryKind::Control as u8;
        let head = [header.as_bytes(), items].concat();
        (header, head)
    }

    #[test]
    fn a_sealed_span_takes_nothing_until_a_later_one_is_opened() {
        let (fold, mut tail) = (Fold::default(), Tail::default());
        tail.apply_items(&fold, &[opened(0, 0), sealed(16)], Index(1));
        assert_eq!(tail.head(&fold, P), None);
        // What a leader whose view is behind would write: it must not be taken for the next span.
        tail.apply_items(&fold, &[opened(0, 0), opened(0, 16), opened(1, 3)], Index(2));
        assert_eq!(tail.head(&fold, P), None);
        assert_eq!((tail.span(&fold, P), tail.is_kept(&fold, P)), (Some(SpanNumber(0)), true));
        tail.apply_items(&fold, &[opened(1, 20)], Index(3));
        assert_eq!(tail.head(&fold, P).map(|head| head.next_offset), Some(Offset(20)));
        tail.apply_items(&fold, &[Item::PartitionDropped { partition: P }], Index(4));
        assert!(!tail.is_kept(&fold, P));
    }

    #[test]
    fn the_committed_span_counts_where_the_tail_says_nothing() {
        let (mut fold, mut tail) = (Fold::default(), Tail::default());
        let mut bytes = Vec::new();
        [opened(0, 0), sealed(5)].iter().for_each(|item| item.encode(&mut bytes));
        let (header, head) = control(&bytes);
        fold.apply(&header, &head).expect("known items");
        tail.apply_items(&fold, &[opened(0, 0)], Index(2));
        assert_eq!(tail.head(&fold, P), None);
        assert!(tail.is_empty() && tail.is_kept(&fold, P));
    }

    #[test]
    fn what_an_accepted_loss_skips_holds_for_partitions_of_the_tail() {
        let (fold, mut tail) = (Fold::default(), Tail::default());
        let loss = Item::LossAccepted { first: Index(1), last: Index(1), skip: 100 };
        tail.apply_items(&fold, &[opened(0, 7), loss], Index(2));
        assert_eq!(tail.head(&fold, P).map(|head| head.next_offset), Some(Offset(107)));
    }

    #[test]
    fn an_entry_that_cannot_be_decoded_is_told() {
        let (fold, mut tail) = (Fold::default(), Tail::default());
        let (header, head) = control(&[99, 0, 0, 0, 0, 0]);
        assert_eq!(tail.apply_entry(&fold, &header, &head), Err(ItemError::Unknown(99)));
        assert_eq!(head.len(), HEADER_BYTES + 6);
    }
}
