//! The control batch that ends a transaction in one partition, byte for byte as Kafka writes it: one record, whose key
//! says how it ends and whose value says which coordinator decided it.
//!
//! ```text
//! key:   version i16 = 0, type i16 (0 abort, 1 commit)
//! value: version i16 = 0, coordinator epoch i32
//! ```

use super::header::{BATCH_HEADER_BYTES, BatchHeader, attribute};
use super::{BatchBuilder, NewRecord};

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    Abort,
    Commit,
}

impl Ending {
    fn number(self) -> i16 {
        match self {
            Ending::Abort => 0,
            Ending::Commit => 1,
        }
    }
}

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    pub producer: i64,
    pub epoch: i16,
    pub ending: Ending,
    pub coordinator_epoch: i32,
}

/// The batch with its header; every marker has as many bytes.
pub const MARKER_BYTES: usize = BATCH_HEADER_BYTES + 17;

impl EndMarker {
    /// The batch as a broker writes it at this time.
    pub fn encode(&self, wall_ms: i64) -> Vec<u8> {
        let key = [[0; 2], self.ending.number().to_be_bytes()].concat();
        let mut value = vec![0; 2];
        value.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut batch = BatchBuilder::new(wall_ms);
        batch
            .producer(self.producer, self.epoch, -1)
            .attributes(attribute::CONTROL | attribute::TRANSACTIONAL);
        let record = NewRecord { key: Some(&key), value: Some(&value), ..NewRecord::default() };
        let bytes = batch.push(record).build();
        assert_eq!(bytes.len(), MARKER_BYTES, "a marker's length does not depend on what it says");
        bytes
    }

    /// What a stored batch says; `None` where it ends no transaction.
    pub fn decode(batch: &[u8]) -> Option<Self> {
        let header = BatchHeader::of(batch)?;
        if !header.is_control() || batch.len() != MARKER_BYTES {
            return None;
        }
        // Length, attributes, two deltas, length of the key; between key and value the latter's length.
        let record = &batch[BATCH_HEADER_BYTES..];
        let (key, value) = (&record[5..9], &record[10..16]);
        let ending = match key {
            [0, 0, 0, 0] => Ending::Abort,
            [0, 0, 0, 1] => Ending::Commit,
            _ => return None,
        };
        let coordinator_epoch = i32::from_be_bytes(value[2..].try_into().expect("four bytes"));
        let (producer, epoch) = (header.producer_id.get(), header.producer_epoch.get());
        Some(Self { producer, epoch, ending, coordinator_epoch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{RecordBounds, check_records};

    const MARKER: EndMarker =
        EndMarker { producer: 7, epoch: 3, ending: Ending::Commit, coordinator_epoch: 258 };

    #[test]
    fn a_marker_is_these_bytes() {
        let bytes = MARKER.encode(1_000);
        let header = BatchHeader::of(&bytes).expect("a whole header");
        assert_eq!(header.attributes.get(), 0x30);
        assert_eq!((header.producer_id.get(), header.producer_epoch.get()), (7, 3));
        assert_eq!((header.base_sequence.get(), header.record_count.get()), (-1, 1));
        let record = [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 1, 2, 0];
        assert_eq!(bytes[BATCH_HEADER_BYTES..], record);
        assert!(check_records(&bytes, RecordBounds::ANY).is_ok());
    }

    #[test]
    fn what_was_said_comes_back_and_nothing_else_is_a_marker() {
        for ending in [Ending::Abort, Ending::Commit] {
            let marker = EndMarker { ending, ..MARKER };
            assert_eq!(EndMarker::decode(&marker.encode(5)), Some(marker));
        }
        let mut other = MARKER.encode(5);
        other[BATCH_HEADER_BYTES + 8] = 2;
        assert_eq!(EndMarker::decode(&other), None, "another kind of control record");
        let data = BatchBuilder::new(1).push(NewRecord::value(b"value")).build();
        assert_eq!(EndMarker::decode(&data), None);
        assert_eq!(EndMarker::decode(&other[..60]), None);
    }
}
