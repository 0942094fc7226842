//! What a node says of its disk is so: an entry that it acknowledges is durable there at that
//! moment, one that a leader calls committed is durable on a quorum, and a vote is written down.
//!
//! Whoever promises too early mostly keeps the promise a little later, and loses acknowledged
//! records only when the power fails in between. Here it is caught as it speaks.

use super::disk::{Inode, SimDisk};
use super::narrate::file_kind;
use super::node::Node;
use super::survey::{hard_state, identity};
use super::world::World;
use engine::disk::DiskRequest;
use engine::entry::layout::{ENTRY_MAGIC, EntryHeader};
use engine::ids::{JournalId, NodeId, RaftId};
use engine::peer::{PeerMessage, RaftKind, RaftMessage};
use engine::port::{Damage, Event};
use std::collections::{BTreeMap, BTreeSet};
use zerocopy::FromBytes;

/// Where a node's processes wrote an entry last.
struct Written {
    inode: Inode,
    position: u64,
    bytes: u64,
    checksum: u32,
}

#[derive(Default)]
struct OfJournal {
    entries: BTreeMap<u64, Written>,
    /// Up to here the node acknowledged entries, and they were durable.
    kept: u64,
    /// What the medium broke is repaired in its place, and nobody was promised that.
    damaged: BTreeSet<u64>,
}

/// The entries that one disk was given, and the promises about them.
#[derive(Default)]
pub struct Promises(BTreeMap<JournalId, OfJournal>);

impl Promises {
    /// Takes note of a write, if an entry begins with it.
    pub fn written(&mut self, disk: &SimDisk, owner: u16, request: &DiskRequest) {
        let DiskRequest::Write { file, position, buffer, .. } = request else { return };
        let Ok((header, _)) = EntryHeader::ref_from_prefix(buffer) else { return };
        // What is put by in quarantine is no entry of the journal any more.
        if header.magic != ENTRY_MAGIC || file_kind(disk.path_of(owner, *file)) == "quarantined piece" {
            return;
        }
        let written = Written {
            inode: disk.inode(owner, *file),
            position: *position,
            bytes: header.entry_bytes() as u64,
            checksum: header.checksum.get(),
        };
        let journal = self.0.entry(header.journal()).or_default();
        let index = header.index.get();
        // Repair and recovery write again what was there; anything else is an entry of its own.
        let is_other = |before: Written| before.checksum != header.checksum.get();
        if journal.entries.insert(index, written).is_none_or(is_other) {
            journal.kept = journal.kept.min(index - 1);
            journal.damaged.remove(&index);
        }
    }

    /// Takes note of what a node reports of its disk.
    pub fn reported(&mut self, event: &Event) {
        match event {
            Event::Recovered(report) => report.damage.iter().for_each(|damage| self.damaged(damage)),
            Event::Damaged(damage) => self.damaged(damage),
            Event::Repaired { journal, first, last } => {
                let journal = self.0.entry(*journal).or_default();
                journal.damaged.retain(|index| !(first.0..=last.0).contains(index));
            }
            // A checkpoint stands for all entries up to there.
            Event::Installed { journal, last } => {
                let journal = self.0.entry(*journal).or_default();
                journal.entries = journal.entries.split_off(&(last.0 + 1));
                journal.kept = journal.kept.max(last.0);
            }
            _ => {}
        }
    }

    fn damaged(&mut self, damage: &Damage) {
        let journal = self.0.entry(damage.journal).or_default();
        journal.damaged.extend(damage.first.0..=damage.last.0);
    }

    /// The first entry up to `index` that is acknowledged by that and would not outlast a power cut.
    fn first_broken(&mut self, disk: &SimDisk, journal: JournalId, index: u64) -> Option<u64> {
        let of_journal = self.0.get_mut(&journal)?;
        if of_journal.kept >= index {
            return None;
        }
        let told = of_journal.entries.range(of_journal.kept + 1..=index);
        let mut told = told.filter(|(index, _)| !of_journal.damaged.contains(index));
        let broken = told.find(|(_, written)| !is_durable(disk, written)).map(|(index, _)| *index);
        of_journal.kept = index;
        broken
    }

