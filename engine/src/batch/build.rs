//! Makes batches: for tests and tools, which need well-formed ones without a client.

use super::codec::Codec;
use super::header::{BATCH_HEADER_BYTES, BatchHeader, LENGTH_FREE_BYTES, MAGIC, batch_crc};
use super::varint;
use zerocopy::{FromBytes, IntoBytes};

/// A record to be put into a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// 0 is the batch's base timestamp.
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl<'a> NewRecord<'a> {
    pub fn value(value: &'a [u8]) -> Self {
        Self { value: Some(value), ..Self::default() }
    }
}

/// Collects records into one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    codec: Codec,
    body: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch of an idle producer: no id, no compression, base offset 0.
    pub fn new(base_timestamp_ms: i64) -> Self {
        let header = BatchHeader {
            base_offset: 0.into(),
            length: 0.into(),
            leader_epoch: (-1).into(),
            magic: MAGIC,
            crc: 0.into(),
            attributes: 0.into(),
            last_offset_delta: (-1).into(),
            base_timestamp: base_timestamp_ms.into(),
            max_timestamp: base_timestamp_ms.into(),
            producer_id: (-1).into(),
            producer_epoch: (-1).into(),
            base_sequence: (-1).into(),
            record_count: 0.into(),
        };
        Self { header, codec: Codec::None, body: Vec::new() }
    }

    pub fn base_offset(&mut self, offset: i64) -> &mut Self {
        self.header.base_offset.set(offset);
        self
    }

    pub fn codec(&mut self, codec: Codec) -> &mut Self {
        self.codec = codec;
        self
    }

    /// Makes it the batch of an idempotent producer.
    pub fn producer(&mut self, id: i64, epoch: i16, base_sequence: i32) -> &mut Self {
        self.header.producer_id.set(id);
        self.header.producer_epoch.set(epoch);
        self.header.base_sequence.set(base_sequence);
        self
    }

    /// Sets bits of the attributes beyond the codec.
    pub fn attributes(&mut self, bits: i16) -> &mut Self {
        self.header.attributes.set(bits);
        self
    }

    pub fn push(&mut self, record: NewRecord<'_>) -> &mut Self {
        let base = self.header.base_timestamp.get();
        let timestamp_ms = if record.timestamp_ms == 0 { base } else { record.timestamp_ms };
        let delta = self.header.record_count.get();
        let mut bytes = vec![0];
        varint::put(&mut bytes, timestamp_ms - base);
        varint::put(&mut bytes, i64::from(delta));
        put_nullable(&mut bytes, record.key);
        put_nullable(&mut bytes, record.value);
        varint::put(&mut bytes, record.headers.len() as i64);
        for (key, value) in record.headers {
            put_nullable(&mut bytes, Some(key.as_bytes()));
            put_nullable(&mut bytes, *value);
        }
        varint::put(&mut self.body, bytes.len() as i64);
        self.body.extend_from_slice(&bytes);
        let newest =
            if delta == 0 { timestamp_ms } else { self.header.max_timestamp.get().max(timestamp_ms) };
        self.header.max_timestamp.set(newest);
        self.header.record_count.set(delta + 1);
        self.header.last_offset_delta.set(delta);
        self
    }

    /// The batch, with its CRC.
    pub fn build(&self) -> Vec<u8> {
        let body = self.codec.compress(&self.body);
        let mut header = self.header;
        header.attributes.set(header.attributes.get() | self.codec as i16);
        let bytes = BATCH_HEADER_BYTES + body.len();
        header.length.set(i32::try_from(bytes - LENGTH_FREE_BYTES).expect("a batch is below 2 GiB"));
        let mut batch = Vec::with_capacity(bytes);
        batch.extend_from_slice(header.as_bytes());
        batch.extend_from_slice(&body);
        let crc = batch_crc(&batch);
        BatchHeader::mut_from_prefix(&mut batch).expect("written above").0.crc.set(crc);
        batch
    }
}

fn put_nullable(to: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(to, -1),
        Some(bytes) => {
            varint::put(to, bytes.len() as i64);
            to.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_is_these_bytes() {
        let mut builder = BatchBuilder::new(9_999_999);
        builder.push(NewRecord { value: Some(b"123"), ..NewRecord::default() });
        let batch = builder.build();
        assert_eq!(batch[8..12], [0, 0, 0, 59]);
        assert_eq!(batch[16], 2);
        assert_eq!(batch[21..23], [0, 0]);
        assert_eq!(batch[43..61], [[0xFF; 14].as_slice(), &[0, 0, 0, 1]].concat());
        assert_eq!(batch[61..], [18, 0, 0, 0, 1, 6, b'1', b'2', b'3', 0]);
    }
}
