//! The bytes of a message: `version: u16, tag: u8`, then the tag's fields in order, little-endian.
//!
//! An entry is not among them: it travels behind the body as it is on disk, and a flag says that
//! it does. A version above ours is refused, never guessed at.

use super::decode::{DecodeError, PEER_VERSION, flag};
use super::doubt::DoubtMessage;
use super::errand;
use super::install::InstallMessage;
use super::message::{Committed, Heartbeat, PeerMessage, RaftKind, RaftMessage, Space, is_heartbeat};
use super::run::RunMessage;
use crate::codec::{Reader, Write};
use crate::control::acls::{Acl, encoding as acls_encoding};
use crate::control::{CommandError, ControlRefusal, Outcome};
use crate::entry::EntryBytes;
use crate::ids::{Incarnation, Index, JournalId, LaneId, NodeId, PartitionId, RaftId, Term, TopicId};

const RAFT: u8 = 1;
const HINT: u8 = 2;
const CONTROL: u8 = 3;
const CONTROL_DONE: u8 = 4;
const ELECT: u8 = 20;
const READ: u8 = 5;
const READ_DONE: u8 = 6;
const HEARTBEATS: u8 = 7;
/// A heartbeat among others: its journal, then as in a message of its own.
const HEARTBEAT_BYTES: usize = 8 + 24 + 2 + 32;
const INSTALL: u8 = 8;
const DOUBT: u8 = 9;
const ERRAND: u8 = 21;
const ERRAND_DONE: u8 = 22;
const RUN: u8 = 23;

