//! The fold: the committed state of a journal's partitions, a function of its entries alone.
//!
//! It reads no clock, no configuration and no metadata: what depends on those was decided by a
//! leader and is in the entries. So all replicas fold the same bytes to the same state, and the
//! checkpoint made at a segment's last entry is identical on all of them.

use super::producers::{EXPIRATION_MS, Producer};
use super::runs::Runs;
use super::transactions::{OPEN_MAX, Transactions};
use crate::collections::Map;
use crate::entry::item::{Item, ItemError};
use crate::entry::{BatchDescriptor, EntryHeader, EntryKind, layout};
use crate::ids::{Index, LeaderEpoch, Offset, PartitionId, ProducerId, RunId, SpanNumber, Term};
use crate::planted::{Bug, is_planted};
use std::collections::BTreeSet;

/// Producers a journal remembers at a checkpoint; above it the longest silent are forgotten, so
/// that a client that takes a new producer id for each record cannot fill the memory (about 200 B
/// each).
pub const PRODUCERS_MAX: usize = 200_000;
const _: () = assert!(OPEN_MAX < PRODUCERS_MAX, "who has an open transaction is never forgotten");

/// The state of all partitions of a journal up to `applied`.
///
/// Invariants: `order` names just the partitions that are there; `open_count` and `kept_bytes` are the
/// sums of theirs.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    pub(super) partitions: Map<PartitionId, Partition>,
    /// Their ids: a checkpoint is taken in this order.
    pub(super) order: BTreeSet<PartitionId>,
    /// The highest leader's clock in the entries folded.
    pub wall_ms: i64,
    pub applied: Index,
    /// Where each term begins: (first index, term), ascending.
    pub(super) terms: Vec<(Index, Term)>,
    /// Ranges of entries that an operator accepted as lost.
    pub(super) accepted: Vec<(Index, Index)>,
    /// Transactions that are open, of all partitions.
    pub(super) open_count: usize,
    pub(super) kept_bytes: u64,
    pub(super) runs: Runs,
}

/// One partition's committed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub next_offset: Offset,
    pub log_start: Offset,
    /// Leader epoch = this + the journal's term.
    pub epoch_base: i32,
    /// Bytes of batches at or above the log start, as leaders reckoned.
    pub kept_bytes: u64,
    /// The newest span that was opened here.
    pub span: SpanNumber,
    /// That span takes no more batches.
    pub sealed: bool,
    /// (epoch, first offset), ascending in both.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    pub producers: Map<ProducerId, Producer>,
    pub transactions: Transactions,
    /// Offsets below this one may be missing: entries were accepted as lost.
    pub skipped_below: Offset,
}

impl Partition {
    pub fn opened(span: SpanNumber, first_offset: Offset, epoch_base: i32) -> Self {
        Self {
            span,
            next_offset: first_offset,
            log_start: first_offset,
            epoch_base,
            kept_bytes: 0,
            sealed: false,
            epochs: Vec::new(),
            producers: Map::default(),
            transactions: Transactions::default(),
            skipped_below: Offset(0),
        }
    }

    /// Whether an opening is one: of a span above the last one known, where that one ended or behind.
    /// Any other is void, whoever wrote it.
    pub fn opens(known: Option<(SpanNumber, Offset)>, span: SpanNumber, first_offset: Offset) -> bool {
        known.is_none_or(|(known, next_offset)| known < span && next_offset <= first_offset)
    }

    /// Another span of it begins here.
    fn open_again(&mut self, opened: Self) {
        let Self { span, next_offset, epoch_base, producers, .. } = opened;
        if next_offset > self.next_offset {
            // What came between is in another journal.
            self.skipped_below = next_offset;
        }
        for (id, mut producer) in producers {
            if let Some(known) = self.producers.get(&id) {
                producer.keep_transaction_of(known);
            }
            self.producers.insert(id, producer);
        }
        (self.span, self.next_offset, self.epoch_base, self.sealed) = (span, next_offset, epoch_base, false);
    }

