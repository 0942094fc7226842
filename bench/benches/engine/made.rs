//! Batches, entries and segments as the benches want them.

use engine::batch::{BatchBuilder, BatchHeader, NewRecord};
use engine::disk::BufferPool;
use engine::entry::builder::{Hint, OpenEntry, Placed, Stamp};
use engine::entry::layout::BatchDescriptor;
use engine::entry::{EntryBytes, reader::Link};
use engine::ids::{ClusterId, Index, JournalId, JournalIdentity, Term};

pub const RECORD_BYTES: usize = 1 << 10;
pub const BASE: Index = Index(1);
pub const IDENTITY: JournalIdentity =
    JournalIdentity { cluster: ClusterId(1), journal: JournalId(1), secret: 0x5eed };

/// A batch of records of 1 KiB, together about `bytes`.
pub fn batch(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1_750_000_000_000);
    builder.producer(7, 0, 0);
    let value = vec![b'x'; RECORD_BYTES];
    for _ in 0..(bytes / RECORD_BYTES).max(1) {
        builder.push(NewRecord::value(&value));
    }
    builder.build()
}

/// Where the leader puts `batch`.
pub fn placed(batch: &[u8], partition: u64, base_offset: i64) -> Placed {
    let header = BatchHeader::of(batch).expect("a batch");
    let descriptor = BatchDescriptor {
        partition: partition.into(),
        base_offset: base_offset.into(),
        leader_epoch: 1.into(),
        record_count: (header.record_count.get() as u32).into(),
        base_timestamp: header.base_timestamp.get().into(),
        max_timestamp: header.max_timestamp.get().into(),
        producer_id: header.producer_id.get().into(),
        producer_epoch: header.producer_epoch.get().into(),
        attributes: header.attributes.get().into(),
        base_sequence: header.base_sequence.get().into(),
        position: 0.into(),
        bytes: (batch.len() as u32).into(),
        crc: 0.into(),
        reserved: 0.into(),
    };
    Placed::as_it_is(descriptor)
}

/// The stamp of the entry behind `link`, at `position` of its segment.
pub fn stamp(link: &Link, position: u64) -> Stamp {
    Stamp {
        cluster: IDENTITY.cluster,
        journal: IDENTITY.journal,
        secret: IDENTITY.secret,
        term: Term(1),
        index: link.index.next(),
        segment_base: BASE,
        position,
        commit: link.index,
        wall_ms: 1_750_000_000_000,
        previous_checksum: link.checksum,
    }
}

/// What the entries made here may have; the broker's own are up to twice as long.
const ENTRY_BYTES: usize = 1 << 20;

/// An entry as full as it gets of `batch`, one partition after the other; and what it teaches.
pub fn entry(
    pool: &BufferPool,
    hint: Hint,
    batch: &[u8],
    first_partition: u64,
    stamp: &Stamp,
) -> (EntryBytes, Hint) {
    let mut open = OpenEntry::new(pool, hint, ENTRY_BYTES, batch.len());
    let mut partition = first_partition;
    while open.fits(batch.len()) {
        open.append(pool, batch, placed(batch, partition, 0)).expect("its CRC is right");
        partition += 1;
    }
    open.seal(stamp)
}

/// The hint that a journal has learnt under a steady load of `batch`.
pub fn learnt(pool: &BufferPool, batch: &[u8]) -> Hint {
    let stamp = stamp(&Link::default(), 0);
    (0..12).fold(Hint::default(), |hint, _| entry(pool, hint, batch, 0, &stamp).1)
}

/// The entries of a segment of about `segment_bytes`, each of `batches` batches of `batch` whose
/// partitions take turns.
pub fn segment(
    pool: &BufferPool,
    batch: &[u8],
    batches: usize,
    partitions: u64,
    entries: usize,
) -> Vec<EntryBytes> {
    let (mut link, mut position, mut turn) = (Link::default(), 0, 0u64);
    let mut hint = learnt(pool, batch);
    let records = i64::from(BatchHeader::of(batch).expect("a batch").record_count.get());
    let mut made = Vec::new();
    for _ in 0..entries {
        let mut open = OpenEntry::new(pool, hint, ENTRY_BYTES, batch.len());
        for _ in 0..batches {
            let offset = (turn / partitions) as i64 * records;
            open.append(pool, batch, placed(batch, turn % partitions, offset)).expect("its CRC is right");
            turn += 1;
        }
        let (entry, next) = open.seal(&stamp(&link, position));
        hint = next;
        (link, position) = (Link::of(entry.header()), position + entry.len() as u64);
        made.push(entry);
    }
    made
}
