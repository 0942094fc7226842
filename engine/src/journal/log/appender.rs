//! Writes entries and makes them durable, in order.
//!
//! ```text
//! append ──▶ writes in flight ──▶ written ──▶ one fdatasync for all of them ──▶ synced
//!        └─▶ a small one that is alone: written through (O_DSYNC) ────────────────▶ synced
//!                                                        durable = the contiguous synced prefix
//! ```
//! A sync counts for the writes of its file that completed before it was issued, and for no
//! others. An entry in a new segment counts only once the file's name is durable too.
//!
//! Three things make an entry wait before it is written:
//! - *Zeros* on their way to the same blocks.
//! - *A cut.* Two writes to one place are not ordered: nothing is written behind a cut until all
//!   that was under way is done, and until recovery would know of the cut ([`Appender::cut`]).
//! - *Its word of the commit.* An entry says what its leader knew to be committed, and recovery
//!   takes that as durable here: it is written only when it is.

use super::stages::StageLatencies;
use super::zeroing::Zeroing;
use crate::collections::Map;
use crate::disk::io::Io;
use crate::disk::{Buffer, BufferPool, DiskRequest, OpId};
use crate::entry::EntryBytes;
use crate::ids::{FileId, Index};
use crate::journal::format::hard_state::SyncedBound;
use crate::planted::{Bug, is_planted};
use std::collections::VecDeque;

/// Entries handed to the disk and not yet synced. More would only lengthen the queue: at 64 KiB
/// and above four keep the device busy.
pub const IN_FLIGHT_MAX: usize = 4;
/// An entry up to this size that is alone is written through: one operation and one wake where a
/// write and a sync take two. Larger ones, and several at once, share a sync.
const WRITTEN_THROUGH_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Pieces still being written.
    Writing(u32),
    Written,
    /// A sync that was issued after the write completed is under way.
    Syncing(OpId),
    Synced,
}

#[derive(Debug)]
struct Flight {
    bound: SyncedBound,
    file: FileId,
    progress: Progress,
    /// Durable once it is written, without a sync.
    through: bool,
    appended_ns: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: FileId,
    /// The folder entry under its final name is durable.
    named: bool,
    /// The sync under way, and when it was issued.
    syncing: Option<(OpId, u64)>,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Write(Index),
    Zeros,
    Sync(FileId),
    Rename(FileId),
    SyncName(FileId),
}

/// What a completion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progressed {
    /// Not an operation of this appender.
    NotMine,
    /// The durable index is as before.
    Nothing,
    /// The durable index rose.
    Durable,
    /// A file that had zeros on their way has none any more.
    Zeroed,
}

/// What is to be done once the disk is free for it.
#[derive(Debug)]
enum Waiting {
    Entry(EntryBytes, u64),
    Roll { file: FileId, prepared: String, name: String },
}

/// The disk's side of one journal.
#[derive(Debug)]
pub struct Appender {
    io: Io,
    dir: String,
    files: VecDeque<OpenFile>,
    flights: VecDeque<Flight>,
    zeroing: Zeroing,
    /// The entries have come to here in a file that is allocated up to there.
    reached: (u64, u64),
    /// Made when it is needed first; every piece of zeros is this one.
    zeros: Option<Buffer>,
    /// Writes that wait for zeros on their way to the same blocks.
    held: Vec<(Index, DiskRequest)>,
    waiting: VecDeque<Waiting>,
    /// A cut was made: nothing new is begun until [`Appender::go_on`].
    is_cut: bool,
    /// Files that the cut made void; what was begun in them ends first.
    stale: Vec<FileId>,
    ops: Map<OpId, Op>,
    durable: SyncedBound,
    pub counts: Counts,
    pub stages: StageLatencies,
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub entries: u64,
    pub entry_bytes: u64,
    pub syncs: u64,
    pub synced_entries: u64,
    /// Written ahead of small entries.
    pub zeroed_bytes: u64,
    /// Pieces of entries that waited for zeros on their way to the same blocks.
    pub held_writes: u64,
}

impl Appender {
    /// Goes on behind `durable`, in a file that is named already, one of segments of so many bytes.
    pub fn new(io: Io, dir: String, file: FileId, segment_bytes: u64, durable: SyncedBound) -> Self {
        let open = OpenFile { file, named: true, syncing: None };
        Self {
            io,
            dir,
            files: VecDeque::from([open]),
            flights: VecDeque::new(),
            zeroing: Zeroing::new(file, segment_bytes),
            reached: (0, 0),
            zeros: None,
            held: Vec::new(),
            waiting: VecDeque::new(),
            is_cut: false,
            stale: Vec::new(),
            ops: Map::default(),
            durable,
            counts: Counts::default(),
            stages: StageLatencies::default(),
        }
    }

