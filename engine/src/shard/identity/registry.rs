//! The register of what this node has: the first shard alone writes `node.meta`, one write at a
//! time, and tells every shard what is durable. The others ask it, and believe only what they are
//! told.

use crate::folder::{self};
use crate::ids::{JournalId, META_JOURNAL};
use crate::register::{Amnesia, NodeRecord};

/// The first shard's pen.
pub struct Registry {
    /// What is durable.
    pub(in crate::shard) record: NodeRecord,
    /// What is to be; written as soon as the write before it is durable.
    pub(in crate::shard) wanted: NodeRecord,
    pub(in crate::shard) is_writing: bool,
    /// There was no room for it.
    pub(in crate::shard) again_ns: Option<u64>,
}

impl Registry {
    pub fn new(record: NodeRecord) -> Self {
        Self { wanted: record.clone(), record, is_writing: false, again_ns: None }
    }

    /// The folder was told to be an old copy: what is to be written next is its last word.
    pub(in crate::shard) fn is_given_up(&self) -> bool {
        self.wanted.node.incarnation != self.record.node.incarnation
    }

    /// There was no room for what is to be written.
    pub fn waits_for_room(&self) -> bool {
        self.again_ns.is_some()
    }
}

/// What an operator of a lone node reads: what is missing, and how to go on without losing more.
pub(in crate::shard) fn missing_here(missing: &[(JournalId, Amnesia)]) -> String {
    let mut text = "node.meta names what this folder held, and not all of it is there:".to_owned();
    for (journal, why) in missing {
        text += &format!("\n  journal {journal} ({}): {why}", folder::journal_dir(*journal));
    }
    let flags: Vec<String> = missing.iter().map(|(journal, _)| format!("--accept-loss {journal}")).collect();
    text += "\nNothing was changed. Put back what is missing: all of a journal's folder, or the whole data \
             folder, from one copy that is not older. If there is none, start with ";
    text += &flags.join(" ");
    let keeps_entries = |why: &Amnesia| *why == Amnesia::HardStateMissing;
    if missing.iter().any(|(_, why)| keeps_entries(why)) {
        text += ": where hard-state alone is missing all entries stay, and what it had voted for counts for \
                 nothing on a node on its own";
    }
    if missing.iter().any(|(_, why)| !keeps_entries(why)) {
        text += ": what is left of that journal moves to quarantine/, nothing is deleted, and its partitions \
                 begin empty";
    }
    if missing.iter().any(|(journal, why)| *journal == META_JOURNAL && !keeps_entries(why)) {
        text += ". Journal 0 holds the metadata: without it no topic is known, all journals move to \
                 quarantine/ and the cluster begins empty";
    }
    text
}
