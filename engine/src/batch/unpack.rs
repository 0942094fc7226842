//! A batch's body, decompressed as a stream: piece by piece, with a cap, and never held whole.
//! What a codec holds is its window: gzip 32 KiB, lz4 a block of at most 4 MiB with its source,
//! snappy and zstd at most 8 MiB.

use super::codec::{Codec, UnpackError, XERIAL_HEADER_BYTES, XERIAL_MAGIC};
use super::snappy::RawSnappy;
use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use std::io::{self, BufRead, Read};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

/// A step takes at most this much of the body and gives at most this much; but lz4 decompresses
/// whole blocks, of at most 4 MiB.
pub const STEP_BYTES: usize = 64 << 10;

/// zstd's window, as a power of two: what every decoder should allow (RFC 8878), and what levels
/// up to 19 need.
const ZSTD_WINDOW_LOG: u32 = 23;
/// What a frame of the highest levels may ask for instead, as Kafka allows it. It is touched only
/// as far as there is output, so that is bounded for them.
const ZSTD_WIDE_WINDOW_LOG: u32 = 27;
const ZSTD_WIDE_BYTES_MAX: u64 = 1 << ZSTD_WINDOW_LOG;

/// A body on its way.
pub struct Unpacked<'a> {
    codec: Codec,
    packed: Packed<'a>,
    given_bytes: u64,
    bytes_max: u64,
}

enum Packed<'a> {
    Plain(&'a [u8]),
    Gzip(Box<Gzip<'a>>),
    Snappy(Snappy<'a>),
    Lz4(Box<Lz4<'a>>),
    Zstd(Zstd<'a>),
}

impl<'a> Unpacked<'a> {
    /// The body of a batch with this codec; it may give at most `bytes_max`.
    pub fn new(codec: Codec, body: &'a [u8], bytes_max: u64) -> Result<Self, UnpackError> {
        let packed = match codec {
            Codec::None => Packed::Plain(body),
            Codec::Gzip => Packed::Gzip(Box::new(Gzip::new(body))),
            Codec::Snappy => Packed::Snappy(Snappy::new(body)?),
            Codec::Lz4 => Packed::Lz4(Box::new(Lz4::new(body)?)),
            Codec::Zstd => Packed::Zstd(Zstd::new(body)),
        };
        Ok(Self { codec, packed, given_bytes: 0, bytes_max })
    }

    /// One step: its output, which may be nothing; `None` behind the end.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>, UnpackError> {
        let is_wide = matches!(&self.packed, Packed::Zstd(zstd) if zstd.is_wide);
        let bytes_max = if is_wide { self.bytes_max.min(ZSTD_WIDE_BYTES_MAX) } else { self.bytes_max };
        let piece = match &mut self.packed {
            Packed::Plain(rest) => {
                let (piece, behind) = rest.split_at(rest.len().min(STEP_BYTES));
                *rest = behind;
                (!piece.is_empty()).then_some(piece)
            }
            Packed::Gzip(gzip) => gzip.next_piece()?,
            Packed::Snappy(snappy) => snappy.next_piece()?,
            Packed::Lz4(lz4) => lz4.next_piece()?,
            Packed::Zstd(zstd) => zstd.next_piece()?,
        };
        self.given_bytes += piece.map_or(0, |piece| piece.len() as u64);
        if self.given_bytes > bytes_max {
            return Err(UnpackError::AboveCap(self.codec, bytes_max));
        }
        Ok(piece)
    }
}

fn step_buffer() -> Box<[u8]> {
    vec![0; STEP_BYTES].into_boxed_slice()
}

/// Bytes that come to an end for now when an allowance is used up, so that a step ends although a
/// body has much to read and nothing to give (empty blocks).
struct Metered<'a> {
    rest: &'a [u8],
    allowance: usize,
}

impl BufRead for Metered<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.allowance == 0 && !self.rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.rest[..self.allowance.min(self.rest.len())])
    }

    fn consume(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.allowance -= bytes;
    }
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(into)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

struct Gzip<'a> {
    decoder: MultiGzDecoder<Metered<'a>>,
    piece: Box<[u8]>,
}

impl<'a> Gzip<'a> {
    fn new(body: &'a [u8]) -> Self {
        let metered = Metered { rest: body, allowance: STEP_BYTES };
        Self { decoder: MultiGzDecoder::new(metered), piece: step_buffer() }
    }

