//! What a shard asks for and answers: a closed list.

use super::errand::{Errand, ErrandAnswer};
use super::report::{Damage, RecoveryReport, Rewrote, Settled};
use super::request::RequestId;
use super::rewriting::RewriteStatus;
use super::transaction::MarkerAnswer;
use crate::batch::validate::BatchError;
use crate::control::{ControlRefusal, Outcome, View};
use crate::disk::{DiskError, DiskRequest, OpId};
use crate::entry::Slice;
use crate::formation::Report;
use crate::health::Finding;
use crate::ids::{Index, JournalId, LaneId, LeaderEpoch, LogEnd, NodeId, Offset, ProducerId, RaftId, Term};
use crate::peer::{PeerMessage, Space};
use crate::raft::Change;
use crate::register::{Amnesia, Met, Register, Registered};
use smallvec::SmallVec;
use std::sync::Arc;

#[derive(Debug)]
pub enum Output {
    /// Carry this out; its completion comes back as [`crate::port::Input::Disk`].
    Disk {
        op: OpId,
        request: DiskRequest,
    },
    Produced {
        request: RequestId,
        slot: u32,
        result: Result<Produced, Refusal>,
    },
    Fetched {
        request: RequestId,
        partitions: Vec<FetchedPartition>,
    },
    Answered {
        request: RequestId,
        slot: u32,
        result: Result<Answer, Refusal>,
    },
    /// What became of a marker in the partition of this slot.
    Marked {
        request: RequestId,
        slot: u32,
        answer: MarkerAnswer,
    },
    ControlDone {
        request: RequestId,
        result: Result<Outcome, ControlRefusal>,
    },
    /// New metadata: give it to every shard of the node, this one included.
    View(Arc<View>),
    /// What this node has is written down: give it to the other shards of the node. Only the first
    /// shard says so.
    Register(Arc<Register>),
    /// To be written down by the first shard, as [`crate::port::Input::Enter`]; the register tells when it
    /// is.
    Enter(Entry),
    /// For the first shard of another node, while the cluster forms.
    Formation {
        to: NodeId,
        report: Report,
    },
    /// For the shard of this lane on another node: over their link, in order. May be lost.
    Peer {
        to: NodeId,
        lane: LaneId,
        message: PeerMessage,
    },
    /// Another node asks this shard to do something that no journal's replica does by itself; the answer goes back as a
    /// [`PeerMessage::ErrandDone`] with this number, over this lane.
    Errand {
        from: NodeId,
        id: u64,
        lane: LaneId,
        errand: Errand,
    },
    /// The answer to an errand of this shard's, by its number.
    ErrandDone {
        id: u64,
        answer: ErrandAnswer,
    },
    /// Who leads a journal, as far as this shard knows; nobody, when that is not known.
    Leader {
        journal: JournalId,
        term: Term,
        leader: Option<NodeId>,
        in_sync: Vec<NodeId>,
    },
    /// A journal that had no room takes batches again.
    Room,
    /// Recovery is over and this shard answers clients.
    Ready,
    /// [`crate::port::Input::Stop`] is done; nothing is in flight.
    Stopped,
    /// All that is wrong, as far as this shard knows: it is another list than before.
    Health(Vec<Finding>),
    /// Something for the log and the counters.
    Event(Event),
    /// The node cannot go on; end the process, retry nothing.
    Fatal(Fatal),
}

/// What is to be written in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A replica of this node.
    Journal { journal: JournalId, registered: Registered },
    /// A process of another node was met.
    Met(Met),
}

/// A batch that is as durable as its acks asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// A duplicate gets the offset of the original.
    pub base_offset: Offset,
    /// The broker's time when the topic has LogAppendTime, else −1.
    pub log_append_time_ms: i64,
    pub log_start: Offset,
}

/// One partition's part of a fetch.
#[derive(Clone, Debug)]
pub struct FetchedPartition {
    pub error: Option<Refusal>,
    /// −1 when not known here; likewise `log_start`.
    pub high_watermark: Offset,
    /// Records below it are of transactions that were ended, or of none.
    pub last_stable: Offset,
    pub log_start: Offset,
    /// KIP-595: the newest epoch both sides may share and where it ends, when the client's
    /// records part from ours.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// For who reads only what is committed: transactions with records here that were aborted.
    pub aborted: Vec<AbortedTransaction>,
    /// Whole batches, as they lie in the entries.
    pub records: SmallVec<[Slice; 1]>,
    /// Bytes in `records`.
    pub bytes: usize,
}

/// A transaction that was aborted, as readers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer: ProducerId,
    pub first_offset: Offset,
}

