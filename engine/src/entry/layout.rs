//! The layout of an entry, byte for byte: what `FORMAT.md` describes in words.
//!
//! ```text
//! 0            128                 head_bytes      body_position
//! | header     | descriptors/items | zeros         | batches, as Kafka has them | zeros to 4 KiB |
//! |<- header checksum covers this->|
//! ```

use crate::ids::{ClusterId, Index, JournalId, LeaderEpoch, Offset, PartitionId, ProducerId, Term};
use zerocopy::little_endian::{I16, I32, I64, U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const ENTRY_MAGIC: [u8; 8] = *b"DURAMENE";
/// The newest version written and understood: of entries with batches of transactions, their markers among them.
pub const ENTRY_VERSION: u16 = 2;
/// That of all others.
pub const ENTRY_VERSION_FIRST: u16 = 1;
pub const HEADER_BYTES: usize = 128;
pub const DESCRIPTOR_BYTES: usize = 72;
/// An entry is at most this long unless a single batch alone is larger. Every entry has a price of
/// its own on each node, whatever its length; 4 MiB gain nothing over this.
pub const ENTRY_BYTES_MAX: usize = 2 << 20;
/// A batch is at most this long (`max.message.bytes`).
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// The longest entry there can be: one largest batch behind a head of one block.
pub const LARGE_ENTRY_BYTES_MAX: usize = BATCH_BYTES_MAX + crate::disk::BLOCK;
/// A batch's first bytes (base offset, length, leader epoch, magic, CRC) follow from its
/// descriptor; its CRC proves the rest.
pub const BATCH_PREFIX_BYTES: usize = 21;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Record batches of any of the journal's partitions.
    Batches = 1,
    /// Control items (see `item`), decided by the leader.
    Control = 2,
    /// The empty entry with which a leader begins its term.
    TermStart = 3,
    /// A change of the journal's voters and learners.
    Membership = 4,
    /// Commands of the meta journal's state machine.
    Meta = 5,
    /// Reserved: names segments rewritten in the background.
    Rewrite = 6,
}

impl EntryKind {
    pub fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Batches,
            2 => Self::Control,
            3 => Self::TermStart,
            4 => Self::Membership,
            5 => Self::Meta,
            6 => Self::Rewrite,
            _ => return None,
        })
    }
}

/// The first 128 bytes of an entry. All numbers little-endian.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct EntryHeader {
    pub magic: [u8; 8],
    pub version: U16,
    /// An [`EntryKind`].
    pub kind: u8,
    /// Zero in version 1.
    pub flags: u8,
    /// Descriptors (kind 1) or items (other kinds).
    pub count: U32,
    pub cluster: U128,
    pub journal: U64,
    pub term: U64,
    pub index: U64,
    /// Index of the first entry of the segment that holds this one.
    pub segment_base: U64,
    /// Where this entry begins in its segment, bytes.
    pub position: U64,
    /// The commit index that the leader knew when it sealed the entry.
    pub commit: U64,
    /// The leader's wall clock, milliseconds since 1970.
    pub wall_ms: I64,
    /// The whole entry with its padding, a multiple of 4096.
    pub entry_bytes: U32,
    /// Header and descriptors or items: what the checksum covers.
    pub head_bytes: U32,
    /// Where the first batch begins in the entry; equal to `head_bytes` or above it.
    pub body_position: U32,
    /// The batches together.
    pub body_bytes: U32,
    /// The checksum of the entry before this one in the journal; 0 for index 1.
    pub previous_checksum: U32,
    /// CRC-32C over the journal's secret (8 bytes, little-endian), then header (this field as
    /// zero) and descriptors or items.
    pub checksum: U32,
    /// Zero.
    pub reserved: [u8; 16],
}

const _: () = assert!(size_of::<EntryHeader>() == HEADER_BYTES);

/// Where a batch is in its entry and what recovery, folding and fetching need of it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct BatchDescriptor {
    pub partition: U64,
    pub base_offset: I64,
    pub leader_epoch: I32,
    /// Offsets the batch takes: its last offset delta + 1.
    pub record_count: U32,
    pub base_timestamp: I64,
    pub max_timestamp: I64,
    pub producer_id: I64,
    pub producer_epoch: I16,
    /// Kafka's attributes of the batch.
    pub attributes: I16,
    pub base_sequence: I32,
    /// Where the batch begins in the entry.
    pub position: U32,
    /// The batch with all of its header.
    pub bytes: U32,
    /// The batch's own CRC-32C, over its bytes from the attributes on.
    pub crc: U32,
    /// Zero, but in a marker's descriptor: see [`super::marker`].
    pub reserved: U32,
}

const _: () = assert!(size_of::<BatchDescriptor>() == DESCRIPTOR_BYTES);

impl BatchDescriptor {
    pub fn partition(&self) -> PartitionId {
        PartitionId(self.partition.get())
    }
    pub fn base_offset(&self) -> Offset {
        Offset(self.base_offset.get())
    }
    /// The offset after the batch's last.
    pub fn next_offset(&self) -> Offset {
        self.base_offset().plus(self.record_count.get())
    }
    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.leader_epoch.get())
    }
    pub fn producer_id(&self) -> ProducerId {
        ProducerId(self.producer_id.get())
    }
}

impl EntryHeader {
    pub fn kind(&self) -> Option<EntryKind> {
        EntryKind::of(self.kind)
    }
    pub fn cluster(&self) -> ClusterId {
        ClusterId(self.cluster.get())
    }
    pub fn journal(&self) -> JournalId {
        JournalId(self.journal.get())
    }
    pub fn term(&self) -> Term {
        Term(self.term.get())
    }
    pub fn index(&self) -> Index {
        Index(self.index.get())
    }
    pub fn entry_bytes(&self) -> usize {
        self.entry_bytes.get() as usize
    }
    pub fn head_bytes(&self) -> usize {
        self.head_bytes.get() as usize
    }
}

/// The checksum of a head: `head` is the header and what the checksum covers behind it.
pub fn head_checksum(secret: u64, head: &[u8]) -> u32 {
    assert!(head.len() >= HEADER_BYTES);
    const AT: usize = core::mem::offset_of!(EntryHeader, checksum);
    let crc = crc32c::crc32c(&secret.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &head[..AT]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &head[AT + 4..])
}

/// The descriptors behind a header, given the head of a batches entry.
pub fn descriptors_of(head: &[u8], count: u32) -> Option<&[BatchDescriptor]> {
    let bytes = head.get(HEADER_BYTES..HEADER_BYTES + count as usize * DESCRIPTOR_BYTES)?;
    <[BatchDescriptor]>::ref_from_bytes(bytes).ok()
}
