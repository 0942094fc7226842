//! A journal's record and heads of entries, for the tests of its rooms.

use crate::control::life::Life;
use crate::entry::item::Item;
use crate::entry::{BatchDescriptor, EntryHeader, EntryKind};
use crate::ids::{ClusterId, Index, JournalId, LaneId, PartitionId, RaftId, SpanNumber, Term};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::ledger::heads::Head;
use crate::raft::Change;
use zerocopy::{FromZeros, IntoBytes};

/// The partition that samples speak of.
pub const PARTITION: PartitionId = PartitionId(9);

/// The record of a journal that began with these voters, at replica 1.
pub fn record(voters: &[u64]) -> JournalMeta {
    JournalMeta {
        journal: JournalId(2),
        cluster: ClusterId(1),
        secret: 3,
        segment_bytes: 1 << 20,
        batches_per_segment_max: 100,
        life: Life::Finite,
        lane: LaneId(0),
        voters: voters.iter().copied().map(RaftId).collect(),
        raft_id: RaftId(1),
    }
}

/// The head of an entry, as recovery keeps it.
pub fn head(index: u64, term: u64, kind: EntryKind, count: u32, rest: &[u8]) -> Head {
    let mut header = EntryHeader::new_zeroed();
    header.index.set(index);
    header.term.set(term);
    header.kind = kind as u8;
    header.count.set(count);
    Head::Bytes([header.as_bytes(), rest].concat().into())
}

/// An entry that opens [`PARTITION`] at offset 0.
pub fn opening(index: Index, term: Term) -> Head {
    let (span, first_offset) = (SpanNumber(0), crate::ids::Offset(0));
    let item = Item::PartitionOpened {
        partition: PARTITION,
        span,
        first_offset,
        epoch_base: 0,
        producers: Vec::new(),
    };
    let mut bytes = Vec::new();
    item.encode(&mut bytes);
    head(index.0, term.0, EntryKind::Control, 1, &bytes)
}

/// An entry with one batch of [`PARTITION`].
pub fn batches(index: Index, term: Term, base_offset: i64, records: u32) -> Head {
    let mut batch = BatchDescriptor::new_zeroed();
    batch.partition.set(PARTITION.0);
    batch.base_offset.set(base_offset);
    batch.record_count.set(records);
    batch.leader_epoch.set(term.0 as i32);
    batch.producer_id.set(-1);
    batch.bytes.set(100);
    head(index.0, term.0, EntryKind::Batches, 1, batch.as_bytes())
}

/// An entry that changes the members.
pub fn change(index: Index, term: Term, change: Change) -> Head {
    head(index.0, term.0, EntryKind::Membership, 1, &change.encode())
}
