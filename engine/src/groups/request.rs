//! What members and tools ask of a coordinator, and what they are answered: closed lists. Each
//! request but [`Request::List`] is about one group.

use super::consumer::partitions::Partitions;
use super::error::GroupError;
use super::state::State;
use crate::control::View;
use crate::control::acls::{Operation, ResourceType, Ruling, Who};
use crate::coordinator::InTransaction;
use std::sync::Arc;

/// One request.
#[derive(Clone, Debug)]
pub enum Request {
    Join(Join),
    Sync(Sync),
    Heartbeat(Heartbeat),
    Leave(Leave),
    Commit(Commit),
    CommitInTransaction(CommitInTransaction),
    FetchOffsets(FetchOffsets),
    DeleteOffsets(DeleteOffsets),
    ConsumerHeartbeat(ConsumerHeartbeat),
    Describe { group: String },
    DescribeConsumer { group: String },
    Delete { group: String },
    List,
}

impl Request {
    /// The group that it is about.
    pub fn group(&self) -> Option<&str> {
        match self {
            Request::Join(join) => Some(&join.group),
            Request::Sync(sync) => Some(&sync.member.group),
            Request::Heartbeat(heartbeat) => Some(&heartbeat.member.group),
            Request::Leave(leave) => Some(&leave.group),
            Request::Commit(commit) => Some(&commit.member.group),
            Request::CommitInTransaction(commit) => Some(&commit.commit.member.group),
            Request::FetchOffsets(fetch) => Some(&fetch.group),
            Request::DeleteOffsets(delete) => Some(&delete.group),
            Request::ConsumerHeartbeat(beat) => Some(&beat.group),
            Request::Describe { group } | Request::DescribeConsumer { group } | Request::Delete { group } => {
                Some(group)
            }
            Request::List => None,
        }
    }
}

/// ConsumerGroupHeartbeat; none: as it was said before.
#[derive(Clone, Debug, Default)]
pub struct ConsumerHeartbeat {
    pub group: String,
    /// The client's own choice.
    pub member: String,
    /// 0: it joins; −1: it leaves; −2: it leaves and somebody with its instance id comes back.
    pub epoch: i32,
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: Option<i32>,
    pub topics: Option<Vec<String>>,
    pub pattern: Option<String>,
    pub assignor: Option<String>,
    /// What it has.
    pub owned: Option<Partitions>,
    /// None: it may know of every topic.
    pub sees: Option<Sees>,
}

/// By whose rights topics are matched with an expression.
#[derive(Clone, Debug)]
pub struct Sees {
    pub principal: String,
    pub address: std::net::IpAddr,
    /// What nobody made a rule about may be seen.
    pub allows_without_rule: bool,
}

impl Sees {
    pub fn topic(&self, view: &View, name: &str) -> bool {
        let who = Who::new(&self.principal, self.address);
        match view.acls.rule(&who, Operation::Describe, ResourceType::Topic, name) {
            Ruling::Allowed => true,
            Ruling::Denied => false,
            Ruling::NoRule => self.allows_without_rule,
        }
    }
}

/// Who says that it is a member.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    pub group: String,
    /// Empty: not known yet, or none.
    pub member: String,
    /// KIP-345.
    pub instance: Option<String>,
    /// −1: none.
    pub generation: i32,
}

#[derive(Clone, Debug, Default)]
pub struct Join {
    pub group: String,
    /// Empty at the first time.
    pub member: String,
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    /// Names with opaque metadata, the most wanted first.
    pub protocols: Vec<(String, Arc<[u8]>)>,
    /// KIP-394: a new member is given its id before it counts.
    pub requires_known_member: bool,
    /// KIP-814: a static leader that comes back may be told to assign nothing.
    pub may_skip_assignment: bool,
    /// Random: what a new member's id ends with.
    pub entropy: u128,
    /// KIP-800, for the log.
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Sync {
    pub member: Identity,
    /// KIP-559: checked where given.
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// The leader's: member id and opaque assignment.
    pub assignments: Vec<(String, Arc<[u8]>)>,
}

#[derive(Clone, Debug, Default)]
pub struct Heartbeat {
    pub member: Identity,
}

#[derive(Clone, Debug, Default)]
pub struct Leave {
    pub group: String,
    /// Member id and instance id of each.
    pub members: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub member: Identity,
    pub offsets: Vec<NewOffset>,
    /// Until v4 a commit could bring its own retention.
    pub retention_ms: Option<i64>,
    /// It is of a version that members of the consumer protocol may use.
    pub knows_epochs: bool,
}

/// TxnOffsetCommit: the offsets count once the transaction is committed.
#[derive(Clone, Debug)]
pub struct CommitInTransaction {
    pub commit: Commit,
    pub within: InTransaction,
}

#[derive(Clone, Debug)]
pub struct NewOffset {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

#[derive(Clone, Debug, Default)]
pub struct FetchOffsets {
    pub group: String,
    /// None: all that there are.
    pub wanted: Option<Vec<(Arc<str>, i32)>>,
    /// KIP-447.
    pub require_stable: bool,
    /// Who asks, where it says so, and at which epoch: such a one learns that it is behind.
    pub member: Option<String>,
    pub epoch: i32,
}

#[derive(Clone, Debug, Default)]
pub struct DeleteOffsets {
    pub group: String,
    pub partitions: Vec<(Arc<str>, i32)>,
}

/// One answer, of the request's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Joined(Result<Joined, JoinRefused>),
    Synced(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    /// One result per member of the request.
    Left(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// One result per offset of the request.
    Committed(Result<Vec<Result<(), GroupError>>, GroupError>),
    Offsets(Result<Vec<FetchedOffset>, GroupError>),
    /// One result per partition of the request.
    OffsetsDeleted(Result<Vec<Result<(), GroupError>>, GroupError>),
    Beat(Result<Beat, GroupError>),
    ConsumerDescribed(Result<ConsumerDescribed, GroupError>),
    Described(Result<Described, GroupError>),
    Deleted(Result<(), GroupError>),
    Listed(Listed),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub member: Arc<str>,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Arc<str>,
    /// KIP-814.
    pub skip_assignment: bool,
    /// The leader's to assign to; empty for all others.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub metadata: Arc<[u8]>,
}

/// With the member id to try again with, where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    pub error: GroupError,
    pub member: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Arc<[u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    pub topic: Arc<str>,
    pub partition: i32,
    /// −1: none.
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Arc<str>,
    pub error: Option<GroupError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub state: State,
    pub protocol_type: String,
    /// Empty unless the group is stable.
    pub protocol: String,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub client_id: String,
    pub client_host: String,
    pub metadata: Arc<[u8]>,
    pub assignment: Arc<[u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Some groups of this coordinator are not known yet.
    pub loading: bool,
    pub groups: Vec<ListedGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group: Arc<str>,
    pub protocol_type: String,
    pub protocol: Protocol,
    /// Kafka's name of it.
    pub state: &'static str,
}

/// By which a group's members come to their partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Classic,
    Consumer,
}

/// What a member of the consumer protocol is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    pub member: Arc<str>,
    pub epoch: i32,
    pub interval_ms: i32,
    /// None: as before.
    pub assignment: Option<Partitions>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribed {
    pub state: &'static str,
    pub epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: &'static str,
    pub members: Vec<ConsumerDescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribedMember {
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    pub epoch: i32,
    pub client_id: String,
    pub client_host: String,
    pub topics: Vec<Arc<str>>,
    /// Empty: none.
    pub pattern: Arc<str>,
    pub assigned: Partitions,
    pub target: Partitions,
    pub is_classic: bool,
}
