//! The log on the disk: entries are appended, made durable and cut; segments are prepared, sealed and deleted.

pub mod appender;
pub mod aside;
pub mod covering;
pub mod cursor;
pub mod cut;
pub mod deleting;
pub mod done;
pub mod procedures;
pub mod segment;
pub mod stages;
pub mod vote_file;
pub mod zeroing;

use crate::disk::io::Io;
use crate::disk::{BufferPool, OpId};
use crate::entry::EntryBytes;
use crate::entry::reader::Link;
use crate::folder;
use crate::ids::{Index, JournalId};
use crate::journal::format::hard_state::SyncedBound;
use crate::journal::read::index::ActiveIndex;
use appender::{Appender, Progressed};
use cursor::{Cursor, Place, SegmentLimits};
use cut::{PendingCut, Wiped};
use segment::{Active, Next, Rolled, Sealing, Segments, Stale};
use stages::Appended;
use std::collections::VecDeque;
use std::rc::Rc;
use vote_file::VoteFile;

/// The log of a journal as it is on the disk, and as it is to become.
///
/// Invariants:
/// - `cursor` is where the entry after the last one goes, durable or not: at the end of the active segment's index.
/// - What is durable is appended: `durable` ≤ `last`.
/// - While a cut is pending nothing is written, and what is appended waits.
pub struct DiskLog {
    pub journal: JournalId,
    pub(in crate::journal) limits: SegmentLimits,
    /// Where the next entry goes.
    pub(in crate::journal) cursor: Cursor,
    pub(in crate::journal) segments: Segments,
    pub(in crate::journal) appender: Appender,
    /// Entries that got their bytes and are on their way to the appender.
    pub(in crate::journal) staged: VecDeque<EntryBytes>,
    pub(in crate::journal) appended: Appended,
    pub(in crate::journal) pending_cut: Option<PendingCut>,
    pub(in crate::journal) votes: VoteFile,
    /// Held by each read for a client that is under way.
    pub(in crate::journal) readers: Rc<()>,
}

/// What comes next of a cut.
#[derive(Debug)]
pub enum CutStep {
    /// Something that is under way ends first; or there is no cut.
    Wait,
    /// The hard state names what is cut: it is written first.
    LowerBound,
    /// What is void is put aside and wiped.
    Remove(Vec<Stale>, Option<Wiped>),
    /// It is carried out: what was appended since is being written.
    Done,
}

impl DiskLog {
    /// A log that ends at `durable`, as recovery left it.
    pub fn new(
        io: Io,
        journal: JournalId,
        limits: SegmentLimits,
        (segments, cursor, durable): (Segments, Cursor, SyncedBound),
        votes: VoteFile,
    ) -> Self {
        let dir = folder::journal_dir(journal);
        let log = Self {
            journal,
            limits,
            cursor,
            appender: Appender::new(io, dir, segments.active.file, limits.bytes, durable),
            segments,
            staged: VecDeque::new(),
            appended: Appended::default(),
            pending_cut: None,
            votes,
            readers: Rc::default(),
        };
        log.check();
        log
    }

    /// The last entry, durable or not.
    pub fn last(&self) -> Index {
        Index(self.cursor.next.0 - 1)
    }

    /// The newest entry that is durable with all before it.
    pub fn durable(&self) -> Index {
        self.appender.durable().index
    }

    /// Where an entry of this size goes.
    pub fn place(&self, entry_bytes: usize, batches: u32) -> Place {
        self.cursor.place(self.limits, entry_bytes, batches)
    }

    /// It is time to prepare the next segment.
    pub fn is_half_full(&self) -> bool {
        self.cursor.position * 2 >= self.limits.bytes
    }

    /// Appends an entry at its place, in a segment of which so many bytes are allocated. The base of the segment that
    /// it begins, where it does.
    pub fn append(
        &mut self,
        pool: &BufferPool,
        entry: &EntryBytes,
        allocated: u64,
        now_ns: u64,
    ) -> Option<Index> {
        let header = *entry.header();
        let base = Index(header.segment_base.get());
        let rolls = base != self.segments.active.base;
        if rolls {
            assert_eq!(base, header.index(), "a segment begins at its base");
            self.roll(base, now_ns);
        }
        self.cursor.advance(&header);
        self.appender.append(entry, now_ns);
        self.appended.push(header.index(), now_ns);
        self.segments.active.index.append(&header, entry.descriptors());
        self.appender.zero_ahead(pool, self.cursor.position, allocated);
        self.check();
        rolls.then_some(base)
    }

