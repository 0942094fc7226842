//! The reader against every flipped byte of a small entry, and against batches cut by pieces.

use super::*;
use crate::ids::{ClusterId, JournalId};

const EXPECT: Expect = Expect {
    identity: JournalIdentity { cluster: ClusterId(0xc1), journal: JournalId(7), secret: 0x5ec7e7 },
    segment_base: Index(10),
    position: 8192,
};

/// A batch of `bytes` bytes; only its first 21 and its CRC concern the reader.
fn batch(base_offset: i64, bytes: usize) -> (BatchDescriptor, Vec<u8>) {
    let rest: Vec<u8> = (0..bytes - BATCH_PREFIX_BYTES).map(|i| (i * 7 + bytes) as u8).collect();
    let descriptor = BatchDescriptor {
        partition: 3.into(),
        base_offset: base_offset.into(),
        leader_epoch: 4.into(),
        record_count: 2.into(),
        base_timestamp: 1.into(),
        max_timestamp: 2.into(),
        producer_id: (-1).into(),
        producer_epoch: (-1).into(),
        attributes: 0.into(),
        base_sequence: (-1).into(),
        position: 0.into(),
        bytes: (bytes as u32).into(),
        crc: crc32c::crc32c(&rest).into(),
        reserved: 0.into(),
    };
    let prefix = batch_prefix(&descriptor);
    (descriptor, [&prefix[..], &rest].concat())
}

/// An entry of these batches with a gap of 40 bytes before the first.
fn entry(batches: &[usize]) -> Vec<u8> {
    let head_bytes = HEADER_BYTES + batches.len() * DESCRIPTOR_BYTES;
    let body_position = head_bytes + 40;
    let (mut head, mut body) = (vec![0; HEADER_BYTES], Vec::new());
    for (number, bytes) in batches.iter().enumerate() {
        let (mut descriptor, content) = batch(number as i64 * 2, *bytes);
        descriptor.position = ((body_position + body.len()) as u32).into();
        head.extend_from_slice(zerocopy::IntoBytes::as_bytes(&descriptor));
        body.extend_from_slice(&content);
    }
    let entry_bytes = (body_position + body.len()).next_multiple_of(BLOCK);
    let header = header(head_bytes, body_position, body.len(), entry_bytes, batches.len());
    head[..HEADER_BYTES].copy_from_slice(zerocopy::IntoBytes::as_bytes(&header));
    let mut bytes = [head, vec![0; 40], body].concat();
    bytes.resize(entry_bytes, 0);
    seal(&mut bytes);
    bytes
}

fn header(head: usize, body_position: usize, body: usize, entry: usize, count: usize) -> EntryHeader {
    EntryHeader {
        magic: ENTRY_MAGIC,
        version: ENTRY_VERSION.into(),
        kind: EntryKind::Batches as u8,
        flags: 0,
        count: (count as u32).into(),
        cluster: 0xc1.into(),
        journal: 7.into(),
        term: 3.into(),
        index: 12.into(),
        segment_base: 10.into(),
        position: 8192.into(),
        commit: 11.into(),
        wall_ms: 1_700_000_000_000.into(),
        entry_bytes: (entry as u32).into(),
        head_bytes: (head as u32).into(),
        body_position: (body_position as u32).into(),
        body_bytes: (body as u32).into(),
        previous_checksum: 0xabcd.into(),
        checksum: 0.into(),
        reserved: [0; 16],
    }
}

fn seal(bytes: &mut [u8]) {
    let head_bytes = EntryHeader::ref_from_prefix(bytes).expect("long enough").0.head_bytes();
    let checksum = head_checksum(EXPECT.identity.secret, &bytes[..head_bytes]);
    let at = offset_of!(EntryHeader, checksum);
    bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
}

fn check(bytes: &[u8], piece_bytes: usize) -> Result<(), EntryFault> {
    let head_bytes = check_head(bytes, &EXPECT)?.head_bytes();
    check_body_pieces(&bytes[..head_bytes], bytes.chunks(piece_bytes))
}

#[test]
fn a_flip_of_any_byte_is_found_where_it_is() {
    let good = entry(&[61, 100, 3000]);
    assert_eq!(check(&good, 4096), Ok(()));
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 0x20;
        let fault = check(&bad, 4096).expect_err("a flip");
        let in_body = position >= HEADER_BYTES + 3 * DESCRIPTOR_BYTES;
        assert_eq!(fault.kind.is_body(), in_body, "byte {position}: {fault}");
        let in_entry = (EXPECT.position..EXPECT.position + good.len() as u64).contains(&fault.position);
        assert!(in_entry, "byte {position}: {fault}");
    }
}

