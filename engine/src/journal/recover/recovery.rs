//! Recovery: from what a crash left in a journal's folder to a state that goes on.
//!
//! ```text
//! meta record ─ hard state ─ newest checkpoint ─ walk the tail ─ judge ─ cut ─ fold ─ sync
//! ```
//! Everything is read from the folder alone; the same folder gives the same result. Each step
//! may crash and be done again.

use super::alone::{is_alone_throughout, may_hide_a_vote};
use super::rebuild::{Entries, rebuild};
pub use super::recovery_error::RecoveryError;
use super::refold::{fold_committed, items_of, meta_of, note_terms, rolled_of};
use super::scan::Scanner;
use super::walk::{Walk, Walked, cursor_after};
use super::{bound_entry, reinstall, survey};
use crate::disk::io::Io;
use crate::disk::{DiskError, DiskErrorKind, IO_BYTES_MAX};
use crate::entry::item::Item;
use crate::entry::reader::Link;
use crate::folder::{self};
use crate::ids::{FileId, Index, Term};
use crate::journal::context::Context;
use crate::journal::format::checkpoint_file::{self, Checkpoint};
use crate::journal::format::hard_state::{HardState, HardStateRead, SyncedBound};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::heal::checkpoint_fetch::NoCheckpoint;
use crate::journal::ledger::heads::Head;
use crate::journal::ledger::state::State;
use crate::journal::log::cursor::{Cursor, SegmentLimits};
use crate::journal::log::procedures::{read_meta, write_hard_state};
use crate::journal::log::segment::{Active, Next, Rolled, Segments};
use crate::journal::read::container::Sealed;
use crate::journal::read::sealed_index::{IndexError, SealedIndex};
use crate::journal::recover::listing::{Listing, list};
use crate::journal::rewriting::on_disk::{self, RunsOnDisk};
use crate::planted::{Bug, is_planted};
use crate::port::{Damage, DamageKind, RecoveryReport};
use crate::raft::EntryMeta;
use crate::register::{Amnesia, opened_by};
use std::collections::VecDeque;
use std::rc::Rc;

/// A journal as its folder has it.
pub struct Recovered {
    pub meta: JournalMeta,
    pub hard_state: HardState,
    pub hard_state_file: FileId,
    pub segments: Segments,
    pub cursor: Cursor,
    pub durable: SyncedBound,
    pub state: State,
    /// Heads above `state.fold.applied`.
    pub heads: VecDeque<Head>,
    pub terms: Vec<(Index, Term)>,
    pub window: Vec<EntryMeta>,
    pub damage: Vec<Damage>,
    /// Descriptors of committed entries are lost, and nobody accepted that.
    pub unaccepted: Option<(Index, Index)>,
    /// The active segment could not be given its whole length: no space.
    pub active_short: bool,
    /// Nobody else can have counted on this replica: by every membership of its checkpoint and its log.
    pub is_alone: bool,
    /// Checkpoints there are, ascending.
    pub checkpoints: Vec<Index>,
    pub runs: RunsOnDisk,
    pub report: RecoveryReport,
}

impl Recovered {
    /// Whether anything that this replica may have acknowledged is not known any more: an entry
    /// whose descriptors are lost, or a damaged one that is not known to be committed.
    pub fn has_lost_acked(&self) -> bool {
        let is_lost = |damage: &Damage| damage.kind == DamageKind::Head || damage.last > self.report.commit;
        self.damage.iter().any(is_lost)
    }
}

