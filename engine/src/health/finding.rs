//! One thing that is wrong: its kind, what it is about, and since when.

use crate::ids::{Index, JournalId, NodeId, Offset, PartitionId, ProducerId};
use std::sync::Arc;

/// Something that a person should know. Its texts are in `text.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: What,
    /// The node that it is about; none where it is about a journal as a whole.
    pub node: Option<NodeId>,
    pub journal: Option<JournalId>,
    /// Wall clock, milliseconds since 1970.
    pub since_ms: i64,
    /// While it holds, this node should not be given clients.
    pub unready: bool,
    /// Those of the journal.
    pub topics: Topics,
}

/// What is wrong, with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    NodeDown,
    /// Nobody leads: of so many replicas so many are on nodes that are heard.
    NoQuorum {
        heard: usize,
        replicas: usize,
    },
    ReplicaCatchingUp {
        entries: u64,
    },
    /// Runs that it fetches, and their bytes to go, where those are known.
    ReplicaLacksRuns {
        runs: u32,
        bytes: u64,
    },
    ReplicaBehind {
        entries: u64,
    },
    /// The same, of one that says nothing at all.
    ReplicaSilent,
    ReplicaFull,
    ReplicaDamaged {
        ranges: u64,
    },
    /// Entries that may have been acknowledged and cannot be read.
    ReplicaInDoubt {
        first: Index,
        last: Index,
    },
    /// Damage that nobody can repair and nobody accepted.
    ReplicaRefusing {
        ranges: u64,
    },
    ReplicaQuarantined,
    ReplicaNotMember,
    DiskNearlyFull {
        free_bytes: u64,
        total_bytes: u64,
    },
    /// A transaction is open for longer than any coordinator would let it be.
    StableOffsetStuck(OpenTooLong),
    /// Topics got `cleanup.policy=compact` after they were made without it.
    NotCompacted,
    ClockDistrusted {
        drift_ms: i64,
    },
}

/// Where readers of what is committed wait, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTooLong {
    pub partition: PartitionId,
    /// Of its topic.
    pub number: i32,
    /// Where the transaction begins.
    pub first: Offset,
    pub producer: ProducerId,
    /// When the producer wrote there last, milliseconds since 1970.
    pub silent_since_ms: i64,
    /// Partitions of the journal in which there is such a transaction.
    pub partitions: u64,
}

/// [`What`] without its figures: what metrics and scripts name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    NodeDown,
    NoQuorum,
    ReplicaNotMember,
    ReplicaQuarantined,
    ReplicaInDoubt,
    ReplicaDamaged,
    ReplicaFull,
    ReplicaLacksRuns,
    ReplicaBehind,
    ReplicaCatchingUp,
    DiskNearlyFull,
    StableOffsetStuck,
    NotCompacted,
    ClockDistrusted,
}

/// What somebody has to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Clients are served; it may pass by itself.
    Warning,
    /// Clients are refused, or one more loss would refuse them.
    Error,
}

/// Names of a journal's topics: enough to know it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    pub names: Vec<Arc<str>>,
    /// Further ones.
    pub more: usize,
}

impl Topics {
    /// How many are named.
    pub const NAMED_MAX: usize = 3;
}

impl Kind {
    pub const ALL: [Self; 14] = [
        Self::NodeDown,
        Self::NoQuorum,
        Self::ReplicaNotMember,
        Self::ReplicaQuarantined,
        Self::ReplicaInDoubt,
        Self::ReplicaDamaged,
        Self::ReplicaFull,
        Self::ReplicaLacksRuns,
        Self::ReplicaBehind,
        Self::ReplicaCatchingUp,
        Self::DiskNearlyFull,
        Self::StableOffsetStuck,
        Self::NotCompacted,
        Self::ClockDistrusted,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::NodeDown => "node_down",
            Self::NoQuorum => "no_quorum",
            Self::ReplicaNotMember => "replica_not_member",
            Self::ReplicaQuarantined => "replica_quarantined",
            Self::ReplicaInDoubt => "replica_in_doubt",
            Self::ReplicaDamaged => "replica_damaged",
            Self::ReplicaFull => "replica_full",
            Self::ReplicaLacksRuns => "replica_lacks_runs",
            Self::ReplicaBehind => "replica_behind",
            Self::ReplicaCatchingUp => "replica_catching_up",
            Self::DiskNearlyFull => "disk_nearly_full",
            Self::StableOffsetStuck => "stable_offset_stuck",
            Self::NotCompacted => "not_compacted",
            Self::ClockDistrusted => "clock_distrusted",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn severity(self) -> Severity {
        match self {
            Self::ReplicaLacksRuns
            | Self::ReplicaBehind
            | Self::ReplicaCatchingUp
            | Self::DiskNearlyFull
            | Self::StableOffsetStuck
            | Self::NotCompacted
            | Self::ClockDistrusted => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Whether it is about one replica; of two such about the same one the first in [`Kind::ALL`] says
    /// more.
    pub fn is_of_replica(self) -> bool {
        (Self::ReplicaNotMember..=Self::ReplicaCatchingUp).contains(&self)
    }
}

impl What {
    /// Whether it goes on being about the same: a journal's other partition is another thing.
    pub fn is_about_what(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::StableOffsetStuck(now), Self::StableOffsetStuck(before)) => {
                (now.partition, now.first) == (before.partition, before.first)
            }
            _ => true,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::NodeDown => Kind::NodeDown,
            Self::NoQuorum { .. } => Kind::NoQuorum,
            Self::ReplicaCatchingUp { .. } => Kind::ReplicaCatchingUp,
            Self::ReplicaLacksRuns { .. } => Kind::ReplicaLacksRuns,
            Self::ReplicaBehind { .. } | Self::ReplicaSilent => Kind::ReplicaBehind,
            Self::ReplicaFull => Kind::ReplicaFull,
            Self::ReplicaInDoubt { .. } => Kind::ReplicaInDoubt,
            Self::ReplicaDamaged { .. } | Self::ReplicaRefusing { .. } => Kind::ReplicaDamaged,
            Self::ReplicaQuarantined => Kind::ReplicaQuarantined,
            Self::ReplicaNotMember => Kind::ReplicaNotMember,
            Self::DiskNearlyFull { .. } => Kind::DiskNearlyFull,
            Self::StableOffsetStuck(_) => Kind::StableOffsetStuck,
            Self::NotCompacted => Kind::NotCompacted,
            Self::ClockDistrusted { .. } => Kind::ClockDistrusted,
        }
    }
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(Kind::of_name(kind.name()), Some(kind));
            assert!(Kind::ALL[..at].iter().all(|earlier| *earlier < kind), "{kind:?} is out of order");
        }
        assert_eq!(Kind::of_name("well"), None);
        let of_replica = Kind::ALL.into_iter().filter(|kind| kind.is_of_replica());
        assert!(of_replica.clone().all(|kind| kind.name().starts_with("replica_")));
        assert_eq!(of_replica.count(), 8);
    }
}