    /// The newest entry that is durable with all before it.
    pub fn durable(&self) -> SyncedBound {
        self.durable
    }

    /// Entries taken and not yet durable.
    pub fn in_flight(&self) -> usize {
        self.flights.len() + self.waiting.len()
    }

    /// True when nothing is under way or waits, naming of files included.
    pub fn is_idle(&self) -> bool {
        self.ops.is_empty() && self.waiting.is_empty() && !self.is_cut
    }

    /// Ends the log behind `last`, in `file`: what was written behind it is void, and so are the
    /// `stale` files. Whatever is under way goes on to its end; until [`Appender::go_on`] nothing
    /// new is begun.
    pub fn cut(&mut self, last: SyncedBound, file: FileId, stale: &[FileId]) {
        self.is_cut = true;
        self.stale.extend_from_slice(stale);
        let is_void = |waiting: &Waiting| match waiting {
            Waiting::Entry(entry, _) => entry.header().index() > last.index,
            Waiting::Roll { file, .. } => stale.contains(file),
        };
        while self.waiting.back().is_some_and(is_void) {
            self.waiting.pop_back();
        }
        self.held.retain(|(index, _)| *index <= last.index);
        while self.flights.back().is_some_and(|flight| flight.bound.index > last.index) {
            self.flights.pop_back();
        }
        if self.durable.index > last.index {
            self.durable = last;
        }
        let comes = |waiting: &Waiting| matches!(waiting, Waiting::Roll { file: next, .. } if *next == file);
        if !self.files.iter().any(|open| open.file == file) && !self.waiting.iter().any(comes) {
            // It was full and durable, and is written again.
            self.files.push_front(OpenFile { file, named: true, syncing: None });
        }
    }

    /// After a cut: all that was under way is done.
    pub fn is_drained(&self) -> bool {
        self.is_cut && self.ops.is_empty() && self.held.is_empty()
    }

    /// The cut is known to recovery: appends are written again, behind it.
    pub fn go_on(&mut self, now_ns: u64) {
        assert!(self.is_drained(), "{} operations are under way behind a cut", self.ops.len());
        assert!(self.flights.is_empty(), "{} entries before a cut are not durable", self.flights.len());
        self.is_cut = false;
        let stale = core::mem::take(&mut self.stale);
        self.files.retain(|open| !stale.contains(&open.file));
        if let Some(newest) = self.files.back() {
            self.zeroing.roll(newest.file);
        }
        self.begin_waiting(now_ns);
    }

    /// Goes on in the next segment's file: it gets its final name, and the name becomes durable.
    pub fn roll(&mut self, file: FileId, prepared: &str, name: &str, now_ns: u64) {
        let (prepared, name) = (prepared.to_owned(), name.to_owned());
        self.waiting.push_back(Waiting::Roll { file, prepared, name });
        self.begin_waiting(now_ns);
    }

    /// Writes an entry at its place in the newest file, as soon as that may be.
    pub fn append(&mut self, entry: &EntryBytes, now_ns: u64) {
        let index = entry.header().index();
        let last = self.waiting.iter().rev().find_map(|waiting| match waiting {
            Waiting::Entry(entry, _) => Some(entry.header().index()),
            Waiting::Roll { .. } => None,
        });
        let last = last.or_else(|| self.flights.back().map(|flight| flight.bound.index));
        let last = last.unwrap_or(self.durable.index);
        assert_eq!(index, last.next(), "entries are appended in order");
        self.waiting.push_back(Waiting::Entry(entry.clone(), now_ns));
        self.begin_waiting(now_ns);
    }

    /// Begins what waits, in order, up to the first that must still wait.
    fn begin_waiting(&mut self, now_ns: u64) {
        while let Some(front) = self.waiting.front()
            && !self.is_cut
        {
            if let Waiting::Entry(entry, _) = front
                && entry.header().commit.get() > self.durable.index.0
            {
                return;
            }
            match self.waiting.pop_front().expect("there is a front") {
                Waiting::Entry(entry, appended_ns) => self.begin_write(&entry, appended_ns.min(now_ns)),
                Waiting::Roll { file, prepared, name } => {
                    let op = self.io.issue(DiskRequest::Rename { from: prepared, to: name });
                    self.ops.insert(op, Op::Rename(file));
                    self.files.push_back(OpenFile { file, named: false, syncing: None });
                    self.zeroing.roll(file);
                }
            }
        }
    }

