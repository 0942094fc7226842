//! What a batch must be to be stored. Here is what can be told from its header; what its records
//! say is `walk`'s and `check`'s. The CRC is taken by the entry builder over the bytes that it
//! copies, and decides before any record does.
//!
//! The order of the checks is Kafka's, since it decides which error a client sees.

use super::codec::{Codec, UnpackError};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, MAGIC};
use super::walk::{EarlyOrLate, RecordFault, TimeFaults, WalkError};

/// What depends on the topic and on the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeLimits {
    /// `max.message.bytes`: the batch with its header.
    pub batch_bytes_max: u32,
    /// With LogAppendTime the client's times do not count.
    pub log_append_time: bool,
    /// The writer may write transactions.
    pub transactional: bool,
    /// `duramen.validate.records=header`: the header's times are believed, no record is looked at.
    pub trusts_header: bool,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    /// The broker's wall clock.
    pub wall_ms: i64,
}

/// Why bytes may not be stored as a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BatchError {
    #[error("no record batch")]
    Empty,
    #[error("{have} bytes are not a whole batch of {want}")]
    Truncated { have: usize, want: i64 },
    #[error("magic {0} is a message format before v2; only record batches v2 are stored")]
    OldFormat(i8),
    #[error("magic {0} is no known format")]
    UnknownFormat(i8),
    #[error("a batch cannot have {0} bytes")]
    Length(i64),
    #[error("the batch's CRC is not that of its bytes")]
    Crc,
    #[error("{0} bytes behind the one batch that a partition may have")]
    MoreThanOne(usize),
    #[error("base offset {0} instead of 0")]
    BaseOffset(i64),
    #[error("{bytes} bytes are more than max.message.bytes = {max}")]
    TooLarge { bytes: usize, max: u32 },
    #[error("with the topic's compression.type the batch is longer than max.message.bytes = {max}")]
    TooLargeRepacked { max: u32 },
    #[error("record count {count}, last offset delta {last_offset_delta}, {body_bytes} bytes")]
    Count { count: i32, last_offset_delta: i32, body_bytes: usize },
    #[error("producer {producer}, epoch {epoch}, sequence {sequence} cannot be")]
    Producer { producer: i64, epoch: i16, sequence: i32 },
    #[error("clients may not write control records")]
    Control,
    #[error("a batch of a transaction without a transactional id or without a producer")]
    Transactional,
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error(transparent)]
    Records(#[from] RecordFault),
    #[error("clients may not set LogAppendTime")]
    TimestampType,
    #[error("timestamp {timestamp} is too far from the broker's {wall_ms}")]
    Timestamp { timestamp: i64, wall_ms: i64 },
    #[error("{} records have a timestamp outside {} to {}", .0.count, .0.oldest_ms, .0.newest_ms)]
    Times(TimeFaults),
}

impl From<WalkError> for BatchError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Fault(fault) => BatchError::Records(fault),
            WalkError::Times(faults) => BatchError::Times(faults),
        }
    }
}

