//! The index of a segment that is being written: where each partition's batches are.
//!
//! One item per (partition, entry); the descriptors at the entry's head find the batch. The
//! running maximum of timestamps makes look-ups by time a binary search although CreateTime is
//! not monotonic. Kept in memory only here; a sealed segment's index is a file
//! ([`crate::journal::format::index_file`]) with the same look-ups ([`super::sealed_index`]).

use super::aborted::MarkerAt;
use crate::collections::Map;
use crate::entry::{BatchDescriptor, EntryHeader};
use crate::ids::{Index, LeaderEpoch, Offset, PartitionId, Term};

/// Where some of a partition's batches are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    pub partition: PartitionId,
    /// The base offset of the partition's first batch in the entry.
    pub first_offset: Offset,
    pub entry: Index,
    /// Where the entry begins in the segment, bytes.
    pub position: u64,
    pub entry_bytes: u32,
    /// The highest timestamp of the partition in this segment up to and with this entry.
    pub max_timestamp: i64,
}

/// Where an entry is, and what the chain says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryAt {
    pub index: Index,
    pub term: Term,
    pub position: u64,
    pub entry_bytes: u32,
    /// The entry's header checksum.
    pub checksum: u32,
}

/// What a segment holds of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSummary {
    pub partition: PartitionId,
    pub first_offset: Offset,
    /// The offset after the last batch.
    pub next_offset: Offset,
    pub batches: u32,
    pub batch_bytes: u64,
    pub max_timestamp: i64,
    /// Leader epochs and the offsets they begin at, the first batch's first; never empty.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
}

/// What a container has of one partition, as far as one row of its index tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFacts {
    pub partition: PartitionId,
    pub first_offset: Offset,
    /// The offset after the last batch.
    pub next_offset: Offset,
    pub max_timestamp: i64,
    pub batch_bytes: u64,
}

impl PartitionSummary {
    pub fn first_epoch(&self) -> LeaderEpoch {
        self.epochs[0].0
    }

    pub fn last_epoch(&self) -> LeaderEpoch {
        self.epochs[self.epochs.len() - 1].0
    }
}

/// How thinly a partition lies in entries, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Its bytes in an entry that has it.
    pub item_bytes: u64,
    /// Its bytes in any entry.
    pub entry_bytes: u64,
}

impl Spread {
    /// Of `bytes` in `items` of `entries`.
    pub fn new(bytes: u64, items: u64, entries: u64) -> Self {
        Self { item_bytes: bytes / items.max(1), entry_bytes: bytes / entries.max(1) }
    }
}

/// What a segment holds, all in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Where the next entry goes, bytes.
    pub data_bytes: u64,
    pub entries: u64,
    pub batches: u64,
    pub batch_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct EntrySlot {
    pub position: u64,
    pub term: Term,
    pub bytes: u32,
    pub checksum: u32,
    pub batches: u32,
    pub batch_bytes: u32,
}

/// One item as it lies in memory; what a cut must undo is in it.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Slot {
    pub first_offset: i64,
    next_offset: i64,
    pub max_timestamp: i64,
    /// The entry's number in the segment, from 0.
    pub entry: u32,
    batches: u32,
    batch_bytes: u32,
}

impl Slot {
    /// Offsets that its batches take; all ones when that does not fit.
    pub fn offsets(&self) -> u32 {
        u32::try_from(self.next_offset - self.first_offset).unwrap_or(u32::MAX)
    }
}

#[derive(Clone, Debug, Default)]
pub(in crate::journal) struct PartitionSlots {
    /// By entry and so by offset; never empty.
    pub items: Vec<Slot>,
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    /// By offset.
    pub markers: Vec<MarkerAt>,
}

/// A segment's index in memory.
#[derive(Clone, Debug)]
pub struct ActiveIndex {
    pub(in crate::journal) base: Index,
    pub(in crate::journal) entries: Vec<EntrySlot>,
    pub(in crate::journal) partitions: Map<PartitionId, PartitionSlots>,
    totals: Totals,
}

impl ActiveIndex {
    /// The empty index of the segment that begins with entry `base`.
    pub fn new(base: Index) -> Self {
        assert!(base > Index::NONE);
        Self { base, entries: Vec::new(), partitions: Map::default(), totals: Totals::default() }
    }

    pub fn base(&self) -> Index {
        self.base
    }

