//! The bytes of a run's chunks: where to read them, and whether they are right.

use super::run_file::{RunChunk, RunSum};
use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, CRC_REGION_START};
use crate::disk::BLOCK;
use crate::framing::FormatFault;
use crate::ids::{JournalIdentity, Offset};
use core::ops::Range;

/// What to read of a file with O_DIRECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSpan {
    /// A whole number of blocks, both.
    pub position: u64,
    pub bytes: usize,
}

/// The blocks that hold the first of these chunks, and of the others as many as end within `bytes_max`: they follow
/// each other in the file, so it is one read. Gives as well how many chunks that is.
pub fn span_of(chunks: &[RunChunk], bytes_max: usize) -> Option<(ReadSpan, usize)> {
    let first = chunks.first()?;
    let position = first.position / BLOCK as u64 * BLOCK as u64;
    let (mut end, mut count) = (first.end(), 1);
    for chunk in &chunks[1..] {
        if chunk.position != end || chunk.end() - position > bytes_max as u64 {
            break;
        }
        (end, count) = (chunk.end(), count + 1);
    }
    assert!(end > position, "a chunk at {position} has bytes");
    let bytes = (end.next_multiple_of(BLOCK as u64) - position) as usize;
    Some((ReadSpan { position, bytes }, count))
}

/// Where a chunk's batches lie in its bytes, once those are proven: lengths, offsets, every CRC and the sum.
pub fn check_chunk(
    identity: &JournalIdentity,
    chunk: &RunChunk,
    bytes: &[u8],
) -> Result<Vec<Range<usize>>, FormatFault> {
    let fault = |at: usize| FormatFault::Value { position: chunk.position + at as u64 };
    if bytes.len() != chunk.bytes as usize {
        return Err(FormatFault::Short { found: bytes.len() as u64, expected: u64::from(chunk.bytes) });
    }
    assert!(bytes.len() <= u32::MAX as usize, "{} bytes are no chunk", bytes.len());
    let mut sum = RunSum::new(identity);
    let mut batches = Vec::new();
    let (mut at, mut next) = (0, chunk.first_offset);
    while at < bytes.len() {
        let header = BatchHeader::of(&bytes[at..]).ok_or(fault(at))?;
        let declared = usize::try_from(header.declared_bytes()).map_err(|_| fault(at))?;
        let end = at.checked_add(declared).filter(|end| *end <= bytes.len()).ok_or(fault(at))?;
        let offsets = header.last_offset_delta.get();
        let base = Offset(header.base_offset.get());
        if declared < BATCH_HEADER_BYTES || base < next || offsets < 0 {
            return Err(fault(at));
        }
        let (found, expected) = (header.crc.get(), crc32c::crc32c(&bytes[at + CRC_REGION_START..end]));
        if found != expected {
            let position = chunk.position + at as u64;
            return Err(FormatFault::Checksum { position, found, expected });
        }
        sum.add(&bytes[at..at + CRC_REGION_START]);
        next = Offset(base.0.saturating_add(i64::from(offsets) + 1));
        batches.push(at..end);
        at = end;
    }
    if (batches.len(), next, sum.value()) != (chunk.batches as usize, chunk.next_offset, chunk.sum) {
        return Err(fault(0));
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};
    use crate::ids::{ClusterId, JournalId, PartitionId};

    const IDENTITY: JournalIdentity =
        JournalIdentity { cluster: ClusterId(8), journal: JournalId(2), secret: 0xfeed };

    fn chunk(position: u64, bytes: u32) -> RunChunk {
        RunChunk {
            partition: PartitionId(1),
            first_offset: Offset(5),
            next_offset: Offset(9),
            max_timestamp: 1,
            position,
            bytes,
            batches: 2,
            sum: 0,
        }
    }

    #[test]
    fn chunks_that_follow_each_other_are_one_read_up_to_its_bound() {
        let chunks = [chunk(5_000, 3_000), chunk(8_000, 60_000), chunk(68_000, 10), chunk(70_000, 10)];
        let span = |chunks: &[RunChunk], bytes_max| {
            let (span, count) = span_of(chunks, bytes_max).unwrap();
            (span.position, span.bytes, count)
        };
        assert_eq!(span(&chunks, 1 << 20), (4096, 16 * 4096, 3), "the fourth is not next to them");
        assert_eq!(span(&chunks, 10_000), (4096, 4096, 1));
        assert_eq!(span(&chunks[1..], 1), (4096, 16 * 4096, 1), "one is read whatever its length");
        assert_eq!(span_of(&[], 1), None);
    }

    #[test]
    fn every_flipped_bit_of_a_chunk_is_found() {
        let batch = |base: i64| {
            let mut builder = BatchBuilder::new(1_000);
            builder.base_offset(base).push(NewRecord::value(b"one")).push(NewRecord::value(b"two"));
            builder.build()
        };
        let bytes = [batch(5), batch(7)].concat();
        let mut sum = RunSum::new(&IDENTITY);
        bytes.chunks(bytes.len() / 2).for_each(|batch| sum.add(&batch[..CRC_REGION_START]));
        let good = RunChunk { sum: sum.value(), ..chunk(4096, bytes.len() as u32) };
        let half = bytes.len() / 2;
        assert_eq!(check_chunk(&IDENTITY, &good, &bytes), Ok(vec![0..half, half..2 * half]));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(check_chunk(&IDENTITY, &good, &bad).is_err(), "bit {bit}");
        }
        assert!(check_chunk(&IDENTITY, &good, &bytes[..half]).is_err());
        let other = JournalIdentity { secret: 1, ..IDENTITY };
        assert!(check_chunk(&other, &good, &bytes).is_err(), "another journal's");
    }
}
