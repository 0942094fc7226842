//! Writes a record batch v2 with a given codec: the header of another batch, and records that come in pieces and are
//! compressed as they do. Knows no policy; `repack` is the walk that feeds it.
//!
//! What an encoder holds beside the batch that it makes: gzip 256 KiB, snappy and lz4 a block of at most 64 KiB twice,
//! zstd at most 4 MiB (its window is 512 KiB, whatever the level).

use super::codec::{Codec, XERIAL_MAGIC};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, CRC_REGION_START, LENGTH_FREE_BYTES, attribute};
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write;
use zerocopy::{FromBytes, IntoBytes};

/// With what a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packing {
    pub codec: Codec,
    /// In the codec's own counting; of no meaning to those that have no levels.
    pub level: i32,
}

/// zstd's levels above this take many times the work for a few percent; they count as this one.
pub const ZSTD_LEVEL_MAX: i32 = 6;
/// As a power of two. The tables of a level are made for its window: so they stay below 4 MiB.
const ZSTD_WINDOW_LOG: u32 = 19;
/// As the Java client cuts its body into blocks of snappy.
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;
/// The two versions behind the magic of snappy-java's framing: its own, and the oldest that can read it.
const XERIAL_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];

impl Packing {
    pub const PLAIN: Self = Self { codec: Codec::None, level: 0 };

    /// With the codec's usual level, as Kafka has it.
    pub fn usual(codec: Codec) -> Self {
        let level = match codec {
            Codec::Gzip => 6,
            Codec::Zstd => 3,
            Codec::None | Codec::Snappy | Codec::Lz4 => 0,
        };
        Self { codec, level }
    }

    /// How much of a body is compressed in one go, so that it takes about 100 µs.
    pub fn step_bytes(self) -> usize {
        match self.codec {
            Codec::Gzip => 4 << 10,
            Codec::Zstd => 16 << 10,
            Codec::None | Codec::Snappy | Codec::Lz4 => 64 << 10,
        }
    }
}

/// A batch would be longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch would be longer than {bytes_max} bytes")]
pub struct TooLong {
    pub bytes_max: usize,
}

/// A batch that is being written.
pub struct Packer {
    codec: Codec,
    encoder: Encoder,
    /// The batch with its header.
    bytes_max: usize,
}

