//! The leader's speculative part: what entries not yet committed will add to the fold.

use super::fold::{Fold, Partition, items_of};
use super::producers::{MarkerClaim, MarkerVerdict, Producer, Verdict};
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
    /// Transactions that begin in entries above the commit, of the partitions that are here.
    begun: usize,
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
    /// Transactions that began since it is here.
    begun: usize,
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
            begun: 0,
        }
    }
}

impl Tail {
    /// Forgets everything: the leader stepped down.
    pub fn clear(&mut self) {
        self.partitions.clear();
        self.begun = 0;
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

    /// The same of a coordinator's own batch, which has no sequence.
    pub fn judge_unsequenced(&self, fold: &Fold, batch: &BatchDescriptor) -> Verdict {
        Producer::judge_unsequenced(self.producer(fold, batch.partition(), batch.producer_id()), batch)
    }

    /// Whether a producer's marker is new, a repeat or wrong.
    pub fn judge_marker(
        &self,
        fold: &Fold,
        id: PartitionId,
        producer: ProducerId,
        claim: MarkerClaim,
    ) -> MarkerVerdict {
        Producer::judge_marker(self.producer(fold, id, producer), claim)
    }

    /// The newest entry that touches a partition and is not folded yet.
    pub fn touched(&self, id: PartitionId) -> Option<Index> {
        self.partitions.get(&id).map(|tail| tail.last)
    }

    /// Transactions that are open, at most: of those that end above the commit some are counted twice.
    pub fn open_transactions(&self, fold: &Fold) -> usize {
        fold.open_transactions() + self.begun
    }

    /// Below which offset all is decided once the transaction of `ended` is; `end` where none is open then.
    pub fn stable_behind(&self, fold: &Fold, id: PartitionId, ended: ProducerId, end: Offset) -> Offset {
        let producers = self.partitions.get(&id).map(|tail| &tail.producers);
        let in_tail = producers.into_iter().flatten().filter(|(producer, _)| **producer != ended);
        let in_tail = in_tail.filter_map(|(_, state)| state.open_since).min();
        let is_open = |(first, producer): &(Offset, ProducerId)| {
            let ends = producers.and_then(|producers| producers.get(producer));
            *producer != ended && ends.is_none_or(|state| state.open_since == Some(*first))
        };
        let folded = fold.partition(id).and_then(|partition| partition.transactions.open().find(is_open));
        let folded = folded.map(|(first, _)| first);
        [in_tail, folded].into_iter().flatten().fold(end, Offset::min)
    }

    /// What is known of a producer here, entries above the commit included.
    pub fn producer<'a>(
        &'a self,
        fold: &'a Fold,
        id: PartitionId,
        producer: ProducerId,
    ) -> Option<&'a Producer> {
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
            match batch.marker() {
                Some(marker) => drop(state.end(batch, &marker, wall_ms)),
                None if state.append(batch, index, wall_ms) => {
                    tail.begun += 1;
                    self.begun += 1;
                }
                None => {}
            }
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
                        let mut producer = Producer::from_snapshot(snapshot, index);
                        if let Some(known) = self.producer(fold, *partition, snapshot.producer) {
                            producer.keep_transaction_of(known);
                        }
                        opened.producers.insert(snapshot.producer, producer);
                    }
                    opened.last = index;
                    let before = self.partitions.insert(*partition, opened);
                    self.begun -= before.map_or(0, |before| before.begun);
                }
                Item::SpanSealed { partition, end_offset } => self.touch(fold, *partition, index, |p| {
                    p.next_offset = p.next_offset.max(*end_offset);
                    p.sealed = true;
                }),
                Item::PartitionDropped { partition } => {
                    self.touch(fold, *partition, index, |p| p.dropped = true);
                }
                Item::LossAccepted { skip, .. } => self.skip(fold, *skip, index),
                Item::LogStartMoved { .. }
                | Item::SegmentDigest { .. }
                | Item::RunMade(_)
                | Item::RunSettled { .. }
                | Item::RunVoided { .. } => {}
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
                Item::LossAccepted { .. } => {
                    self.partitions.retain(|_, tail| tail.last > index);
                    self.begun = self.partitions.values().map(|tail| tail.begun).sum();
                }
                Item::LogStartMoved { .. }
                | Item::SegmentDigest { .. }
                | Item::RunMade(_)
                | Item::RunSettled { .. }
                | Item::RunVoided { .. } => {}
            }
        }
    }

    fn leave(&mut self, id: PartitionId, index: Index) {
        if self.partitions.get(&id).is_some_and(|tail| tail.last <= index) {
            let left = self.partitions.remove(&id);
            self.begun -= left.map_or(0, |left| left.begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Ending;
    use crate::batch::header::attribute;
    use crate::entry::MarkerFields;
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

    fn transactional(base_offset: i64, producer: i64) -> BatchDescriptor {
        let mut batch = BatchDescriptor::new_zeroed();
        batch.partition.set(P.0);
        batch.base_offset.set(base_offset);
        batch.record_count.set(1);
        batch.producer_id.set(producer);
        batch.attributes.set(attribute::TRANSACTIONAL);
        batch
    }

    fn marker(tail: &Tail, fold: &Fold, base_offset: i64, producer: i64) -> BatchDescriptor {
        let mut batch = transactional(base_offset, producer);
        batch.attributes.set(attribute::TRANSACTIONAL | attribute::CONTROL);
        let (id, end) = (ProducerId(producer), Offset(base_offset + 1));
        let first = tail.producer(fold, P, id).and_then(|state| state.open_since);
        batch.set_marker(&MarkerFields {
            ending: Ending::Commit,
            coordinator_epoch: 0,
            first_offset: first.unwrap_or(Offset(base_offset)),
            stable: Some(tail.stable_behind(fold, P, id, end)),
        });
        batch
    }

    fn fold_entry(fold: &mut Fold, tail: &mut Tail, batch: BatchDescriptor) {
        let mut header = EntryHeader::new_zeroed();
        header.index.set(fold.applied.0 + 1);
        header.term.set(1);
        header.kind = EntryKind::Batches as u8;
        header.count.set(1);
        let head = [header.as_bytes(), batch.as_bytes()].concat();
        fold.apply(&header, &head).expect("a batch");
        tail.committed(&header, &head, &[]);
    }

    #[test]
    fn what_is_stable_behind_a_marker_counts_what_is_not_committed() {
        let (mut fold, mut tail) = (Fold::default(), Tail::default());
        let mut bytes = Vec::new();
        opened(0, 0).encode(&mut bytes);
        let (header, head) = control(&bytes);
        fold.apply(&header, &head).expect("known items");
        let batches = [transactional(0, 7), transactional(1, 8), transactional(2, 9)];
        for (batch, index) in batches.iter().zip(2..) {
            tail.append(&fold, batch, Index(index), 0);
        }
        fold_entry(&mut fold, &mut tail, batches[0]);
        fold_entry(&mut fold, &mut tail, batches[1]);
        assert!(fold.open_transactions() == 2 && tail.open_transactions(&fold) >= 3);
        let first = marker(&tail, &fold, 3, 7);
        assert_eq!(first.marker().and_then(|fields| fields.stable), Some(Offset(1)));
        tail.append(&fold, &first, Index(5), 0);
        let second = marker(&tail, &fold, 4, 8);
        let fields = second.marker().expect("a marker");
        assert_eq!((fields.first_offset, fields.stable), (Offset(1), Some(Offset(2))));
        tail.append(&fold, &second, Index(6), 0);
        let last = marker(&tail, &fold, 5, 9);
        assert_eq!(last.marker().and_then(|fields| fields.stable), Some(Offset(6)), "nothing is open");
        tail.append(&fold, &last, Index(7), 0);
        for batch in [batches[2], first, second, last] {
            assert_eq!(tail.touched(P), Some(Index(7)));
            fold_entry(&mut fold, &mut tail, batch);
        }
        assert_eq!((tail.touched(P), tail.open_transactions(&fold)), (None, 0));
    }

    #[test]
    fn an_entry_that_cannot_be_decoded_is_told() {
        let (fold, mut tail) = (Fold::default(), Tail::default());
        let (header, head) = control(&[99, 0, 0, 0, 0, 0]);
        assert_eq!(tail.apply_entry(&fold, &header, &head), Err(ItemError::Unknown(99)));
        assert_eq!(head.len(), HEADER_BYTES + 6);
    }
}