/// Recovers a journal. `now_us` is not read here: the caller knows how long it took.
pub async fn recover(context: Context) -> Result<Recovered, RecoveryError> {
    let Context { io, journal, .. } = &context;
    let dir = folder::journal_dir(*journal);
    let mut listing = list(io, &dir).await?;
    if !listing.has_meta {
        return Err(RecoveryError::Amnesia(Amnesia::MetaMissing));
    }
    for base in listing.indexes.iter().filter(|base| !listing.segments.contains_key(base)) {
        // The end came between the removals of a segment and of its index.
        io.remove(&folder::index_path(*journal, *base)).await?;
    }
    let (meta, meta_bad_copies) = read_meta(&context).await?;
    let mut report = RecoveryReport { journal: *journal, meta_bad_copies, ..RecoveryReport::default() };
    let (hard_state_file, read) = read_hard_state(io, &meta, &listing).await?;
    if listing.has_install && may_hide_a_vote(&read, false) {
        // What is installed comes from others.
        io.close(hard_state_file).await?;
        return Err(RecoveryError::Amnesia(Amnesia::HardStateBad));
    }
    report.hard_state_bad_copies = read.bad_copies;
    report.amnesia = read.is_amnesia() && !is_planted(Bug::AmnesiacBelieved);
    let mut hard_state = read.newest.unwrap_or_default();
    if is_planted(Bug::HardStateForgotten) {
        let HardState { generation, opened, .. } = hard_state;
        hard_state = HardState { generation, opened, ..HardState::default() };
    }
    if listing.has_install {
        match reinstall::finish(&context, &meta, &mut listing, (hard_state_file, hard_state)).await {
            Ok(written) => hard_state = written,
            Err(error) => {
                if error.is_no_space() {
                    io.close(hard_state_file).await?;
                }
                return Err(error);
            }
        }
    }
    let mut recovery = Recovery { context: context.clone(), dir, meta, listing, report, is_alone: false };
    let checkpoint = recovery.newest_checkpoint().await?;
    let (state, checkpoint_link) = match recovery.state_from(checkpoint) {
        Ok(state) => state,
        Err(error) => {
            io.close(hard_state_file).await?;
            // Whether it is alone nothing tells without a checkpoint.
            let hides_a_vote = may_hide_a_vote(&read, false);
            return Err(match error {
                RecoveryError::NoCheckpoint(_) if hides_a_vote => {
                    RecoveryError::Amnesia(Amnesia::HardStateBad)
                }
                error => error,
            });
        }
    };
    // By its checkpoint alone it may be certain: then nothing is touched.
    if may_hide_a_vote(&read, is_alone_throughout(&recovery.meta, &state.members, [])) {
        io.close(hard_state_file).await?;
        return Err(RecoveryError::Amnesia(Amnesia::HardStateBad));
    }
    let mut recovered = recovery.go_on((hard_state, &read), hard_state_file, state, checkpoint_link).await;
    if let Ok(recovered) = &mut recovered {
        write_opened(&context, recovered).await?;
    }
    if recovered.as_ref().is_err_and(RecoveryError::is_no_space) {
        io.close(hard_state_file).await?;
    }
    recovered
}

/// From here on an older copy of the folder can be told from this one.
async fn write_opened(context: &Context, recovered: &mut Recovered) -> Result<(), DiskError> {
    let opened = opened_by(recovered.meta.raft_id, context.start);
    let before = recovered.hard_state;
    if before.opened == opened || context.start == 0 {
        return Ok(());
    }
    let state = HardState { generation: before.generation + 1, opened, ..before };
    let (io, pool) = (context.io.clone(), context.pool.clone());
    let (file, identity) = (recovered.hard_state_file, recovered.meta.identity());
    recovered.hard_state = write_hard_state(io, pool, file, identity, state).await?;
    Ok(())
}

async fn read_hard_state(
    io: &Io,
    meta: &JournalMeta,
    listing: &Listing,
) -> Result<(FileId, HardStateRead), RecoveryError> {
    let path = folder::hard_state_path(meta.journal);
    if !listing.has_hard_state {
        return Err(RecoveryError::Amnesia(Amnesia::HardStateMissing));
    }
    let (file, bytes) = io.open(&path).await?;
    let bytes = survey::read_hard_state(io, file, bytes).await;
    Ok((file, HardState::read(&path, &bytes, &meta.identity())?))
}

pub(in crate::journal) struct Recovery {
    pub(in crate::journal) context: Context,
    dir: String,
    pub(in crate::journal) meta: JournalMeta,
    listing: Listing,
    pub(in crate::journal) report: RecoveryReport,
    /// Known once the walk has seen all changes of members.
    pub(in crate::journal) is_alone: bool,
}

impl Recovery {
    fn limits(&self) -> SegmentLimits {
        SegmentLimits { bytes: self.meta.segment_bytes, batches: self.meta.batches_per_segment_max }
    }

