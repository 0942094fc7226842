//! The records within a batch, opened only where an answer needs one of them: ListOffsets by
//! time, tests, tools.

use super::codec::{Codec, CodecError};
use super::header::{BATCH_HEADER_BYTES, BatchHeader};
use super::varint;
use std::borrow::Cow;

/// One record, in place in its (decompressed) batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Number of headers, then each one's key and value, as they lie there.
    pub headers: &'a [u8],
}

/// Why records could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    #[error("{0} bytes are no batch")]
    Header(usize),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("record {0} of the batch is cut or malformed")]
    Record(i32),
    #[error("{0} bytes behind the last record")]
    LeftOver(usize),
}

/// A batch whose body is at hand uncompressed.
pub struct Records<'a> {
    header: &'a BatchHeader,
    body: Cow<'a, [u8]>,
}

impl<'a> Records<'a> {
    /// Opens a whole batch; a compressed body may take at most `cap` bytes.
    pub fn open(batch: &'a [u8], cap: usize) -> Result<Self, RecordsError> {
        let header = BatchHeader::of(batch).ok_or(RecordsError::Header(batch.len()))?;
        if header.declared_bytes() != batch.len() as i64 || batch.len() < BATCH_HEADER_BYTES {
            return Err(RecordsError::Header(batch.len()));
        }
        let number = header.codec_number();
        let codec = Codec::of(number).ok_or(CodecError::Unknown(number))?;
        let body = &batch[BATCH_HEADER_BYTES..];
        let body = match codec {
            Codec::None => Cow::Borrowed(body),
            packed => Cow::Owned(packed.decompress(body, cap)?),
        };
        Ok(Self { header, body })
    }

    pub fn header(&self) -> &BatchHeader {
        self.header
    }

    /// The records in order; an error ends them.
    pub fn iter(&self) -> Iter<'_> {
        Iter { header: self.header, rest: &self.body, next: 0, failed: false }
    }
}

/// See [`Records::iter`].
pub struct Iter<'a> {
    header: &'a BatchHeader,
    rest: &'a [u8],
    next: i32,
    failed: bool,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Record<'a>, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let result = if self.next < self.header.record_count.get() {
            self.next += 1;
            take_record(&mut self.rest, self.header).ok_or(RecordsError::Record(self.next - 1))
        } else if self.rest.is_empty() {
            return None;
        } else {
            Err(RecordsError::LeftOver(self.rest.len()))
        };
        self.failed = result.is_err();
        Some(result)
    }
}

fn take_record<'a>(from: &mut &'a [u8], header: &BatchHeader) -> Option<Record<'a>> {
    let bytes = usize::try_from(varint::take_i32(from)?).ok()?;
    let (mut record, rest) = from.split_at_checked(bytes)?;
    *from = rest;
    let (_attributes, behind) = record.split_first()?;
    record = behind;
    let timestamp_delta = varint::take_i64(&mut record)?;
    let offset_delta = varint::take_i32(&mut record)?;
    let key = take_nullable(&mut record)?;
    let value = take_nullable(&mut record)?;
    let timestamp_ms = if header.is_log_append_time() {
        header.max_timestamp.get()
    } else {
        header.base_timestamp.get().checked_add(timestamp_delta)?
    };
    let offset = header.base_offset.get().checked_add(i64::from(offset_delta))?;
    Some(Record { offset, timestamp_ms, key, value, headers: record })
}

/// Bytes with a length before them; −1 is null.
fn take_nullable<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let bytes = varint::take_i32(from)?;
    if bytes == -1 {
        return Some(None);
    }
    let (taken, rest) = from.split_at_checked(usize::try_from(bytes).ok()?)?;
    *from = rest;
    Some(Some(taken))
}

/// Where a record is and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    pub offset: i64,
    pub timestamp_ms: i64,
}

/// The first record whose timestamp is `t` or later.
pub fn first_record_at_or_after(
    batch: &[u8],
    t: i64,
    cap: usize,
) -> Result<Option<RecordPlace>, RecordsError> {
    for record in Records::open(batch, cap)?.iter() {
        let Record { offset, timestamp_ms, .. } = record?;
        if timestamp_ms >= t {
            return Ok(Some(RecordPlace { offset, timestamp_ms }));
        }
    }
    Ok(None)
}