    fn next_piece(&mut self) -> Result<Option<&[u8]>, UnpackError> {
        self.decoder.get_mut().allowance = STEP_BYTES;
        match self.decoder.read(&mut self.piece) {
            Ok(0) if self.decoder.get_ref().rest.is_empty() => Ok(None),
            Ok(0) => Err(UnpackError::Trailing(Codec::Gzip)),
            Ok(bytes) => Ok(Some(&self.piece[..bytes])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(&[])),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(UnpackError::Cut(Codec::Gzip)),
            Err(_) => Err(UnpackError::Invalid(Codec::Gzip, "corrupt header, data or checksum")),
        }
    }
}

struct Snappy<'a> {
    block: RawSnappy<'a>,
    /// Blocks to come, with Java's framing.
    blocks: &'a [u8],
    /// A block was begun and did not end.
    in_block: bool,
}

impl<'a> Snappy<'a> {
    fn new(body: &'a [u8]) -> Result<Self, UnpackError> {
        let mut block = RawSnappy::default();
        if !body.starts_with(&XERIAL_MAGIC) {
            block.begin(body)?;
            return Ok(Self { block, blocks: &[], in_block: true });
        }
        let blocks = body.get(XERIAL_HEADER_BYTES..).ok_or(UnpackError::Cut(Codec::Snappy))?;
        Ok(Self { block, blocks, in_block: false })
    }

    fn next_piece(&mut self) -> Result<Option<&[u8]>, UnpackError> {
        const CUT: UnpackError = UnpackError::Cut(Codec::Snappy);
        if !self.in_block {
            if self.blocks.is_empty() {
                return Ok(None);
            }
            let (bytes, rest) = self.blocks.split_first_chunk::<4>().ok_or(CUT)?;
            let (block, rest) = rest.split_at_checked(u32::from_be_bytes(*bytes) as usize).ok_or(CUT)?;
            self.block.begin(block)?;
            (self.blocks, self.in_block) = (rest, true);
        }
        match self.block.next_piece(STEP_BYTES)? {
            Some(piece) => Ok(Some(piece)),
            None => {
                self.in_block = false;
                Ok(Some(&[]))
            }
        }
    }
}

struct Lz4<'a> {
    decoder: FrameDecoder<&'a [u8]>,
    /// Of the decoder's output, given and not yet taken away.
    given: usize,
}

impl<'a> Lz4<'a> {
    fn new(body: &'a [u8]) -> Result<Self, UnpackError> {
        match lz4_frame_bytes(body)? {
            bytes if bytes < body.len() => Err(UnpackError::Trailing(Codec::Lz4)),
            _ => Ok(Self { decoder: FrameDecoder::new(body), given: 0 }),
        }
    }

    fn next_piece(&mut self) -> Result<Option<&[u8]>, UnpackError> {
        self.decoder.consume(self.given);
        self.given = 0;
        const INVALID: UnpackError = UnpackError::Invalid(Codec::Lz4, "corrupt header, data or checksum");
        let is_over = self.decoder.fill_buf().map_err(|_| INVALID)?.is_empty();
        if is_over {
            // A block may be empty as well: no encoder makes such, and Java's decoder ends there.
            return if self.decoder.get_ref().is_empty() { Ok(None) } else { Err(INVALID) };
        }
        let piece = self.decoder.fill_buf().map_err(|_| INVALID)?;
        let piece = &piece[..piece.len().min(STEP_BYTES)];
        self.given = piece.len();
        Ok(Some(piece))
    }
}

/// How long the frame at the front of `body` is, by its blocks' lengths. The decoder ends quietly
/// where a frame is cut between two blocks.
fn lz4_frame_bytes(body: &[u8]) -> Result<usize, UnpackError> {
    const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
    const INDEPENDENT: u8 = 1 << 5;
    const BLOCK_CHECKSUMS: u8 = 1 << 4;
    const CONTENT_SIZE: u8 = 1 << 3;
    const CONTENT_CHECKSUM: u8 = 1 << 2;
    const DICTIONARY: u8 = 1;
    /// In a block's length: it is stored as it is.
    const PLAIN: u32 = 1 << 31;
    let cut = UnpackError::Cut(Codec::Lz4);
    if !body.starts_with(&MAGIC) {
        return Err(UnpackError::Invalid(Codec::Lz4, "no frame begins here"));
    }
    let flags = *body.get(4).ok_or(cut)?;
    if flags & INDEPENDENT == 0 {
        return Err(UnpackError::Invalid(
            Codec::Lz4,
            "its blocks depend on each other, which Kafka never took",
        ));
    }
    let four_if = |flag: u8| if flags & flag == 0 { 0 } else { 4 };
    // Magic, flags, block size and header checksum are always there.
    let mut at = 7 + 2 * four_if(CONTENT_SIZE) + four_if(DICTIONARY);
    loop {
        let length = body.get(at..at + 4).ok_or(cut)?;
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        at += 4;
        if length == 0 {
            break;
        }
        at += (length & !PLAIN) as usize + four_if(BLOCK_CHECKSUMS);
    }
    at += four_if(CONTENT_CHECKSUM);
    if at <= body.len() { Ok(at) } else { Err(cut) }
}