    /// The active segment is full: the prepared one takes its place.
    fn roll(&mut self, base: Index, now_ns: u64) {
        let next = core::mem::replace(&mut self.segments.next, Next::None);
        let Next::Ready { file, name } = next else {
            panic!("an entry was placed in a segment that is not there")
        };
        self.appender.roll(file, &name, &folder::segment_path(self.journal, base), now_ns);
        let active = Active { base, file, index: ActiveIndex::new(base) };
        let full = core::mem::replace(&mut self.segments.active, active);
        assert_eq!(full.index.last().next(), base, "segments follow one another");
        self.segments.rolled.push_back(Rolled {
            base: full.base,
            last: full.index.last(),
            bytes: full.index.totals().data_bytes,
            file: full.file,
            index: Rc::new(full.index),
            sealing: Sealing::Waiting,
        });
    }

    /// Takes the completion of an operation of the append path.
    pub fn complete(&mut self, op: OpId, now_ns: u64) -> Progressed {
        let before = self.durable();
        let progressed = self.appender.complete(op, now_ns);
        assert!(self.durable() >= before, "what is durable stays so: {before} was, and is not");
        self.check();
        progressed
    }

    /// Ends the log behind `last`; what replaces the rest is appended next, and written once the cut is carried out.
    pub fn cut(&mut self, last: Link) {
        let Link { index, term, checksum } = last;
        assert!(index < self.last(), "nothing stands behind entry {index}");
        let ends = self.segments.ends();
        let stale = self.segments.cut(index.next());
        let totals = self.segments.active.index.totals();
        self.cursor = Cursor {
            next: index.next(),
            segment_base: self.segments.active.base,
            position: totals.data_bytes,
            batches: totals.batches as u32,
            previous_checksum: checksum,
            previous_term: term,
        };
        let files: Vec<_> = stale.iter().map(|segment| segment.file).collect();
        let (base, file) = (self.segments.active.base, self.segments.active.file);
        self.appender.cut(SyncedBound { index, term, checksum }, file, &files);
        let to = ends.iter().find(|(of, _)| *of == base).map_or(0, |(_, end)| *end);
        let part = Wiped { base, file, from: self.cursor.position, to };
        self.pending_cut.get_or_insert_default().add(stale, part);
        self.check();
    }

    /// Takes the next step of a cut, if it is due.
    pub fn go_on_after_cut(&mut self, now_ns: u64) -> CutStep {
        let durable = self.durable();
        let Some(cut) = &mut self.pending_cut else { return CutStep::Wait };
        if cut.removing || !self.appender.is_drained() || self.votes.is_writing() {
            return CutStep::Wait;
        }
        if self.votes.durable().synced.index > durable {
            return CutStep::LowerBound;
        }
        if !cut.stale.is_empty() || cut.part.is_some() {
            cut.removing = true;
            return CutStep::Remove(core::mem::take(&mut cut.stale), cut.part.take());
        }
        self.pending_cut = None;
        self.appender.go_on(now_ns);
        CutStep::Done
    }

    /// What was void is gone.
    pub fn stale_removed(&mut self) {
        let cut = self.pending_cut.as_mut().expect("a cut is pending");
        assert!(cut.removing, "nothing was being removed");
        cut.removing = false;
    }

