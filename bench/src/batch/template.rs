//! Prebuilt records. One run of records, made once per thread, serves every batch: a batch of n
//! is a fresh head (61 bytes of header and the first record up to its stamp) and a slice of the
//! run that is never copied and never summed again.

use super::payload;
use super::shift::Shift;
use super::spec::{Body, Composed, Shape, Spec};
use super::stamp::{STAMP_BYTES, Stamp};
use fastrand::Rng;
use net::kafka::client::batch::{BATCH_HEADER_BYTES, CRC_REGION_START, Codec, varint};
use std::collections::HashMap;
use std::sync::Arc;

/// Compressed bodies are kept by their number of records, up to this; further ones are made each
/// time, which costs processor time, not memory.
const COMPRESSED_BYTES_MAX: usize = 256 << 20;

/// All batches of one thread.
#[derive(Debug)]
pub struct Template {
    codec: Codec,
    records: Arc<[u8]>,
    /// Where the n-th record ends.
    ends: Vec<usize>,
    /// What of the first record is in every head: up to its stamp's end. 0 without a stamp.
    private: usize,
    cuts: HashMap<u32, Cut>,
    compressed_bytes: usize,
}

/// A batch of a certain number of records, without its head.
#[derive(Clone, Debug)]
struct Cut {
    body: Body,
    crc: u32,
    shift: Shift,
}

impl Template {
    pub fn new(shape: &Shape, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (mut records, mut ends) = (Vec::new(), Vec::new());
        let (mut key, mut value) = (vec![0; shape.key_bytes], vec![0; shape.record_bytes]);
        let mut value_at = 0;
        for delta in 0..shape.batch_records_max() {
            payload::fill(&mut rng, &mut value, shape.compressible);
            key.fill_with(|| rng.alphanumeric() as u8);
            let place = put_record(&mut records, delta, (shape.key_bytes > 0).then_some(&key), &value);
            if delta == 0 {
                value_at = place;
            }
            ends.push(records.len());
        }
        let stamped = shape.codec == Codec::None && shape.record_bytes >= STAMP_BYTES;
        let private = if stamped { value_at + STAMP_BYTES } else { 0 };
        let cuts = HashMap::new();
        Self { codec: shape.codec, records: records.into(), ends, private, cuts, compressed_bytes: 0 }
    }

    fn cut(&mut self, count: u32) -> Cut {
        if let Some(cut) = self.cuts.get(&count) {
            return cut.clone();
        }
        let end = self.ends[count as usize - 1];
        let body = match self.codec {
            Codec::None => Body { bytes: Arc::clone(&self.records), range: self.private..end },
            codec => Body::whole(codec.compress(&self.records[..end]).into()),
        };
        let (crc, shift) = (crc32c::crc32c(&body), Shift::by(body.len()));
        let cut = Cut { body, crc, shift };
        let extra = if self.codec == Codec::None { 0 } else { cut.body.len() };
        if self.compressed_bytes + extra <= COMPRESSED_BYTES_MAX {
            self.compressed_bytes += extra;
            self.cuts.insert(count, cut.clone());
        }
        cut
    }

    /// Makes a batch: its head in `head`, and its body.
    pub fn compose(&mut self, spec: &Spec, head: &mut Vec<u8>) -> Composed {
        let cut = self.cut(spec.count);
        let bytes = BATCH_HEADER_BYTES + self.private + cut.body.len();
        head.clear();
        spec.put_header(head, bytes, self.codec);
        if self.private > 0 {
            let stamp = Stamp { first_ns: spec.first_ns, last_ns: spec.last_ns };
            head.extend_from_slice(&self.records[..self.private - STAMP_BYTES]);
            head.extend_from_slice(&stamp.bytes());
        }
        let crc = cut.shift.combine(crc32c::crc32c(&head[CRC_REGION_START..]), cut.crc);
        head[CRC_REGION_START - 4..CRC_REGION_START].copy_from_slice(&crc.to_be_bytes());
        Composed { bytes, body: cut.body }
    }
}

/// Appends a record with no headers; returns where its value begins.
pub fn put_record(to: &mut Vec<u8>, offset_delta: u32, key: Option<&Vec<u8>>, value: &[u8]) -> usize {
    let mut front = vec![0];
    varint::put(&mut front, 0);
    varint::put(&mut front, i64::from(offset_delta));
    match key {
        None => varint::put(&mut front, -1),
        Some(key) => {
            varint::put(&mut front, key.len() as i64);
            front.extend_from_slice(key);
        }
    }
    varint::put(&mut front, value.len() as i64);
    // One byte behind the value: no headers.
    varint::put(to, (front.len() + value.len() + 1) as i64);
    to.extend_from_slice(&front);
    let place = to.len();
    to.extend_from_slice(value);
    to.push(0);
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::kafka::client::batch::{BatchHeader, Records, batch_crc};

    fn shape(codec: Codec) -> Shape {
        Shape { codec, record_bytes: 300, key_bytes: 8, batch_bytes: 16 << 10, compressible: 0.5 }
    }

    #[test]
    fn every_batch_is_whole_has_its_crc_and_its_stamp() {
        for codec in Codec::ALL {
            let mut template = Template::new(&shape(codec), 7);
            for count in [1, 2, 17, shape(codec).batch_records_max()] {
                let spec = Spec { count, first_ns: 10, last_ns: 20, ..Spec::default() };
                let mut head = Vec::new();
                let composed = template.compose(&spec, &mut head);
                let batch = [&head[..], &composed.body[..]].concat();
                assert_eq!(batch.len(), composed.bytes);
                let header = BatchHeader::of(&batch).expect("a header");
                assert_eq!(header.crc.get(), batch_crc(&batch), "{codec:?} {count}");
                let records = Records::open(&batch, 1 << 20).expect("opens");
                let values: Vec<_> = records.iter().map(|one| one.expect("a record").value).collect();
                assert_eq!(values.len(), count as usize);
                let stamp = Stamp::read(values[0].expect("a value"));
                assert_eq!(stamp.is_some(), codec == Codec::None);
            }
        }
    }

    #[test]
    fn a_full_batch_is_not_above_the_bytes_asked_for() {
        let shape = shape(Codec::None);
        let mut template = Template::new(&shape, 7);
        let spec = Spec { count: shape.batch_records_max(), ..Spec::default() };
        let bytes = template.compose(&spec, &mut Vec::new()).bytes;
        assert!(bytes <= shape.batch_bytes && bytes + 330 > shape.batch_bytes, "{bytes}");
    }
}
