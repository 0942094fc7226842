//! Kafka's compression codecs, and bodies decompressed whole, for ListOffsets by time, tests and
//! tools. Decompression stops at a cap, so that a few bytes never ask for gigabytes. What a produce
//! brings is decompressed as a stream (`unpack`).

use std::io::{Read, Write};

/// By its number in a batch's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

/// Why a body could not be decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("compression codec {0} is unknown")]
    Unknown(u8),
    #[error("decompresses to more than {0} bytes")]
    AboveCap(usize),
    #[error("not valid {0:?}: {1}")]
    Invalid(Codec, String),
}

/// Why a body cannot be decompressed as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UnpackError {
    #[error("compression codec {0} is unknown")]
    Unknown(u8),
    #[error("the {0:?} body decompresses to more than {1} bytes, the most that is taken")]
    AboveCap(Codec, u64),
    #[error("the body is not valid {0:?}: {1}")]
    Invalid(Codec, &'static str),
    #[error("the {0:?} body is cut short")]
    Cut(Codec),
    #[error("bytes follow the end of the {0:?} body")]
    Trailing(Codec),
}

/// How snappy-java frames its blocks, which Java clients send: magic, two versions, then blocks
/// of big-endian length and raw snappy. librdkafka sends one raw block without it.
pub(super) const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
pub(super) const XERIAL_HEADER_BYTES: usize = 16;

impl Codec {
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Decompresses to at most `cap` bytes.
    pub fn decompress(self, body: &[u8], cap: usize) -> Result<Vec<u8>, CodecError> {
        match self {
            Codec::None if body.len() > cap => Err(CodecError::AboveCap(cap)),
            Codec::None => Ok(body.to_vec()),
            Codec::Gzip => self.drain(flate2::read::MultiGzDecoder::new(body), cap),
            Codec::Snappy => decompress_snappy(body, cap),
            Codec::Lz4 => self.drain(lz4_flex::frame::FrameDecoder::new(body), cap),
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body)
                    .map_err(|error| CodecError::Invalid(self, error.to_string()))?;
                // The window is allocated as the frame's header asks. A stream's header asks for
                // the compression level's window whatever its length, so every decoder should
                // allow 8 MiB (RFC 8878); above that none is needed that exceeds the cap.
                let window_log = cap.max(1).next_power_of_two().ilog2().clamp(23, 27);
                decoder
                    .window_log_max(window_log)
                    .map_err(|error| CodecError::Invalid(self, error.to_string()))?;
                self.drain(decoder, cap)
            }
        }
    }

    /// Compresses; for tests and tools.
    pub fn compress(self, body: &[u8]) -> Vec<u8> {
        const IN_MEMORY: &str = "writing to memory does not fail";
        match self {
            Codec::None => body.to_vec(),
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(body).expect(IN_MEMORY);
                encoder.finish().expect(IN_MEMORY)
            }
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(body).expect("below 4 GiB"),
            Codec::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(body).expect(IN_MEMORY);
                encoder.finish().expect(IN_MEMORY)
            }
            Codec::Zstd => zstd::stream::encode_all(body, 0).expect(IN_MEMORY),
        }
    }

    fn drain(self, from: impl Read, cap: usize) -> Result<Vec<u8>, CodecError> {
        let mut body = Vec::new();
        from.take(cap as u64 + 1)
            .read_to_end(&mut body)
            .map_err(|error| CodecError::Invalid(self, error.to_string()))?;
        if body.len() > cap { Err(CodecError::AboveCap(cap)) } else { Ok(body) }
    }
}

fn decompress_snappy(body: &[u8], cap: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    if !body.starts_with(&XERIAL_MAGIC) {
        append_snappy_block(body, &mut out, cap)?;
        return Ok(out);
    }
    let short = || CodecError::Invalid(Codec::Snappy, "a block is cut".to_owned());
    let mut rest = body.get(XERIAL_HEADER_BYTES..).ok_or_else(short)?;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (block, behind) =
            behind.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(short)?;
        append_snappy_block(block, &mut out, cap)?;
        rest = behind;
    }
    Ok(out)
}

fn append_snappy_block(block: &[u8], out: &mut Vec<u8>, cap: usize) -> Result<(), CodecError> {
    let invalid = |error: snap::Error| CodecError::Invalid(Codec::Snappy, error.to_string());
    let bytes = snap::raw::decompress_len(block).map_err(invalid)?;
    if bytes > cap - out.len() {
        return Err(CodecError::AboveCap(cap));
    }
    let start = out.len();
    out.resize(start + bytes, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(invalid)?;
    Ok(())
}

#[cfg(test)]
pub mod samples {
    use super::*;

    /// Blocks as the Java client frames them.
    pub fn xerial(blocks: &[&[u8]]) -> Vec<u8> {
        let mut framed = XERIAL_MAGIC.to_vec();
        framed.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        for block in blocks {
            let block = Codec::Snappy.compress(block);
            framed.extend_from_slice(&(block.len() as u32).to_be_bytes());
            framed.extend_from_slice(&block);
        }
        framed
    }
}

#[cfg(test)]
mod tests {
    use super::samples::xerial;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_codec_gives_back_what_it_took_and_stops_at_the_cap() {
        let body = b"the same words, the same words, ".repeat(300);
        for codec in Codec::ALL {
            let compressed = codec.compress(&body);
            assert_eq!(codec.decompress(&compressed, body.len()), Ok(body.clone()), "{codec:?}");
            let error = codec.decompress(&compressed, body.len() - 1);
            assert_eq!(error, Err(CodecError::AboveCap(body.len() - 1)), "{codec:?}");
        }
    }

    #[test]
    fn snappy_as_java_frames_it_is_read() {
        let framed = xerial(&[b"one", b"two"]);
        assert_eq!(Codec::Snappy.decompress(&framed, 6), Ok(b"onetwo".to_vec()));
        assert_eq!(Codec::Snappy.decompress(&framed, 5), Err(CodecError::AboveCap(5)));
        assert!(Codec::Snappy.decompress(&framed[..framed.len() - 1], 99).is_err());
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let bomb = vec![0; 32 << 20];
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let compressed = codec.compress(&bomb);
            assert!(codec.decompress(&compressed, 1 << 16).is_err(), "{codec:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_short(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for codec in Codec::ALL {
                if let Ok(body) = codec.decompress(&bytes, 1 << 16) {
                    prop_assert!(body.len() <= 1 << 16);
                }
            }
        }
    }
}
