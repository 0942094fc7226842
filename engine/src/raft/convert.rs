//! Our raft messages to raft-rs's and back.

use super::meta::EntryMeta;
use crate::ids::{Index, RaftId, Term};
use crate::peer::{RaftKind, RaftMessage, Space};
use raft::eraftpb::{Message, MessageType};

/// What raft-rs puts into a vote request that its leader asked for.
const TRANSFER: &[u8] = b"CampaignTransfer";

/// A message to send; the bytes of the entry that it carries are still to be put in.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub message: RaftMessage,
    pub entry: Option<(Index, Term)>,
}

impl Outgoing {
    /// It says that entries above `last` are durable here.
    pub fn acknowledges_beyond(&self, last: Index) -> bool {
        matches!(self.message.kind, RaftKind::AppendResponse { index, reject: false, .. } if index > last)
    }
}

/// raft-rs's form of a message that was checked.
pub fn to_raft(message: &RaftMessage) -> Message {
    let mut raft =
        Message { from: message.from.0, to: message.to.0, term: message.term.0, ..Message::default() };
    match &message.kind {
        RaftKind::Append { previous, previous_term, commit, entry } => {
            raft.set_msg_type(MessageType::MsgAppend);
            (raft.index, raft.log_term, raft.commit) = (previous.0, previous_term.0, commit.0);
            let entries: Vec<_> = entry.iter().map(|entry| EntryMeta::of(entry.header()).to_raft()).collect();
            raft.set_entries(entries.into());
        }
        RaftKind::AppendResponse { index, reject, hint, hint_term, commit } => {
            raft.set_msg_type(MessageType::MsgAppendResponse);
            (raft.index, raft.reject, raft.commit) = (index.0, *reject, commit.0);
            (raft.reject_hint, raft.log_term) = (hint.0, hint_term.0);
        }
        RaftKind::Heartbeat { commit } => {
            raft.set_msg_type(MessageType::MsgHeartbeat);
            raft.commit = commit.0;
        }
        RaftKind::HeartbeatResponse { commit, .. } => {
            raft.set_msg_type(MessageType::MsgHeartbeatResponse);
            raft.commit = commit.0;
        }
        RaftKind::Vote { last, last_term, commit, commit_term, transfer } => {
            raft.set_msg_type(MessageType::MsgRequestVote);
            (raft.index, raft.log_term) = (last.0, last_term.0);
            (raft.commit, raft.commit_term) = (commit.0, commit_term.0);
            if *transfer {
                raft.context = TRANSFER.into();
            }
        }
        RaftKind::PreVote { last, last_term, commit, commit_term } => {
            raft.set_msg_type(MessageType::MsgRequestPreVote);
            (raft.index, raft.log_term) = (last.0, last_term.0);
            (raft.commit, raft.commit_term) = (commit.0, commit_term.0);
        }
        RaftKind::VoteResponse { reject, commit, commit_term } => {
            raft.set_msg_type(MessageType::MsgRequestVoteResponse);
            (raft.reject, raft.commit, raft.commit_term) = (*reject, commit.0, commit_term.0);
        }
        RaftKind::PreVoteResponse { reject, commit, commit_term } => {
            raft.set_msg_type(MessageType::MsgRequestPreVoteResponse);
            (raft.reject, raft.commit, raft.commit_term) = (*reject, commit.0, commit_term.0);
        }
        RaftKind::TimeoutNow => raft.set_msg_type(MessageType::MsgTimeoutNow),
    }
    raft
}

/// What raft-rs wants sent. It has no other kinds to send: nothing here is forwarded, read through
/// raft or given a snapshot.
pub fn from_raft(raft: &Message) -> Outgoing {
    let index = Index(raft.index);
    let commit = Index(raft.commit);
    let (log_term, commit_term) = (Term(raft.log_term), Term(raft.commit_term));
    let reject = raft.reject;
    assert!(raft.entries.len() <= 1, "{} entries in one message", raft.entries.len());
    let entry = raft.entries.first().map(|entry| (Index(entry.index), Term(entry.term)));
    let kind = match raft.get_msg_type() {
        MessageType::MsgAppend => {
            RaftKind::Append { previous: index, previous_term: log_term, commit, entry: None }
        }
        MessageType::MsgAppendResponse => RaftKind::AppendResponse {
            index,
            reject,
            hint: Index(raft.reject_hint),
            hint_term: log_term,
            commit,
        },
        MessageType::MsgHeartbeat => RaftKind::Heartbeat { commit },
        // What is said of the disk is the journal's to fill in.
        MessageType::MsgHeartbeatResponse => RaftKind::HeartbeatResponse { commit, space: Space::default() },
        MessageType::MsgRequestVote => {
            let transfer = &raft.context[..] == TRANSFER;
            RaftKind::Vote { last: index, last_term: log_term, commit, commit_term, transfer }
        }
        MessageType::MsgRequestPreVote => {
            RaftKind::PreVote { last: index, last_term: log_term, commit, commit_term }
        }
        MessageType::MsgRequestVoteResponse => RaftKind::VoteResponse { reject, commit, commit_term },
        MessageType::MsgRequestPreVoteResponse => RaftKind::PreVoteResponse { reject, commit, commit_term },
        MessageType::MsgTimeoutNow => RaftKind::TimeoutNow,
        other => panic!("raft wants to send {other:?}"),
    };
    let message = RaftMessage { from: RaftId(raft.from), to: RaftId(raft.to), term: Term(raft.term), kind };
    Outgoing { message, entry }
}
