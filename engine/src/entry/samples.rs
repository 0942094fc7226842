//! Entries for tests.

use super::builder::{Hint, OpenEntry, Placed, Stamp};
use super::layout::ENTRY_BYTES_MAX;
use super::{BatchDescriptor, EntryBytes};
use crate::batch::{BatchBuilder, NewRecord};
use crate::disk::BufferPool;
use crate::ids::{ClusterId, Index, JournalId, Term};

/// A batch of one record, and where it is placed.
pub fn batch(base_offset: i64, value_bytes: usize) -> (Vec<u8>, Placed) {
    let mut builder = BatchBuilder::new(1);
    builder.push(NewRecord::value(&vec![7; value_bytes]));
    let bytes = builder.build();
    let descriptor = BatchDescriptor {
        partition: 9.into(),
        base_offset: base_offset.into(),
        leader_epoch: 1.into(),
        record_count: 1.into(),
        base_timestamp: 1.into(),
        max_timestamp: 1.into(),
        producer_id: (-1).into(),
        producer_epoch: (-1).into(),
        attributes: 0.into(),
        base_sequence: (-1).into(),
        position: 0.into(),
        bytes: (bytes.len() as u32).into(),
        crc: 0.into(),
        reserved: 0.into(),
    };
    (bytes, Placed::as_it_is(descriptor))
}

/// Entry `index` of the segment that begins at `base`, at `position`, with one batch of one record.
pub fn entry(index: u64, base: u64, position: u64, value_bytes: usize) -> EntryBytes {
    let pool = BufferPool::new(1 << 20);
    let (bytes, placed) = batch(index as i64, value_bytes);
    let mut open = OpenEntry::new(&pool, Hint::default(), ENTRY_BYTES_MAX, bytes.len());
    open.append(&pool, &bytes, placed).expect("its CRC is right");
    let stamp = Stamp {
        cluster: ClusterId(1),
        journal: JournalId(2),
        secret: 3,
        term: Term(1),
        index: Index(index),
        segment_base: Index(base),
        position,
        commit: Index(0),
        wall_ms: 5,
        previous_checksum: 0,
    };
    open.seal(&stamp).0
}
