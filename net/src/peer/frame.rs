//! The frame of the peer protocol: a fixed header that proves itself, a body, and at most one
//! entry exactly as it is on disk (see `PEER.md`).
//!
//! Lengths are believed only once the header's checksum was right, so that garbage never makes
//! anybody wait for, or reserve, what it claims to bring.

use engine::disk::BLOCK;
use engine::entry::layout::LARGE_ENTRY_BYTES_MAX;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const MAGIC: [u8; 4] = *b"DURP";
/// The newest version written and understood; the handshake settles it for a link.
pub const VERSION: u16 = 1;
pub const HEADER_BYTES: usize = 32;
/// The longest body: a message of the engine without its entry. Heartbeats of 10,000 journals,
/// each under 100 bytes, fit.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// The first of each direction; nothing else comes before it.
    Hello = 1,
    /// A text that says why the link is closed; the last of its direction.
    Refusal = 2,
    /// A formation report.
    Formation = 3,
    /// A message of the engine, with the entry it is about if there is one.
    Message = 4,
    /// Nothing, said by an end that has long said nothing else.
    Alive = 5,
    /// As a refusal, before its text the start (8 bytes) of a later process of the same folder. Only
    /// for a node that told its own.
    OldCopy = 6,
    /// A node that has no cluster yet asks who the members are; instead of a hello, and the last of its direction.
    Join = 7,
    /// The answer.
    Members = 8,
}

impl FrameKind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Refusal,
            3 => Self::Formation,
            4 => Self::Message,
            5 => Self::Alive,
            6 => Self::OldCopy,
            7 => Self::Join,
            8 => Self::Members,
            _ => return None,
        })
    }
}

/// The header as it travels. All numbers little-endian.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    version: U16,
    kind: u8,
    /// Zero.
    flags: u8,
    body_bytes: U32,
    /// CRC-32C of the body.
    body_checksum: U32,
    /// A multiple of 4096; the entry proves itself by its own checksums.
    entry_bytes: U32,
    /// Zero.
    reserved: [u8; 8],
    /// CRC-32C of the header before this field.
    checksum: U32,
}

const _: () = assert!(size_of::<Header>() == HEADER_BYTES);
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

/// What follows a header, once it was found in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    pub kind: FrameKind,
    pub body_bytes: usize,
    body_checksum: u32,
    pub entry_bytes: usize,
}

/// Bytes that are no frame of this protocol. The link is closed: nothing behind them is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("does not begin with the peer protocol's magic (found {0:02x?}): no duramen peer port?")]
    Magic([u8; 4]),
    #[error("the frame's header has checksum {found:08x}, its bytes give {expected:08x}")]
    HeaderChecksum { found: u32, expected: u32 },
    #[error("a frame of protocol version {found}; this program speaks version {VERSION}")]
    Version { found: u16 },
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    #[error("a frame with flags or reserved bytes that version {VERSION} has as zero")]
    Reserved,
    #[error("a frame with a body of {body_bytes} and an entry of {entry_bytes} bytes")]
    Length { body_bytes: u32, entry_bytes: u32 },
    #[error("the frame's body has checksum {found:08x}, its bytes give {expected:08x}")]
    BodyChecksum { found: u32, expected: u32 },
}

/// The header of a frame with this body and an entry of so many bytes.
pub fn header(kind: FrameKind, body: &[u8], entry_bytes: usize) -> [u8; HEADER_BYTES] {
    assert!(body.len() <= BODY_BYTES_MAX, "a body of {} bytes", body.len());
    assert!(is_entry_length(kind, entry_bytes), "an entry of {entry_bytes} bytes in a {kind:?} frame");
    let mut header = Header {
        magic: MAGIC,
        version: VERSION.into(),
        kind: kind as u8,
        flags: 0,
        body_bytes: (body.len() as u32).into(),
        body_checksum: crc32c::crc32c(body).into(),
        entry_bytes: (entry_bytes as u32).into(),
        reserved: [0; 8],
        checksum: 0.into(),
    };
    header.checksum = crc32c::crc32c(&header.as_bytes()[..CHECKED_BYTES]).into();
    zerocopy::transmute!(header)
}

/// A frame without an entry, whole.
pub fn small(kind: FrameKind, body: &[u8]) -> Vec<u8> {
    [&header(kind, body, 0), body].concat()
}

