//! The leader's speculative part: what entries not yet committed will add to the fold.

use super::fold::{Fold, Partition};
use super::producers::{Producer, Verdict};
use crate::collections::Map;
use crate::entry::item::Item;
use crate::entry::{BatchDescriptor, EntryHeader, EntryKind, layout};
use crate::ids::{Index, Offset, PartitionId, ProducerId};

/// Partitions touched by entries above the commit. A partition leaves when the last entry that
/// touched it is folded: from then on the fold says the same.
#[derive(Debug, Default)]
pub struct Tail {
    partitions: Map<PartitionId, TailPartition>,
}

#[derive(Debug)]
struct TailPartition {
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
                Item::PartitionOpened { partition, first_offset, epoch_base, producers } => {
                    if self.head(fold, *partition).is_some() {
                        continue;
                    }
                    let mut opened = TailPartition::over(&Partition::opened(*first_offset, *epoch_base));
                    for snapshot in producers {
                        let producer = Producer::from_snapshot(snapshot, index);
                        opened.producers.insert(snapshot.producer, producer);
                    }
                    opened.last = index;
                    self.partitions.insert(*partition, opened);
                }
                Item::SpanSealed { partition, .. } => {
                    self.touch(fold, *partition, index, |p| p.sealed = true)
                }
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
        let ids: Vec<_> = fold.partitions().map(|(id, _)| id).collect();
        for id in ids {
            self.touch(fold, id, index, |tail| tail.next_offset.0 += skip as i64);
        }
    }

    /// Adds an entry that is on disk but not committed: done once, when elected.
    pub fn apply_entry(&mut self, fold: &Fold, header: &EntryHeader, head: &[u8]) {
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
            Some(EntryKind::Control) => {
                let items = Item::decode_all(&head[layout::HEADER_BYTES..]).unwrap_or_default();
                self.apply_items(fold, &items, index);
            }
            _ => {}
        }
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