    /// The last entry's index; `base − 1` when there is none.
    pub fn last(&self) -> Index {
        Index(self.base.0 + self.entries.len() as u64 - 1)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What it takes in memory, bytes.
    pub fn memory_bytes(&self) -> usize {
        let items: usize = self.partitions.values().map(|slots| slots.items.capacity()).sum();
        let markers: usize = self.partitions.values().map(|slots| slots.markers.capacity()).sum();
        self.entries.capacity() * size_of::<EntrySlot>()
            + items * size_of::<Slot>()
            + markers * size_of::<MarkerAt>()
            + self.partitions.len() * size_of::<PartitionSlots>()
    }

    /// Takes the next entry; its head was checked. `descriptors` is empty for kinds without
    /// batches.
    pub fn append(&mut self, header: &EntryHeader, descriptors: &[BatchDescriptor]) {
        assert_eq!(header.index(), self.last().next(), "entries come in order");
        assert_eq!(header.position.get(), self.totals.data_bytes, "entries lie one after the other");
        let number = u32::try_from(self.entries.len()).expect("a segment has fewer entries than blocks");
        for descriptor in descriptors {
            self.partitions.entry(descriptor.partition()).or_default().append(number, descriptor);
        }
        let batch_bytes = if descriptors.is_empty() { 0 } else { header.body_bytes.get() };
        let slot = EntrySlot {
            position: header.position.get(),
            term: header.term(),
            bytes: header.entry_bytes.get(),
            checksum: header.checksum.get(),
            batches: descriptors.len() as u32,
            batch_bytes,
        };
        self.entries.push(slot);
        self.totals.data_bytes += u64::from(slot.bytes);
        self.totals.entries += 1;
        self.totals.batches += u64::from(slot.batches);
        self.totals.batch_bytes += u64::from(slot.batch_bytes);
    }

    /// Takes an entry whose head is lost but whose place is known (its neighbours tell): the
    /// entry table stays whole; its batches are not found.
    pub fn append_lost(&mut self, term: Term, entry_bytes: u32) {
        let position = self.totals.data_bytes;
        let (checksum, batches, batch_bytes) = (0, 0, 0);
        self.entries.push(EntrySlot { position, term, bytes: entry_bytes, checksum, batches, batch_bytes });
        self.totals.data_bytes += u64::from(entry_bytes);
        self.totals.entries += 1;
    }

    /// The last entry, whose head is lost, takes all bytes up to `position`.
    pub fn reach(&mut self, position: u64) {
        let missing =
            position.checked_sub(self.totals.data_bytes).expect("the log ends at a lost entry's end");
        if missing > 0 {
            let last = self.entries.last_mut().expect("bytes without an entry");
            assert_eq!(last.checksum, 0, "only a lost entry grows");
            last.bytes += u32::try_from(missing).expect("within a segment");
            self.totals.data_bytes = position;
        }
    }

    /// Forgets the entries from `index` on: raft cut them.
    pub fn truncate_from(&mut self, index: Index) {
        assert!(index >= self.base, "entry {index} is before the segment of {}", self.base);
        let keep = usize::try_from(index.0 - self.base.0).expect("fits memory");
        if keep >= self.entries.len() {
            return;
        }
        for gone in self.entries.drain(keep..) {
            self.totals.data_bytes -= u64::from(gone.bytes);
            self.totals.entries -= 1;
            self.totals.batches -= u64::from(gone.batches);
            self.totals.batch_bytes -= u64::from(gone.batch_bytes);
        }
        self.partitions.retain(|_, slots| {
            slots.truncate(keep as u32);
            !slots.items.is_empty()
        });
    }

    /// Where the entry `index` is.
    pub fn entry(&self, index: Index) -> Option<EntryAt> {
        let number = usize::try_from(index.0.checked_sub(self.base.0)?).ok()?;
        let slot = self.entries.get(number)?;
        Some(EntryAt {
            index,
            term: slot.term,
            position: slot.position,
            entry_bytes: slot.bytes,
            checksum: slot.checksum,
        })
    }

    /// The header checksums of all entries, in order.
    pub fn checksums(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().map(|slot| slot.checksum)
    }

    /// How long entry `index` is, bytes, and how many batches it has.
    pub fn extent(&self, index: Index) -> Option<(u32, u32)> {
        let number = usize::try_from(index.0.checked_sub(self.base.0)?).ok()?;
        self.entries.get(number).map(|slot| (slot.bytes, slot.batches))
    }

    /// The item whose entry holds `offset`, or the first one behind it; `None` when the segment
    /// has nothing at or behind it.
    pub fn find(&self, partition: PartitionId, offset: Offset) -> Option<Item> {
        self.items_from(partition, offset).next()
    }

    /// The partition's items from the one that holds `offset` on.
    pub fn items_from(&self, partition: PartitionId, offset: Offset) -> impl Iterator<Item = Item> + '_ {
        let items = self.partitions.get(&partition).map_or(&[][..], |slots| &slots.items);
        let first = items.partition_point(|slot| slot.next_offset <= offset.0);
        items[first..].iter().map(move |slot| self.item(partition, slot))
    }

