//! What recovery found, cut, kept aside and rebuilt: the start-up report; and what became of doubts.

use crate::ids::{Index, JournalId, RunId, Term};
use crate::rewrite::PassCounts;

/// One journal's recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    pub journal: JournalId,
    /// True when the journal did not exist before.
    pub created: bool,
    /// Terms of the hard state and of the last entry.
    pub term: Term,
    pub segments: u32,
    /// The checkpoint that recovery began from; 0 without one.
    pub checkpoint: Index,
    /// The first and last entry there are; last = first − 1 when there are none.
    pub first: Index,
    pub last: Index,
    /// Committed as far as this replica knows.
    pub commit: Index,
    /// Entries and bytes read to get here.
    pub scanned_entries: u64,
    pub scanned_bytes: u64,
    /// The bad tail that was cut, and where it is kept.
    pub torn: Option<Torn>,
    /// What is bad at or below the bounds, and stays.
    pub damage: Vec<Damage>,
    /// Index files made again.
    pub indexes_rebuilt: u32,
    /// Checkpoints that could not be read and were passed over.
    pub checkpoints_skipped: u32,
    /// Copies of `journal.meta` that could not be read; written again.
    pub meta_bad_copies: u32,
    /// Copies of the hard state that could not be read.
    pub hard_state_bad_copies: u32,
    /// All copies of the hard state were bad: the term went on from the last entry's.
    pub amnesia: bool,
    pub elapsed_us: u64,
}

/// What is known of a tail above every bound that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutting {
    /// Its first bad entry was never written whole: nothing from there on was acknowledged.
    ProvenTorn,
    /// It may have been acknowledged. The replica counts as one that has it until that is settled.
    PerhapsAcked,
    /// A lone node's: nobody else can tell, and it cannot be read.
    Unsynced,
}

/// A bad tail, cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The first index that is gone.
    pub from: Index,
    pub why: Cutting,
    /// The segment's file and where in it the cut is, bytes.
    pub file: String,
    pub position: u64,
    pub bytes: u64,
    /// The copy in `quarantine/`.
    pub kept_as: String,
}

/// A damaged range, at or below a bound that says it had been durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub journal: JournalId,
    /// The entries, first to last.
    pub first: Index,
    pub last: Index,
    /// The term, when something still tells it.
    pub term: Option<Term>,
    pub file: String,
    pub position: u64,
    pub bytes: u64,
    pub kind: DamageKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DamageKind {
    /// Header and descriptors are whole; the bytes of some batches are not.
    Body,
    /// The descriptors are lost: what the entry held is unknown.
    Head,
}

/// How a doubt came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// A leader's entries reach the end that counted; the first one that was lost may be among them.
    Healed,
    /// The same, with another entry in the place of the first one that was lost: it was never committed.
    ReplacedByLeader,
    /// The voters that have none of it meet every majority, or all were heard and none has more than this
    /// replica.
    NoVoterHas,
    /// The operator accepts the loss.
    Accepted,
}

/// What became of a journal's rewriting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrote {
    /// A run was made of older files; it is read once a majority has it.
    Made { run: RunId, input_bytes: u64, bytes: u64, partitions: usize, counts: Box<PassCounts> },
    /// The run is read from now on in the place of what it was made of.
    Read { run: RunId },
    /// Nobody can give a run that was made: its inputs stay, and another one is made.
    Lost { run: RunId },
    /// A run that nothing names any more was removed.
    Deleted { run: RunId },
    /// A run that is read is bad or not there.
    Damaged { run: RunId, why: String },
    /// Nothing came of it; it is tried again.
    Failed { why: String },
    /// A run that this replica lacks is fetched from others, from this byte of its file on.
    Fetching { run: RunId, from: u64, bytes: u64 },
    /// It is whole and durable here.
    Fetched { run: RunId, bytes: u64 },
    /// What lies at this place of its file is not what it should be: that piece is fetched again.
    PieceBad { run: RunId, position: u64 },
    /// A damaged run was mended from other replicas.
    Mended { run: RunId },
}