    fn append(&mut self, batch: &BatchDescriptor, index: Index, wall_ms: i64) {
        assert_eq!(batch.base_offset(), self.next_offset, "{index:?}: offsets are dense");
        self.next_offset = batch.next_offset();
        self.kept_bytes += u64::from(batch.bytes.get());
        let epoch = batch.leader_epoch();
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.push((epoch, batch.base_offset()));
        }
        let producer = batch.producer_id();
        if producer != ProducerId::NONE {
            let known = self.producers.entry(producer);
            let known = known.or_insert_with(|| Producer::new(batch.producer_epoch.get()));
            match batch.marker() {
                Some(marker) => {
                    let first = known.end(batch, &marker, wall_ms);
                    self.transactions.end(first, batch.base_offset());
                }
                None if known.append(batch, index, wall_ms) => {
                    self.transactions.begin(batch.base_offset(), producer);
                }
                None => {}
            }
        }
    }

    /// Where the first record is that no marker decided: readers of what is committed stop there. Never below the log
    /// start: what was deleted of a transaction is decided.
    pub fn first_unstable(&self) -> Option<Offset> {
        Some(self.transactions.first_unstable()?.max(self.log_start))
    }

    fn move_log_start(&mut self, log_start: Offset, kept_bytes: u64) {
        if log_start > self.next_offset {
            // As for a batch above its place: what came between was lost to damage.
            self.next_offset = log_start;
            self.skipped_below = log_start;
        }
        if log_start <= self.log_start {
            return;
        }
        self.log_start = log_start;
        self.kept_bytes = kept_bytes;
        // Of the epochs below the log start only the newest still says anything.
        let newest_below = self.epochs.iter().rposition(|(_, start)| *start <= log_start);
        self.epochs.drain(..newest_below.unwrap_or(0));
    }

    /// The newest epoch at or below `epoch` and where it ends (KIP-320); `None` when all known
    /// epochs are newer.
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let at = self.epochs.iter().rposition(|(known, _)| *known <= epoch)?;
        let end = self.epochs.get(at + 1).map_or(self.next_offset, |(_, start)| *start);
        Some((self.epochs[at].0, end))
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.iter().rfind(|(_, start)| *start <= offset).map(|(epoch, _)| *epoch)
    }
}

/// An entry that cannot be folded: a newer version wrote it.
pub type FoldError = ItemError;

/// The items of an entry, given its head: none where it is of another kind.
pub fn items_of(header: &EntryHeader, head: &[u8]) -> Result<Vec<Item>, ItemError> {
    match header.kind() {
        Some(EntryKind::Control) => Item::decode_all(&head[layout::HEADER_BYTES..]),
        _ => Ok(Vec::new()),
    }
}