impl PeerMessage {
    /// The body; the entry's bytes follow behind it.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(96);
        to.put_u16(PEER_VERSION);
        match self {
            Self::Raft { journal, message } => {
                to.put_u8(RAFT);
                to.put_u64(journal.0);
                write_raft(&mut to, message);
            }
            Self::Heartbeats(all) => {
                to.put_u8(HEARTBEATS);
                to.put_count(all.len());
                for Heartbeat { journal, message } in all {
                    to.put_u64(journal.0);
                    write_raft(&mut to, message);
                }
            }
            Self::Hint { journal, term, leader, in_sync, held_by_all } => {
                to.put_u8(HINT);
                to.put_u64(journal.0);
                to.put_u64(term.0);
                to.put_u32(leader.0);
                to.put_count(in_sync.len());
                in_sync.iter().for_each(|node| to.put_u32(node.0));
                to.put_u64(held_by_all.0);
            }
            Self::Control { id, command } => {
                to.put_u8(CONTROL);
                to.put_u64(*id);
                to.sized(command);
            }
            Self::ControlDone { id, result } => {
                to.put_u8(CONTROL_DONE);
                to.put_u64(*id);
                write_result(&mut to, result);
            }
            Self::Elect { journal } => {
                to.put_u8(ELECT);
                to.put_u64(journal.0);
            }
            Self::Errand { id, lane, errand } => {
                to.put_u8(ERRAND);
                to.put_u64(*id);
                to.put_u16(lane.0);
                errand::write(&mut to, errand);
            }
            Self::ErrandDone { id, answer } => {
                to.put_u8(ERRAND_DONE);
                to.put_u64(*id);
                errand::write_answer(&mut to, answer);
            }
            Self::Install { journal, message } => {
                to.put_u8(INSTALL);
                to.put_u64(journal.0);
                message.write(&mut to);
            }
            Self::Run { journal, message } => {
                to.put_u8(RUN);
                to.put_u64(journal.0);
                message.write(&mut to);
            }
            Self::Doubt { journal, message } => {
                to.put_u8(DOUBT);
                to.put_u64(journal.0);
                message.write(&mut to);
            }
            Self::Read { journal, index, checksum } => {
                to.put_u8(READ);
                to.put_u64(journal.0);
                to.put_u64(index.0);
                to.put_u32(*checksum);
            }
            Self::ReadDone { journal, index, commit, sure, entry } => {
                to.put_u8(READ_DONE);
                to.put_u64(journal.0);
                to.put_u64(index.0);
                to.put_u64(commit.0);
                to.put_u8((*sure).into());
                to.put_u8(entry.is_some().into());
            }
        }
        to
    }

    /// Reads a body; `entry` is what came behind it.
    pub fn decode(body: &[u8], entry: Option<EntryBytes>) -> Result<Self, DecodeError> {
        let mut from = Reader(body);
        let version = from.u16()?;
        if version == 0 || version > PEER_VERSION {
            return Err(DecodeError::Newer(version));
        }
        let mut entry = entry;
        let message = match from.u8()? {
            RAFT => {
                let journal = JournalId(from.u64()?);
                Self::Raft { journal, message: read_raft(&mut from, &mut entry)? }
            }
            HEARTBEATS => Self::Heartbeats(read_heartbeats(&mut from)?),
            HINT => Self::Hint {
                journal: JournalId(from.u64()?),
                term: Term(from.u64()?),
                leader: NodeId(from.u32()?),
                in_sync: {
                    let count = from.count(4)?;
                    (0..count).map(|_| from.u32().map(NodeId)).collect::<Result<_, _>>()?
                },
                held_by_all: Index(from.u64()?),
            },
            CONTROL => Self::Control { id: from.u64()?, command: from.sized()?.to_vec() },
            CONTROL_DONE => Self::ControlDone { id: from.u64()?, result: read_result(&mut from)? },
            ELECT => Self::Elect { journal: JournalId(from.u64()?) },
            ERRAND => {
                Self::Errand { id: from.u64()?, lane: LaneId(from.u16()?), errand: errand::read(&mut from)? }
            }
            ERRAND_DONE => Self::ErrandDone { id: from.u64()?, answer: errand::read_answer(&mut from)? },
            INSTALL => {
                let journal = JournalId(from.u64()?);
                Self::Install { journal, message: InstallMessage::read(&mut from)? }
            }
            RUN => {
                let journal = JournalId(from.u64()?);
                Self::Run { journal, message: RunMessage::read(&mut from)? }
            }
            DOUBT => {
                let journal = JournalId(from.u64()?);
                Self::Doubt { journal, message: DoubtMessage::read(&mut from)? }
            }
            READ => Self::Read {
                journal: JournalId(from.u64()?),
                index: Index(from.u64()?),
                checksum: from.u32()?,
            },
            READ_DONE => Self::ReadDone {
                journal: JournalId(from.u64()?),
                index: Index(from.u64()?),
                commit: Index(from.u64()?),
                sure: flag(&mut from)?,
                entry: take_entry(&mut from, &mut entry)?,
            },
            number => return Err(DecodeError::Unknown { what: "peer message", number }),
        };
        if entry.is_some() {
            return Err(DecodeError::Entry);
        }
        if from.is_empty() { Ok(message) } else { Err(DecodeError::Long(from.0.len())) }
    }
}

/// The entry that a flag in the body announces.
fn take_entry(
    from: &mut Reader<'_>,
    entry: &mut Option<EntryBytes>,
) -> Result<Option<EntryBytes>, DecodeError> {
    match (flag(from)?, entry.take()) {
        (false, None) => Ok(None),
        (true, Some(entry)) => Ok(Some(entry)),
        _ => Err(DecodeError::Entry),
    }
}

fn write_raft(to: &mut Vec<u8>, message: &RaftMessage) {
    to.put_u64(message.from.0);
    to.put_u64(message.to.0);
    to.put_u64(message.term.0);
    let (tag, numbers, flag) = parts(&message.kind);
    to.put_u8(tag);
    to.put_u8(flag.into());
    numbers.iter().for_each(|number| to.put_u64(*number));
}

/// A kind's tag, its four numbers and its flag.
fn parts(kind: &RaftKind) -> (u8, [u64; 4], bool) {
    match kind {
        RaftKind::Append { previous, previous_term, commit, entry } => {
            (1, [previous.0, previous_term.0, commit.0, 0], entry.is_some())
        }
        RaftKind::AppendResponse { index, reject, hint, hint_term, commit } => {
            (2, [index.0, hint.0, hint_term.0, commit.0], *reject)
        }
        RaftKind::Heartbeat { commit } => (3, [commit.0, 0, 0, 0], false),
        RaftKind::HeartbeatResponse { commit, space } => (4, [commit.0, space_number(*space), 0, 0], false),
        RaftKind::Vote { last, last_term, commit, commit_term, transfer } => {
            (5, [last.0, last_term.0, commit.0, commit_term.0], *transfer)
        }
        RaftKind::VoteResponse { reject, commit, commit_term } => {
            (6, [commit.0, commit_term.0, 0, 0], *reject)
        }
        RaftKind::PreVote { last, last_term, commit, commit_term } => {
            (7, [last.0, last_term.0, commit.0, commit_term.0], false)
        }
        RaftKind::PreVoteResponse { reject, commit, commit_term } => {
            (8, [commit.0, commit_term.0, 0, 0], *reject)
        }
        RaftKind::TimeoutNow => (9, [0; 4], false),
    }
}