struct Zstd<'a> {
    context: DCtx<'static>,
    body: &'a [u8],
    at: usize,
    /// Where the frame in hand begins.
    frame_start: usize,
    /// Nothing of a frame is in hand.
    between_frames: bool,
    is_wide: bool,
    piece: Box<[u8]>,
}

fn zstd_context(window_log: u32) -> DCtx<'static> {
    let mut context = DCtx::create();
    context.set_parameter(DParameter::WindowLogMax(window_log)).expect("a window that zstd knows");
    context
}

impl<'a> Zstd<'a> {
    fn new(body: &'a [u8]) -> Self {
        let context = zstd_context(ZSTD_WINDOW_LOG);
        let piece = step_buffer();
        Self { context, body, at: 0, frame_start: 0, between_frames: true, is_wide: false, piece }
    }

    fn next_piece(&mut self) -> Result<Option<&[u8]>, UnpackError> {
        if self.between_frames {
            if self.at == self.body.len() {
                return Ok(None);
            }
            self.frame_start = self.at;
        }
        let step = STEP_BYTES.min(self.body.len() - self.at);
        let mut input = InBuffer::around(&self.body[self.at..self.at + step]);
        let mut output = OutBuffer::around(&mut self.piece[..]);
        let result = self.context.decompress_stream(&mut output, &mut input);
        let (taken, given) = (input.pos(), output.pos());
        match result {
            Ok(wanted) => self.between_frames = wanted == 0,
            Err(code) if wants_more_window(code) && !self.is_wide => {
                self.context = zstd_context(ZSTD_WIDE_WINDOW_LOG);
                (self.at, self.between_frames, self.is_wide) = (self.frame_start, true, true);
                return Ok(Some(&[]));
            }
            Err(code) => return Err(UnpackError::Invalid(Codec::Zstd, get_error_name(code))),
        }
        self.at += taken;
        if taken == 0 && given == 0 && !self.between_frames {
            return Err(UnpackError::Cut(Codec::Zstd));
        }
        Ok(Some(&self.piece[..given]))
    }
}