    fn begin_write(&mut self, entry: &EntryBytes, now_ns: u64) {
        let header = entry.header();
        let file = self.files.back().expect("there is a segment").file;
        let bound =
            SyncedBound { index: header.index(), term: header.term(), checksum: header.checksum.get() };
        let mut position = header.position.get();
        let through = self.flights.is_empty() && entry.len() <= WRITTEN_THROUGH_BYTES_MAX;
        for piece in entry.pieces() {
            let buffer = piece.clone();
            position += buffer.len() as u64;
            let at = position - buffer.len() as u64;
            let meets_zeros = self.zeroing.meets(file, &(at..position));
            let request = DiskRequest::Write { file, position: at, buffer, through };
            if meets_zeros {
                self.held.push((bound.index, request));
                self.counts.held_writes += 1;
            } else {
                self.write(bound.index, request);
            }
        }
        self.zeroing.appended(entry.len() as u64);
        let progress = Progress::Writing(entry.pieces().len() as u32);
        self.flights.push_back(Flight { bound, file, progress, through, appended_ns: now_ns });
        self.counts.entries += 1;
        self.counts.entry_bytes += entry.len() as u64;
    }

    fn write(&mut self, index: Index, request: DiskRequest) {
        let op = self.io.issue(request);
        self.ops.insert(op, Op::Write(index));
    }

    /// Entries have come to `position` of a file that is allocated up to `end`: writes zeros ahead
    /// of small ones.
    pub fn zero_ahead(&mut self, pool: &BufferPool, position: u64, end: u64) {
        self.reached = (position, end);
        if self.zeros.is_none() && self.zeroing.is_wanted() {
            self.zeros = Some(pool.copy_of(&vec![0; self.zeroing.piece_bytes()]));
        }
        self.zero_next();
    }

    fn zero_next(&mut self) {
        // Behind a roll that waits, what is reached is in a file that is not open yet.
        if self.is_cut || self.waiting.iter().any(|waiting| matches!(waiting, Waiting::Roll { .. })) {
            return;
        }
        let file = self.files.back().expect("there is a segment").file;
        let (position, end) = self.reached;
        let Some(buffer) = self.zeros.clone() else { return };
        if let Some(piece) = self.zeroing.next(position, end) {
            let op =
                self.io.issue(DiskRequest::Write { file, position: piece.start, buffer, through: false });
            self.ops.insert(op, Op::Zeros);
            self.counts.zeroed_bytes += piece.end - piece.start;
        }
    }

    fn zeroed(&mut self) {
        self.zeroing.done();
        for (index, request) in core::mem::take(&mut self.held) {
            self.write(index, request);
        }
        self.zero_next();
    }

    /// Zeros are on their way to this file: it cannot be cut.
    pub fn is_zeroing(&self, file: FileId) -> bool {
        self.zeroing.is_under_way(file)
    }

    /// Takes the completion of an operation that succeeded.
    pub fn complete(&mut self, op: OpId, now_ns: u64) -> Progressed {
        let Some(done) = self.ops.remove(&op) else { return Progressed::NotMine };
        match done {
            Op::Write(index) => self.written(index, now_ns),
            Op::Zeros => {
                self.zeroed();
                return Progressed::Zeroed;
            }
            Op::Sync(file) => self.synced(file, op, now_ns),
            Op::Rename(file) => {
                let op = self.io.issue(DiskRequest::SyncDir { path: self.dir.clone() });
                self.ops.insert(op, Op::SyncName(file));
            }
            Op::SyncName(file) => self.file(file).named = true,
        }
        let advanced = self.advance(now_ns);
        self.begin_waiting(now_ns);
        if advanced { Progressed::Durable } else { Progressed::Nothing }
    }

    /// True when `op` is one of this appender's.
    pub fn owns(&self, op: OpId) -> bool {
        self.ops.contains_key(&op)
    }

    fn file(&mut self, file: FileId) -> &mut OpenFile {
        self.files.iter_mut().find(|open| open.file == file).expect("a file with work is open")
    }

    fn written(&mut self, index: Index, now_ns: u64) {
        let flight = self.flights.iter_mut().find(|flight| flight.bound.index == index);
        let Some(flight) = flight else {
            assert!(self.is_cut, "entry {index} left before its writes");
            return;
        };
        let Progress::Writing(pieces) = flight.progress else { panic!("{index:?} was written already") };
        let file = flight.file;
        if pieces == 1 {
            flight.progress = Progress::Written;
            if flight.through {
                flight.progress = Progress::Synced;
                self.counts.syncs += 1;
                self.counts.synced_entries += 1;
            }
            if is_planted(Bug::AckBeforeSync) {
                flight.progress = Progress::Synced;
            }
            self.stages.write.record(now_ns.saturating_sub(flight.appended_ns));
        } else {
            flight.progress = Progress::Writing(pieces - 1);
        }
        self.sync_if_due(file, now_ns);
    }