fn read_raft(from: &mut Reader<'_>, entry: &mut Option<EntryBytes>) -> Result<RaftMessage, DecodeError> {
    let (sender, to, term) = (RaftId(from.u64()?), RaftId(from.u64()?), Term(from.u64()?));
    let tag = from.u8()?;
    let flag = flag(from)?;
    let numbers = [from.u64()?, from.u64()?, from.u64()?, from.u64()?];
    let [first, second, third, fourth] = numbers;
    let kind = match tag {
        1 => {
            if flag != entry.is_some() {
                return Err(DecodeError::Entry);
            }
            let (previous, previous_term, commit) = (Index(first), Term(second), Index(third));
            RaftKind::Append { previous, previous_term, commit, entry: entry.take() }
        }
        2 => RaftKind::AppendResponse {
            index: Index(first),
            reject: flag,
            hint: Index(second),
            hint_term: Term(third),
            commit: Index(fourth),
        },
        3 => RaftKind::Heartbeat { commit: Index(first) },
        4 => RaftKind::HeartbeatResponse { commit: Index(first), space: read_space(second)? },
        5 => RaftKind::Vote {
            last: Index(first),
            last_term: Term(second),
            commit: Index(third),
            commit_term: Term(fourth),
            transfer: flag,
        },
        6 => RaftKind::VoteResponse { reject: flag, commit: Index(first), commit_term: Term(second) },
        7 => RaftKind::PreVote {
            last: Index(first),
            last_term: Term(second),
            commit: Index(third),
            commit_term: Term(fourth),
        },
        8 => RaftKind::PreVoteResponse { reject: flag, commit: Index(first), commit_term: Term(second) },
        9 => RaftKind::TimeoutNow,
        number => return Err(DecodeError::Unknown { what: "raft message", number }),
    };
    Ok(RaftMessage { from: sender, to, term, kind })
}

fn space_number(space: Space) -> u64 {
    match space {
        Space::Room => 0,
        Space::Short => 1,
        Space::Full => 2,
    }
}

fn read_space(number: u64) -> Result<Space, DecodeError> {
    match number {
        0 => Ok(Space::Room),
        1 => Ok(Space::Short),
        2 => Ok(Space::Full),
        number => Err(DecodeError::Unknown { what: "space", number: number.min(255) as u8 }),
    }
}

fn read_heartbeats(from: &mut Reader<'_>) -> Result<Vec<Heartbeat>, DecodeError> {
    let count = from.count(HEARTBEAT_BYTES)?;
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let journal = JournalId(from.u64()?);
        let message = read_raft(from, &mut None)?;
        if !is_heartbeat(&message) {
            return Err(DecodeError::NoHeartbeat);
        }
        all.push(Heartbeat { journal, message });
    }
    Ok(all)
}

fn write_result(to: &mut Vec<u8>, result: &Result<Committed, ControlRefusal>) {
    match result {
        Ok(Committed { index, outcome }) => {
            to.put_u8(0);
            to.put_u64(index.0);
            write_outcome(to, outcome);
        }
        Err(ControlRefusal::Command(error)) => {
            let (tag, text) = error_parts(error);
            to.put_u8(1);
            to.put_u8(tag);
            to.sized(text.as_bytes());
        }
        Err(ControlRefusal::NotController) => to.put_u8(2),
        Err(ControlRefusal::Storage) => to.put_u8(3),
        Err(ControlRefusal::TimedOut) => to.put_u8(4),
    }
}