/// Each has the whole batch in hand, its header's place first.
enum Encoder {
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Snappy(Box<Snappy>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

const IN_MEMORY: &str = "writing to memory does not fail";

impl Packer {
    /// For a batch of at most `bytes_max`.
    pub fn new(packing: Packing, bytes_max: usize) -> Self {
        let batch = vec![0; BATCH_HEADER_BYTES];
        let encoder = match packing.codec {
            Codec::None => Encoder::Plain(batch),
            Codec::Gzip => {
                let level = flate2::Compression::new(packing.level.clamp(1, 9) as u32);
                Encoder::Gzip(Box::new(GzEncoder::new(batch, level)))
            }
            Codec::Snappy => Encoder::Snappy(Box::new(Snappy::new(batch))),
            Codec::Lz4 => {
                // As the Java client makes them: its decoder takes no blocks that depend on each other.
                let frame =
                    FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
                Encoder::Lz4(Box::new(FrameEncoder::with_frame_info(frame, batch)))
            }
            Codec::Zstd => {
                let level = packing.level.min(ZSTD_LEVEL_MAX);
                let encoder = zstd::stream::write::Encoder::new(batch, level);
                let mut encoder = encoder.expect("a level below zstd's highest");
                encoder.window_log(ZSTD_WINDOW_LOG).expect("a window that zstd knows");
                Encoder::Zstd(Box::new(encoder))
            }
        };
        Self { codec: packing.codec, encoder, bytes_max }
    }

    /// Takes the next bytes of the records.
    pub fn write(&mut self, records: &[u8]) -> Result<(), TooLong> {
        match &mut self.encoder {
            Encoder::Plain(batch) => batch.extend_from_slice(records),
            Encoder::Gzip(gzip) => gzip.write_all(records).expect(IN_MEMORY),
            Encoder::Snappy(snappy) => snappy.write(records),
            Encoder::Lz4(lz4) => lz4.write_all(records).expect(IN_MEMORY),
            Encoder::Zstd(zstd) => zstd.write_all(records).expect(IN_MEMORY),
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<(), TooLong> {
        let bytes_max = self.bytes_max;
        if self.batch().len() > bytes_max { Err(TooLong { bytes_max }) } else { Ok(()) }
    }

    fn batch(&self) -> &Vec<u8> {
        match &self.encoder {
            Encoder::Plain(batch) => batch,
            Encoder::Gzip(gzip) => gzip.get_ref(),
            Encoder::Snappy(snappy) => &snappy.batch,
            Encoder::Lz4(lz4) => lz4.get_ref(),
            Encoder::Zstd(zstd) => zstd.get_ref(),
        }
    }

    /// What the batch's buffer takes now.
    pub fn held_bytes(&self) -> usize {
        self.batch().capacity()
    }

    /// The batch: `header` with this codec, the records' length and their CRC.
    pub fn finish(self, header: &BatchHeader) -> Result<Vec<u8>, TooLong> {
        let mut batch = match self.encoder {
            Encoder::Plain(batch) => batch,
            Encoder::Gzip(gzip) => gzip.finish().expect(IN_MEMORY),
            Encoder::Snappy(snappy) => snappy.finish(),
            Encoder::Lz4(lz4) => lz4.finish().expect(IN_MEMORY),
            Encoder::Zstd(zstd) => zstd.finish().expect(IN_MEMORY),
        };
        assert!(batch.len() >= BATCH_HEADER_BYTES, "the header's place was kept: {} bytes", batch.len());
        let bytes_max = self.bytes_max;
        if batch.len() > bytes_max {
            return Err(TooLong { bytes_max });
        }
        let length = i32::try_from(batch.len() - LENGTH_FREE_BYTES).expect("far below 2 GiB");
        let mut header = *header;
        header.attributes.set(header.attributes.get() & !attribute::CODEC_MASK | self.codec as i16);
        header.length.set(length);
        batch[..BATCH_HEADER_BYTES].copy_from_slice(header.as_bytes());
        let crc = crc32c::crc32c(&batch[CRC_REGION_START..]);
        BatchHeader::mut_from_prefix(&mut batch).expect("written above").0.crc.set(crc);
        Ok(batch)
    }
}

/// Blocks of raw snappy in snappy-java's framing, which all clients read.
struct Snappy {
    batch: Vec<u8>,
    /// What waits for its block to be full.
    block: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl Snappy {
    fn new(mut batch: Vec<u8>) -> Self {
        batch.extend_from_slice(&XERIAL_MAGIC);
        batch.extend_from_slice(&XERIAL_VERSIONS);
        Self { batch, block: Vec::with_capacity(SNAPPY_BLOCK_BYTES), encoder: snap::raw::Encoder::new() }
    }

    fn write(&mut self, mut records: &[u8]) {
        while !records.is_empty() {
            let (taken, rest) = records.split_at(records.len().min(SNAPPY_BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(taken);
            records = rest;
            if self.block.len() == SNAPPY_BLOCK_BYTES {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        let at = self.batch.len() + size_of::<u32>();
        self.batch.resize(at + snap::raw::max_compress_len(self.block.len()), 0);
        let packed = self.encoder.compress(&self.block, &mut self.batch[at..]);
        let bytes = packed.expect("room for the longest block");
        self.batch[at - size_of::<u32>()..at].copy_from_slice(&(bytes as u32).to_be_bytes());
        self.batch.truncate(at + bytes);
        self.block.clear();
    }

    fn finish(mut self: Box<Self>) -> Vec<u8> {
        if !self.block.is_empty() {
            self.end_block();
        }
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::records::Records;
    use crate::batch::{BatchBuilder, NewRecord, RecordBounds, check_records};

    fn source(records: usize, bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.base_offset(7).producer(5, 2, 9).attributes(attribute::TRANSACTIONAL);
        for at in 0..records {
            let value: Vec<u8> = (0..bytes).map(|byte| (byte * (at + 3) / 7 % 251) as u8).collect();
            builder.push(NewRecord { timestamp_ms: 1_000 + at as i64, ..NewRecord::value(&value) });
        }
        builder.build()
    }

    fn packed(source: &[u8], packing: Packing, piece_bytes: usize) -> Vec<u8> {
        let mut packer = Packer::new(packing, 16 << 20);
        for piece in source[BATCH_HEADER_BYTES..].chunks(piece_bytes) {
            packer.write(piece).unwrap();
        }
        packer.finish(BatchHeader::of(source).unwrap()).unwrap()
    }

    #[test]
    fn all_but_codec_length_and_crc_is_the_sources() {
        let source = source(40, 3_000);
        for codec in Codec::ALL {
            for piece_bytes in [999, 70_000, 1 << 20] {
                let batch = packed(&source, Packing::usual(codec), piece_bytes);
                let (was, is) = (BatchHeader::of(&source).unwrap(), BatchHeader::of(&batch).unwrap());
                assert_eq!(is.codec_number(), codec as u8);
                assert_eq!(
                    (is.declared_bytes(), is.crc.get()),
                    (batch.len() as i64, crate::batch::header::batch_crc(&batch))
                );
                let mut same = *is;
                same.length = was.length;
                same.crc = was.crc;
                same.attributes.set(is.attributes.get() & !attribute::CODEC_MASK);
                assert_eq!(same, *was);
                assert!(check_records(&batch, RecordBounds::ANY).is_ok(), "{codec:?}");
                let opened = Records::open(&batch, 1 << 20).unwrap();
                let expected = Records::open(&source, 1 << 20).unwrap();
                assert!(opened.iter().eq(expected.iter()), "{codec:?}");
            }
        }
    }

    #[test]
    fn a_batch_without_records_is_one_with_every_codec() {
        let mut header = *BatchHeader::of(&source(1, 1)).unwrap();
        header.record_count.set(0);
        for codec in Codec::ALL {
            let batch = Packer::new(Packing::usual(codec), 1 << 20).finish(&header).unwrap();
            assert_eq!(Records::open(&batch, 1 << 20).unwrap().iter().count(), 0, "{codec:?}");
            assert!(check_records(&batch, RecordBounds::ANY).is_ok(), "{codec:?}");
        }
    }

    #[test]
    fn what_would_be_longer_than_it_may_be_is_told_before_it_is() {
        let source = source(4, 300_000);
        let header = BatchHeader::of(&source).unwrap();
        for codec in Codec::ALL {
            let bytes = packed(&source, Packing::usual(codec), 64 << 10).len();
            let mut fits = Packer::new(Packing::usual(codec), bytes);
            let mut short = Packer::new(Packing::usual(codec), bytes - 1);
            for piece in source[BATCH_HEADER_BYTES..].chunks(64 << 10) {
                fits.write(piece).unwrap();
                _ = short.write(piece);
            }
            assert_eq!(fits.finish(header).map(|batch| batch.len()), Ok(bytes), "{codec:?}");
            assert_eq!(short.finish(header), Err(TooLong { bytes_max: bytes - 1 }), "{codec:?}");
        }
    }

    #[test]
    fn levels_count_and_those_that_take_too_long_are_lowered() {
        let source = source(40, 3_000);
        let bytes = |codec, level| packed(&source, Packing { codec, level }, 64 << 10).len();
        assert!(bytes(Codec::Gzip, 9) < bytes(Codec::Gzip, 1));
        assert!(bytes(Codec::Zstd, 6) < bytes(Codec::Zstd, -50));
        assert_eq!(bytes(Codec::Zstd, 22), bytes(Codec::Zstd, ZSTD_LEVEL_MAX));
    }
}