/// The code has no name of its own in the library.
fn wants_more_window(code: usize) -> bool {
    get_error_name(code) == "Frame requires too much memory for decoding"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::codec::samples::xerial;
    use proptest::prelude::*;
    use std::io::Write;

    const CAP: u64 = 64 << 20;

    fn unpack(codec: Codec, body: &[u8], bytes_max: u64) -> Result<Vec<u8>, UnpackError> {
        let mut unpacked = Unpacked::new(codec, body, bytes_max)?;
        let mut all = Vec::new();
        while let Some(piece) = unpacked.next_piece()? {
            assert!(piece.len() <= STEP_BYTES);
            all.extend_from_slice(piece);
        }
        Ok(all)
    }

    fn text(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at * at / 1000 % 251) as u8).collect()
    }

    #[test]
    fn each_codec_gives_back_what_it_took_up_to_the_cap() {
        for text in [text(0), text(100), text(300_000), vec![7; 3 << 20]] {
            let cap = text.len() as u64;
            for codec in Codec::ALL {
                let packed = codec.compress(&text);
                assert!(unpack(codec, &packed, cap) == Ok(text.clone()), "{codec:?} {cap}");
                if cap > 0 {
                    let error = unpack(codec, &packed, cap - 1).map(|_| ());
                    assert_eq!(error, Err(UnpackError::AboveCap(codec, cap - 1)));
                }
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_anywhere_or_goes_on_is_refused() {
        let text = text(200_000);
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let packed = codec.compress(&text);
            for cut in [0, 1, 5, 9, packed.len() / 2, packed.len() - 9, packed.len() - 4, packed.len() - 1] {
                let got = unpack(codec, &packed[..cut], CAP);
                let is_empty = got.as_ref().is_ok_and(|got| got.is_empty() && cut == 0);
                assert!(got.is_err() || is_empty, "{codec:?} cut at {cut}");
            }
            assert!(unpack(codec, &[&packed[..], b"behind the end"].concat(), CAP).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn snappy_as_java_frames_it_is_read() {
        let framed = xerial(&[b"one", b"", b"two"]);
        assert_eq!(unpack(Codec::Snappy, &framed, 6), Ok(b"onetwo".to_vec()));
        assert_eq!(unpack(Codec::Snappy, &framed, 5), Err(UnpackError::AboveCap(Codec::Snappy, 5)));
        for cut in [9, 17, framed.len() - 1] {
            assert_eq!(
                unpack(Codec::Snappy, &framed[..cut], 9),
                Err(UnpackError::Cut(Codec::Snappy)),
                "{cut}"
            );
        }
    }

    #[test]
    fn members_and_frames_may_follow_each_other() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let two = [codec.compress(b"one"), codec.compress(b"two")].concat();
            assert_eq!(unpack(codec, &two, CAP), Ok(b"onetwo".to_vec()), "{codec:?}");
        }
        let two = [Codec::Lz4.compress(b"one"), Codec::Lz4.compress(b"two")].concat();
        assert_eq!(unpack(Codec::Lz4, &two, CAP), Err(UnpackError::Trailing(Codec::Lz4)), "as in Java");
    }

    #[test]
    fn lz4_in_all_its_shapes_is_read_and_one_whose_blocks_depend_is_not() {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        let text = text(700_000);
        let pack = |mode, size, sums: bool| {
            let mut info = FrameInfo::new().block_mode(mode).block_size(size);
            info = info.block_checksums(sums).content_checksum(sums);
            if sums {
                info = info.content_size(Some(text.len() as u64));
            }
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        };
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
            for sums in [false, true] {
                let packed = pack(BlockMode::Independent, size, sums);
                assert!(unpack(Codec::Lz4, &packed, CAP) == Ok(text.clone()), "{size:?} {sums}");
            }
        }
        let linked = pack(BlockMode::Linked, BlockSize::Max64KB, false);
        assert!(matches!(unpack(Codec::Lz4, &linked, CAP), Err(UnpackError::Invalid(Codec::Lz4, _))));
    }

    #[test]
    fn zstd_with_a_wide_window_is_read_as_far_as_it_is_short() {
        let pack = |text: &[u8]| {
            let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(27).unwrap();
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let text = text(1 << 20);
        assert!(unpack(Codec::Zstd, &pack(&text), CAP) == Ok(text.clone()));
        let long = unpack(Codec::Zstd, &pack(&vec![1; (8 << 20) + 1]), CAP).map(|_| ());
        assert_eq!(long, Err(UnpackError::AboveCap(Codec::Zstd, 8 << 20)));
    }

    #[test]
    fn bodies_that_give_nothing_come_to_an_end_in_steps() {
        let empty_member = Codec::Gzip.compress(b"");
        let empty_frame = Codec::Zstd.compress(b"");
        let empty_blocks: Vec<&[u8]> = vec![b""; 20_000];
        let bodies = [
            (Codec::Gzip, empty_member.repeat(20_000)),
            (Codec::Zstd, empty_frame.repeat(20_000)),
            (Codec::Snappy, xerial(&empty_blocks)),
        ];
        for (codec, body) in bodies {
            let mut unpacked = Unpacked::new(codec, &body, CAP).unwrap();
            let mut steps = 0;
            while let Some(piece) = unpacked.next_piece().unwrap() {
                assert!(piece.is_empty());
                steps += 1;
            }
            assert!(steps >= body.len() / STEP_BYTES, "{codec:?}: {steps} steps for {} bytes", body.len());
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_short(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            codec in 1u8..5,
            flip in proptest::option::of((any::<prop::sample::Index>(), 1u8..)),
        ) {
            let codec = Codec::of(codec).expect("one of them");
            let _ = unpack(codec, &bytes, 1 << 16);
            if let Some((at, flip)) = flip {
                let mut packed = codec.compress(&bytes);
                let at = at.index(packed.len());
                packed[at] ^= flip;
                let _ = unpack(codec, &packed, 1 << 16);
            }
        }
    }
}