    /// The partition's markers from `offset` on.
    pub fn markers_from(&self, partition: PartitionId, offset: Offset) -> &[MarkerAt] {
        let markers = self.partitions.get(&partition).map_or(&[][..], |slots| &slots.markers);
        &markers[markers.partition_point(|marker| marker.offset < offset)..]
    }

    /// How the partition lies in its newest entries here; `None` when it has none.
    pub fn spread(&self, partition: PartitionId) -> Option<Spread> {
        const LOOKED_AT: usize = 16;
        let slots = self.partitions.get(&partition)?;
        let newest = &slots.items[slots.items.len().saturating_sub(LOOKED_AT)..];
        let bytes: u64 = newest.iter().map(|slot| u64::from(slot.batch_bytes)).sum();
        let entries = u64::from(newest[newest.len() - 1].entry - newest[0].entry) + 1;
        Some(Spread::new(bytes, newest.len() as u64, entries))
    }

    /// The first item that has a batch at or after `timestamp` in it.
    pub fn first_at_time(&self, partition: PartitionId, timestamp: i64) -> Option<Item> {
        let items = &self.partitions.get(&partition)?.items;
        let first = items.partition_point(|slot| slot.max_timestamp < timestamp);
        items.get(first).map(|slot| self.item(partition, slot))
    }

    pub fn partition(&self, partition: PartitionId) -> Option<PartitionSummary> {
        let slots = self.partitions.get(&partition)?;
        Some(slots.summary(partition))
    }

    /// All partitions, by their id.
    pub fn partitions(&self) -> Vec<PartitionSummary> {
        let mut all: Vec<_> = self.partitions.iter().map(|(id, slots)| slots.summary(*id)).collect();
        all.sort_unstable_by_key(|summary| summary.partition);
        all
    }

    pub(in crate::journal) fn item(&self, partition: PartitionId, slot: &Slot) -> Item {
        let entry = &self.entries[slot.entry as usize];
        Item {
            partition,
            first_offset: Offset(slot.first_offset),
            entry: Index(self.base.0 + u64::from(slot.entry)),
            position: entry.position,
            entry_bytes: entry.bytes,
            max_timestamp: slot.max_timestamp,
        }
    }
}

impl PartitionSlots {
    fn append(&mut self, entry: u32, descriptor: &BatchDescriptor) {
        let before = self.items.last().map_or(i64::MIN, |slot| slot.max_timestamp);
        let max_timestamp = before.max(descriptor.max_timestamp.get());
        let next_offset = descriptor.next_offset().0;
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch != descriptor.leader_epoch()) {
            self.epochs.push((descriptor.leader_epoch(), descriptor.base_offset()));
        }
        self.markers.extend(MarkerAt::of(descriptor));
        match self.items.last_mut() {
            Some(slot) if slot.entry == entry => {
                slot.next_offset = next_offset;
                slot.max_timestamp = max_timestamp;
                slot.batches += 1;
                slot.batch_bytes += descriptor.bytes.get();
            }
            _ => self.items.push(Slot {
                first_offset: descriptor.base_offset().0,
                next_offset,
                max_timestamp,
                entry,
                batches: 1,
                batch_bytes: descriptor.bytes.get(),
            }),
        }
    }

    fn truncate(&mut self, entries: u32) {
        let keep = self.items.partition_point(|slot| slot.entry < entries);
        if let Some(gone) = self.items.get(keep) {
            let first_gone = Offset(gone.first_offset);
            self.epochs.retain(|(_, start)| *start < first_gone);
            self.markers.retain(|marker| marker.offset < first_gone);
            self.items.truncate(keep);
        }
    }

    pub(in crate::journal) fn summary(&self, partition: PartitionId) -> PartitionSummary {
        let (first, last) = (self.items[0], self.items[self.items.len() - 1]);
        PartitionSummary {
            partition,
            first_offset: Offset(first.first_offset),
            next_offset: Offset(last.next_offset),
            batches: self.items.iter().map(|slot| slot.batches).sum(),
            batch_bytes: self.items.iter().map(|slot| u64::from(slot.batch_bytes)).sum(),
            max_timestamp: last.max_timestamp,
            epochs: self.epochs.clone(),
        }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
