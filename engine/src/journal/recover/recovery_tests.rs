//! Recovery from folders that a test wrote, byte by byte: who is alone, what is committed, what is damaged.

use super::recovery::{Recovered, RecoveryError, recover};
use crate::clock::Now;
use crate::disk::BLOCK;
use crate::disk::memory::MemoryDisk;
use crate::entry::builder::{Hint, OpenEntry, Stamp, head_only};
use crate::entry::layout::ENTRY_BYTES_MAX;
use crate::entry::{EntryBytes, EntryKind, samples};
use crate::folder;
use crate::ids::{Index, RaftId, Term};
use crate::journal::context::Context;
use crate::journal::format::hard_state::{HARD_STATE_BYTES, HardState, SyncedBound};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::heal::incoming::Incoming;
use crate::journal::log::procedures::{Made, make};
use crate::journal::quorum::pace::Pace;
use crate::journal::read::block_cache::BlockCache;
use crate::journal::read::cache::{CacheShare, EntryCache};
use crate::journal::samples::record;
use crate::port::{Cutting, DamageKind};
use crate::raft::Change;
use crate::register::Amnesia;
use std::rc::Rc;

/// A journal's folder, and what its log has.
struct Room {
    disk: MemoryDisk,
    record: JournalMeta,
    entries: Vec<EntryBytes>,
}

impl Room {
    fn new(founders: &[u64]) -> Self {
        let mut room = Self { disk: MemoryDisk::new(), record: record(founders), entries: Vec::new() };
        let (context, record) = (room.context(), room.record.clone());
        let made = room.disk.run(async move { make(&context, &record).await });
        assert_eq!(made, Ok(Made::New { again: false, aside: None }));
        room
    }

    fn context(&self) -> Context {
        Context {
            io: self.disk.io.clone(),
            pool: self.disk.pool.clone(),
            blocks: BlockCache::new(0),
            journal: self.record.journal,
            entries: EntryCache::new(self.record.journal, &CacheShare::new(1 << 20)),
            pace: Rc::new(Pace::new(1 << 20)),
            incoming: Incoming::new(1 << 20),
            start: 0,
            started: Now { mono_ns: 0, wall_ms: 0 },
        }
    }

    /// The place of the next entry.
    fn stamp(&self, commit: u64) -> Stamp {
        let last = self.entries.last().map(|entry| *entry.header());
        Stamp {
            cluster: self.record.cluster,
            journal: self.record.journal,
            secret: self.record.secret,
            term: Term(1),
            index: Index(self.entries.len() as u64 + 1),
            segment_base: Index(1),
            position: self.entries.iter().map(|entry| entry.len() as u64).sum(),
            commit: Index(commit),
            wall_ms: 5,
            previous_checksum: last.map_or(0, |header| header.checksum.get()),
        }
    }

    fn push(&mut self, entry: EntryBytes) {
        let at = entry.header().position.get() as usize;
        let bytes: Vec<u8> = entry.pieces().iter().flat_map(|piece| piece.to_vec()).collect();
        let path = folder::segment_path(self.record.journal, Index(1));
        self.disk.file(&path)[at..at + bytes.len()].copy_from_slice(&bytes);
        self.entries.push(entry);
    }

    /// A term start whose leader knew so much to be committed.
    fn start_term(&mut self, commit: u64) {
        let stamp = self.stamp(commit);
        let entry = head_only(&self.disk.pool, EntryKind::TermStart, 0, &[], &stamp);
        self.push(entry);
    }

    fn change(&mut self, change: Change) {
        let stamp = self.stamp(0);
        let entry = head_only(&self.disk.pool, EntryKind::Membership, 1, &change.encode(), &stamp);
        self.push(entry);
    }

    /// An entry with a batch of two blocks.
    fn batch(&mut self) {
        let (bytes, placed) = samples::batch(0, 5000);
        let mut open = OpenEntry::new(&self.disk.pool, Hint::default(), ENTRY_BYTES_MAX, bytes.len());
        open.append(&self.disk.pool, &bytes, placed).expect("its CRC is right");
        open.close();
        let entry = open.seal(&self.stamp(0)).0;
        self.push(entry);
    }

    /// Turns a bit of an entry over, so many bytes behind its begin.
    fn flip(&mut self, index: u64, within: usize) {
        let at = self.entries[index as usize - 1].header().position.get() as usize + within;
        let path = folder::segment_path(self.record.journal, Index(1));
        self.disk.file(&path)[at] ^= 1;
    }

