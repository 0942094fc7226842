//! Offsets and times of a batch's records, read in steps: the body is decompressed as a stream, and
//! of each record only its head is looked at. A batch that unpacks to far more than itself so takes
//! neither memory nor a long turn.

use super::Codec;
use super::codec::CodecError;
use super::header::{BATCH_HEADER_BYTES, BatchHeader};
use super::records::{RecordPlace, RecordsError};
use super::snappy_stream::SnappyReader;
use super::varint;
use std::io::{BufRead, Read};

/// Decompressed between two pauses: about 100 µs of gzip, the slowest.
const STEP_BYTES: usize = 32 << 10;
/// A record's length, attributes, timestamp and offset are at most this long.
const HEAD_BYTES_MAX: usize = 5 + 1 + 10 + 5;
/// A stream's frame may ask for a window as long as it likes; every decoder should allow 8 MiB
/// (RFC 8878), and levels up to 19 ask for no more.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Record(RecordPlace),
    /// Enough for one turn; go on later.
    Pause,
    End,
}

/// The places of one batch's records, in order.
pub struct RecordPlaces {
    header: BatchHeader,
    body: Box<dyn Read>,
    codec: Codec,
    /// Bytes that may still come out of the body.
    bytes_left: usize,
    bytes_max: usize,
    buffer: Vec<u8>,
    at: usize,
    /// Of the record before: bytes that nobody looks at.
    skip: usize,
    next: i32,
    ended: bool,
}

impl RecordPlaces {
    /// Opens a whole batch; its body may unpack to `bytes_max`.
    pub fn open(mut batch: impl BufRead + 'static, bytes_max: usize) -> Result<Self, RecordsError> {
        let mut head = [0; BATCH_HEADER_BYTES];
        batch.read_exact(&mut head).map_err(|_| RecordsError::Header(0))?;
        let header = *BatchHeader::of(&head).ok_or(RecordsError::Header(head.len()))?;
        let number = header.codec_number();
        let codec = Codec::of(number).ok_or(CodecError::Unknown(number))?;
        let invalid = |error: std::io::Error| CodecError::Invalid(codec, error.to_string());
        let body: Box<dyn Read> = match codec {
            Codec::None => Box::new(batch),
            Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(batch)),
            Codec::Snappy => Box::new(SnappyReader::new(batch).map_err(invalid)?),
            Codec::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(batch)),
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(batch).map_err(invalid)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(invalid)?;
                Box::new(decoder)
            }
        };
        Ok(Self {
            header,
            body,
            codec,
            bytes_left: bytes_max,
            bytes_max,
            buffer: Vec::with_capacity(STEP_BYTES),
            at: 0,
            skip: 0,
            next: 0,
            ended: false,
        })
    }

    /// The next record's place, or why there is none now.
    pub fn step(&mut self) -> Result<Step, RecordsError> {
        let here = self.buffer.len() - self.at;
        let skipped = here.min(self.skip);
        (self.at, self.skip) = (self.at + skipped, self.skip - skipped);
        if self.skip == 0 && self.next == self.header.record_count.get() {
            return Ok(Step::End);
        }
        if self.buffer.len() - self.at < HEAD_BYTES_MAX && !self.ended {
            self.refill()?;
            return Ok(Step::Pause);
        }
        if self.skip > 0 {
            return Err(RecordsError::Record(self.next - 1));
        }
        self.next += 1;
        let place = self.take_head().ok_or(RecordsError::Record(self.next - 1))?;
        Ok(Step::Record(place))
    }

    fn refill(&mut self) -> Result<(), RecordsError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        while self.buffer.len() < STEP_BYTES {
            let before = self.buffer.len();
            self.buffer.resize(STEP_BYTES, 0);
            let read = self.body.read(&mut self.buffer[before..]);
            let read = read.map_err(|error| CodecError::Invalid(self.codec, error.to_string()))?;
            self.buffer.truncate(before + read);
            if read == 0 {
                self.ended = true;
                break;
            }
            let left = self.bytes_left.checked_sub(read);
            self.bytes_left = left.ok_or(CodecError::AboveCap(self.bytes_max))?;
        }
        Ok(())
    }

    fn take_head(&mut self) -> Option<RecordPlace> {
        let mut rest = &self.buffer[self.at..];
        let bytes = usize::try_from(varint::take_i32(&mut rest)?).ok()?;
        let record = rest.len();
        let (_attributes, behind) = rest.split_first()?;
        rest = behind;
        let timestamp_delta = varint::take_i64(&mut rest)?;
        let offset_delta = varint::take_i32(&mut rest)?;
        self.skip = bytes.checked_sub(record - rest.len())?;
        self.at = self.buffer.len() - rest.len();
        let timestamp_ms = match self.header.is_log_append_time() {
            true => self.header.max_timestamp.get(),
            false => self.header.base_timestamp.get().checked_add(timestamp_delta)?,
        };
        let offset = self.header.base_offset.get().checked_add(i64::from(offset_delta))?;
        Some(RecordPlace { offset, timestamp_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};
    use std::io::Cursor;

    fn batch(codec: Codec, values: &[Vec<u8>]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.base_offset(50).codec(codec);
        for (at, value) in values.iter().enumerate() {
            builder.push(NewRecord { timestamp_ms: 1_000 + at as i64, ..NewRecord::value(value) });
        }
        builder.build()
    }

    fn places(batch: &[u8], cap: usize) -> Result<(Vec<RecordPlace>, usize), RecordsError> {
        let mut places = RecordPlaces::open(Cursor::new(batch.to_vec()), cap)?;
        let (mut all, mut pauses) = (Vec::new(), 0);
        loop {
            match places.step()? {
                Step::Record(place) => all.push(place),
                Step::Pause => pauses += 1,
                Step::End => return Ok((all, pauses)),
            }
        }
    }

    #[test]
    fn every_codec_gives_every_place_in_steps() {
        let values: Vec<Vec<u8>> = [0, 10, 200_000, 31, 90_000].map(|bytes| vec![7; bytes]).to_vec();
        for codec in Codec::ALL {
            let (places, pauses) = places(&batch(codec, &values), 1 << 20).unwrap();
            let offsets: Vec<_> = places.iter().map(|place| (place.offset, place.timestamp_ms)).collect();
            let expected: Vec<_> = (0..5).map(|at| (50 + at, 1_000 + at)).collect();
            assert_eq!(offsets, expected, "{codec:?}");
            assert!(pauses >= 290_000 / STEP_BYTES, "{codec:?}: {pauses}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_cap_and_a_cut_body_is_an_error() {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let bomb = batch(codec, &[vec![0; 8 << 20], vec![1]]);
            let error = places(&bomb, 1 << 20).unwrap_err();
            assert_eq!(error, RecordsError::Codec(CodecError::AboveCap(1 << 20)), "{codec:?}");
            assert!(places(&bomb[..bomb.len() - 8], 16 << 20).is_err(), "{codec:?}");
        }
        let plain = batch(Codec::None, &[vec![1; 100]]);
        assert!(places(&plain[..plain.len() - 1], 1 << 20).is_err());
        assert!(places(&plain[..60], 1 << 20).is_err());
    }
}