    fn synced(&mut self, file: FileId, op: OpId, now_ns: u64) {
        if let Some((_, issued_ns)) = self.file(file).syncing.take() {
            self.stages.sync.record(now_ns.saturating_sub(issued_ns));
        }
        for flight in &mut self.flights {
            if flight.progress == Progress::Syncing(op) {
                flight.progress = Progress::Synced;
                self.counts.synced_entries += 1;
            }
        }
        self.sync_if_due(file, now_ns);
    }

    /// Issues a sync when something is written and none is under way for this file.
    fn sync_if_due(&mut self, file: FileId, now_ns: u64) {
        if self.file(file).syncing.is_some() {
            return;
        }
        let due = |flight: &Flight| flight.file == file && flight.progress == Progress::Written;
        if !self.flights.iter().any(due) {
            return;
        }
        let op = self.io.issue(DiskRequest::Sync { file });
        self.ops.insert(op, Op::Sync(file));
        for flight in self.flights.iter_mut().filter(|flight| due(flight)) {
            flight.progress = Progress::Syncing(op);
        }
        self.file(file).syncing = Some((op, now_ns));
        self.counts.syncs += 1;
    }

    /// Moves the durable index over the contiguous prefix of synced entries in named files.
    fn advance(&mut self, now_ns: u64) -> bool {
        let before = self.durable.index;
        while let Some(front) = self.flights.front() {
            let named = self.files.iter().any(|open| open.file == front.file && open.named);
            if front.progress != Progress::Synced || !named {
                break;
            }
            let flight = self.flights.pop_front().expect("there is a front");
            self.durable = flight.bound;
            self.stages.durable.record(now_ns.saturating_sub(flight.appended_ns));
            while self.files.front().is_some_and(|open| open.file != flight.file) {
                let left = self.files.pop_front().expect("there is a front");
                assert!(left.syncing.is_none() && left.named, "{left:?} was left with work to do");
            }
        }
        self.durable.index > before
    }

