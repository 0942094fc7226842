//! What follows when a record of a group is committed, or is not.

use super::consumer::flight::RecordChange;
use super::error::GroupError;
use super::record::OffsetValue;
use super::request::Joined;
use crate::port::RequestId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What follows when an append is committed, or is not.
#[derive(Debug)]
pub enum Pending {
    /// An OffsetCommit is answered.
    Commit {
        request: RequestId,
        group: Arc<str>,
        /// Of all the request's offsets, those refused before included.
        results: Vec<Result<(), GroupError>>,
        offsets: Vec<(Arc<str>, i32, OffsetValue)>,
    },
    /// A TxnOffsetCommit is answered.
    CommitInTransaction {
        request: RequestId,
        group: Arc<str>,
        results: Vec<Result<(), GroupError>>,
        offsets: Vec<(Arc<str>, i32, OffsetValue)>,
        producer: i64,
        epoch: i16,
    },
    /// The members of this generation are told their assignments.
    Assignment {
        group: Arc<str>,
        generation: i32,
        value: Arc<[u8]>,
        assignments: BTreeMap<Arc<str>, Arc<[u8]>>,
    },
    /// A consumer group's records.
    Consumer { group: Arc<str>, changes: Vec<RecordChange> },
    /// Nobody waits for it: the group is empty, or a static member has a new id.
    Group { group: Arc<str>, value: Arc<[u8]> },
    /// A static member came back under a new id without a rebalance.
    StaticJoin { group: Arc<str>, value: Arc<[u8]>, member: Arc<str>, request: RequestId, answer: Joined },
    /// Offsets are gone, and the whole group where that is so.
    Forget { group: Arc<str>, offsets: Vec<(Arc<str>, i32)>, whole: bool, request: Option<ForgetAnswer> },
}

/// Who waits for a deletion.
#[derive(Debug)]
pub enum ForgetAnswer {
    Group(RequestId),
    Offsets(RequestId, Vec<Result<(), GroupError>>),
}