    /// Whether an entry is durable or was acknowledged; `None` when this disk was never given it:
    /// a checkpoint may stand for it.
    fn has(&self, disk: &SimDisk, journal: JournalId, index: u64) -> Option<bool> {
        let of_journal = self.0.get(&journal)?;
        let written = of_journal.entries.get(&index)?;
        Some(of_journal.kept >= index || is_durable(disk, written))
    }
}

fn is_durable(disk: &SimDisk, written: &Written) -> bool {
    disk.is_durable(written.inode, written.position..written.position + written.bytes)
}

impl World {
    /// Judges what a node says in a message, before it is sent.
    pub(super) fn judge_promises(&mut self, node: usize, message: &PeerMessage) {
        match message {
            PeerMessage::Raft { journal, message } => self.judge_promise(node, *journal, message),
            PeerMessage::Heartbeats(all) => {
                all.iter().for_each(|one| self.judge_promise(node, one.journal, &one.message));
            }
            _ => {}
        }
    }

    fn judge_promise(&mut self, node: usize, journal: JournalId, message: &RaftMessage) {
        match message.kind {
            RaftKind::AppendResponse { index, reject: false, .. } => {
                let Node { promises, disk, .. } = &mut self.nodes[node];
                let broken = promises.first_broken(disk, journal, index.0);
                assert_eq!(
                    broken, None,
                    "n{node} acknowledged journal {journal} up to {index}: this entry is not durable there"
                );
                self.counts.add("acknowledgement checked on the disk");
            }
            RaftKind::VoteResponse { reject: false, .. } => self.judge_vote(node, journal, message),
            RaftKind::Append { commit, .. } | RaftKind::Heartbeat { commit } => {
                self.judge_commit(node, journal, commit.0);
            }
            _ => {}
        }
    }

    fn judge_vote(&self, node: usize, journal: JournalId, message: &RaftMessage) {
        let here = &self.nodes[node];
        let identity = identity(here, journal).expect("it votes");
        let state = hard_state(here, &identity).expect("it votes, and nothing breaks that");
        let is_kept = state.term > message.term || (state.term, state.vote) == (message.term, message.to);
        assert!(
            is_kept,
            "n{node} votes for {} in term {} of journal {journal}: its disk says {} in term {}",
            message.to, message.term, state.vote, state.term
        );
    }

    fn judge_commit(&mut self, node: usize, journal: JournalId, commit: u64) {
        let told = self.committed.entry(journal).or_default();
        if *told >= commit {
            return;
        }
        *told = commit;
        let mut replicas = self.nodes[node].shards.iter().filter_map(|slot| slot.shard.journal(journal));
        let members = replicas.next().expect("it leads").membership();
        if members.is_joint() {
            return;
        }
        let view = self.nodes[node].view();
        let Some(of_journal) = view.journals.get(&journal) else { return };
        let has_it = |node: &&NodeId, id: &RaftId| of_journal.raft_id_of(&view.nodes[*node]) == *id;
        let node_of = |id: &RaftId| of_journal.replicas.iter().find(|node| has_it(node, id)).copied();
        let has = |id: NodeId| {
            let Node { promises, disk, .. } = &self.nodes[id.0 as usize];
            promises.has(disk, journal, commit)
        };
        let known: Option<Vec<bool>> = members.voters.iter().map(|id| node_of(id).and_then(has)).collect();
        let Some(known) = known else { return };
        let holders = known.iter().filter(|has| **has).count();
        assert!(
            holders > known.len() / 2,
            "n{node} calls entry {commit} of journal {journal} committed: {holders} of {} disks have it",
            known.len()
        );
        self.counts.add("commit checked on the disks");
    }
}