    /// What raft is told to be durable.
    pub fn told_durable(&self) -> Index {
        if is_planted(Bug::LaterWriteReleasedEarly) {
            let synced = self.flights.iter().rfind(|flight| flight.progress == Progress::Synced);
            return synced.map_or(self.durable.index, |flight| flight.bound.index);
        }
        self.durable.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::BufferPool;
    use crate::entry::EntryKind;
    use crate::entry::builder::{Stamp, head_only};
    use crate::ids::{ClusterId, JournalId, Term};

    fn entry(index: u64, position: u64) -> EntryBytes {
        knowing(index, position, Index(0))
    }

    /// An entry whose leader knew so much to be committed.
    fn knowing(index: u64, position: u64, commit: Index) -> EntryBytes {
        let stamp = Stamp {
            cluster: ClusterId(1),
            journal: JournalId(1),
            secret: 1,
            term: Term(1),
            index: Index(index),
            segment_base: Index(1),
            position,
            commit,
            wall_ms: 0,
            previous_checksum: 0,
        };
        head_only(&BufferPool::new(0), EntryKind::TermStart, 0, &[], &stamp)
    }

    fn appender() -> (Io, Appender) {
        let io = Io::new();
        let appender = Appender::new(io.clone(), "dir".into(), FileId(1), 256 << 20, SyncedBound::default());
        (io, appender)
    }

    fn issued(io: &Io) -> Vec<(OpId, &'static str)> {
        let name = |request: &DiskRequest| match request {
            DiskRequest::Write { through: true, .. } => "write through",
            DiskRequest::Write { .. } => "write",
            DiskRequest::Sync { .. } => "sync",
            DiskRequest::Rename { .. } => "rename",
            DiskRequest::SyncDir { .. } => "sync dir",
            _ => "other",
        };
        io.take_issued().iter().map(|(op, request)| (*op, name(request))).collect()
    }

    #[test]
    fn a_small_entry_that_is_alone_is_written_through_and_needs_no_sync() {
        let (io, mut appender) = appender();
        appender.append(&entry(1, 0), 0);
        let ops = issued(&io);
        assert_eq!(ops.iter().map(|op| op.1).collect::<Vec<_>>(), ["write through"]);
        assert_eq!(appender.complete(ops[0].0, 1), Progressed::Durable);
        assert_eq!((appender.durable().index, issued(&io)), (Index(1), vec![]));
        assert_eq!((appender.counts.syncs, appender.counts.synced_entries), (1, 1));
    }

    #[test]
    fn a_write_that_completes_during_a_sync_waits_for_the_next_one() {
        let (io, mut appender) = appender();
        (0..3).for_each(|at| appender.append(&entry(at + 1, 4096 * at), 0));
        let writes = issued(&io);
        assert_eq!(writes.iter().map(|op| op.1).collect::<Vec<_>>(), ["write through", "write", "write"]);
        assert_eq!(appender.complete(writes[0].0, 1), Progressed::Durable);
        assert_eq!(appender.complete(writes[1].0, 1), Progressed::Nothing);
        let first_sync = issued(&io)[0];
        assert_eq!(first_sync.1, "sync");
        assert_eq!(appender.complete(writes[2].0, 2), Progressed::Nothing);
        assert_eq!(issued(&io), [], "one sync at a time");
        assert_eq!(appender.complete(first_sync.0, 3), Progressed::Durable);
        assert_eq!(appender.durable().index, Index(2));
        let second_sync = issued(&io)[0];
        assert_eq!(appender.complete(second_sync.0, 4), Progressed::Durable);
        assert_eq!((appender.durable().index, appender.in_flight()), (Index(3), 0));
    }

    #[test]
    fn a_later_write_is_not_durable_before_an_earlier_one() {
        let (io, mut appender) = appender();
        appender.append(&entry(1, 0), 0);
        appender.append(&entry(2, 4096), 0);
        let writes = issued(&io);
        appender.complete(writes[1].0, 1);
        let sync = issued(&io)[0];
        assert_eq!(appender.complete(sync.0, 2), Progressed::Nothing);
        assert_eq!(appender.durable().index, Index(0));
        assert_eq!(appender.complete(writes[0].0, 3), Progressed::Durable);
        assert_eq!(appender.durable().index, Index(2));
    }

    #[test]
    fn an_entry_that_meets_zeros_on_their_way_is_written_after_them() {
        let (io, mut appender) = appender();
        let pool = BufferPool::new(0);
        appender.append(&entry(1, 0), 0);
        appender.zero_ahead(&pool, 4096, 256 << 20);
        let ops = issued(&io);
        assert_eq!(ops.iter().map(|op| op.1).collect::<Vec<_>>(), ["write through", "write"]);
        assert!(appender.is_zeroing(FileId(1)));
        let zeroed = 4096 + (256 << 10);
        appender.append(&entry(2, zeroed), 0);
        assert_eq!(issued(&io), [], "its blocks are being zeroed");
        assert_eq!(appender.complete(ops[1].0, 1), Progressed::Zeroed);
        assert_eq!(issued(&io).len(), 1);
        assert_eq!(appender.counts.held_writes, 1);
        assert!(!appender.is_zeroing(FileId(1)));
    }

    #[test]
    fn a_follower_that_is_behind_has_zeros_written_ahead_of_what_waits() {
        let (io, mut appender) = appender();
        let pool = BufferPool::new(0);
        appender.append(&entry(1, 0), 0);
        appender.append(&knowing(2, 4096, Index(1)), 0);
        appender.zero_ahead(&pool, 8192, 256 << 20);
        let ops = issued(&io);
        assert_eq!(ops.iter().map(|op| op.1).collect::<Vec<_>>(), ["write through", "write"]);
        assert_eq!((appender.counts.entries, appender.counts.zeroed_bytes), (1, 256 << 10));
        // Behind a roll that waits, the place reached is in a file that is not open yet.
        appender.roll(FileId(2), "dir/next", "dir/3.seg", 0);
        appender.complete(ops[1].0, 1);
        assert_eq!(issued(&io), []);
    }

    #[test]
    fn an_entry_in_a_new_segment_counts_once_its_name_is_durable() {
        let (io, mut appender) = appender();
        appender.roll(FileId(2), "dir/next", "dir/1.seg", 0);
        appender.append(&entry(1, 0), 0);
        let ops = issued(&io);
        assert_eq!(ops.iter().map(|op| op.1).collect::<Vec<_>>(), ["rename", "write through"]);
        assert_eq!(appender.complete(ops[1].0, 1), Progressed::Nothing);
        appender.complete(ops[0].0, 3);
        let name = issued(&io)[0];
        assert_eq!(name.1, "sync dir");
        assert_eq!(appender.complete(name.0, 4), Progressed::Durable);
    }
}