    /// The checkpoint with the highest index that can be read and that the segments continue.
    async fn newest_checkpoint(&mut self) -> Result<Option<Checkpoint>, RecoveryError> {
        let mut paths = Vec::new();
        if self.listing.local_checkpoint {
            paths.push((None, folder::local_checkpoint_path(self.meta.journal)));
        }
        for last in self.listing.checkpoints.iter().rev() {
            paths.push((Some(*last), folder::checkpoint_path(self.meta.journal, *last)));
        }
        let mut newest: Option<Checkpoint> = None;
        for (last, path) in paths {
            let below = |newest: &Checkpoint| last.is_some_and(|last| last <= newest.last);
            if newest.as_ref().is_some_and(below) {
                break;
            }
            match checkpoint_file::read(&self.context.io, &path, &self.meta.identity()).await {
                Ok(read) if newest.as_ref().is_none_or(|newest| newest.last < read.last) => {
                    newest = Some(read)
                }
                Ok(_) => {}
                Err(error) if error.is_newer() => return Err(RecoveryError::Data(error.to_string())),
                Err(_) => self.report.checkpoints_skipped += 1,
            }
        }
        Ok(newest)
    }

    fn state_from(&mut self, checkpoint: Option<Checkpoint>) -> Result<(State, Link), RecoveryError> {
        let first = self.listing.segments.keys().next().copied().unwrap_or(Index(1));
        let last = checkpoint.as_ref().map_or(Index::NONE, |checkpoint| checkpoint.last);
        if last.next() < first {
            if self.report.checkpoints_skipped == 0 {
                return Err(RecoveryError::Amnesia(Amnesia::FrontMissing));
            }
            let bases = self.listing.segments.keys().copied().collect();
            let (meta, bad) = (self.meta.clone(), self.report.checkpoints_skipped);
            return Err(RecoveryError::NoCheckpoint(Box::new(NoCheckpoint { meta, bases, bad })));
        }
        self.report.checkpoint = last;
        let Some(checkpoint) = checkpoint else {
            let link = Link { index: Index::NONE, term: Term(0), checksum: 0 };
            return Ok((State::new(&self.meta), link));
        };
        let state = State::decode(&self.meta, &checkpoint.body).map_err(RecoveryError::Data)?;
        if state.fold.applied != checkpoint.last {
            return Err(RecoveryError::Data(format!("{}: a checkpoint is not what its name says", self.dir)));
        }
        Ok((state, Link { index: checkpoint.last, term: checkpoint.term, checksum: 0 }))
    }

    async fn go_on(
        mut self,
        (mut hard_state, read): (HardState, &HardStateRead),
        hard_state_file: FileId,
        state: State,
        checkpoint: Link,
    ) -> Result<Recovered, RecoveryError> {
        let (sealed, begin) = self.open_sealed(checkpoint.index).await?;
        let before = self.link_before(begin, &sealed, &checkpoint, hard_state.synced).await?;
        let mut walk = self.walk(begin, before, checkpoint.index).await?;
        self.is_alone = is_alone_throughout(&self.meta, &state.members, &walk.heads);
        if may_hide_a_vote(read, self.is_alone) {
            let files = walk.segments.iter().map(|segment| segment.file).chain([hard_state_file]);
            for file in files {
                self.context.io.close(file).await?;
            }
            self.close_sealed(sealed).await?;
            return Err(RecoveryError::Amnesia(Amnesia::HardStateBad));
        }
        let known = hard_state.commit.max(checkpoint.index);
        let verdict = walk.verdict(known, hard_state.synced);
        let told = known.max(walk.commit);
        if !verdict.is_clean() && told > hard_state.commit {
            // What told the bound may be in what is cut: the next start must know it too. What was
            // only synced stands there already, and need not be committed.
            let state = HardState { generation: hard_state.generation + 1, commit: told, ..hard_state };
            let Context { io, pool, .. } = self.context.clone();
            hard_state = write_hard_state(io, pool, hard_state_file, self.meta.identity(), state).await?;
        }
        if verdict.missing {
            let synced = hard_state.synced;
            let checksum = if synced.index == verdict.bound { synced.checksum } else { 0 };
            self.note_missing(&walk, verdict.bound);
            walk.lose_end(verdict.bound, checksum);
        }
        let cut = verdict.cut.unwrap_or_else(|| walk.end());
        let why = self.judge_tail(&walk, cut, hard_state_file, &mut hard_state).await?;
        if let Err(error) = self.cut(&mut walk, cut, why).await {
            if error.is_no_space() {
                self.close_sealed(sealed).await?;
            }
            return Err(error);
        }
        for run in &verdict.damage {
            self.note_damage(&walk, run);
        }
        if !self.is_alone
            && let Some(damage) =
                bound_entry::other(self.meta.journal, &walk, &sealed, hard_state.synced).await
            && !self.report.damage.iter().any(|one| (one.first..=one.last).contains(&damage.first))
        {
            walk.lose_one(damage.first, hard_state.synced.term);
            self.report.damage.push(damage);
        }
        self.write_again(&walk, verdict.bound).await?;
        for segment in &walk.segments {
            // What was read may still be only in the device's cache.
            self.context.io.sync(segment.file).await?;
        }
        // The process that made the folder may have ended before its names were durable.
        for dir in [&self.dir, folder::JOURNALS, "."] {
            self.context.io.sync_dir(dir).await?;
        }
        self.finish(hard_state, hard_state_file, state, sealed, walk, known).await
    }

