//! What a node knows of itself and of others: the facts that health is judged by.

use super::finding::OpenTooLong;
use crate::clock::Now;
use crate::ids::{Index, JournalId, NodeId};

/// The facts of one shard at one moment.
#[derive(Clone, Debug)]
pub struct Known {
    pub now: Now,
    /// This node.
    pub node: NodeId,
    /// The other nodes of the cluster, listed or in its metadata.
    pub nodes: Vec<NodeFacts>,
    /// One shard of a node tells of the other nodes; all know them.
    pub tells_of_nodes: bool,
    pub journals: Vec<JournalFacts>,
    pub disk: Option<DiskFacts>,
    /// By how much the wall clock left the monotonic one, when it is not trusted.
    pub clock_drift_ms: Option<i64>,
}

/// Another node.
#[derive(Clone, Copy, Debug)]
pub struct NodeFacts {
    pub node: NodeId,
    /// When something came from it last; when this process began, if nothing did.
    pub heard_ns: u64,
}

/// A journal that has a replica on this shard.
#[derive(Clone, Debug)]
pub struct JournalFacts {
    pub journal: JournalId,
    /// The nodes that have a replica.
    pub replicas: Vec<NodeId>,
    /// This node is to lead it, or needs it to serve anything.
    pub is_needed: bool,
    /// Since when nobody is known to lead it.
    pub leaderless_ns: Option<u64>,
    /// This node's replica.
    pub own: ReplicaState,
    /// The others, as their leader has them; nobody where this node does not lead.
    pub followers: Vec<ReplicaFacts>,
    /// Nodes whose replica is no member and says things all the same.
    pub strangers: Vec<NodeId>,
    /// Of what it leads: a transaction that is open for too long, the one whose producer is silent for longest.
    pub open_too_long: Option<OpenTooLong>,
    /// It leads topics that ask for compaction and were made without it.
    pub awaits_compaction: bool,
}

/// A replica as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaFacts {
    pub node: NodeId,
    pub state: ReplicaState,
    /// Since when, as far as that is known.
    pub since_ns: Option<u64>,
}

/// How a replica is. What is worst comes last: of two words about a replica the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReplicaState {
    /// It has all that there is, or what it lacks is on its way.
    Well,
    /// It does not count yet: it is being brought up to what the others have.
    CatchingUp { entries: u64 },
    /// It has neither so many runs nor what they were made of; so many bytes of them did not come yet, where that is
    /// known.
    LacksRuns { runs: u32, bytes: u64 },
    /// It counts, and lacks entries for longer than a moment.
    Behind { entries: u64 },
    /// It does not answer its leader, though its node is heard.
    Silent,
    /// Its disk has no room for the next segment.
    Full,
    /// Ranges of entries cannot be read, and are being repaired, if there is somebody who has them.
    Damaged { ranges: u64 },
    /// Entries `first` to `last` may have been acknowledged here, and cannot be read: it votes only for
    /// replicas whose log reaches there.
    InDoubt { first: Index, last: Index },
    /// Damaged where nobody else has what is lost and the operator has not accepted that: it takes nothing.
    Refusing { ranges: u64 },
    /// It lost what it may have acknowledged: it neither votes nor acknowledges.
    Quarantined,
    /// The journal's members know this node by another replica: its folder is an old one.
    NotMember,
}

/// The file system of the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    pub free_bytes: u64,
    pub total_bytes: u64,
    /// The longest of this node's journals.
    pub segment_bytes: u64,
}
