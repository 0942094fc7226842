//! The engine's numbers, one type each, so that an offset never meets an index.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A node: one process, one host. Zero is valid.
    NodeId(u32)
);
id!(
    /// A pinned executor of a node.
    ShardId(u16)
);
id!(
    /// A slice of the cluster's work; a node maps it to shard `lane % shards`.
    LaneId(u16)
);
id!(
    /// A journal; never reused. The meta journal is 0.
    JournalId(u64)
);
id!(
    /// A Kafka partition's number in journals; given by the meta journal, never reused.
    PartitionId(u64)
);
id!(
    /// A span's place in its partition's chain, from 0.
    SpanNumber(u32)
);
id!(
    /// A raft index: the number of an entry in its journal, from 1.
    Index(u64)
);
id!(
    /// A run of a journal: a file that its rewriting made. Never reused.
    RunId(u64)
);
id!(
    /// A raft term.
    Term(u64)
);
id!(
    /// A record's offset in its partition.
    Offset(i64)
);
id!(
    /// Kafka's leader epoch of a partition: its span's epoch base + the journal's term.
    LeaderEpoch(i32)
);
id!(
    /// Kafka's producer id; −1 is none.
    ProducerId(i64)
);
id!(
    /// A replica's number within raft: one per (node, incarnation), never reused, never 0.
    RaftId(u64)
);
id!(
    /// An open file, numbered by the engine; the disk seam maps it to its descriptor.
    FileId(u64)
);
id!(
    /// The cluster: derived from the set that formed it. Clients see it, so it is no secret.
    ClusterId(u128)
);
id!(
    /// A data folder's incarnation: 128 random bits written at its first start.
    Incarnation(u128)
);
id!(
    /// A Kafka topic id; stable, never zero.
    TopicId(u128)
);

/// One process's run of a node, told in its handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Counts the starts of the node on its data folder, from 1; 0 is not told.
    pub start: u64,
    /// Random per process, so that two processes on copies of one folder differ; 0 is not told.
    pub nonce: u64,
}

/// The journal that holds the cluster's metadata.
pub const META_JOURNAL: JournalId = JournalId(0);

/// Which journal, and the secret that seeds its checksums.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JournalIdentity {
    pub cluster: ClusterId,
    pub journal: JournalId,
    pub secret: u64,
}

impl fmt::Debug for JournalIdentity {
    // Without the secret: it must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JournalIdentity({:x}, {})", self.cluster.0, self.journal)
    }
}

/// Where a log ends. Ordered as raft compares logs: by term, then by index; a longer log of an
/// older term is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogEnd {
    pub term: Term,
    pub index: Index,
}

impl Term {
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl Index {
    pub const NONE: Index = Index(0);
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }
}

impl Offset {
    /// The offset `records` further on.
    pub fn plus(self, records: u32) -> Offset {
        Offset(self.0 + i64::from(records))
    }
}

impl ProducerId {
    pub const NONE: ProducerId = ProducerId(-1);
}

impl LaneId {
    /// The shard that works this lane on a node of `shards` shards.
    pub fn shard(self, shards: u16) -> ShardId {
        assert!(shards > 0);
        ShardId(self.0 % shards)
    }
}

/// How Kafka's broker ids follow from nodes and shards: node id × stride + shard. The stride is set
/// once, when the cluster is formed; a cluster never has more lanes, so a shard with work is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerIds {
    stride: u16,
}

/// What older clusters have, and new ones for which nothing else was asked.
impl Default for BrokerIds {
    fn default() -> Self {
        Self { stride: Self::STRIDE_MAX }
    }
}

impl BrokerIds {
    /// With it the largest node id still gives ids within Kafka's i32.
    pub const STRIDE_MAX: u16 = 1000;

    /// The largest id of a node: with the largest stride its last broker id is within Kafka's i32.
    pub const NODE_ID_MAX: u32 = 2_147_482;

    /// By this name a broker's settings tell the stride.
    pub const SETTING: &str = "duramen.broker.id.stride";

    /// `None` unless the stride is between 1 and [`Self::STRIDE_MAX`].
    pub fn new(stride: u16) -> Option<Self> {
        (1..=Self::STRIDE_MAX).contains(&stride).then_some(Self { stride })
    }

    pub fn stride(self) -> u16 {
        self.stride
    }

    /// The broker id of a shard; `None` for one that no lane reaches and that is none, therefore.
    pub fn of(self, node: NodeId, shard: ShardId) -> Option<i32> {
        let first = i64::from(node.0) * i64::from(self.stride);
        let id =
            i32::try_from(first + i64::from(shard.0)).expect("node ids are bounded by the configuration");
        (shard.0 < self.stride).then_some(id)
    }

    /// The node and shard that an id would be of.
    pub fn place(self, id: i32) -> Option<(NodeId, ShardId)> {
        let (id, stride) = (u32::try_from(id).ok()?, u32::from(self.stride));
        let shard = u16::try_from(id % stride).expect("below the stride");
        Some((NodeId(id / stride), ShardId(shard)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_id_is_node_times_stride_plus_shard_and_back() {
        let of = |stride, node, shard| BrokerIds::new(stride).unwrap().of(NodeId(node), ShardId(shard));
        assert_eq!((of(1, 3, 0), of(1, 3, 1)), (Some(3), None));
        assert_eq!((of(8, 3, 7), of(1000, 3, 7)), (Some(31), Some(3007)));
        assert_eq!(of(1000, 2_147_482, 999), Some(2_147_482_999));
        assert_eq!(BrokerIds::default().of(NodeId(2), ShardId(1)), Some(2001));
        let place =
            |stride, id| BrokerIds::new(stride).unwrap().place(id).map(|(node, shard)| (node.0, shard.0));
        assert_eq!((place(1, 3), place(8, 31)), (Some((3, 0)), Some((3, 7))));
        assert_eq!((place(1000, 3007), place(1, -1)), (Some((3, 7)), None));
        assert_eq!((BrokerIds::new(0), BrokerIds::new(1001)), (None, None));
    }
}