    /// Opens the segments that the checkpoint covers whole and that follow one another; gives the
    /// first one to walk.
    async fn open_sealed(
        &mut self,
        checkpoint: Index,
    ) -> Result<(VecDeque<Rc<Sealed>>, Index), RecoveryError> {
        let bases: Vec<Index> = self.listing.segments.keys().copied().collect();
        let mut sealed = VecDeque::new();
        for (at, base) in bases.iter().enumerate() {
            let last = bases.get(at + 1).map(|next| Index(next.0 - 1));
            let covered = last.is_some_and(|last| last <= checkpoint);
            if !covered {
                return Ok((sealed, *base));
            }
            match self.open_one(*base, last.expect("covered")).await {
                Ok(segment) => sealed.push_back(segment),
                Err(error) if error.is_no_space() => {
                    // No space for an index: this start is tried again, with files of its own.
                    self.close_sealed(sealed).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((sealed, bases.last().copied().unwrap_or(Index(1))))
    }

    async fn close_sealed(&self, sealed: VecDeque<Rc<Sealed>>) -> Result<(), DiskError> {
        for segment in sealed {
            self.context.io.close(segment.file).await?;
            SealedIndex::clone(&segment.index).close().await?;
        }
        Ok(())
    }

    async fn open_one(&mut self, base: Index, last: Index) -> Result<Rc<Sealed>, RecoveryError> {
        let journal = self.meta.journal;
        let (file, bytes) = self.context.io.open(&folder::segment_path(journal, base)).await?;
        let damaged_before = self.report.damage.len();
        let opened = self.open_index(base).await;
        let index = match opened {
            Ok(index) if index.last() == last => index,
            _ => {
                if let Err(error) = self.rebuild_index(base, file, bytes, last).await {
                    if error.is_no_space() {
                        self.context.io.close(file).await?;
                    }
                    return Err(error);
                }
                self.open_index(base).await.map_err(|error| RecoveryError::Data(error.to_string()))?
            }
        };
        let data_bytes = index.totals().data_bytes;
        // A stop's checkpoint may cover a segment that was not sealed yet: it is cut to its entries
        // now, as sealing does, so that it is the same on all replicas.
        if bytes > data_bytes && self.report.damage.len() == damaged_before {
            self.context.io.truncate(file, data_bytes).await?;
            self.context.io.sync(file).await?;
        }
        let (index, replaced) = (Rc::new(index), None);
        Ok(Rc::new(Sealed { base, last, bytes: data_bytes, file, index, replaced }))
    }

    async fn open_index(&self, base: Index) -> Result<SealedIndex, IndexError> {
        let path = folder::index_path(self.meta.journal, base);
        let context = &self.context;
        SealedIndex::open(context.io.clone(), context.blocks.clone(), path, self.meta.identity(), base).await
    }

    /// Makes a sealed segment's index file again from its entries.
    async fn rebuild_index(
        &mut self,
        base: Index,
        file: FileId,
        bytes: u64,
        last: Index,
    ) -> Result<(), RecoveryError> {
        self.report.indexes_rebuilt += 1;
        let entries = Entries { base, last, file, bytes };
        let walk = rebuild(&self.context, self.meta.identity(), entries).await?;
        for run in &walk.bad {
            self.note_damage(&walk, run);
        }
        self.report.scanned_bytes += walk.read_bytes;
        Ok(())
    }

    /// The entry before the segments to walk, with its checksum where a sealed index has it.
    async fn link_before(
        &self,
        begin: Index,
        sealed: &VecDeque<Rc<Sealed>>,
        checkpoint: &Link,
        synced: SyncedBound,
    ) -> Result<(Link, bool), RecoveryError> {
        let last = Index(begin.0 - 1);
        if synced.index == last && synced.checksum != 0 {
            // A log that begins behind a checkpoint and has no entry yet knows it from here alone. A
            // bound that repair lowered to an entry that was not in memory names no checksum.
            return Ok((Link { index: last, term: synced.term, checksum: synced.checksum }, true));
        }
        if let Some(segment) = sealed.back()
            && let Ok(Some(at)) = segment.index.entry(last).await
            && at.checksum != 0
        {
            return Ok((Link { index: last, term: at.term, checksum: at.checksum }, true));
        }
        let term = if checkpoint.index == last { checkpoint.term } else { Term(0) };
        Ok((Link { index: last, term, checksum: 0 }, begin == Index(1)))
    }

    /// Walks the segments from `begin` on, behind `link`. Entries up to the checkpoint are
    /// indexed, those above it kept for folding.
    async fn walk(
        &mut self,
        begin: Index,
        (link, is_exact): (Link, bool),
        checkpoint: Index,
    ) -> Result<Walk, RecoveryError> {
        let mut walk = Walk::new(self.meta.identity(), link, checkpoint);
        if !is_exact {
            walk.any_first();
        }
        for (base, file_bytes) in self.listing.segments.range(begin..) {
            let (base, file_bytes) = (*base, *file_bytes);
            let (file, _) = self.context.io.open(&folder::segment_path(self.meta.journal, base)).await?;
            let mut scanner =
                Scanner::new(self.context.io.clone(), self.context.pool.clone(), file, file_bytes);
            walk.segment(&mut scanner, Walked::new(base, file, file_bytes)).await?;
        }
        if walk.segments.is_empty() {
            // The first segment is made with the journal; without it there is nothing to go on from.
            return Err(RecoveryError::Amnesia(Amnesia::SegmentsMissing));
        }
        self.report.scanned_bytes += walk.read_bytes;
        self.report.scanned_entries += walk.entries;
        Ok(walk)
    }

    fn note_damage(&mut self, walk: &Walk, run: &super::walk::BadRun) {
        let last = run.next.map_or(run.first, |next| Index(next.index.0 - 1));
        let kind = if run.body_only.is_some() { DamageKind::Body } else { DamageKind::Head };
        self.report.damage.push(Damage {
            journal: self.meta.journal,
            first: run.first,
            last,
            term: run.body_only.or(run.next.and_then(|next| next.term)),
            file: folder::segment_path(self.meta.journal, walk.segments[run.segment].base),
            position: run.position,
            bytes: run.bytes,
            kind,
        });
    }

    fn note_missing(&mut self, walk: &Walk, bound: Index) {
        let end = walk.end();
        self.report.damage.push(Damage {
            journal: self.meta.journal,
            first: end.first,
            last: bound,
            term: None,
            file: folder::segment_path(self.meta.journal, walk.segments[end.segment].base),
            position: end.position,
            bytes: 0,
            kind: DamageKind::Head,
        });
    }

    /// Writes the entries above the bound once more. The process before this one may have ended
    /// because a sync failed: then the next sync says yes and keeps nothing of what was written
    /// before it (fsyncgate). There are as many as were in flight.
    async fn write_again(&self, walk: &Walk, bound: Index) -> Result<(), RecoveryError> {
        let io = &self.context.io;
        for segment in &walk.segments {
            let first = segment.base.max(bound.next());
            let entries =
                (first.0..=segment.index.last().0).filter_map(|index| segment.index.entry(Index(index)));
            for at in entries {
                let end = at.position + u64::from(at.entry_bytes);
                let mut position = at.position;
                while position < end {
                    let bytes = ((end - position) as usize).min(IO_BYTES_MAX);
                    let read = io.read(segment.file, position, bytes).await?;
                    io.write(segment.file, position, self.context.pool.copy_of(&read)).await?;
                    position += bytes as u64;
                }
            }
        }
        Ok(())
    }

    async fn finish(
        mut self,
        hard_state: HardState,
        hard_state_file: FileId,
        mut state: State,
        sealed: VecDeque<Rc<Sealed>>,
        walk: Walk,
        known: Index,
    ) -> Result<Recovered, RecoveryError> {
        let last = walk.last();
        let known = known.max(walk.commit).min(last.index);
        let mut terms = state.fold.terms().to_vec();
        let mut heads = VecDeque::from(walk.heads);
        note_terms(&mut terms, &heads);
        let mut rolled = VecDeque::new();
        let mut walked = VecDeque::from(walk.segments);
        let mut active = walked.pop_back().expect("the walk has a segment");
        for segment in walked {
            rolled.push_back(rolled_of(segment));
        }
        if !self.is_alone
            && active.index.is_empty()
            && let Some(before) = rolled.pop_back()
        {
            // Its first entry never came: whether the segment before ends there is for the
            // entries to come to say.
            self.context.io.remove(&folder::segment_path(self.meta.journal, active.base)).await?;
            self.context.io.sync_dir(&self.dir).await?;
            self.context.io.close(active.file).await?;
            let index = Rc::unwrap_or_clone(before.index);
            active = Walked { index, ..Walked::new(before.base, before.file, before.bytes) };
        }
        fold_committed(&mut state, &mut heads, &mut rolled, known, self.meta.raft_id, !self.is_alone)
            .map_err(RecoveryError::Data)?;
        let commit = known.max(state.fold.applied);
        let cursor = Cursor { next: last.index.next(), ..cursor_after(&active.index, &last) };
        let active_short = self.allocate_active(&active).await?;
        let window = heads.iter().filter_map(|head| meta_of(head, &terms)).collect();
        let unaccepted = self.unaccepted(&state, &heads);
        if unaccepted.is_none() {
            // Descriptors that are lost, and that the operator accepted as lost, are no damage any more.
            self.report.damage.retain(|damage| damage.kind != DamageKind::Head || !self.is_alone);
        }
        self.fill_report(&hard_state, &sealed, &rolled, last, commit);
        let (listed, identity) = (&self.listing.runs, self.meta.identity());
        let runs = on_disk::open_all(&self.context, identity, listed, state.fold.runs()).await?;
        Ok(Recovered {
            meta: self.meta,
            hard_state,
            hard_state_file,
            segments: Segments {
                sealed,
                rolled,
                active: Active { base: active.base, file: active.file, index: active.index },
                next: Next::None,
            },
            cursor,
            durable: SyncedBound { index: last.index, term: last.term, checksum: last.checksum },
            state,
            heads,
            terms,
            window,
            damage: self.report.damage.clone(),
            unaccepted,
            active_short,
            is_alone: self.is_alone,
            checkpoints: self.listing.checkpoints,
            runs,
            report: self.report,
        })
    }

    /// The active segment has its whole length, also when it was cut or sealed before the crash.
    async fn allocate_active(&self, active: &Walked) -> Result<bool, RecoveryError> {
        match self.context.io.allocate(active.file, self.limits().bytes).await {
            Ok(()) => {
                self.context.io.sync(active.file).await?;
                Ok(false)
            }
            Err(error) if error.kind == DiskErrorKind::NoSpace => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Entries whose descriptors are lost and whose loss no entry accepts.
    fn unaccepted(&self, state: &State, heads: &VecDeque<Head>) -> Option<(Index, Index)> {
        let in_tail: Vec<Item> = heads.iter().flat_map(items_of).collect();
        let accepted_in_tail = |index: Index| {
            in_tail.iter().any(|item| {
                matches!(item, Item::LossAccepted { first, last, .. } if (*first..=*last).contains(&index))
            })
        };
        let lost = self.report.damage.iter().filter(|damage| damage.kind == DamageKind::Head);
        let open: Vec<_> = lost
            .filter(|damage| !state.fold.is_accepted_loss(damage.first) && !accepted_in_tail(damage.first))
            .collect();
        Some((open.first()?.first, open.last()?.last))
    }

    fn fill_report(
        &mut self,
        hard_state: &HardState,
        sealed: &VecDeque<Rc<Sealed>>,
        rolled: &VecDeque<Rolled>,
        last: Link,
        commit: Index,
    ) {
        let report = &mut self.report;
        report.term = hard_state.term.max(last.term);
        report.segments = (sealed.len() + rolled.len() + 1) as u32;
        report.first = self.listing.segments.keys().next().copied().unwrap_or(Index(1));
        report.last = last.index;
        report.commit = commit;
    }
}