/// The record with the highest timestamp, the first of those that share it.
pub fn record_with_max_timestamp(batch: &[u8], cap: usize) -> Result<Option<RecordPlace>, RecordsError> {
    let mut best: Option<RecordPlace> = None;
    for record in Records::open(batch, cap)?.iter() {
        let Record { offset, timestamp_ms, .. } = record?;
        if best.is_none_or(|best| timestamp_ms > best.timestamp_ms) {
            best = Some(RecordPlace { offset, timestamp_ms });
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};
    use proptest::prelude::*;
    use zerocopy::FromBytes;

    fn batch(codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.base_offset(50).codec(codec);
        builder.push(NewRecord { timestamp_ms: 1_000, ..NewRecord::value(b"first") });
        builder.push(NewRecord { timestamp_ms: 3_000, key: Some(b"k"), ..NewRecord::value(b"second") });
        builder.push(NewRecord { timestamp_ms: 2_000, value: None, ..NewRecord::value(b"") });
        builder.push(NewRecord {
            timestamp_ms: 3_000,
            headers: &[("h", Some(b"v"))],
            ..NewRecord::value(b"")
        });
        builder.build()
    }

    #[test]
    fn records_come_back_with_every_codec() {
        for codec in Codec::ALL {
            let batch = batch(codec);
            let opened = Records::open(&batch, 1 << 16).unwrap();
            let records: Vec<_> = opened.iter().collect::<Result<_, _>>().unwrap();
            assert_eq!(records.len(), 4, "{codec:?}");
            assert_eq!(records[1].key, Some(&b"k"[..]));
            assert_eq!(records[1].value, Some(&b"second"[..]));
            assert_eq!((records[2].offset, records[2].value), (52, None));
            assert_eq!(records[3].headers, [2, 2, b'h', 2, b'v']);
        }
    }

    #[test]
    fn the_first_record_at_or_after_a_time_is_found_out_of_order_too() {
        let batch = batch(Codec::Zstd);
        let find = |t| first_record_at_or_after(&batch, t, 1 << 16).unwrap().map(|place| place.offset);
        assert_eq!(find(0), Some(50));
        assert_eq!(find(1_001), Some(51));
        assert_eq!(find(3_000), Some(51));
        assert_eq!(find(3_001), None);
        let newest = record_with_max_timestamp(&batch, 1 << 16).unwrap();
        assert_eq!(newest, Some(RecordPlace { offset: 51, timestamp_ms: 3_000 }));
    }

    #[test]
    fn log_append_time_is_every_records_time() {
        let mut batch = batch(Codec::None);
        BatchHeader::mut_from_prefix(&mut batch).unwrap().0.stamp_log_append_time(9_000);
        let place = first_record_at_or_after(&batch, 8_999, 0).unwrap();
        assert_eq!(place, Some(RecordPlace { offset: 50, timestamp_ms: 9_000 }));
        assert_eq!(first_record_at_or_after(&batch, 9_001, 0), Ok(None));
    }

    #[test]
    fn a_count_that_is_not_the_records_is_an_error() {
        let mut batch = batch(Codec::None);
        BatchHeader::mut_from_prefix(&mut batch).unwrap().0.record_count.set(5);
        assert_eq!(record_with_max_timestamp(&batch, 0), Err(RecordsError::Record(4)));
        BatchHeader::mut_from_prefix(&mut batch).unwrap().0.record_count.set(3);
        assert!(matches!(record_with_max_timestamp(&batch, 0), Err(RecordsError::LeftOver(_))));
    }

    #[test]
    fn a_body_above_the_cap_is_not_opened() {
        let error = first_record_at_or_after(&batch(Codec::Gzip), 0, 10);
        assert_eq!(error, Err(RecordsError::Codec(CodecError::AboveCap(10))));
    }

    proptest! {
        #[test]
        fn a_flipped_byte_never_panics(codec in 0u8..5, at in 0usize..400, flip in 1u8..) {
            let mut batch = batch(Codec::of(codec).unwrap());
            let at = at % batch.len();
            batch[at] ^= flip;
            let _ = first_record_at_or_after(&batch, i64::MAX, 1 << 16);
        }
    }
}
