//! A batch written again with another codec, in steps of bounded work: its records are looked at on the way, as a
//! [`RecordCheck`](super::RecordCheck) does, and stay as they are. Base offset, count, times and producer are the
//! source's.

use super::check::UNPACKED_BYTES_MAX;
use super::codec::{Codec, UnpackError};
use super::header::{BATCH_HEADER_BYTES, BatchHeader};
use super::pack::{Packer, Packing, TooLong};
use super::unpack::Unpacked;
use super::validate::BatchError;
use super::walk::{RecordBounds, RecordTimes, RecordWalk};

/// A batch on its way into another codec.
pub struct Repack<'a> {
    header: &'a BatchHeader,
    unpacked: Unpacked<'a>,
    walk: RecordWalk,
    /// Gone with the last step.
    packer: Option<Packer>,
    step_bytes: usize,
    /// Decompressed and not compressed again yet, from `at` on.
    piece: Vec<u8>,
    at: usize,
}

/// The batch, and what its records say of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repacked {
    pub batch: Vec<u8>,
    pub times: RecordTimes,
}

impl<'a> Repack<'a> {
    /// For a batch whose envelope and CRC were checked.
    pub fn begin(
        batch: &'a [u8],
        packing: Packing,
        bounds: RecordBounds,
        bytes_max: u32,
    ) -> Result<Self, BatchError> {
        let header = BatchHeader::of(batch).ok_or(BatchError::Empty)?;
        let number = header.codec_number();
        let codec = Codec::of(number).ok_or(UnpackError::Unknown(number))?;
        Ok(Self {
            header,
            unpacked: Unpacked::new(codec, &batch[BATCH_HEADER_BYTES..], UNPACKED_BYTES_MAX)?,
            walk: RecordWalk::new(header, bounds),
            packer: Some(Packer::new(packing, bytes_max as usize)),
            step_bytes: packing.step_bytes(),
            piece: Vec::new(),
            at: 0,
        })
    }

    /// One step, of bounded work; the batch, or why there is none, with the last one.
    pub fn step(&mut self) -> Option<Result<Repacked, BatchError>> {
        self.try_step().transpose()
    }

    fn try_step(&mut self) -> Result<Option<Repacked>, BatchError> {
        let packer = self.packer.as_mut().expect("no step follows the last one");
        if self.at < self.piece.len() {
            let end = self.piece.len().min(self.at + self.step_bytes);
            packer.write(&self.piece[self.at..end])?;
            self.at = end;
            return Ok(None);
        }
        let Some(piece) = self.unpacked.next_piece()? else {
            let times = self.walk.finish()?;
            let packer = self.packer.take().expect("taken once");
            return Ok(Some(Repacked { batch: packer.finish(self.header)?, times }));
        };
        self.walk.feed(piece);
        if self.walk.has_failed() {
            self.walk.finish()?;
        }
        self.piece.clear();
        self.piece.extend_from_slice(piece);
        self.at = 0;
        Ok(None)
    }

    /// What the new batch takes so far.
    pub fn held_bytes(&self) -> usize {
        self.packer.as_ref().map_or(0, Packer::held_bytes)
    }
}

impl From<TooLong> for BatchError {
    fn from(TooLong { bytes_max }: TooLong) -> Self {
        BatchError::TooLargeRepacked { max: u32::try_from(bytes_max).expect("a batch is below 4 GiB") }
    }
}

