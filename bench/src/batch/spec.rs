//! What a batch is made of.

use net::kafka::client::batch::{BATCH_HEADER_BYTES, Codec};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// What records and batches are to look like.
#[derive(Clone, Debug)]
pub struct Shape {
    pub codec: Codec,
    /// Of the value.
    pub record_bytes: usize,
    /// 0: no key.
    pub key_bytes: usize,
    /// A batch is not longer than this before compression, unless one record alone is.
    pub batch_bytes: usize,
    pub compressible: f64,
}

impl Shape {
    /// What one record takes in a batch, at most: length, attributes, timestamp, offset, the key's
    /// and the value's length, number of headers.
    pub fn record_bytes_in_batch(&self) -> usize {
        let digits = |bytes: usize| ((2 * bytes.max(1)).ilog2() / 7 + 1) as usize;
        let content = self.key_bytes + self.record_bytes;
        // The offset delta takes two bytes up to 8,191 records and three above.
        let delta = if self.batch_bytes / (content + 8) > 8_191 { 3 } else { 2 };
        let inner = 3 + delta + digits(self.key_bytes) + digits(self.record_bytes) + content;
        digits(inner) + inner
    }

    pub fn batch_records_max(&self) -> u32 {
        let room = self.batch_bytes.saturating_sub(BATCH_HEADER_BYTES);
        (room / self.record_bytes_in_batch()).clamp(1, 1 << 20) as u32
    }
}

/// One batch to be made.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Number of the partition among all of the run.
    pub partition: u32,
    pub count: u32,
    /// The number of the first record among those of this producer in this partition.
    pub record: u64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub sequence: i32,
    pub wall_ms: i64,
    pub first_ns: u64,
    pub last_ns: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            partition: 0,
            count: 1,
            record: 0,
            producer_id: -1,
            producer_epoch: -1,
            sequence: -1,
            wall_ms: 0,
            first_ns: 0,
            last_ns: 0,
        }
    }
}

impl Spec {
    /// Appends the header of a batch that is this long, with a CRC of 0.
    pub fn put_header(&self, to: &mut Vec<u8>, bytes: usize, codec: Codec) {
        const LENGTH_FREE_BYTES: usize = 12;
        const MAGIC: u8 = 2;
        let length = i32::try_from(bytes - LENGTH_FREE_BYTES).expect("batches are below 2 GiB");
        to.extend_from_slice(&0i64.to_be_bytes());
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(&(-1i32).to_be_bytes());
        to.push(MAGIC);
        to.extend_from_slice(&[0; 4]);
        to.extend_from_slice(&(codec as i16).to_be_bytes());
        to.extend_from_slice(&(self.count as i32 - 1).to_be_bytes());
        to.extend_from_slice(&self.wall_ms.to_be_bytes());
        to.extend_from_slice(&self.wall_ms.to_be_bytes());
        to.extend_from_slice(&self.producer_id.to_be_bytes());
        to.extend_from_slice(&self.producer_epoch.to_be_bytes());
        to.extend_from_slice(&self.sequence.to_be_bytes());
        to.extend_from_slice(&(self.count as i32).to_be_bytes());
    }
}

/// Bytes that many batches share.
#[derive(Clone, Debug)]
pub struct Body {
    pub(super) bytes: Arc<[u8]>,
    pub(super) range: Range<usize>,
}

impl Body {
    pub fn whole(bytes: Arc<[u8]>) -> Self {
        let range = 0..bytes.len();
        Self { bytes, range }
    }
}

impl Deref for Body {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

/// A batch whose head is elsewhere.
#[derive(Debug)]
pub struct Composed {
    /// Head and body.
    pub bytes: usize,
    pub body: Body,
}
