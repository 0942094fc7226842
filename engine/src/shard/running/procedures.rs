//! The router of completions: what a procedure came to goes to whoever began it.

use super::Shard;
use crate::clock::Now;
use crate::disk::DiskErrorKind;
use crate::folder::FolderError;
use crate::ids::META_JOURNAL;
use crate::journal::effects::{Done, Effects};
use crate::port::{Event, Fatal, Output, Refusal};
use crate::shard::slot::Slot;
use core::time::Duration;

/// A node that found no room for its record begins again this often.
const BEGIN_AGAIN: Duration = Duration::from_millis(500);

impl Shard {
    pub(super) fn done(&mut self, done: Done, now: Now, fx: &mut Effects) {
        match done {
            Done::Journal { journal, done } => {
                let journal = self.journals.get_mut(&journal).and_then(Slot::journal_mut);
                let journal = journal.expect("only a running journal has procedures of this kind");
                journal.done(done, now, fx);
            }
            Done::Folder(result) => match *result {
                Ok(begun) => self.folder_read(begun, now, fx),
                Err(FolderError::Data(text)) => fx.out.push(Output::Fatal(Fatal::Data(text))),
                Err(FolderError::Write(error)) if error.kind == DiskErrorKind::NoSpace => {
                    self.lifecycle.begin_again_ns = Some(now.plus(BEGIN_AGAIN));
                    fx.out.push(Output::Event(Event::DiskFull { journal: META_JOURNAL }));
                }
                Err(FolderError::Write(error)) => fx.out.push(Output::Fatal(Fatal::Write(error))),
            },
            Done::NodeStored { record, result } => self.node_stored(*record, result, now, fx),
            Done::Recovered { journal, result } => self.recovered(journal, *result, now, fx),
            Done::Made { journal, result } => self.made(journal, result, now, fx),
            Done::Read { request, parts } => self.read_done(request, parts, now, fx),
            Done::Scrubbed { journal, scrubbed } => self.scrubbed(journal, scrubbed, fx),
            Done::ReserveGone => {}
            Done::CheckpointStored { journal, last, result } => {
                self.checkpoint_stored(journal, last, result, now, fx);
            }
            Done::Installed { journal, last, result } => self.installed(journal, last, result, now, fx),
            Done::FoundTime { journal, request, slot, result } => {
                let result = match self.journals.get_mut(&journal).and_then(Slot::journal_mut) {
                    Some(journal) => journal.found_time(result, fx),
                    None => Err(Refusal::NotLeader),
                };
                fx.out.push(Output::Answered { request, slot, result });
                self.time_ended(fx);
            }
        }
    }
}
