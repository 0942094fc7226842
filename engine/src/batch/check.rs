//! All records of a batch looked at in steps, decompressed as they are. A long batch takes many
//! steps, between which others can have the core.

use super::codec::{Codec, UnpackError};
use super::header::{BATCH_HEADER_BYTES, BatchHeader};
use super::unpack::Unpacked;
use super::validate::BatchError;
use super::walk::{RecordBounds, RecordTimes, RecordWalk};

/// What a body may decompress to: as much as ListOffsets opens of one, so that what is taken can
/// be looked up, and four times the longest batch.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// What a check came to.
pub type Checked = Result<RecordTimes, BatchError>;

/// A batch whose records are being looked at.
pub struct RecordCheck<'a> {
    unpacked: Unpacked<'a>,
    walk: RecordWalk,
}

impl<'a> RecordCheck<'a> {
    /// For a batch whose envelope was checked, or that is to be refused for its envelope anyway:
    /// then what is found of its records does not matter. `None` when there is not even a header.
    pub fn begin(batch: &'a [u8], bounds: RecordBounds) -> Option<Result<Self, BatchError>> {
        let header = BatchHeader::of(batch)?;
        let number = header.codec_number();
        let unpacked = Codec::of(number)
            .ok_or(UnpackError::Unknown(number))
            .and_then(|codec| Unpacked::new(codec, &batch[BATCH_HEADER_BYTES..], UNPACKED_BYTES_MAX));
        let walk = RecordWalk::new(header, bounds);
        Some(unpacked.map(|unpacked| Self { unpacked, walk }).map_err(BatchError::from))
    }

    /// One step, of bounded work; the verdict with the last one.
    pub fn step(&mut self) -> Option<Checked> {
        match self.unpacked.next_piece() {
            Err(error) => Some(Err(error.into())),
            Ok(None) => Some(self.walk.finish().map_err(BatchError::from)),
            Ok(Some(piece)) => {
                self.walk.feed(piece);
                self.walk.has_failed().then(|| self.walk.finish().map_err(BatchError::from))
            }
        }
    }
}

/// All steps at once.
pub fn check_records(batch: &[u8], bounds: RecordBounds) -> Checked {
    let mut check = RecordCheck::begin(batch, bounds).ok_or(BatchError::Empty)??;
    loop {
        if let Some(verdict) = check.step() {
            return verdict;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::walk::RecordFault;
    use crate::batch::{BatchBuilder, NewRecord};

    const BASE_MS: i64 = 1_000_000;

    fn batch(codec: Codec, records: i32, value: &[u8]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BASE_MS);
        builder.codec(codec);
        for at in 0..records {
            builder.push(NewRecord { timestamp_ms: BASE_MS + i64::from(at), ..NewRecord::value(value) });
        }
        builder.build()
    }

    fn with_body(codec: Codec, body: &[u8]) -> Checked {
        let mut batch = batch(codec, 3, b"v");
        batch.truncate(BATCH_HEADER_BYTES);
        batch.extend_from_slice(body);
        check_records(&batch, RecordBounds::ANY)
    }

    #[test]
    fn every_codecs_records_are_looked_at() {
        for codec in Codec::ALL {
            for value in [&b"v"[..], &[7; 100_000]] {
                let batch = batch(codec, 30, value);
                let times = RecordTimes { newest_ms: BASE_MS + 29, some_without: false };
                assert_eq!(check_records(&batch, RecordBounds::ANY), Ok(times), "{codec:?}");
                let bounds = RecordBounds { newest_ms: BASE_MS + 28, ..RecordBounds::ANY };
                assert!(matches!(check_records(&batch, bounds), Err(BatchError::Times(_))), "{codec:?}");
            }
        }
    }

    #[test]
    fn bodies_that_cannot_be_read_are_told_apart_from_records_that_are_wrong() {
        let good = batch(Codec::None, 3, b"v").split_off(BATCH_HEADER_BYTES);
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let packed = codec.compress(&good);
            assert!(with_body(codec, &packed).is_ok());
            for unreadable in [&good[..], &packed[..packed.len() - 1], &[&packed[..], b"x"].concat()] {
                let error = with_body(codec, unreadable);
                assert!(matches!(error, Err(BatchError::Unpack(_))), "{codec:?}: {error:?}");
            }
            let fault = |body: &[u8]| with_body(codec, &codec.compress(body));
            let left_over = Err(BatchError::Records(RecordFault::LeftOver(3)));
            assert_eq!(fault(&[&good[..], b"noise"].concat()), left_over, "{codec:?}");
            let too_few = RecordFault::TooFew { found: 2, expected: 3 };
            assert_eq!(fault(&good[..good.len() / 3 * 2]), Err(BatchError::Records(too_few)), "{codec:?}");
            assert!(matches!(fault(b"\x80\x80 noise"), Err(BatchError::Records(_))), "{codec:?}");
        }
    }

    #[test]
    fn the_wrong_codec_in_the_header_is_found() {
        let good = batch(Codec::None, 3, b"v").split_off(BATCH_HEADER_BYTES);
        for (is, says) in Codec::ALL.into_iter().flat_map(|is| Codec::ALL.map(|says| (is, says))) {
            assert_eq!(with_body(says, &is.compress(&good)).is_ok(), is == says, "{is:?} as {says:?}");
        }
        let mut unknown = batch(Codec::None, 3, b"v");
        unknown[22] = 5;
        let error = Err(BatchError::Unpack(UnpackError::Unknown(5)));
        assert_eq!(check_records(&unknown, RecordBounds::ANY), error);
    }

    #[test]
    fn a_bomb_ends_at_the_cap() {
        // The value alone is longer than all that may come.
        let body = vec![0; UNPACKED_BYTES_MAX as usize + 1];
        for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
            let batch = batch(codec, 1, &body);
            assert!(batch.len() < 1 << 20, "{codec:?}: {} bytes", batch.len());
            let error = BatchError::Unpack(UnpackError::AboveCap(codec, UNPACKED_BYTES_MAX));
            assert_eq!(check_records(&batch, RecordBounds::ANY), Err(error));
        }
    }
}