/// What a [`super::Query`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// ListOffsets: −1s when there is no such record.
    Offset {
        offset: Offset,
        timestamp_ms: i64,
        leader_epoch: LeaderEpoch,
    },
    /// OffsetForLeaderEpoch: −1s when the epoch is unknown.
    EpochEnd {
        leader_epoch: LeaderEpoch,
        end_offset: Offset,
    },
    /// DeleteRecords: the new log start, committed.
    LogStart(Offset),
    Described(PartitionStatus),
    Producers(Vec<ProducerStatus>),
}

/// A partition's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    pub journal: JournalId,
    pub leader_epoch: LeaderEpoch,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub log_end: Offset,
    /// Bytes of batches at or above the log start.
    pub bytes: u64,
    /// Where compaction is asked for.
    pub rewriting: Option<RewriteStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStatus {
    pub producer: ProducerId,
    pub epoch: i16,
    pub last_sequence: i32,
    pub last_timestamp_ms: i64,
    /// −1 before its first marker.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub open_since: Option<Offset>,
}

/// Why a request got no for an answer. Each has one Kafka error code, which `net` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// NOT_LEADER_OR_FOLLOWER: this shard does not lead the partition (now).
    NotLeader,
    /// LEADER_NOT_AVAILABLE: the partition's journal is being made or recovered.
    NotReady,
    /// UNKNOWN_TOPIC_OR_PARTITION: no such partition in the metadata here.
    UnknownPartition,
    /// FENCED_LEADER_EPOCH: the client's epoch is older.
    FencedEpoch,
    /// UNKNOWN_LEADER_EPOCH: the client's epoch is newer.
    UnknownEpoch,
    /// OFFSET_OUT_OF_RANGE.
    OffsetOutOfRange,
    /// OFFSET_NOT_AVAILABLE: a new leader does not know its watermark yet.
    OffsetNotAvailable,
    /// The batch may not be stored: CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE or
    /// INVALID_TIMESTAMP.
    Batch(BatchError),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrderSequence,
    /// INVALID_PRODUCER_EPOCH.
    InvalidProducerEpoch,
    /// DUPLICATE_SEQUENCE_NUMBER: an old batch, no longer among those remembered.
    DuplicateSequence,
    /// INVALID_TXN_STATE: the batch and the producer's transaction in the partition do not go together, or it was not
    /// shown that there is one.
    InvalidTransaction,
    /// CONCURRENT_TRANSACTIONS: as many transactions are open as may be.
    TooManyTransactions,
    /// KAFKA_STORAGE_ERROR: disk full, or damage in what was asked for.
    Storage,
    /// NOT_ENOUGH_REPLICAS.
    NotEnoughReplicas,
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    NotEnoughReplicasAfterAppend,
    /// The client's own time for it is over: what becomes of it is not known. Never said by the engine.
    TimedOut,
    /// POLICY_VIOLATION: DeleteRecords where the topic's settings forbid it.
    PolicyViolation,
    /// The node is stopping: close the connection.
    Stopping,
}

