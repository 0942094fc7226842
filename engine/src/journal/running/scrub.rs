//! The journal's part in the scrub.

use super::Journal;
use crate::entry::reader::{EntryFault, FaultKind};
use crate::ids::{Index, JournalIdentity};
use crate::journal::context::Context;
use crate::journal::effects::{Done, Effects};
use crate::journal::phase::Phase;
use crate::journal::read::cold::load;
use crate::journal::read::container::Sealed;
use crate::journal::read::place::located;
use crate::journal::read::scrub::Scrubbed;
use crate::journal::read::want::ReadFault;
use std::rc::Rc;

/// Read at a time, unless one entry is longer: as much as one read moves.
const PIECE_BYTES: u64 = 1 << 20;

impl Journal {
    /// Begins to read sealed entries from `from` on; false when there are none.
    pub fn scrub(&self, from: Index, fx: &mut Effects) -> bool {
        if self.phase == Phase::Installing {
            return false;
        }
        let Some(sealed) = self.segments.sealed.iter().find(|sealed| sealed.last >= from) else {
            return false;
        };
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        let sealed = Rc::clone(sealed);
        fx.start(async move {
            Done::Scrubbed { journal, scrubbed: read_again(&context, &identity, &sealed, from).await }
        });
        true
    }

    /// Entries were read again.
    pub fn scrubbed(&mut self, faults: &[ReadFault], fx: &mut Effects) {
        faults.iter().for_each(|fault| self.note_fault(fault, fx));
    }

    /// Bytes in sealed segments.
    pub fn sealed_bytes(&self) -> u64 {
        self.segments.sealed.iter().map(|sealed| sealed.bytes).sum()
    }

    /// Entries are on their way to the disk.
    pub fn is_writing(&self) -> bool {
        self.appender.in_flight() > 0
    }
}

async fn read_again(context: &Context, identity: &JournalIdentity, sealed: &Sealed, from: Index) -> Scrubbed {
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
