//! Records that prove themselves: each says which run, producer and partition it belongs to, its
//! number there, and carries a checksum over all of its value. The same spec gives the same bytes,
//! so a batch that is sent again needs not be kept.

use super::payload;
use super::spec::{Body, Composed, Shape, Spec};
use super::template::put_record;
use fastrand::Rng;
use net::kafka::client::batch::{BATCH_HEADER_BYTES, CRC_REGION_START, Codec};
use std::sync::Arc;

/// Marks a value of this layout: mark 8, run 8, producer 4, partition 4, number 8, checksum 4.
const MARK: [u8; 8] = *b"duraproo";
/// The shortest value that can prove itself.
pub const PROOF_BYTES_MIN: usize = 36;
const CHECKSUM_AT: usize = 32;

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proof {
    pub run: u64,
    pub producer: u32,
    pub partition: u32,
    pub number: u64,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It is not one of these records: another program's.
    Foreign,
    Corrupt,
}

impl Proof {
    fn write(&self, value: &mut [u8]) {
        value[..8].copy_from_slice(&MARK);
        value[8..16].copy_from_slice(&self.run.to_be_bytes());
        value[16..20].copy_from_slice(&self.producer.to_be_bytes());
        value[20..24].copy_from_slice(&self.partition.to_be_bytes());
        value[24..32].copy_from_slice(&self.number.to_be_bytes());
        let checksum = checksum(value);
        value[CHECKSUM_AT..PROOF_BYTES_MIN].copy_from_slice(&checksum.to_be_bytes());
    }

    pub fn read(value: &[u8]) -> Result<Self, Unproven> {
        if value.len() < PROOF_BYTES_MIN || value[..8] != MARK {
            return Err(Unproven::Foreign);
        }
        let stored = &value[CHECKSUM_AT..PROOF_BYTES_MIN];
        if checksum(value).to_be_bytes() != stored {
            return Err(Unproven::Corrupt);
        }
        let u32_at = |at: usize| u32::from_be_bytes(value[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_be_bytes(value[at..at + 8].try_into().expect("eight bytes"));
        Ok(Self { run: u64_at(8), producer: u32_at(16), partition: u32_at(20), number: u64_at(24) })
    }
}

/// Over everything but its own place.
fn checksum(value: &[u8]) -> u32 {
    let front = crc32c::crc32c(&value[..CHECKSUM_AT]);
    crc32c::crc32c_append(front, &value[PROOF_BYTES_MIN..])
}

/// Makes batches of such records.
#[derive(Debug)]
pub struct Prover {
    shape: Shape,
    run: u64,
    producer: u32,
    value: Vec<u8>,
    records: Vec<u8>,
}

impl Prover {
    pub fn new(shape: &Shape, run: u64, producer: u32) -> Self {
        assert!(shape.record_bytes >= PROOF_BYTES_MIN, "{} bytes prove nothing", shape.record_bytes);
        let value = vec![0; shape.record_bytes];
        Self { shape: shape.clone(), run, producer, value, records: Vec::new() }
    }

    pub fn compose(&mut self, spec: &Spec, head: &mut Vec<u8>) -> Composed {
        self.records.clear();
        for delta in 0..spec.count {
            let number = spec.record + u64::from(delta);
            let proof = Proof { run: self.run, producer: self.producer, partition: spec.partition, number };
            let seed = self.run ^ number << 20 ^ u64::from(spec.partition) << 8 ^ u64::from(self.producer);
            payload::fill(&mut Rng::with_seed(seed), &mut self.value, self.shape.compressible);
            proof.write(&mut self.value);
            put_record(&mut self.records, delta, None, &self.value);
        }
        let packed: Arc<[u8]> = match self.shape.codec {
            Codec::None => Arc::from(&self.records[..]),
            codec => Arc::from(codec.compress(&self.records)),
        };
        let bytes = BATCH_HEADER_BYTES + packed.len();
        head.clear();
        spec.put_header(head, bytes, self.shape.codec);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[CRC_REGION_START..]), &packed);
        head[CRC_REGION_START - 4..CRC_REGION_START].copy_from_slice(&crc.to_be_bytes());
        Composed { bytes, body: Body::whole(packed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::kafka::client::batch::{BatchHeader, Records, batch_crc};

    fn batch(codec: Codec) -> Vec<u8> {
        let shape =
            Shape { codec, record_bytes: 200, key_bytes: 0, batch_bytes: 16 << 10, compressible: 0.0 };
        let spec = Spec { partition: 3, count: 4, record: 100, ..Spec::default() };
        let mut head = Vec::new();
        let composed = Prover::new(&shape, 77, 2).compose(&spec, &mut head);
        [&head[..], &composed.body[..]].concat()
    }

    #[test]
    fn records_say_what_they_are_with_every_codec() {
        for codec in Codec::ALL {
            let batch = batch(codec);
            assert_eq!(BatchHeader::of(&batch).expect("a header").crc.get(), batch_crc(&batch));
            let records = Records::open(&batch, 1 << 20).expect("opens");
            for (at, record) in records.iter().enumerate() {
                let value = record.expect("a record").value.expect("a value").to_vec();
                let proof = Proof { run: 77, producer: 2, partition: 3, number: 100 + at as u64 };
                assert_eq!(Proof::read(&value), Ok(proof));
            }
        }
    }

    #[test]
    fn a_byte_changed_anywhere_is_noticed() {
        let mut value = vec![9; 64];
        Proof { run: 1, producer: 2, partition: 3, number: 4 }.write(&mut value);
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 0x40;
            let expected = if at < 8 { Unproven::Foreign } else { Unproven::Corrupt };
            assert_eq!(Proof::read(&changed), Err(expected), "byte {at}");
        }
    }
}