/// Something worth a log line or a count.
#[derive(Clone, Debug)]
pub enum Event {
    /// A journal was recovered (or made).
    Recovered(RecoveryReport),
    /// Raft cut a tail that never was committed: entries from `from` to `last`.
    LogCut {
        journal: JournalId,
        from: Index,
        last: Index,
    },
    /// What a replica may have acknowledged and cannot show was asked for: it counts as one whose log
    /// ends here now.
    DoubtMoved {
        journal: JournalId,
        end: LogEnd,
        raised: bool,
    },
    /// It is settled what became of it: of the entries from `first`, at most to `last`.
    DoubtSettled {
        journal: JournalId,
        first: Index,
        last: Index,
        settled: Settled,
    },
    /// A message from a peer was not believed; said once as long as it is the same.
    MessageRefused {
        journal: JournalId,
        from: NodeId,
        why: &'static str,
    },
    /// This replica lost what it may have acknowledged: it neither votes nor acks any more.
    Quarantined {
        journal: JournalId,
        why: &'static str,
    },
    /// A replica that was made here has forgotten what it promised: it takes no part, and is made
    /// anew from the others where there are any.
    ReplicaLost {
        journal: JournalId,
        why: Amnesia,
    },
    /// What was left of it is kept in this folder; it begins anew.
    SetAside {
        journal: JournalId,
        to: String,
    },
    /// What a crash left of a journal that was being made, and that nobody can have counted on, gave
    /// way to a new one.
    MadeAgain {
        journal: JournalId,
    },
    /// The metadata gave a lost replica another raft id.
    Renewed {
        journal: JournalId,
        raft_id: RaftId,
    },
    /// Another node met a later process of this data folder.
    OldCopy {
        by: NodeId,
        seen: u64,
        start: u64,
    },
    /// The nodes that the cluster's formation waits for: not heard yet, and not agreed yet.
    Forming {
        unheard: Vec<NodeId>,
        undecided: Vec<NodeId>,
    },
    /// A node cannot be part of the formation.
    FormationRefused {
        why: String,
    },
    /// The leader's part in a journal changed its members; which node it is about.
    MembersChanged {
        journal: JournalId,
        change: Change,
        node: Option<NodeId>,
    },
    /// The leader's log begins above this replica's end: it fetches the checkpoint at that start.
    Installing {
        journal: JournalId,
        from: NodeId,
        last: Index,
        bytes: u64,
    },
    /// That checkpoint took the place of all that was here.
    Installed {
        journal: JournalId,
        last: Index,
    },
    /// It would not fit the memory that this shard may use for it.
    InstallTooLong {
        journal: JournalId,
        from: NodeId,
        bytes: u64,
        bytes_max: u64,
    },
    /// A checkpoint that came from a leader is not a good one.
    InstallRefused {
        journal: JournalId,
        last: Index,
    },
    /// A replica needs the checkpoint at the log's start, and it cannot be read here.
    NothingToInstall {
        journal: JournalId,
        last: Index,
    },
    /// This node's disk is new: it asks to be taken in, or was.
    Rejoining {
        asked: Option<NodeId>,
    },
    Rejoined {
        raft_id: RaftId,
    },
    /// All listed nodes agreed: the cluster is formed.
    Formed {
        nodes: usize,
    },
    /// This replica began to lead.
    Leading {
        journal: JournalId,
        term: Term,
    },
    /// It no longer does.
    LeadsNoMore {
        journal: JournalId,
        term: Term,
    },
    /// These findings begin to hold.
    HealthBegan(Vec<Finding>),
    /// These no longer do.
    HealthEnded(Vec<Finding>),
    SegmentRolled {
        journal: JournalId,
        base: Index,
    },
    SegmentSealed {
        journal: JournalId,
        base: Index,
        last: Index,
        bytes: u64,
    },
    /// A sealed segment's index proved bad while serving and was made again from its entries.
    IndexRebuilt {
        journal: JournalId,
        base: Index,
    },
    SegmentDeleted {
        journal: JournalId,
        base: Index,
        bytes: u64,
    },
    /// What became of rewriting.
    Rewriting {
        journal: JournalId,
        what: Rewrote,
    },
    CheckpointWritten {
        journal: JournalId,
        index: Index,
        bytes: u64,
    },
    /// What a journal's folder holds cannot be opened: the others are served. It fetches what it lacks from
    /// other nodes, or waits for an operator.
    NotOpened {
        journal: JournalId,
        why: String,
        fetches: bool,
    },
    /// A checkpoint cannot be read any more: an older one covers what may be deleted.
    CheckpointBad {
        journal: JournalId,
        index: Index,
    },
    /// Damage found while serving.
    Damaged(Damage),
    /// A segment sealed here comes to the same as the leader's.
    DigestAgrees {
        journal: JournalId,
        base: Index,
    },
    /// It does not: its entries (they are compared and repaired), or only the checkpoint behind it.
    DigestDiffers {
        journal: JournalId,
        base: Index,
        last: Index,
        entries: bool,
    },
    /// Damaged entries were fetched from other replicas and written again.
    Repaired {
        journal: JournalId,
        first: Index,
        last: Index,
    },
    /// The next segment could not be prepared: produce is refused.
    DiskFull {
        journal: JournalId,
    },
    /// What a follower says of its disk changed: without room it is sent nothing.
    FollowerSpace {
        journal: JournalId,
        node: NodeId,
        space: Space,
    },
    /// A leader hands over for a reason of its own.
    HandsOver {
        journal: JournalId,
        to: NodeId,
        why: &'static str,
    },
    /// There is room again.
    DiskRoom {
        journal: JournalId,
    },
    /// The wall clock disagrees with the monotonic one: time-based deletion rests.
    ClockDistrusted {
        drift_ms: i64,
    },
    ClockTrusted,
}

/// Why the process must end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// A write or a sync failed; exit code 4.
    #[error("{0}; what it held is in doubt, so nothing is retried")]
    Write(DiskError),
    /// The data cannot be used as it is; exit code 3.
    #[error("{0}")]
    Data(String),
}
