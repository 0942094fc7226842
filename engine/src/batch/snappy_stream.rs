//! Snappy, decompressed as it is read: what compressors make refers back by less than 64 KiB, so
//! that much of what came before is kept and no more.

use std::io::{self, BufRead, Read};

/// Compressors work on blocks of 64 KiB, each for itself.
const WINDOW_BYTES: usize = 64 << 10;
/// What is decompressed ahead of the reader, at least.
const AHEAD_BYTES: usize = 16 << 10;
/// Above this the front of the buffer is dropped.
const BUFFER_BYTES: usize = 4 * WINDOW_BYTES;

/// How snappy-java frames its blocks, which Java clients send: magic, two versions, then blocks
/// of big-endian length and raw snappy. librdkafka sends one raw block without it.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;

/// Reads raw snappy, or snappy-java's frames of it.
pub struct SnappyReader<R> {
    from: R,
    framed: bool,
    /// What was decompressed: the window, and from `read` on what nobody has read yet.
    buffer: Vec<u8>,
    read: usize,
    /// Of the block under way: bytes still to come out of it.
    block_left: u64,
    /// Where the block began in `buffer`, or 0 when that is dropped already.
    block_start: usize,
    literal_left: usize,
}

impl<R: BufRead> SnappyReader<R> {
    pub fn new(mut from: R) -> io::Result<Self> {
        let mut head = [0; XERIAL_HEADER_BYTES];
        let framed = peek_is_magic(&mut from)?;
        if framed {
            from.read_exact(&mut head)?;
        }
        let mut reader = Self {
            from,
            framed,
            buffer: Vec::new(),
            read: 0,
            block_left: 0,
            block_start: 0,
            literal_left: 0,
        };
        if !framed && !reader.is_at_end()? {
            reader.begin_block()?;
        }
        Ok(reader)
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.from.fill_buf()?.is_empty())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let byte = *self.from.fill_buf()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.from.consume(1);
        Ok(byte)
    }

    fn little_endian(&mut self, bytes: usize) -> io::Result<usize> {
        let mut value = 0;
        for at in 0..bytes {
            value |= usize::from(self.byte()?) << (8 * at);
        }
        Ok(value)
    }

    fn begin_block(&mut self) -> io::Result<()> {
        let mut length = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                self.block_left = length;
                self.block_start = self.buffer.len();
                return if length > u64::from(u32::MAX) {
                    Err(invalid("a block is too long"))
                } else {
                    Ok(())
                };
            }
        }
        Err(invalid("a block's length is too long"))
    }

    /// Decompresses until there is something ahead of the reader, or all is over.
    fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() > BUFFER_BYTES {
            let gone = self.read.min(self.buffer.len() - WINDOW_BYTES);
            self.buffer.drain(..gone);
            self.read -= gone;
            self.block_start = self.block_start.saturating_sub(gone);
        }
        while self.buffer.len() - self.read < AHEAD_BYTES {
            if self.block_left == 0 {
                if self.is_at_end()? {
                    return Ok(());
                }
                if !self.framed {
                    return Err(invalid("bytes are left over"));
                }
                for _ in 0..4 {
                    self.byte()?;
                }
                self.begin_block()?;
            } else if self.literal_left > 0 {
                self.take_literal()?;
            } else {
                self.take_element()?;
            }
        }
        Ok(())
    }

    fn take_literal(&mut self) -> io::Result<()> {
        let here = self.from.fill_buf()?;
        let bytes = here.len().min(self.literal_left).min(AHEAD_BYTES);
        if bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&here[..bytes]);
        self.from.consume(bytes);
        self.literal_left -= bytes;
        self.produced(bytes)
    }

    fn take_element(&mut self) -> io::Result<()> {
        let tag = self.byte()?;
        let six_bits = usize::from(tag >> 2);
        let (length, back) = match tag & 3 {
            0 => {
                let length = if six_bits < 60 { six_bits } else { self.little_endian(six_bits - 59)? };
                if length as u64 >= self.block_left {
                    return Err(invalid("a literal goes on behind its block"));
                }
                self.literal_left = length + 1;
                return Ok(());
            }
            1 => ((six_bits & 7) + 4, usize::from(tag >> 5) << 8 | usize::from(self.byte()?)),
            2 => (six_bits + 1, self.little_endian(2)?),
            _ => (six_bits + 1, self.little_endian(4)?),
        };
        if back == 0 || back > self.buffer.len() - self.block_start {
            return Err(invalid("a copy from before the block, or from further back than is kept"));
        }
        for _ in 0..length {
            self.buffer.push(self.buffer[self.buffer.len() - back]);
        }
        self.produced(length)
    }

    fn produced(&mut self, bytes: usize) -> io::Result<()> {
        self.block_left = self
            .block_left
            .checked_sub(bytes as u64)
            .ok_or_else(|| invalid("a block is longer than it says"))?;
        Ok(())
    }
}

