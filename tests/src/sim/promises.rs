//! What the programs of a node wrote, and what was said of it: nothing is said before it is durable.

use crate::sim::disk::{Inode, SimDisk};
use crate::sim::narrate::file_kind;
use engine::disk::DiskRequest;
use engine::entry::layout::{ENTRY_MAGIC, EntryHeader};
use engine::ids::JournalId;
use engine::port::{Damage, Event};
use std::collections::{BTreeMap, BTreeSet};
use zerocopy::FromBytes;

/// Where a node's processes wrote an entry last.
struct Written {
    pub(super) inode: Inode,
    pub(super) position: u64,
    pub(super) bytes: u64,
    pub(super) checksum: u32,
}

#[derive(Default)]
struct OfJournal {
    pub(super) entries: BTreeMap<u64, Written>,
    /// Up to here the node acknowledged entries, and they were durable.
    pub(super) kept: u64,
    /// What the medium broke is repaired in its place, and nobody was promised that.
    pub(super) damaged: BTreeSet<u64>,
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
    pub fn first_broken(&mut self, disk: &SimDisk, journal: JournalId, index: u64) -> Option<u64> {
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
    pub fn has(&self, disk: &SimDisk, journal: JournalId, index: u64) -> Option<bool> {
        let of_journal = self.0.get(&journal)?;
        let written = of_journal.entries.get(&index)?;
        Some(of_journal.kept >= index || is_durable(disk, written))
    }
}

fn is_durable(disk: &SimDisk, written: &Written) -> bool {
    disk.is_durable(written.inode, written.position..written.position + written.bytes)
}
