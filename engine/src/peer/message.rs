//! The messages between shards of different nodes: a closed list.
//!
//! Plain data: what raft-rs makes of a message is known in [`crate::raft`] alone, and nothing here
//! was judged. A message from a peer is checked by its receiver before it is believed.

use super::doubt::DoubtMessage;
use super::install::InstallMessage;
use super::run::RunMessage;
use crate::control::{ControlRefusal, Outcome};
use crate::entry::EntryBytes;
use crate::ids::{Index, JournalId, LaneId, NodeId, RaftId, Term};
use crate::port::{Errand, ErrandAnswer};

/// One message to the shard of the same lane on another node.
#[derive(Clone, Debug)]
pub enum PeerMessage {
    /// Of one journal's replica to another.
    Raft { journal: JournalId, message: RaftMessage },
    /// Heartbeats of many journals, or the answers to them.
    Heartbeats(Vec<Heartbeat>),
    /// Who leads a journal and which nodes are in sync: to every node. The highest term wins. All
    /// voters hold all entries up to `held_by_all`: a segment above it is still needed.
    Hint { journal: JournalId, term: Term, leader: NodeId, in_sync: Vec<NodeId>, held_by_all: Index },
    /// A command for the meta journal, encoded, to the node that leads it. `id` comes back.
    Control { id: u64, command: Vec<u8> },
    /// What became of it.
    ControlDone { id: u64, result: Result<Committed, ControlRefusal> },
    /// An operator wants the preferred node to lead a journal: to whoever leads it.
    Elect { journal: JournalId },
    /// An errand for the shard that leads a journal of this lane. `id` comes back.
    Errand { id: u64, lane: LaneId, errand: Errand },
    /// What came of it.
    ErrandDone { id: u64, answer: ErrandAnswer },
    /// A replica cannot show what it may have acknowledged, and asks what the others have.
    Doubt { journal: JournalId, message: DoubtMessage },
    /// A replica gets the start of the leader's log.
    Install { journal: JournalId, message: InstallMessage },
    /// A replica gets a run's file, or says which it has.
    Run { journal: JournalId, message: RunMessage },
    /// Asks any replica for an entry's bytes, for repair: for the one whose header has this checksum,
    /// or with 0 for whichever is there.
    Read { journal: JournalId, index: Index, checksum: u32 },
    /// The entry, unless it is not there (any more), is another one or not good; up to where the
    /// sender knows its log to be committed, and whether it is `sure` that its own entry is the
    /// committed one: next to damage that may be a stale one.
    ReadDone { journal: JournalId, index: Index, commit: Index, sure: bool, entry: Option<EntryBytes> },
}

/// A command's outcome, and the entry that it was in: a view of at least this index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub index: Index,
    pub outcome: Outcome,
}

/// One raft message. `term` is the sender's, or the one it asks a vote for.
#[derive(Clone, Debug)]
pub struct RaftMessage {
    pub from: RaftId,
    pub to: RaftId,
    pub term: Term,
    pub kind: RaftKind,
}

#[derive(Clone, Debug)]
pub enum RaftKind {
    /// At most one entry, the one after `previous`; its index, term and checksum stand in its
    /// header. Without an entry it tells the commit, or probes.
    Append {
        previous: Index,
        previous_term: Term,
        commit: Index,
        entry: Option<EntryBytes>,
    },
    /// `index` is the last entry that is durable there, or with `reject` the `previous` that did
    /// not match; `hint` and its term then say where the logs may meet.
    AppendResponse {
        index: Index,
        reject: bool,
        hint: Index,
        hint_term: Term,
        commit: Index,
    },
    Heartbeat {
        commit: Index,
    },
    HeartbeatResponse {
        commit: Index,
        space: Space,
    },
    /// `transfer`: the leader asked for it, so a lease does not stand in the way.
    Vote {
        last: Index,
        last_term: Term,
        commit: Index,
        commit_term: Term,
        transfer: bool,
    },
    VoteResponse {
        reject: bool,
        commit: Index,
        commit_term: Term,
    },
    PreVote {
        last: Index,
        last_term: Term,
        commit: Index,
        commit_term: Term,
    },
    PreVoteResponse {
        reject: bool,
        commit: Index,
        commit_term: Term,
    },
    /// Stand for election at once: the leader hands over.
    TimeoutNow,
}

/// What a replica says of its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Space {
    #[default]
    Room,
    /// It cannot prepare the next segment: it takes entries as long as this one has place.
    Short,
    /// It has no place for the entry that it was sent.
    Full,
}

impl PeerMessage {
    /// The entry that travels behind the body.
    pub fn entry(&self) -> Option<&EntryBytes> {
        match self {
            Self::Raft { message, .. } => message.kind.entry(),
            Self::ReadDone { entry, .. } => entry.as_ref(),
            _ => None,
        }
    }

    /// Bytes that it takes on its way, the entry's included: what credits count.
    pub fn entry_bytes(&self) -> usize {
        self.entry().map_or(0, EntryBytes::len)
    }
}

impl RaftKind {
    fn entry(&self) -> Option<&EntryBytes> {
        match self {
            Self::Append { entry, .. } => entry.as_ref(),
            _ => None,
        }
    }
}

/// One replica's heartbeat, or its answer to one.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub journal: JournalId,
    pub message: RaftMessage,
}

/// Whether a raft message may travel among others' heartbeats.
pub fn is_heartbeat(message: &RaftMessage) -> bool {
    matches!(message.kind, RaftKind::Heartbeat { .. } | RaftKind::HeartbeatResponse { .. })
}
