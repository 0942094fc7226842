//! A stored batch whose records are looked at in steps, as they are decompressed.

use super::record_parts::{MalformedRecord, RecordPart, RecordParts};
use crate::batch::codec::UnpackError;
use crate::batch::unpack::Unpacked;
use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, Codec, UNPACKED_BYTES_MAX};

/// Why a stored batch cannot be read: it was written before its records were looked at, or with what this program does
/// not know. It is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error(transparent)]
    Record(#[from] MalformedRecord),
    #[error("record {0} has an offset outside its batch, or a time that no clock shows")]
    Place(u32),
    #[error("the header says {0} records")]
    Count(i32),
}

/// The walk over its records.
pub(super) struct OpenedBatch<'b> {
    unpacked: Unpacked<'b>,
    parts: RecordParts,
}

impl<'b> OpenedBatch<'b> {
    pub fn new(batch: &'b [u8]) -> Result<Self, Undecodable> {
        let header = BatchHeader::of(batch).expect("a stored batch is whole");
        assert_eq!(header.declared_bytes(), batch.len() as i64, "a whole batch and nothing else");
        let count = header.record_count.get();
        let records = u32::try_from(count).map_err(|_| Undecodable::Count(count))?;
        let number = header.codec_number();
        let codec = Codec::of(number).ok_or(UnpackError::Unknown(number))?;
        // An emptied batch has no body at all, whatever it had been packed with.
        let codec = if batch.len() == BATCH_HEADER_BYTES { Codec::None } else { codec };
        let unpacked = Unpacked::new(codec, &batch[BATCH_HEADER_BYTES..], UNPACKED_BYTES_MAX)?;
        Ok(Self { unpacked, parts: RecordParts::new(records) })
    }

    /// One step: the parts that come out of the next piece; false behind the last one.
    pub fn step(
        &mut self,
        mut each: impl FnMut(RecordPart<'_>) -> Result<(), Undecodable>,
    ) -> Result<bool, Undecodable> {
        let Some(mut piece) = self.unpacked.next_piece()? else {
            self.parts.finish()?;
            return Ok(false);
        };
        while let Some(part) = self.parts.next(&mut piece)? {
            each(part)?;
        }
        Ok(true)
    }

    /// The next decompressed piece, whose parts the caller takes by itself.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>, Undecodable> {
        Ok(self.unpacked.next_piece()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};

    fn batch(codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.codec(codec).push(NewRecord::value(b"one")).push(NewRecord::value(b"two"));
        builder.build()
    }

    fn records(batch: &[u8]) -> Result<u32, Undecodable> {
        let mut opened = OpenedBatch::new(batch)?;
        let mut records = 0;
        let count = |part: RecordPart<'_>| {
            records += u32::from(part == RecordPart::End);
            Ok(())
        };
        let mut count = count;
        while opened.step(&mut count)? {}
        Ok(records)
    }

    #[test]
    fn every_codecs_records_come_and_an_emptied_batch_has_none() {
        for codec in Codec::ALL {
            assert_eq!(records(&batch(codec)), Ok(2), "{codec:?}");
        }
        let mut emptied = batch(Codec::Zstd);
        emptied.truncate(BATCH_HEADER_BYTES);
        emptied[8..12].copy_from_slice(&(BATCH_HEADER_BYTES as i32 - 12).to_be_bytes());
        emptied[57..61].fill(0);
        assert_eq!(records(&emptied), Ok(0), "though its codec has a frame of nothing");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let mut unknown = batch(Codec::None);
        unknown[22] = 6;
        assert_eq!(records(&unknown), Err(Undecodable::Unpack(UnpackError::Unknown(6))));
        let mut negative = batch(Codec::None);
        negative[57] = 0x80;
        assert!(matches!(records(&negative), Err(Undecodable::Count(_))));
        let mut more = batch(Codec::None);
        more[60] = 3;
        assert_eq!(records(&more), Err(Undecodable::Record(MalformedRecord(2))));
    }
}