impl BatchError {
    /// The records that alone are at fault, each with the reason, where Kafka names them.
    pub fn records(&self) -> Vec<(i32, String)> {
        match self {
            BatchError::Records(
                fault @ (RecordFault::OffsetDelta { record, .. } | RecordFault::Keyless(record)),
            ) => {
                vec![(*record, fault.to_string())]
            }
            BatchError::Times(faults) => {
                let why = |one: &EarlyOrLate| {
                    let (from, to) = (faults.oldest_ms, faults.newest_ms);
                    (one.record, format!("timestamp {} is outside {from} to {to}", one.timestamp_ms))
                };
                faults.named().iter().map(why).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The shortest record: length, attributes, two deltas, no key, no value, no headers.
const RECORD_BYTES_MIN: usize = 7;

/// Checks a partition's records of a produce request: one batch v2 and nothing else.
pub fn check_envelope<'a>(records: &'a [u8], limits: &EnvelopeLimits) -> Result<&'a BatchHeader, BatchError> {
    let header = check_shape(records)?;
    if header.base_offset.get() != 0 {
        return Err(BatchError::BaseOffset(header.base_offset.get()));
    }
    if records.len() > limits.batch_bytes_max as usize {
        return Err(BatchError::TooLarge { bytes: records.len(), max: limits.batch_bytes_max });
    }
    check_count(header, records.len() - BATCH_HEADER_BYTES)?;
    check_producer(header)?;
    if header.is_control() {
        return Err(BatchError::Control);
    }
    if header.is_transactional() && (!limits.transactional || header.producer_id.get() < 0) {
        return Err(BatchError::Transactional);
    }
    check_time(header, limits)?;
    Ok(header)
}

/// Magic and lengths: whether this is one batch v2 at all.
fn check_shape(records: &[u8]) -> Result<&BatchHeader, BatchError> {
    /// In every format the magic byte is the 17th.
    const MAGIC_AT: usize = 16;
    if records.is_empty() {
        return Err(BatchError::Empty);
    }
    match records.get(MAGIC_AT).map(|&byte| byte as i8) {
        None => return Err(BatchError::Truncated { have: records.len(), want: BATCH_HEADER_BYTES as i64 }),
        Some(MAGIC) => {}
        Some(old @ 0..=1) => return Err(BatchError::OldFormat(old)),
        Some(unknown) => return Err(BatchError::UnknownFormat(unknown)),
    }
    let header = BatchHeader::of(records)
        .ok_or(BatchError::Truncated { have: records.len(), want: BATCH_HEADER_BYTES as i64 })?;
    let declared = header.declared_bytes();
    if declared < BATCH_HEADER_BYTES as i64 {
        return Err(BatchError::Length(declared));
    }
    if declared > records.len() as i64 {
        return Err(BatchError::Truncated { have: records.len(), want: declared });
    }
    if declared < records.len() as i64 {
        return Err(BatchError::MoreThanOne(records.len() - declared as usize));
    }
    Ok(header)
}

/// Offsets are dense: the batch takes exactly as many as it has records. That so many are there
/// is seen later; uncompressed ones must at least have room for their number.
fn check_count(header: &BatchHeader, body_bytes: usize) -> Result<(), BatchError> {
    let count = header.record_count.get();
    let last_offset_delta = header.last_offset_delta.get();
    let codec = Codec::of(header.codec_number()).ok_or(UnpackError::Unknown(header.codec_number()))?;
    let dense = count > 0 && last_offset_delta == count - 1;
    if !dense || (codec == Codec::None && count as usize > body_bytes / RECORD_BYTES_MIN) {
        return Err(BatchError::Count { count, last_offset_delta, body_bytes });
    }
    Ok(())
}

/// With a producer id there must be an epoch and a sequence. Without one they do not count:
/// kafkajs sends zeros there.
fn check_producer(header: &BatchHeader) -> Result<(), BatchError> {
    let (producer, epoch) = (header.producer_id.get(), header.producer_epoch.get());
    let sequence = header.base_sequence.get();
    if producer < -1 || (producer >= 0 && (epoch < 0 || sequence < 0)) {
        return Err(BatchError::Producer { producer, epoch, sequence });
    }
    Ok(())
}

/// The header's two times bound those of the records, if it is believed.
fn check_time(header: &BatchHeader, limits: &EnvelopeLimits) -> Result<(), BatchError> {
    if header.is_log_append_time() {
        return Err(BatchError::TimestampType);
    }
    if limits.log_append_time || !limits.trusts_header {
        return Ok(());
    }
    let wall_ms = limits.wall_ms;
    let (oldest, newest) = (header.base_timestamp.get(), header.max_timestamp.get());
    // −1 is "no timestamp".
    if newest != -1 && newest.saturating_sub(wall_ms) > limits.timestamp_after_max_ms {
        return Err(BatchError::Timestamp { timestamp: newest, wall_ms });
    }
    if oldest != -1 && wall_ms.saturating_sub(oldest) > limits.timestamp_before_max_ms {
        return Err(BatchError::Timestamp { timestamp: oldest, wall_ms });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};
    use proptest::prelude::*;
    use zerocopy::FromBytes;

    const LIMITS: EnvelopeLimits = EnvelopeLimits {
        batch_bytes_max: 1 << 20,
        log_append_time: false,
        transactional: false,
        trusts_header: false,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        wall_ms: 1_700_000_000_000,
    };

    fn batch() -> Vec<u8> {
        let mut builder = BatchBuilder::new(LIMITS.wall_ms);
        builder.push(NewRecord::value(b"one"));
        builder.push(NewRecord::value(b"two"));
        builder.build()
    }

    fn changed(change: impl FnOnce(&mut BatchHeader)) -> Result<(), BatchError> {
        let mut batch = batch();
        change(BatchHeader::mut_from_prefix(&mut batch).unwrap().0);
        check_envelope(&batch, &LIMITS).map(|_| ())
    }

    #[test]
    fn a_good_batch_passes() {
        let batch = batch();
        let header = check_envelope(&batch, &LIMITS).unwrap();
        assert_eq!(header.offsets(), 2);
    }

    #[test]
    fn exactly_one_batch_fills_the_bytes() {
        let one = batch();
        assert_eq!(check_envelope(&[], &LIMITS), Err(BatchError::Empty));
        for cut in 1..one.len() {
            let error = check_envelope(&one[..cut], &LIMITS).unwrap_err();
            assert!(matches!(error, BatchError::Truncated { .. }), "{cut}: {error}");
        }
        let two = [one.clone(), one].concat();
        assert!(matches!(check_envelope(&two, &LIMITS), Err(BatchError::MoreThanOne(_))));
    }

    #[test]
    fn formats_before_and_after_v2_have_their_own_errors() {
        assert_eq!(changed(|h| h.magic = 0), Err(BatchError::OldFormat(0)));
        assert_eq!(changed(|h| h.magic = 1), Err(BatchError::OldFormat(1)));
        assert_eq!(changed(|h| h.magic = 3), Err(BatchError::UnknownFormat(3)));
        assert_eq!(changed(|h| h.length.set(-5)), Err(BatchError::Length(7)));
        assert_eq!(changed(|h| h.base_offset.set(7)), Err(BatchError::BaseOffset(7)));
    }

    #[test]
    fn a_count_that_does_not_fit_the_offsets_or_the_bytes_is_refused() {
        for (count, last) in [(0, -1), (0, 0), (-1, -2), (3, 1), (2, 2), (i32::MAX, i32::MAX - 1)] {
            let got = changed(|h| {
                h.record_count.set(count);
                h.last_offset_delta.set(last);
            });
            assert!(matches!(got, Err(BatchError::Count { .. })), "{count} {last}: {got:?}");
        }
    }

    #[test]
    fn control_transactional_and_unknown_codecs_are_invalid_records() {
        let unknown = BatchError::Unpack(UnpackError::Unknown(5));
        for (bits, error) in [(0x20, BatchError::Control), (0x10, BatchError::Transactional), (5, unknown)] {
            assert_eq!(changed(|h| h.attributes.set(bits)), Err(error));
        }
    }

    #[test]
    fn a_batch_of_a_transaction_needs_a_producer_and_the_right_to_write_it() {
        let with = |producer, transactional| {
            let mut batch = batch();
            let header = BatchHeader::mut_from_prefix(&mut batch).unwrap().0;
            header.attributes.set(0x10);
            header.producer_id.set(producer);
            header.producer_epoch.set(0);
            header.base_sequence.set(0);
            check_envelope(&batch, &EnvelopeLimits { transactional, ..LIMITS }).map(|_| ())
        };
        assert_eq!(with(7, true), Ok(()));
        assert_eq!(
            (with(7, false), with(-1, true)),
            (Err(BatchError::Transactional), Err(BatchError::Transactional))
        );
    }

    #[test]
    fn a_producer_needs_epoch_and_sequence() {
        let with = |id, epoch, sequence| {
            changed(move |h| {
                h.producer_id.set(id);
                h.producer_epoch.set(epoch);
                h.base_sequence.set(sequence);
            })
        };
        assert_eq!(with(7, 0, 0), Ok(()));
        assert_eq!(with(-1, 0, 0), Ok(()), "kafkajs without idempotence");
        for bad in [(7, -1, 0), (7, 0, -1), (-2, -1, -1)] {
            assert!(matches!(with(bad.0, bad.1, bad.2), Err(BatchError::Producer { .. })), "{bad:?}");
        }
    }

    #[test]
    fn the_headers_times_count_where_it_is_believed() {
        let wall = LIMITS.wall_ms;
        let trusting = EnvelopeLimits { trusts_header: true, ..LIMITS };
        let with = |newest, limits: &EnvelopeLimits| {
            let mut batch = batch();
            BatchHeader::mut_from_prefix(&mut batch).unwrap().0.max_timestamp.set(newest);
            check_envelope(&batch, limits).map(|_| ())
        };
        assert_eq!(with(wall + 3_600_000, &trusting), Ok(()));
        let late = Err(BatchError::Timestamp { timestamp: wall + 3_600_001, wall_ms: wall });
        assert_eq!(with(wall + 3_600_001, &trusting), late);
        assert_eq!(with(wall + 3_600_001, &LIMITS), Ok(()), "the records will tell");
        assert_eq!(changed(|h| h.attributes.set(8)), Err(BatchError::TimestampType));
        assert_eq!(changed(|h| h.base_timestamp.set(-1)), Ok(()));
        let old = EnvelopeLimits { wall_ms: wall + 10, timestamp_before_max_ms: 5, ..trusting };
        assert!(matches!(check_envelope(&batch(), &old), Err(BatchError::Timestamp { .. })));
        let stamped = EnvelopeLimits { log_append_time: true, ..old };
        assert!(check_envelope(&batch(), &stamped).is_ok());
    }

    #[test]
    fn a_batch_above_the_limit_is_too_large() {
        let limits = EnvelopeLimits { batch_bytes_max: 70, ..LIMITS };
        let error = check_envelope(&batch(), &limits).unwrap_err();
        assert!(matches!(error, BatchError::TooLarge { max: 70, .. }));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), v2: bool) {
            if v2 && bytes.len() > 16 {
                bytes[16] = 2;
                let length = (bytes.len() - 12) as u32;
                bytes[..8].fill(0);
                bytes[8..12].copy_from_slice(&length.to_be_bytes());
            }
            if let Ok(header) = check_envelope(&bytes, &LIMITS) {
                prop_assert!(header.offsets() > 0);
            }
        }
    }
}
