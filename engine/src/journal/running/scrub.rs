//! The journal's part in the scrub.

use super::Journal;
use crate::ids::Index;
use crate::journal::effects::{Done, Effects};
use crate::journal::phase::Phase;
use crate::journal::read::scrub::read_again;
use crate::journal::read::want::ReadFault;
use std::rc::Rc;

impl Journal {
    /// Begins to read sealed entries from `from` on; false when there are none.
    pub fn scrub(&self, from: Index, fx: &mut Effects) -> bool {
        if self.phase == Phase::Installing {
            return false;
        }
        let Some(sealed) = self.log.segments.sealed_from(from) else {
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
        self.log.segments.sealed.iter().map(|sealed| sealed.bytes).sum()
    }

    /// Entries are on their way to the disk.
    pub fn is_writing(&self) -> bool {
        self.log.appender.in_flight() > 0
    }
}
