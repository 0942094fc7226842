//! Recovery's cut of a bad tail: judged, remembered, kept aside, and only then taken away.

use super::bad_tail::{self, BadTail};
use super::recovery::{Recovery, RecoveryError};
use super::walk::{Cut, Walk};
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder;
use crate::ids::{FileId, Index};
use crate::journal::context::Context;
use crate::journal::format::hard_state::HardState;
use crate::journal::log::aside;
use crate::journal::log::procedures::write_hard_state;
use crate::planted::{Bug, is_planted};
use crate::port::{Cutting, Torn};

impl Recovery {
    /// Ends the log at `cut`: what is there beyond is kept aside and wiped. What may have been
    /// acknowledged stays until there is room for the copy.
    pub(in crate::journal) async fn cut(
        &mut self,
        walk: &mut Walk,
        cut: Cut,
        why: Cutting,
    ) -> Result<(), RecoveryError> {
        let (io, journal, term) = (self.context.io.clone(), self.meta.journal, walk.last().term);
        let segment = &walk.segments[cut.segment];
        let (base, file, file_bytes) = (segment.base, segment.file, segment.file_bytes);
        let end = segment.content_end;
        if end > cut.position {
            let from = aside::Segment { base, file, file_bytes };
            let kept = aside::keep(&self.context, from, cut.position..end, term).await?;
            if kept.is_none() && why == Cutting::PerhapsAcked {
                for segment in &walk.segments {
                    io.close(segment.file).await?;
                }
                let (kind, context) = (DiskErrorKind::NoSpace, folder::quarantine_dir(journal));
                return Err(DiskError { kind, errno: 0, context }.into());
            }
            self.note_torn(cut, why, (base, cut.position, end - cut.position), kept.unwrap_or_default());
        }
        for segment in &walk.segments[cut.segment + 1..] {
            let from = folder::segment_path(journal, segment.base);
            let to = aside::path(&self.context, segment.base, 0, term).await?;
            io.close(segment.file).await?;
            io.rename(&from, &to).await?;
            io.sync_dir(&folder::quarantine_dir(journal)).await?;
            self.note_torn(cut, why, (segment.base, 0, segment.file_bytes), to);
        }
        if end > cut.position {
            io.truncate(file, cut.position).await?;
            io.sync(file).await?;
        }
        if cut != walk.end() {
            let before = walk.link_at(Index(cut.first.0 - 1)).unwrap_or(walk.first());
            walk.truncate(cut, before);
        }
        Ok(())
    }

    fn note_torn(&mut self, cut: Cut, why: Cutting, place: (Index, u64, u64), kept_as: String) {
        let (base, position, bytes) = place;
        let file = folder::segment_path(self.meta.journal, base);
        self.report.torn = Some(Torn { from: cut.first, why, file, position, bytes, kept_as });
    }

    /// Why a tail is cut. What may have been acknowledged is remembered first, durably: until that is
    /// settled this replica counts as one that has it.
    pub(in crate::journal) async fn judge_tail(
        &mut self,
        walk: &Walk,
        cut: Cut,
        file: FileId,
        hard_state: &mut HardState,
    ) -> Result<Cutting, RecoveryError> {
        match bad_tail::judge(walk, cut, hard_state.term) {
            BadTail::Doubt(_) if self.is_alone => Ok(Cutting::Unsynced),
            BadTail::Doubt(doubt) => {
                let doubt = Some(doubt.beside(hard_state.doubt));
                // One that lost its votes takes part in nothing, and must not pass for one that has not.
                if is_planted(Bug::BadTailForgotten) {
                    hard_state.doubt = doubt;
                } else if doubt != hard_state.doubt && !self.report.amnesia {
                    let state = HardState { generation: hard_state.generation + 1, doubt, ..*hard_state };
                    let Context { io, pool, .. } = self.context.clone();
                    let identity = self.meta.identity();
                    *hard_state = write_hard_state(io, pool, file, identity, state).await?;
                }
                Ok(Cutting::PerhapsAcked)
            }
            BadTail::Torn | BadTail::None => Ok(Cutting::ProvenTorn),
        }
    }
}