#[test]
fn pieces_of_any_length_give_the_same_verdict() {
    let good = entry(&[61, 900, 5000, 61]);
    let mut bad = good.clone();
    bad[3000] ^= 1;
    let verdict = check(&bad, good.len()).expect_err("a flip");
    for piece_bytes in [1, 7, 61, 512, 4096, 8192] {
        assert_eq!(check(&good, piece_bytes), Ok(()));
        assert_eq!(check(&bad, piece_bytes), Err(verdict));
    }
    let head_bytes = check_head(&good, &EXPECT).expect("good").head_bytes();
    let short = check_body_pieces(&good[..head_bytes], [&good[..4096]]).expect_err("cut");
    assert!(matches!(short.kind, FaultKind::Short { found: 4096, .. }));
}

#[test]
fn one_batch_alone_is_checked_in_parts() {
    let bytes = entry(&[500, 700]);
    let header = check_head(&bytes, &EXPECT).expect("good");
    let descriptors = descriptors_of(&bytes, 2).expect("two");
    for (number, descriptor) in (0..).zip(descriptors) {
        let begin = descriptor.position.get() as usize;
        let mut batch = bytes[begin..begin + descriptor.bytes.get() as usize].to_vec();
        for part_bytes in [1, 10, 21, 30, 1000] {
            assert_eq!(check_batch(header, number, descriptor, batch.chunks(part_bytes)), Ok(()));
        }
        assert!(check_batch(header, number, descriptor, [&batch[1..]]).is_err());
        for position in 0..batch.len() {
            batch[position] ^= 1;
            assert!(check_batch(header, number, descriptor, batch.chunks(15)).is_err(), "{position}");
            batch[position] ^= 1;
        }
    }
}

#[test]
fn other_places_secrets_and_versions_are_told_apart() {
    let bytes = entry(&[61]);
    let kind = |expect: Expect| check_head(&bytes, &expect).expect_err("not here").kind;
    assert!(matches!(
        kind(Expect { position: 4096, ..EXPECT }),
        FaultKind::Misplaced { found_position: 8192, .. }
    ));
    assert!(matches!(kind(Expect { segment_base: Index(9), ..EXPECT }), FaultKind::Misplaced { .. }));
    let identity = JournalIdentity { secret: 1, ..EXPECT.identity };
    assert!(matches!(kind(Expect { identity, ..EXPECT }), FaultKind::HeadChecksum { .. }));
    let identity = JournalIdentity { journal: JournalId(8), ..EXPECT.identity };
    assert_eq!(kind(Expect { identity, ..EXPECT }), FaultKind::Foreign);
    let mut newer = bytes.clone();
    newer[8] = 3;
    assert!(matches!(check_head(&newer, &EXPECT).map_err(|f| f.kind), Err(FaultKind::HeadChecksum { .. })));
    seal(&mut newer);
    let fault = check_head(&newer, &EXPECT).expect_err("newer");
    assert_eq!(fault, FaultKind::Newer { found: 3 }.at(8200));
    assert_eq!(probe(&newer, &EXPECT), Probe::Newer { found: 3 });
}

#[test]
fn probing_a_block_finds_heads_and_asks_for_long_ones() {
    let bytes = entry(&[61, 61]);
    let found = Probe::Head { index: Index(12), term: Term(3), entry_bytes: 4096 };
    assert_eq!(probe(&bytes, &EXPECT), found);
    assert_eq!(probe(&[0; 4096], &EXPECT), Probe::Nothing);
    let long = entry(&[61; 100]);
    assert_eq!(probe(&long[..4096], &EXPECT), Probe::NeedsMore { head_bytes: 128 + 7200 });
    assert!(matches!(probe(&long[..8192], &EXPECT), Probe::Head { .. }));
}

#[test]
fn the_chain_holds_index_term_and_checksum() {
    let bytes = entry(&[61]);
    let header = check_head(&bytes, &EXPECT).expect("good");
    let link = Link { index: Index(11), term: Term(3), checksum: 0xabcd };
    assert_eq!(check_chain(header, &link), Ok(()));
    let kind = |link: Link| check_chain(header, &link).expect_err("breaks").kind;
    assert!(matches!(kind(Link { index: Index(12), ..link }), FaultKind::Order { .. }));
    assert!(matches!(kind(Link { term: Term(4), ..link }), FaultKind::TermFell { .. }));
    assert!(matches!(kind(Link { checksum: 1, ..link }), FaultKind::Chain { .. }));
}