    fn check(&self) {
        let (active, cursor) = (&self.segments.active, &self.cursor);
        assert!(
            self.durable() <= self.last(),
            "{} is durable, and the log ends at {}",
            self.durable(),
            self.last()
        );
        assert_eq!(cursor.segment_base, active.base, "the cursor is in the active segment");
        assert_eq!(cursor.position, active.index.totals().data_bytes, "the cursor is at its end");
        assert_eq!(self.last(), active.index.last(), "the index ends with the log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskRequest;
    use crate::entry::samples::entry;
    use crate::ids::{FileId, Term};
    use crate::journal::format::hard_state::HardState;

    const LIMITS: SegmentLimits = SegmentLimits { bytes: 64 << 10, batches: 100 };
    const VALUE_BYTES: usize = 20_000;

    /// The log, with a disk that does what it is told when a test says so.
    struct Room {
        io: Io,
        log: DiskLog,
        pool: BufferPool,
    }

    impl Room {
        fn new() -> Self {
            let (io, base) = (Io::new(), Index(1));
            let active = Active { base, file: FileId(1), index: ActiveIndex::new(base) };
            let segments =
                Segments { sealed: VecDeque::new(), rolled: VecDeque::new(), active, next: Next::None };
            let votes = VoteFile::new(FileId(9), HardState { generation: 1, ..HardState::default() });
            let whole = (segments, Cursor::start(), SyncedBound::default());
            let log = DiskLog::new(io.clone(), JournalId(2), LIMITS, whole, votes);
            Self { io, log, pool: BufferPool::new(1 << 20) }
        }

        fn append(&mut self) -> Option<Index> {
            let index = self.log.cursor.next;
            let bytes = entry(index.0, 1, 0, VALUE_BYTES).len();
            let Place { segment_base, position } = self.log.place(bytes, 1);
            if segment_base == index && index != Index(1) {
                let (file, name) = (FileId(100 + index.0), "next".to_owned());
                self.log.segments.next = Next::Ready { file, name };
            }
            let entry = entry(index.0, segment_base.0, position, VALUE_BYTES);
            self.log.append(&self.pool, &entry, LIMITS.bytes, 7)
        }

        fn fill(&mut self, entries: usize) {
            (0..entries).for_each(|_| {
                self.append();
            });
        }

        /// The disk does all that it was told; what that was.
        fn work(&mut self) -> Vec<DiskRequest> {
            let mut all = Vec::new();
            loop {
                let issued = self.io.take_issued();
                if issued.is_empty() {
                    return all;
                }
                for (op, request) in issued {
                    self.log.complete(op, 8);
                    all.push(request);
                }
            }
        }

        fn cut_behind(&mut self, last: u64) {
            self.log.cut(Link { index: Index(last), term: Term(1), checksum: 0 });
        }
    }

    #[test]
    fn entries_become_durable_in_order_and_segments_roll() {
        let mut room = Room::new();
        assert_eq!([0; 3].map(|_| room.append()), [None, None, Some(Index(3))]);
        assert_eq!((room.log.last(), room.log.durable()), (Index(3), Index(0)));
        assert!(!room.log.is_half_full());
        room.work();
        assert_eq!((room.log.last(), room.log.durable()), (Index(3), Index(3)));
        let rolled = room.log.segments.rolled.front().expect("the first one is full");
        assert_eq!((rolled.base, rolled.last), (Index(1), Index(2)));
        room.append();
        assert!(room.log.is_half_full());
    }

    #[test]
    fn a_cut_waits_for_what_is_under_way_then_wipes_then_writes_on() {
        let mut room = Room::new();
        room.fill(4);
        room.cut_behind(1);
        assert_eq!((room.log.last(), room.log.segments.active.base), (Index(1), Index(1)));
        assert!(matches!(room.log.go_on_after_cut(9), CutStep::Wait), "writes are under way");
        room.append();
        room.work();
        let CutStep::Remove(stale, Some(Wiped { from, to, .. })) = room.log.go_on_after_cut(9) else {
            panic!("a segment and the end of another are void")
        };
        assert_eq!((stale.len(), stale[0].base), (1, Index(3)));
        assert!(from > 0 && to == 2 * from, "the second entry of the first segment");
        assert!(matches!(room.log.go_on_after_cut(9), CutStep::Wait), "they are being removed");
        assert_eq!(room.log.durable(), Index(1), "nothing new is written meanwhile");
        room.log.stale_removed();
        assert!(matches!(room.log.go_on_after_cut(9), CutStep::Done));
        room.work();
        assert_eq!((room.log.last(), room.log.durable()), (Index(2), Index(2)));
    }

    #[test]
    fn a_bound_that_names_what_is_cut_is_lowered_first() {
        let mut room = Room::new();
        room.fill(2);
        room.work();
        let state = room.log.votes.begin((Index::NONE, room.log.appender.durable()), None).expect("idle");
        room.log.votes.written(state);
        room.cut_behind(1);
        assert!(matches!(room.log.go_on_after_cut(9), CutStep::LowerBound));
        let state = room.log.votes.begin_bound(room.log.appender.durable());
        assert!(matches!(room.log.go_on_after_cut(9), CutStep::Wait), "it is being written");
        room.log.votes.written(state);
        assert!(matches!(room.log.go_on_after_cut(9), CutStep::Remove(..)));
    }

    #[test]
    #[should_panic(expected = "is not there")]
    fn no_entry_goes_to_a_segment_that_was_not_prepared() {
        let mut room = Room::new();
        room.fill(2);
        let third = entry(3, 3, 0, VALUE_BYTES);
        room.log.append(&room.pool, &third, LIMITS.bytes, 7);
    }

    #[test]
    #[should_panic(expected = "nothing stands behind")]
    fn only_what_is_there_is_cut() {
        let mut room = Room::new();
        room.append();
        room.cut_behind(1);
    }
}