/// Reads a header.
pub fn read_header(bytes: &[u8; HEADER_BYTES]) -> Result<Coming, FrameError> {
    let header = Header::ref_from_bytes(bytes).expect("a header is unaligned bytes");
    if header.magic != MAGIC {
        return Err(FrameError::Magic(header.magic));
    }
    let (found, expected) = (header.checksum.get(), crc32c::crc32c(&bytes[..CHECKED_BYTES]));
    if found != expected {
        return Err(FrameError::HeaderChecksum { found, expected });
    }
    if header.version.get() != VERSION {
        return Err(FrameError::Version { found: header.version.get() });
    }
    let kind = FrameKind::of(header.kind).ok_or(FrameError::Kind(header.kind))?;
    if header.flags != 0 || header.reserved != [0; 8] {
        return Err(FrameError::Reserved);
    }
    let (body_bytes, entry_bytes) = (header.body_bytes.get(), header.entry_bytes.get());
    if body_bytes as usize > BODY_BYTES_MAX || !is_entry_length(kind, entry_bytes as usize) {
        return Err(FrameError::Length { body_bytes, entry_bytes });
    }
    Ok(Coming {
        kind,
        body_bytes: body_bytes as usize,
        body_checksum: header.body_checksum.get(),
        entry_bytes: entry_bytes as usize,
    })
}

impl Coming {
    pub fn check_body(&self, body: &[u8]) -> Result<(), FrameError> {
        let (found, expected) = (self.body_checksum, crc32c::crc32c(body));
        if found == expected { Ok(()) } else { Err(FrameError::BodyChecksum { found, expected }) }
    }
}

fn is_entry_length(kind: FrameKind, bytes: usize) -> bool {
    let fits = bytes.is_multiple_of(BLOCK) && bytes <= LARGE_ENTRY_BYTES_MAX;
    bytes == 0 || kind == FrameKind::Message && fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(frame: &[u8]) -> Result<(Coming, &[u8]), FrameError> {
        let (head, body) = frame.split_first_chunk().expect("a header is there");
        let coming = read_header(head)?;
        coming.check_body(body)?;
        Ok((coming, body))
    }

    #[test]
    fn a_frame_comes_back() {
        let frame = small(FrameKind::Hello, b"who");
        let (coming, body) = parse(&frame).expect("read");
        assert_eq!(
            (coming.kind, coming.body_bytes, coming.entry_bytes, body),
            (FrameKind::Hello, 3, 0, &b"who"[..])
        );
        let head = header(FrameKind::Message, b"", LARGE_ENTRY_BYTES_MAX);
        assert_eq!(read_header(&head).expect("read").entry_bytes, LARGE_ENTRY_BYTES_MAX);
    }

    #[test]
    fn the_bytes_of_version_1_stay_as_they_are() {
        let head = header(FrameKind::Message, b"abc", 8192);
        let expected = b"DURP\x01\0\x04\0\x03\0\0\0\xb7\x3f\x4b\x36\0\x20\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(&head[..CHECKED_BYTES], expected);
    }

    /// A header with changed fields and a checksum that is right all the same.
    fn forged(change: impl Fn(&mut Header)) -> Result<Coming, FrameError> {
        let mut head = Header::read_from_bytes(&header(FrameKind::Hello, b"", 0)).expect("a header");
        change(&mut head);
        head.checksum = crc32c::crc32c(&head.as_bytes()[..CHECKED_BYTES]).into();
        read_header(&zerocopy::transmute!(head))
    }

    #[test]
    fn a_right_checksum_does_not_make_a_field_right() {
        assert_eq!(forged(|head| head.version = 2.into()), Err(FrameError::Version { found: 2 }));
        assert_eq!(forged(|head| head.kind = 9), Err(FrameError::Kind(9)));
        assert_eq!(forged(|head| head.flags = 1), Err(FrameError::Reserved));
        assert_eq!(forged(|head| head.reserved[7] = 1), Err(FrameError::Reserved));
        let length = |body_bytes, entry_bytes| Err(FrameError::Length { body_bytes, entry_bytes });
        assert_eq!(forged(|head| head.body_bytes = u32::MAX.into()), length(u32::MAX, 0));
        assert_eq!(forged(|head| head.entry_bytes = 4096.into()), length(0, 4096));
        let entry = |bytes: u32| {
            forged(move |head| {
                head.kind = FrameKind::Message as u8;
                head.entry_bytes = bytes.into();
            })
        };
        assert_eq!(entry(4097), length(0, 4097));
        assert_eq!(entry(u32::MAX - 4095), length(0, u32::MAX - 4095));
        assert!(entry(4096).is_ok());
    }

    proptest! {
        #[test]
        fn a_mutated_frame_is_an_error_and_never_a_panic(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            flips in proptest::collection::vec((any::<usize>(), 1u8..), 1..4),
        ) {
            let frame = small(FrameKind::Message, &body);
            let mut bad = frame.clone();
            for (at, flip) in flips {
                let at = at % bad.len();
                bad[at] ^= flip;
            }
            prop_assume!(bad != frame);
            // Up to three changed bytes: within what a CRC of 32 bits always finds.
            prop_assert!(parse(&bad).is_err());
        }

        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in any::<[u8; HEADER_BYTES]>()) {
            prop_assert!(read_header(&bytes).is_err());
        }
    }
}
