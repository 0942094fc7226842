//! Reading a sealed segment, or a run, again to see whether the medium still has it.

use super::want::ReadFault;
use crate::entry::reader::{EntryFault, FaultKind};
use crate::ids::{Index, JournalIdentity};
use crate::journal::context::Context;
use crate::journal::read::cold::load;
use crate::journal::read::container::Sealed;
use crate::journal::read::place::located;
use crate::journal::read::run::OpenRun;

/// Chunks whose rows are read at a time.
const CHUNKS_AT_ONCE: u32 = 16;
/// Read at a time, unless one entry is longer: as much as one read moves.
const PIECE_BYTES: u64 = 1 << 20;

/// What one piece of reading came to.
pub struct Scrubbed {
    /// Where to go on.
    pub next: Index,
    pub bytes: u64,
    pub faults: Vec<ReadFault>,
}

/// Reads a piece of a run, from this chunk on; gives the next one. Its rows are read with the first.
pub async fn read_run_again(run: &OpenRun, chunk: u32) -> (u32, Scrubbed) {
    let mut scrubbed = Scrubbed { next: Index::NONE, bytes: 0, faults: Vec::new() };
    let chunks = match chunk {
        0 => match run.check_rows().await {
            Ok(()) => run.chunks_at(0, CHUNKS_AT_ONCE).await,
            Err(error) => Err(error),
        },
        _ => run.chunks_at(chunk, CHUNKS_AT_ONCE).await,
    };
    let chunks = match chunks {
        Ok(chunks) => chunks,
        Err(error) => {
            scrubbed.faults.push(error.into());
            return (run.chunks(), scrubbed);
        }
    };
    let Some(first) = chunks.first() else { return (run.chunks(), scrubbed) };
    let (count, bytes) = match run.read(&chunks, PIECE_BYTES as usize).await {
        Ok((count, batches)) => (count, batches.iter().map(|batch| batch.bytes).sum()),
        Err(fault) => {
            scrubbed.faults.push(fault);
            (1, first.bytes as usize)
        }
    };
    scrubbed.bytes = bytes as u64;
    (chunk + count as u32, scrubbed)
}

pub async fn read_again(
    context: &Context,
    identity: &JournalIdentity,
    sealed: &Sealed,
    from: Index,
) -> Scrubbed {
    let mut scrubbed = Scrubbed { next: from.max(sealed.base), bytes: 0, faults: Vec::new() };
    while scrubbed.bytes < PIECE_BYTES && scrubbed.next <= sealed.last {
        let at = match sealed.index.entry(scrubbed.next).await {
            Ok(Some(at)) => at,
            Ok(None) => break,
            Err(error) => {
                scrubbed.faults.push(error.into());
                break;
            }
        };
        let place = located(sealed.file, sealed.base, at);
        match load(context, identity, &place).await {
            Ok(entry) if at.checksum != 0 && entry.header().checksum.get() != at.checksum => {
                // Whole, and not the one that was sealed here.
                let kind = FaultKind::Chain { expected: at.checksum, found: entry.header().checksum.get() };
                let fault = EntryFault { position: at.position, kind };
                scrubbed.faults.push(ReadFault::Entry { base: sealed.base, located: place, fault });
            }
            Ok(_) => {}
            Err(fault) => scrubbed.faults.push(fault),
        }
        scrubbed.bytes += u64::from(at.entry_bytes);
        scrubbed.next = scrubbed.next.next();
    }
    if scrubbed.bytes == 0 {
        // Its index is bad: it is made again, and the next pass comes by.
        scrubbed.next = sealed.last.next();
    }
    scrubbed
}
