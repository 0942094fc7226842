//! Every batch that a client ever tried to produce, and how to know it again when it is read.

use engine::batch::{BATCH_HEADER_BYTES, BatchHeader, header::batch_crc};
use engine::ids::PartitionId;
use std::collections::BTreeMap;
use zerocopy::FromBytes;

/// Names one batch of one client, whatever number of times it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uid(pub usize);

/// The producer's side of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence {
    pub producer: i64,
    pub epoch: i16,
    pub first: i32,
}

#[derive(Clone, Debug)]
pub struct Attempt {
    pub partition: PartitionId,
    pub sequence: Option<Sequence>,
    /// The batch as sent.
    pub batch: Vec<u8>,
    pub records: u32,
    /// Without a sequence each of these may stand in the log.
    pub sends: u32,
}

#[derive(Default)]
pub struct Attempts {
    all: Vec<Attempt>,
    /// By a hash of the records, which no stamp of the broker changes.
    by_records: BTreeMap<u64, Uid>,
}

impl Attempts {
    /// The number that the next batch gets, so that its records can carry it.
    pub fn next_uid(&self) -> Uid {
        Uid(self.all.len())
    }

    pub fn add(&mut self, partition: PartitionId, sequence: Option<Sequence>, batch: Vec<u8>) -> Uid {
        let uid = self.next_uid();
        let records = BatchHeader::of(&batch).expect("built here").offsets();
        let before = self.by_records.insert(records_hash(&batch), uid);
        assert!(before.is_none(), "two batches with the same records");
        self.all.push(Attempt { partition, sequence, batch, records, sends: 0 });
        uid
    }

    pub fn sent(&mut self, uid: Uid) -> &[u8] {
        self.all[uid.0].sends += 1;
        &self.all[uid.0].batch
    }

    pub fn get(&self, uid: Uid) -> &Attempt {
        &self.all[uid.0]
    }

    /// Which batch was read. It must be one of ours, byte for byte but for what the broker writes.
    pub fn recognise(&self, stored: &[u8]) -> Uid {
        let header = BatchHeader::of(stored).expect("a stored batch has a header");
        let uid = self.by_records.get(&records_hash(stored)).copied();
        let uid = uid.unwrap_or_else(|| panic!("a batch was read that nobody produced: {header:?}"));
        let mut expected = self.get(uid).batch.clone();
        if header.is_log_append_time() {
            let sent = BatchHeader::mut_from_prefix(&mut expected).expect("built here").0;
            sent.stamp_log_append_time(header.max_timestamp.get());
            let crc = batch_crc(&expected);
            BatchHeader::mut_from_prefix(&mut expected).expect("built here").0.crc.set(crc);
        }
        // Base offset (8), then length; leader epoch (4), then magic, CRC and all the rest.
        assert_eq!(expected[8..12], stored[8..12], "{uid:?} came back with another length");
        assert!(expected[16..] == stored[16..], "{uid:?} came back with other bytes");
        assert_eq!(batch_crc(stored), header.crc.get(), "{uid:?} came back with a wrong checksum");
        uid
    }
}

fn records_hash(batch: &[u8]) -> u64 {
    let body = &batch[BATCH_HEADER_BYTES..];
    u64::from(crc32c::crc32c(body)) << 32 | u64::from(crc32c::crc32c_append(0x5eed, body)) ^ body.len() as u64
}
