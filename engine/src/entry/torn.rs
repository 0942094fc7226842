//! Proof that an entry was never synced.
//!
//! A segment's space reads as zeros until it is written, and is never used twice: a sector of zeros
//! where an entry is known to have had other bytes was never written, so the entry was never synced and
//! nothing from it on was acknowledged. That assumes of the disk only that it does not give zeros for
//! sectors which it synced. Zeros in a payload prove nothing, nor does a sector that cannot be read.

use super::EntryBytes;
use super::layout::BATCH_PREFIX_BYTES;
use super::reader::{Expect, batch_prefix, readable_head_bytes};
use crate::disk::BLOCK;
use core::ops::Range;

/// What a disk writes whole or not at all.
pub const SECTOR: usize = 512;

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether what stands where a head should was never written whole. `first` are the bytes from there on,
/// as many as could be a head.
pub fn head_was_never_written(first: &[u8], expect: &Expect) -> bool {
    if first.len() < SECTOR || is_zero(&first[..SECTOR]) {
        return first.len() >= SECTOR;
    }
    // Descriptors fill the head, and none is all zeros; what tells its length is in the first sector.
    let head_bytes = readable_head_bytes(first, expect).unwrap_or(0);
    let whole = first.get(..head_bytes).unwrap_or_default().chunks_exact(SECTOR);
    whole.into_iter().any(is_zero)
}

/// Whether the body behind a proven head was never written whole: a sector of zeros where a batch begins.
pub fn body_was_never_written(entry: &EntryBytes) -> bool {
    let begins = |position: usize| position..position + BATCH_PREFIX_BYTES;
    entry.descriptors().iter().any(|descriptor| {
        let prefix = batch_prefix(descriptor);
        let at = begins(descriptor.position.get() as usize);
        sectors(&at).any(|sector| {
            let shared = sector.start.max(at.start) - at.start..sector.end.min(at.end) - at.start;
            !is_zero(&prefix[shared]) && sector.end <= entry.len() && is_zero(&entry.copy(sector))
        })
    })
}

/// The sectors that a range lies in.
fn sectors(range: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
    let (first, last) = (range.start / SECTOR, (range.end - 1) / SECTOR);
    (first..=last).map(|number| number * SECTOR..(number + 1) * SECTOR)
}

const _: () = assert!(BLOCK.is_multiple_of(SECTOR));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::BufferPool;
    use crate::entry::builder::{Hint, OpenEntry, Stamp};
    use crate::entry::layout::ENTRY_BYTES_MAX;
    use crate::entry::reader::{check_body, check_head};
    use crate::entry::samples::batch;
    use crate::ids::*;

    const EXPECT: Expect = Expect {
        identity: JournalIdentity { cluster: ClusterId(1), journal: JournalId(2), secret: 3 },
        segment_base: Index(1),
        position: 0,
    };

    /// An entry whose head takes three sectors and more.
    fn entry() -> EntryBytes {
        let pool = BufferPool::new(1 << 20);
        let stamp = Stamp {
            cluster: EXPECT.identity.cluster,
            journal: EXPECT.identity.journal,
            secret: EXPECT.identity.secret,
            term: Term(1),
            index: Index(1),
            segment_base: Index(1),
            position: 0,
            commit: Index(0),
            wall_ms: 5,
            previous_checksum: 0,
        };
        let mut hint = Hint::default();
        // Each has room for more batches than the one before.
        loop {
            let mut open = OpenEntry::new(&pool, hint, ENTRY_BYTES_MAX, 1);
            for number in 0..16 {
                let (bytes, placed) = batch(number, 700);
                if open.fits(bytes.len()) {
                    open.append(&pool, &bytes, placed).expect("its CRC is right");
                }
            }
            let batches = open.descriptors().len();
            let (entry, next) = open.seal(&stamp);
            if batches == 16 {
                return entry;
            }
            hint = next;
        }
    }

    /// The entry with other bytes in a range.
    fn with(range: Range<usize>, byte: u8) -> Vec<u8> {
        let entry = entry();
        let mut bytes = entry.copy(0..entry.len());
        bytes[range].fill(byte);
        bytes
    }

    fn of(bytes: &[u8]) -> EntryBytes {
        let pool = BufferPool::new(1 << 20);
        EntryBytes::received([pool.copy_of(bytes)].into_iter().collect()).expect("its lengths are whole")
    }

    #[test]
    fn a_sector_of_zeros_in_a_head_was_never_written() {
        let head_bytes = entry().header().head_bytes();
        assert!(head_bytes > 2 * SECTOR, "{head_bytes}");
        for number in 0..head_bytes / SECTOR {
            let torn = with(number * SECTOR..(number + 1) * SECTOR, 0);
            assert!(check_head(&torn, &EXPECT).is_err());
            assert!(head_was_never_written(&torn, &EXPECT), "sector {number}");
        }
    }

    #[test]
    fn a_head_that_rotted_is_none() {
        for range in [50..51, 0..SECTOR, 600..900, SECTOR..2 * SECTOR] {
            let rotten = with(range.clone(), 0xFF);
            assert!(check_head(&rotten, &EXPECT).is_err());
            assert!(!head_was_never_written(&rotten, &EXPECT), "{range:?}");
        }
        // Zeros in less than a sector, and behind a length that nothing agrees with.
        assert!(!head_was_never_written(&with(600..1000, 0), &EXPECT));
        let mut no_length = with(SECTOR..2 * SECTOR, 0);
        no_length[92] ^= 4;
        assert!(!head_was_never_written(&no_length, &EXPECT));
    }

    #[test]
    fn a_sector_of_zeros_where_a_batch_begins_was_never_written() {
        let entry = entry();
        let begin = entry.descriptors()[7].position.get() as usize / SECTOR * SECTOR;
        let torn = of(&with(begin..begin + SECTOR, 0));
        assert!(check_body(&torn).is_err() && body_was_never_written(&torn));
    }

    #[test]
    fn zeros_in_a_payload_prove_nothing() {
        let entry = entry();
        let first = entry.descriptors()[0].position.get() as usize;
        let behind = (first + BATCH_PREFIX_BYTES).next_multiple_of(SECTOR);
        let next = entry.descriptors()[1].position.get() as usize;
        assert!(behind + 100 < next);
        for (range, byte) in [(behind..next, 0), (first + 8..first + 16, 0), (first..first + 300, 0xFF)] {
            let rotten = of(&with(range.clone(), byte));
            assert!(check_body(&rotten).is_err());
            assert!(!body_was_never_written(&rotten), "{range:?}");
        }
    }
}
