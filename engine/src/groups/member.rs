//! One member of a group.

use super::GroupError;
use super::request::{self, Answer, JoinRefused};
use crate::port::RequestId;
use std::sync::Arc;

/// How long a member that joins for the first time may wait for the rebalance to end: it cannot
/// send heartbeats yet, and one that went away would otherwise count for ever. As in Kafka.
pub const NEW_MEMBER_WAIT_MS: i32 = 300_000;

#[derive(Clone, Debug)]
pub struct Member {
    pub id: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// The most wanted first; metadata is opaque.
    pub protocols: Vec<(String, Arc<[u8]>)>,
    pub assignment: Arc<[u8]>,
    /// The join that is answered when the rebalance ends.
    pub joining: Option<RequestId>,
    /// The sync that is answered when the leader's assignment is committed.
    pub syncing: Option<RequestId>,
    /// It joined this generation and has not asked for its assignment.
    pub must_sync: bool,
    /// It has never been told of a generation.
    pub is_new: bool,
    /// The end of its session, monotonic nanoseconds.
    pub expires_ns: u64,
}

impl Member {
    /// Without the ids, which the group knows.
    pub fn new(id: Arc<str>, join: &request::Join) -> Self {
        Self {
            id,
            instance: join.instance.as_deref().map(Arc::from),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols.clone(),
            assignment: Arc::default(),
            joining: None,
            syncing: None,
            must_sync: false,
            is_new: true,
            expires_ns: 0,
        }
    }

    /// What it brought for a protocol.
    pub fn metadata(&self, protocol: &str) -> Arc<[u8]> {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| Arc::clone(metadata)).unwrap_or_default()
    }

    pub fn metadata_bytes(&self) -> usize {
        self.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum()
    }

    /// Waits for an answer, so it is there whatever its session says.
    pub fn waits(&self) -> bool {
        (self.joining.is_some() && !self.is_new) || self.syncing.is_some()
    }

    /// Its first protocol among those that all members have.
    pub fn vote<'a>(&'a self, candidates: &[&str]) -> Option<&'a str> {
        self.protocols.iter().map(|(name, _)| name.as_str()).find(|name| candidates.contains(name))
    }
}

/// The answer to a join that is not let in.
pub fn refuse_join(error: GroupError, member: impl Into<Arc<str>>) -> Answer {
    Answer::Joined(Err(JoinRefused { error, member: member.into() }))
}