impl Fold {
    pub fn partition(&self, id: PartitionId) -> Option<&Partition> {
        self.partitions.get(&id)
    }

    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &Partition)> {
        self.partitions.iter().map(|(id, partition)| (*id, partition))
    }

    /// Ascending.
    pub fn ids(&self) -> impl Iterator<Item = PartitionId> {
        self.order.iter().copied()
    }

    /// Bytes of batches at or above the log starts, as leaders reckoned.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Transactions that are open, of all partitions.
    pub fn open_transactions(&self) -> usize {
        self.open_count
    }

    /// The runs that partitions are read from.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Where each term begins.
    pub fn terms(&self) -> &[(Index, Term)] {
        &self.terms
    }

    /// Whether this entry's loss was accepted.
    pub fn is_accepted_loss(&self, index: Index) -> bool {
        self.accepted.iter().any(|(first, last)| (*first..=*last).contains(&index))
    }

    /// Folds the next entry, given its head. Items that were decoded come back; where they cannot be,
    /// nothing has changed.
    pub fn apply(&mut self, header: &EntryHeader, head: &[u8]) -> Result<Vec<Item>, FoldError> {
        let index = header.index();
        assert_eq!(index, self.applied.next(), "entries are folded in order");
        let items = items_of(header, head)?;
        self.applied = index;
        self.note_term(index, header.term());
        self.wall_ms = self.wall_ms.max(header.wall_ms.get());
        match header.kind() {
            Some(EntryKind::Batches) => {
                let batches = layout::descriptors_of(head, header.count.get()).expect("the head was checked");
                for batch in batches {
                    // By the clock that expiry goes by: were it this entry's own, a producer that
                    // writes after a clock was set back would be forgotten at once.
                    self.append(batch, index, self.wall_ms);
                }
            }
            _ => items.iter().for_each(|item| self.apply_item(item, index)),
        }
        Ok(items)
    }

    /// Passes over an entry whose content is lost. Partitions may afterwards continue at an
    /// offset above their next one.
    pub fn skip_lost(&mut self, index: Index, term: Option<Term>) {
        assert_eq!(index, self.applied.next());
        self.applied = index;
        if let Some(term) = term {
            self.note_term(index, term);
        }
    }

    fn note_term(&mut self, index: Index, term: Term) {
        match self.terms.last() {
            Some((_, last)) if *last == term => {}
            Some((_, last)) => {
                assert!(*last < term, "{index:?}: terms never fall");
                self.terms.push((index, term));
            }
            None => self.terms.push((index, term)),
        }
    }

    fn append(&mut self, batch: &BatchDescriptor, index: Index, wall_ms: i64) {
        // A batch of a dropped partition or a sealed span can stand behind the drop or the seal only if
        // a leader appended it before it knew; it is dead, and is not folded.
        let partition = self.partitions.get_mut(&batch.partition());
        let Some(partition) = partition.filter(|partition| !partition.sealed) else { return };
        if batch.base_offset() > partition.next_offset {
            // Only entries lost to damage explain a gap; what they held is unknown.
            partition.next_offset = batch.base_offset();
            partition.skipped_below = batch.base_offset();
        }
        let before = partition.transactions.open_count();
        partition.append(batch, index, wall_ms);
        self.open_count = self.open_count + partition.transactions.open_count() - before;
        self.note_kept(0, u64::from(batch.bytes.get()));
    }

    fn apply_item(&mut self, item: &Item, index: Index) {
        match item {
            Item::PartitionOpened { partition, span, first_offset, epoch_base, producers } => {
                let mut opened = Partition::opened(*span, *first_offset, *epoch_base);
                for producer in producers {
                    opened.producers.insert(producer.producer, Producer::from_snapshot(producer, index));
                }
                let known = self.partitions.get_mut(partition);
                let at = known.as_ref().map(|known| (known.span, known.next_offset));
                match known {
                    _ if !Partition::opens(at, *span, *first_offset) => {}
                    Some(known) => known.open_again(opened),
                    None => self.insert(*partition, opened),
                }
            }
            Item::LogStartMoved { partition, log_start, kept_bytes } => {
                if let Some(partition) = self.partitions.get_mut(partition) {
                    let before = partition.kept_bytes;
                    partition.move_log_start(*log_start, *kept_bytes);
                    let after = partition.kept_bytes;
                    self.note_kept(before, after);
                }
            }
            Item::SpanSealed { partition, end_offset } => {
                if let Some(partition) = self.partitions.get_mut(partition) {
                    if *end_offset > partition.next_offset {
                        // As for a batch above its place.
                        (partition.next_offset, partition.skipped_below) = (*end_offset, *end_offset);
                    }
                    partition.sealed = true;
                }
            }
            Item::PartitionDropped { partition } => {
                let dropped = self.partitions.remove(partition);
                assert_eq!(
                    self.order.remove(partition),
                    dropped.is_some(),
                    "{partition:?} stands in both or none"
                );
                if let Some(dropped) = dropped {
                    self.open_count -= dropped.transactions.open_count();
                    self.note_kept(dropped.kept_bytes, 0);
                }
            }
            Item::SegmentDigest { .. } => {}
            Item::RunMade(made) => self.runs.note_made(made, index),
            Item::RunSettled { run } => self.settle(*run),
            Item::RunVoided { run } => self.runs.void(*run),
            Item::LossAccepted { first, last, skip } => {
                self.accepted.push((*first, *last));
                for partition in self.partitions.values_mut() {
                    partition.next_offset.0 += *skip as i64;
                    partition.skipped_below = partition.next_offset;
                }
            }
        }
    }

    /// What its inputs had and the run has not is kept no more.
    fn settle(&mut self, run: RunId) {
        let Some(made) = self.runs.settle(run) else { return };
        for part in &made.parts {
            if let Some(partition) = self.partitions.get_mut(&part.partition) {
                let freed = part.input_bytes.saturating_sub(part.kept_bytes).min(partition.kept_bytes);
                partition.kept_bytes -= freed;
                self.kept_bytes = self.kept_bytes.wrapping_sub(freed);
            }
        }
    }

    /// It wraps where a file or a leader says too much: it is a figure, and nothing depends on it.
    fn note_kept(&mut self, before: u64, after: u64) {
        self.kept_bytes = self.kept_bytes.wrapping_sub(before).wrapping_add(after);
    }

    pub(super) fn insert(&mut self, id: PartitionId, partition: Partition) {
        self.open_count += partition.transactions.open_count();
        self.note_kept(0, partition.kept_bytes);
        let (before, is_new) = (self.partitions.insert(id, partition), self.order.insert(id));
        assert!(before.is_none() && is_new, "{id:?} is there already");
    }

    /// Forgets producers that are silent for too long, and the longest silent of too many, but none whose transaction is
    /// open: the stable offset would move over records that nobody decided. Called
    /// where every replica calls it: at a segment's last entry, before its checkpoint. [`super::fold_bytes::Taking`]
    /// does the same in steps.
    pub fn expire_producers(&mut self) {
        self.forget_as_planted();
        let ids: Vec<PartitionId> = self.order.iter().copied().collect();
        let known = ids.into_iter().map(|id| self.expire_producers_of(id)).sum();
        self.bound_producers(known);
    }

    pub(super) fn forget_as_planted(&mut self) {
        if is_planted(Bug::OpenProducerForgotten) {
            self.forget_open_producers();
        }
    }

    /// Forgets those of one partition that are silent for too long; gives how many are left.
    pub(super) fn expire_producers_of(&mut self, id: PartitionId) -> usize {
        let oldest = self.wall_ms.saturating_sub(EXPIRATION_MS);
        let partition = self.partitions.get_mut(&id).expect("it stands in the order");
        partition
            .producers
            .retain(|_, producer| producer.last_wall_ms >= oldest || producer.open_since.is_some());
        partition.producers.len()
    }

    /// Of so many, those of all partitions, the longest silent go that are too many.
    pub(super) fn bound_producers(&mut self, known: usize) {
        if known > PRODUCERS_MAX {
            self.forget_longest_silent(known - PRODUCERS_MAX);
        }
    }

    /// What no broker does: see [`crate::planted`].
    pub(crate) fn forget_all_producers(&mut self) {
        self.partitions.values_mut().for_each(|partition| {
            partition.producers.retain(|_, producer| producer.open_since.is_some());
        });
    }

    /// What no broker does, either.
    fn forget_open_producers(&mut self) {
        for partition in self.partitions.values_mut() {
            for (first, producer) in partition.transactions.open().collect::<Vec<_>>() {
                partition.transactions.end(Some(first), first);
                partition.producers.remove(&producer);
                self.open_count -= 1;
            }
        }
    }

    fn forget_longest_silent(&mut self, surplus: usize) {
        let all = self.partitions.iter().flat_map(|(id, partition)| {
            let idle = partition.producers.iter().filter(|(_, state)| state.open_since.is_none());
            idle.map(move |(producer, state)| (state.last_wall_ms, *id, *producer))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        // The others are bounded by themselves: `OPEN_MAX`.
        for (_, partition, producer) in all.iter().take(surplus) {
            let partition = self.partitions.get_mut(partition).expect("listed above");
            partition.producers.remove(producer);
        }
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