/// All steps at once; for tests and tools.
pub fn repack(batch: &[u8], packing: Packing, bytes_max: u32) -> Result<Vec<u8>, BatchError> {
    let mut repack = Repack::begin(batch, packing, RecordBounds::ANY, bytes_max)?;
    loop {
        if let Some(done) = repack.step() {
            return done.map(|repacked| repacked.batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::header::batch_crc;
    use crate::batch::records::Records;
    use crate::batch::{BatchBuilder, NewRecord};
    use proptest::prelude::*;

    const BYTES_MAX: u32 = 16 << 20;

    fn batch(codec: Codec, values: &[Vec<u8>]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.base_offset(50).codec(codec).producer(4, 1, 10);
        for (at, value) in values.iter().enumerate() {
            let key: &[u8] = if at % 3 == 0 { b"" } else { b"key" };
            builder.push(NewRecord {
                timestamp_ms: 1_000 + at as i64,
                key: (at % 2 == 0).then_some(key),
                value: (at % 5 != 4).then_some(value),
                headers: &[("name", Some(b"value")), ("none", None)],
            });
        }
        builder.build()
    }

    fn same_records(one: &[u8], other: &[u8]) -> bool {
        let open = |batch| Records::open(batch, 64 << 20).unwrap();
        open(one).iter().eq(open(other).iter())
    }

    #[test]
    fn long_batches_take_many_short_steps() {
        let values = vec![vec![9; 200_000]; 3];
        for to in Codec::ALL {
            let source = batch(Codec::Lz4, &values);
            let packing = Packing::usual(to);
            let mut repack = Repack::begin(&source, packing, RecordBounds::ANY, BYTES_MAX).unwrap();
            let mut steps = 0;
            let done = loop {
                steps += 1;
                if let Some(done) = repack.step() {
                    break done.unwrap();
                }
            };
            assert!(steps > 600_000 / packing.step_bytes(), "{to:?}: {steps}");
            assert_eq!(done.times, RecordTimes { newest_ms: 1_002, some_without: false });
            assert!(same_records(&done.batch, &source), "{to:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_batch_is_told_as_its_check_does() {
        let source = batch(Codec::Gzip, &vec![vec![1; 1_000]; 9]);
        let mut cut = source.clone();
        cut.truncate(cut.len() - 5);
        let error = repack(&cut, Packing::PLAIN, BYTES_MAX).unwrap_err();
        assert_eq!(error, crate::batch::check_records(&cut, RecordBounds::ANY).unwrap_err());
        assert!(matches!(error, BatchError::Unpack(_)));
        let mut counted = source.clone();
        counted[60] += 1;
        assert!(matches!(repack(&counted, Packing::PLAIN, BYTES_MAX), Err(BatchError::Records(_))));
        let error = repack(&source, Packing::PLAIN, source.len() as u32 + 500).unwrap_err();
        assert_eq!(error, BatchError::TooLargeRepacked { max: source.len() as u32 + 500 });
        let bounds = RecordBounds { oldest_ms: 2_000, newest_ms: 3_000, needs_keys: false };
        let mut late = Repack::begin(&source, Packing::PLAIN, bounds, BYTES_MAX).unwrap();
        let error = std::iter::repeat_with(|| late.step()).find_map(|step| step).unwrap();
        assert!(matches!(error, Err(BatchError::Times(_))));
    }

    #[test]
    fn a_bomb_ends_at_the_limit_of_the_batch_that_would_be_made() {
        let bomb = batch(Codec::Zstd, &[vec![0; 8 << 20]]);
        let mut repack = Repack::begin(&bomb, Packing::PLAIN, RecordBounds::ANY, 1 << 20).unwrap();
        let error = std::iter::repeat_with(|| repack.step()).find_map(|step| step).unwrap();
        assert_eq!(error, Err(BatchError::TooLargeRepacked { max: 1 << 20 }));
        assert!(repack.held_bytes() < 4 << 20, "{}", repack.held_bytes());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn from_each_codec_to_each_codec_the_records_are_the_same(
            values in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..300),
                    (0usize..80_000).prop_map(|bytes| vec![b'x'; bytes]),
                ],
                1..30,
            ),
        ) {
            for (from, to) in Codec::ALL.into_iter().flat_map(|from| Codec::ALL.map(|to| (from, to))) {
                let source = batch(from, &values);
                let target = repack(&source, Packing::usual(to), BYTES_MAX).unwrap();
                prop_assert!(same_records(&target, &source), "{:?} to {:?}", from, to);
                let header = BatchHeader::of(&target).unwrap();
                prop_assert_eq!(header.codec_number(), to as u8);
                prop_assert_eq!(header.crc.get(), batch_crc(&target));
            }
        }
    }
}
