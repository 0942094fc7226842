//! Reading a sealed segment again to see whether the medium still has it.

use super::want::ReadFault;
use crate::entry::reader::{EntryFault, FaultKind};
use crate::ids::{Index, JournalIdentity};
use crate::journal::context::Context;
use crate::journal::read::cold::load;
use crate::journal::read::container::Sealed;
use crate::journal::read::place::located;

/// Read at a time, unless one entry is longer: as much as one read moves.
const PIECE_BYTES: u64 = 1 << 20;

/// What one piece of reading came to.
pub struct Scrubbed {
    /// Where to go on.
    pub next: Index,
    pub bytes: u64,
    pub faults: Vec<ReadFault>,
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