impl<R: BufRead> Read for SnappyReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.buffer.len() {
            self.fill()?;
        }
        let bytes = into.len().min(self.buffer.len() - self.read);
        into[..bytes].copy_from_slice(&self.buffer[self.read..self.read + bytes]);
        self.read += bytes;
        Ok(bytes)
    }
}

fn peek_is_magic(from: &mut impl BufRead) -> io::Result<bool> {
    // What holds a batch gives its first bytes at once; a frame that does not is no frame.
    Ok(from.fill_buf()?.starts_with(&XERIAL_MAGIC))
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::super::Codec;
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in small pieces.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let bytes = self.fill_buf()?.len().min(into.len());
            into[..bytes].copy_from_slice(&self.0[..bytes]);
            self.consume(bytes);
            Ok(bytes)
        }
    }

    impl BufRead for Dribble<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            Ok(&self.0[..self.0.len().min(self.1)])
        }
        fn consume(&mut self, bytes: usize) {
            self.0 = &self.0[bytes..];
        }
    }

    fn read_all(body: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        SnappyReader::new(Dribble(body, piece))?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn words(bytes: usize) -> Vec<u8> {
        let mut rng = crate::rng::Rng::new(7);
        let mut out = Vec::new();
        while out.len() < bytes {
            let word = rng.below(500).to_le_bytes();
            out.extend_from_slice(&word[..1 + rng.below(7) as usize]);
        }
        out
    }

    #[test]
    fn a_raw_block_comes_back_whatever_its_length() {
        for bytes in [0, 1, 59, 60, 70_000, 1 << 20] {
            let body = words(bytes);
            assert_eq!(read_all(&Codec::Snappy.compress(&body), 999).unwrap(), body, "{bytes}");
            let zeros = vec![0; bytes];
            assert_eq!(read_all(&Codec::Snappy.compress(&zeros), 16).unwrap(), zeros, "{bytes}");
        }
    }

    #[test]
    fn javas_frames_come_back() {
        let mut framed = XERIAL_MAGIC.to_vec();
        framed.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        let body = words(300_000);
        for block in body.chunks(32 << 10) {
            let block = Codec::Snappy.compress(block);
            framed.extend_from_slice(&(block.len() as u32).to_be_bytes());
            framed.extend_from_slice(&block);
        }
        assert_eq!(read_all(&framed, 4096).unwrap(), body);
        assert!(read_all(&framed[..framed.len() - 1], 4096).is_err());
    }

    #[test]
    fn what_refers_to_before_its_block_or_is_longer_than_it_says_is_refused() {
        // Two bytes declared; a literal of one, then a copy from two back.
        assert!(read_all(&[2, 0, b'a', 0b0000_0001, 2], 9).is_err());
        assert!(read_all(&[2, 0, b'a', 0b0000_0001, 1], 9).is_err(), "four bytes where one is left");
        assert!(read_all(&[1, 0, b'a', 0], 9).is_err(), "left over");
        assert!(read_all(&[1, 0], 9).is_err(), "cut");
        // A literal of three where one byte is declared, cut just where the block would end.
        assert!(read_all(&[1, 0b0000_1000, b'a'], 9).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_what_the_other_decoder_says(bytes in proptest::collection::vec(any::<u8>(), 8..200)) {
            if bytes.starts_with(&XERIAL_MAGIC) { return Ok(()); }
            let expected = snap::raw::Decoder::new();
            let mut expected = expected;
            let sane = snap::raw::decompress_len(&bytes).is_ok_and(|length| length < 1 << 20);
            if sane && let Ok(body) = expected.decompress_vec(&bytes) {
                prop_assert_eq!(read_all(&bytes, 16).unwrap(), body);
            } else if sane {
                prop_assert!(read_all(&bytes, 16).is_err());
            }
        }
    }
}
