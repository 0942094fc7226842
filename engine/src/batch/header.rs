//! The header of a record batch v2, in place: 61 bytes, big-endian. Knows no policy; `validate`
//! decides what may be stored.

use crate::entry::layout::{BATCH_PREFIX_BYTES, BatchDescriptor};
use crate::ids::{LeaderEpoch, Offset, PartitionId};
use zerocopy::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The header with its CRC, up to the first record.
pub const BATCH_HEADER_BYTES: usize = 61;
/// A batch's CRC-32C covers everything from here (the attributes) to its end.
pub const CRC_REGION_START: usize = 21;
/// Base offset and length: what the length field does not count.
pub const LENGTH_FREE_BYTES: usize = 12;
/// The only format that is stored.
pub const MAGIC: i8 = 2;

/// Bits of the attributes.
pub mod attribute {
    pub const CODEC_MASK: i16 = 0x07;
    pub const LOG_APPEND_TIME: i16 = 0x08;
    pub const TRANSACTIONAL: i16 = 0x10;
    pub const CONTROL: i16 = 0x20;
    /// The base timestamp is no record's but the batch's delete horizon (KIP-534).
    pub const DELETE_HORIZON: i16 = 0x40;
}

/// The header as it lies in the bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct BatchHeader {
    pub base_offset: I64,
    /// Bytes behind this field.
    pub length: I32,
    pub leader_epoch: I32,
    pub magic: i8,
    pub crc: U32,
    pub attributes: I16,
    pub last_offset_delta: I32,
    pub base_timestamp: I64,
    pub max_timestamp: I64,
    pub producer_id: I64,
    pub producer_epoch: I16,
    pub base_sequence: I32,
    pub record_count: I32,
}

const _: () = assert!(size_of::<BatchHeader>() == BATCH_HEADER_BYTES);
const _: () = assert!(core::mem::offset_of!(BatchHeader, attributes) == CRC_REGION_START);
const _: () = assert!(BATCH_PREFIX_BYTES == CRC_REGION_START);

impl BatchHeader {
    /// The header at the start of `bytes`; `None` when they are too few.
    pub fn of(bytes: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(bytes).ok().map(|(header, _)| header)
    }

    /// The whole batch in bytes, as its length field has it; negative and short ones included.
    pub fn declared_bytes(&self) -> i64 {
        i64::from(self.length.get()) + LENGTH_FREE_BYTES as i64
    }

    pub fn is_log_append_time(&self) -> bool {
        self.attributes.get() & attribute::LOG_APPEND_TIME != 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes.get() & attribute::TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes.get() & attribute::CONTROL != 0
    }

    /// From when on compaction may drop the batch's tombstones, or the marker that it is; set when it was first cleaned.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        let is_set = self.attributes.get() & attribute::DELETE_HORIZON != 0;
        is_set.then(|| self.base_timestamp.get())
    }

    /// Sets it. Deltas of time count from it afterwards, and the CRC must be taken again.
    pub fn set_delete_horizon(&mut self, horizon_ms: i64) {
        self.attributes.set(self.attributes.get() | attribute::DELETE_HORIZON);
        self.base_timestamp.set(horizon_ms);
    }

    /// The number of the compression codec, which may be one that nobody knows.
    pub fn codec_number(&self) -> u8 {
        (self.attributes.get() & attribute::CODEC_MASK) as u8
    }

    /// Offsets that the batch takes. The header was checked before.
    pub fn offsets(&self) -> u32 {
        u32::try_from(self.last_offset_delta.get()).expect("checked: not negative") + 1
    }

    /// What an entry says of this batch. The header was checked, stamped where the topic wants
    /// it, and has its final CRC; `position` is the batch's place in the entry.
    pub fn descriptor(
        &self,
        partition: PartitionId,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        position: u32,
    ) -> BatchDescriptor {
        BatchDescriptor {
            partition: partition.0.into(),
            base_offset: base_offset.0.into(),
            leader_epoch: leader_epoch.0.into(),
            record_count: self.offsets().into(),
            base_timestamp: self.base_timestamp.get().into(),
            max_timestamp: self.max_timestamp.get().into(),
            producer_id: self.producer_id.get().into(),
            producer_epoch: self.producer_epoch.get().into(),
            attributes: self.attributes.get().into(),
            base_sequence: self.base_sequence.get().into(),
            position: position.into(),
            bytes: u32::try_from(self.declared_bytes()).expect("checked: not negative").into(),
            crc: self.crc.get().into(),
            reserved: 0.into(),
        }
    }

    /// Makes the header say that the broker took the time (KIP-32): attribute bit 3 and the
    /// largest timestamp. The CRC must be taken again afterwards, from [`CRC_REGION_START`] on.
    pub fn stamp_log_append_time(&mut self, wall_ms: i64) {
        self.attributes.set(self.attributes.get() | attribute::LOG_APPEND_TIME);
        self.max_timestamp.set(wall_ms);
    }
}

