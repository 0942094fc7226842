//! The journal's part in the scrub.

use super::Journal;
use crate::ids::Index;
use crate::journal::effects::{Done, Effects};
use crate::journal::phase::Phase;
use crate::journal::read::scrub::{read_again, read_run_again};
use crate::journal::read::want::ReadFault;
use std::rc::Rc;

impl Journal {
    /// Begins to read sealed entries from `from` on; false when there are none.
    pub fn scrub(&self, from: Index, fx: &mut Effects) -> bool {
        if self.phase == Phase::Installing {
            return false;
        }
        if from == Index::NONE && self.scrub_run(fx) {
            return true;
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

    /// Begins to read the run that there is, a piece at a time, before its segments; false when it was read whole.
    fn scrub_run(&self, fx: &mut Effects) -> bool {
        let chunk = self.rewriting.scrubbed_to.get();
        let run = self.catalog.run().filter(|run| chunk <= run.chunks());
        let Some(run) = run else {
            self.rewriting.scrubbed_to.set(0);
            return false;
        };
        if chunk > 0 && chunk == run.chunks() {
            self.rewriting.scrubbed_to.set(0);
            return false;
        }
        let (journal, next) = (self.id, Rc::clone(&self.rewriting.scrubbed_to));
        fx.start(async move {
            let (chunk, scrubbed) = read_run_again(&run, chunk).await;
            // One without batches was read with its rows.
            next.set(chunk.max(1));
            Done::Scrubbed { journal, scrubbed }
        });
        true
    }

    /// Entries were read again.
    pub fn scrubbed(&mut self, faults: &[ReadFault], fx: &mut Effects) {
        faults.iter().for_each(|fault| self.note_fault(fault, fx));
    }

    /// Bytes in sealed segments and the run.
    pub fn sealed_bytes(&self) -> u64 {
        let run = self.catalog.run().map_or(0, |run| run.bytes());
        run + self.log.segments.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>()
    }

    /// Entries are on their way to the disk.
    pub fn is_writing(&self) -> bool {
        self.log.appender.in_flight() > 0
    }
}