    fn hard_state(&mut self, state: HardState) {
        let (at, slot) = state.encode_slot(&self.record.identity());
        let file = self.disk.file(&folder::hard_state_path(self.record.journal));
        file[at as usize..at as usize + slot.len()].copy_from_slice(&slot);
    }

    /// Entries up to here are known to have been synced.
    fn synced(&mut self, index: u64) {
        let checksum = self.entries[index as usize - 1].header().checksum.get();
        let synced = SyncedBound { index: Index(index), term: Term(1), checksum };
        self.hard_state(HardState { generation: 2, term: Term(1), synced, ..HardState::default() });
    }

    fn forget_votes(&mut self) {
        let path = folder::hard_state_path(self.record.journal);
        self.disk.file(&path)[..HARD_STATE_BYTES].fill(0xFF);
    }

    fn recover(&mut self) -> Result<Recovered, RecoveryError> {
        let context = self.context();
        self.disk.run(recover(context))
    }

    fn is_amnesiac(&mut self) -> bool {
        let is_so = matches!(self.recover(), Err(RecoveryError::Amnesia(Amnesia::HardStateBad)));
        assert!(!is_so || self.disk.open_files() == 0, "what was opened is closed");
        is_so
    }
}

fn commit_of(recovered: &Recovered) -> (bool, Index, Index, usize) {
    (recovered.is_alone, recovered.state.fold.applied, recovered.report.last, recovered.heads.len())
}

#[test]
fn alone_all_that_is_there_is_committed_and_among_others_what_is_known() {
    for (founders, applied) in [(&[1][..], 3), (&[1, 2, 3], 1)] {
        let mut room = Room::new(founders);
        room.start_term(0);
        room.batch();
        room.start_term(1);
        let recovered = room.recover().expect("all is whole");
        let is_alone = founders.len() == 1;
        assert_eq!(commit_of(&recovered), (is_alone, Index(applied), Index(3), 3 - applied as usize));
        assert_eq!((recovered.cursor.next, recovered.durable.index), (Index(4), Index(3)));
        assert!(recovered.damage.is_empty() && recovered.report.torn.is_none());
    }
}

#[test]
fn a_founder_that_let_another_in_goes_on_as_one_of_two() {
    let mut room = Room::new(&[1]);
    room.start_term(0);
    room.change(Change::AddLearner(RaftId(2)));
    room.batch();
    let recovered = room.recover().expect("all is whole");
    assert_eq!(commit_of(&recovered), (false, Index(2), Index(3), 1));
    assert_eq!(recovered.state.members.learners, [RaftId(2)]);
}

#[test]
fn a_hidden_vote_counts_where_a_change_in_the_tail_says_that_others_do() {
    for (founders, change, is_amnesiac) in
        [(&[1][..], None, false), (&[1], Some(Change::AddLearner(RaftId(2))), true), (&[1, 2, 3], None, true)]
    {
        let mut room = Room::new(founders);
        room.start_term(0);
        change.into_iter().for_each(|change| room.change(change));
        room.batch();
        room.forget_votes();
        assert_eq!(room.is_amnesiac(), is_amnesiac, "{founders:?} {change:?}");
    }
}

#[test]
fn what_was_synced_is_never_cut_and_what_was_not_is() {
    for (founders, why) in [(&[1][..], Cutting::Unsynced), (&[1, 2, 3], Cutting::PerhapsAcked)] {
        let mut room = Room::new(founders);
        room.start_term(0);
        room.batch();
        room.batch();
        room.synced(2);
        let body = room.entries[1].len() - BLOCK / 2;
        room.flip(2, body);
        room.flip(3, body);
        let recovered = room.recover().expect("it goes on");
        let damage: Vec<_> = recovered.damage.iter().map(|damage| (damage.first, damage.kind)).collect();
        assert_eq!(damage, [(Index(2), DamageKind::Body)]);
        assert_eq!(recovered.report.last, Index(2), "the third was above every bound");
        assert_eq!(recovered.report.torn.map(|torn| (torn.from, torn.why)), Some((Index(3), why)));
        assert_eq!(recovered.hard_state.doubt.is_some(), founders.len() > 1, "perhaps it was acknowledged");
    }
}