fn read_result(from: &mut Reader<'_>) -> Result<Result<Committed, ControlRefusal>, DecodeError> {
    Ok(match from.u8()? {
        0 => Ok(Committed { index: Index(from.u64()?), outcome: read_outcome(from)? }),
        1 => Err(ControlRefusal::Command(read_error(from)?)),
        2 => Err(ControlRefusal::NotController),
        3 => Err(ControlRefusal::Storage),
        4 => Err(ControlRefusal::TimedOut),
        number => return Err(DecodeError::Unknown { what: "result of a command", number }),
    })
}

fn write_outcome(to: &mut Vec<u8>, outcome: &Outcome) {
    match outcome {
        Outcome::Done => to.put_u8(0),
        Outcome::TopicCreated { topic_id, partitions } => {
            to.put_u8(1);
            to.put_u128(topic_id.0);
            to.put_count(partitions.len());
            partitions.iter().for_each(|partition| to.put_u64(partition.0));
        }
        Outcome::ProducerIds { first, count } => {
            to.put_u8(2);
            to.put_i64(*first);
            to.put_u32(*count);
        }
        Outcome::Member { incarnation, raft_id } => {
            to.put_u8(3);
            to.put_u128(incarnation.0);
            to.put_u64(raft_id.0);
        }
        Outcome::AclsDeleted { acls, more } => {
            to.put_u8(4);
            to.put_u8(u8::from(*more));
            to.sized(&acls_encoding::write_list(acls));
        }
    }
}

fn read_acls(bytes: &[u8]) -> Result<Vec<Acl>, DecodeError> {
    acls_encoding::read_list(bytes).map_err(|_| DecodeError::Acls)
}

fn read_outcome(from: &mut Reader<'_>) -> Result<Outcome, DecodeError> {
    Ok(match from.u8()? {
        0 => Outcome::Done,
        1 => {
            let topic_id = TopicId(from.u128()?);
            let count = from.count(8)?;
            let partitions = (0..count).map(|_| from.u64().map(PartitionId)).collect::<Result<_, _>>()?;
            Outcome::TopicCreated { topic_id, partitions }
        }
        2 => Outcome::ProducerIds { first: from.i64()?, count: from.u32()? },
        3 => Outcome::Member { incarnation: Incarnation(from.u128()?), raft_id: RaftId(from.u64()?) },
        4 => Outcome::AclsDeleted { more: flag(from)?, acls: read_acls(from.sized()?)? },
        number => return Err(DecodeError::Unknown { what: "outcome of a command", number }),
    })
}

fn error_parts(error: &CommandError) -> (u8, &str) {
    match error {
        CommandError::TopicExists(text) => (0, text),
        CommandError::UnknownTopic => (1, ""),
        CommandError::InvalidTopicName(text) => (2, text),
        CommandError::InvalidPartitions(text) => (3, text),
        CommandError::InvalidReplicationFactor(text) => (4, text),
        CommandError::InvalidConfig(text) => (5, text),
        CommandError::InvalidRequest(text) => (6, text),
        CommandError::LimitReached(text) => (7, text),
        CommandError::InvalidPlace(text) => (8, text),
        CommandError::UnacceptableCredential(text) => (9, text),
        CommandError::UnknownCredential => (10, ""),
    }
}

fn read_error(from: &mut Reader<'_>) -> Result<CommandError, DecodeError> {
    let tag = from.u8()?;
    let text = str::from_utf8(from.sized()?).map_err(|_| DecodeError::Text)?.to_owned();
    Ok(match tag {
        0 => CommandError::TopicExists(text),
        1 => CommandError::UnknownTopic,
        2 => CommandError::InvalidTopicName(text),
        3 => CommandError::InvalidPartitions(text),
        4 => CommandError::InvalidReplicationFactor(text),
        5 => CommandError::InvalidConfig(text),
        6 => CommandError::InvalidRequest(text),
        7 => CommandError::LimitReached(text),
        8 => CommandError::InvalidPlace(text),
        9 => CommandError::UnacceptableCredential(text),
        10 => CommandError::UnknownCredential,
        number => return Err(DecodeError::Unknown { what: "refusal of a command", number }),
    })
}

#[cfg(test)]
#[path = "encoding_tests.rs"]
mod tests;