/// The part of a batch that the leader writes and the CRC does not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    /// The batch with all of its header.
    pub batch_bytes: u32,
    pub crc: u32,
}

impl Prefix {
    /// The prefix that a descriptor stands for.
    pub fn of(descriptor: &BatchDescriptor) -> Self {
        Self {
            base_offset: descriptor.base_offset(),
            leader_epoch: descriptor.leader_epoch(),
            batch_bytes: descriptor.bytes.get(),
            crc: descriptor.crc.get(),
        }
    }

    /// The bytes, as they stand at the front of the stored batch.
    pub fn bytes(&self) -> [u8; BATCH_PREFIX_BYTES] {
        let mut bytes = [0; BATCH_PREFIX_BYTES];
        write_prefix(&mut bytes, *self);
        bytes
    }
}

/// Writes the first 21 bytes of a batch.
pub fn write_prefix(to: &mut [u8; BATCH_PREFIX_BYTES], prefix: Prefix) {
    let length =
        prefix.batch_bytes.checked_sub(LENGTH_FREE_BYTES as u32).expect("longer than a length field");
    to[..8].copy_from_slice(&prefix.base_offset.0.to_be_bytes());
    to[8..12].copy_from_slice(&length.to_be_bytes());
    to[12..16].copy_from_slice(&prefix.leader_epoch.0.to_be_bytes());
    to[16] = MAGIC as u8;
    to[17..].copy_from_slice(&prefix.crc.to_be_bytes());
}

/// The CRC that a whole batch in one piece must carry.
pub fn batch_crc(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[CRC_REGION_START..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};

    #[test]
    fn the_prefix_follows_from_the_descriptor() {
        let mut builder = BatchBuilder::new(1_000);
        builder.push(NewRecord::value(b"one"));
        builder.push(NewRecord::value(b"two"));
        let mut batch = builder.build();
        let header = *BatchHeader::of(&batch).unwrap();
        let descriptor = header.descriptor(PartitionId(5), Offset(40), LeaderEpoch(3), 4096);
        assert_eq!(descriptor.next_offset(), Offset(42));
        batch[..BATCH_PREFIX_BYTES].copy_from_slice(&Prefix::of(&descriptor).bytes());
        let stored = BatchHeader::of(&batch).unwrap();
        assert_eq!(stored.base_offset.get(), 40);
        assert_eq!(stored.leader_epoch.get(), 3);
        assert_eq!(stored.declared_bytes(), batch.len() as i64);
        assert_eq!(stored.crc.get(), batch_crc(&batch));
    }

    #[test]
    fn a_stamp_changes_time_and_crc() {
        let mut batch = {
            let mut builder = BatchBuilder::new(1_000);
            builder.push(NewRecord::value(b"one"));
            builder.build()
        };
        let before = batch_crc(&batch);
        let (header, _) = BatchHeader::mut_from_prefix(&mut batch).unwrap();
        header.stamp_log_append_time(9_000);
        assert!(header.is_log_append_time());
        assert_eq!(header.max_timestamp.get(), 9_000);
        assert_eq!(header.base_timestamp.get(), 1_000);
        assert_ne!(batch_crc(&batch), before);
    }
}
