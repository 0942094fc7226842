//! The end of a journal within a process that goes on: nothing is under way, its files are closed.

use super::Journal;
use crate::disk::DiskError;
use crate::disk::io::Io;
use crate::ids::{FileId, NodeId, RaftId};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::log::segment::Next;
use crate::journal::read::sealed_index::SealedIndex;
use std::rc::Rc;

/// The files that a journal had open.
pub struct OpenFiles {
    files: Vec<FileId>,
    indexes: Vec<SealedIndex>,
}

impl OpenFiles {
    pub async fn close(self, io: &Io) -> Result<(), DiskError> {
        for index in self.indexes {
            index.close().await?;
        }
        for file in self.files {
            io.close(file).await?;
        }
        Ok(())
    }
}

impl Journal {
    /// Nothing is under way that still writes to the journal's files, reads from them or comes back to
    /// this journal, and nothing waits to be begun: it may be closed, and opened anew.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_read = Rc::strong_count(&self.log.readers) > 1
            || self.log.segments.sealed.iter().any(|sealed| self.is_read(sealed));
        self.log.appender.is_idle()
            && self.log.pending_cut.is_none()
            && !self.upkeep.is_busy()
            && !self.log.votes.owes_a_vote()
            && !self.log.votes.is_writing()
            && self.log.segments.next != Next::Preparing
            && !self.quorum.supply.is_reading()
            && !self.heal.lending.is_under_way()
            && !self.heal.repair.is_under_way()
            && !self.heal.installing.is_under_way()
            && !self.rewriting.is_under_way()
            && !self.heal.runs.is_under_way()
            && !is_read
    }

    /// What it is, and what it had open.
    pub fn take_apart(self) -> (JournalMeta, Vec<(RaftId, NodeId)>, OpenFiles) {
        let segments = self.log.segments;
        let mut files = vec![self.log.votes.file(), segments.active.file];
        files.extend(segments.rolled.iter().map(|rolled| rolled.file));
        files.extend(segments.sealed.iter().map(|sealed| sealed.file));
        if let Next::Ready { file, .. } = segments.next {
            files.push(file);
        }
        files.extend(self.rewriting.files());
        let sealed = segments.sealed.iter().flat_map(|sealed| sealed.with_replaced());
        let indexes = sealed.map(|sealed| SealedIndex::clone(&sealed.index)).collect();
        (self.meta, self.quorum.members.all(), OpenFiles { files, indexes })
    }
}
