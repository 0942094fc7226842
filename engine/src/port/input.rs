//! What comes into a shard: a closed list.

use super::output::Entry;
use super::request::{Fetch, Produce, Query, RequestId};
use super::transaction::Markers;
use crate::control::{Command, View};
use crate::disk::{DiskResult, OpId};
use crate::formation::Report;
use crate::ids::{JournalId, LaneId, NodeId, Run};
use crate::peer::PeerMessage;
use crate::register::Register;
use std::sync::Arc;

/// One input. Every one comes with its time ([`crate::clock::Now`]).
#[derive(Debug)]
pub enum Input<'a> {
    /// The first input: lock is held, folder is there. Recovery begins.
    Start,
    /// An operation of the disk seam completed.
    Disk {
        op: OpId,
        result: DiskResult,
    },
    /// A batch to append; ask [`crate::shard::Shard::room_for`] before.
    Produce(Produce<'a>),
    Fetch(Fetch),
    Query(Query),
    /// The requester is gone: parked work of this request is forgotten.
    Cancel {
        request: RequestId,
    },
    /// A coordinator ended a transaction: each partition is answered by
    /// [`crate::port::Output::Marked`], once the marker is committed.
    Markers(Markers),
    /// A command for the meta journal; only on the shard that leads it.
    Control {
        request: RequestId,
        command: Command,
    },
    /// An operator wants a journal's preferred node to lead it. Whether it comes to that is seen
    /// by who leads; ask again until it does.
    Elect {
        journal: JournalId,
    },
    /// The cluster's metadata changed (every shard, the meta journal's own one included, gets
    /// what that one published).
    View(Arc<View>),
    /// What this node has is written down, as the first shard says.
    Register(Arc<Register>),
    /// To be written in the register; only for the first shard.
    Enter(Entry),
    /// Nodes of the cluster beyond the operator's list, written down where the next start finds them.
    Peers(Vec<NodeId>),
    /// Another node refused this one: it met a later process of this folder. Only for the first
    /// shard.
    OldCopy {
        by: NodeId,
        /// The start that it met.
        seen: u64,
    },
    /// A message from the shard of the same lane on another node. Not checked yet.
    Peer {
        from: NodeId,
        message: PeerMessage,
    },
    /// What the first shard of another node says while the cluster forms.
    Formation(Report),
    /// What the file system of the data folder has.
    Space {
        free_bytes: u64,
        total_bytes: u64,
    },
    /// The link of a lane to another node came up, with this process at its other end, or broke:
    /// what was sent before may be lost.
    Link {
        node: NodeId,
        lane: LaneId,
        run: Option<Run>,
    },
    /// About every 10 ms, also when idle.
    Tick,
    /// The end of the shard's turn: all inputs at hand have been given. Entries are sealed here.
    TurnEnd,
    /// Hand over what is led here, and serve on: the node is about to stop.
    Drain,
    /// Finish what is in flight, write checkpoints, answer [`crate::port::Output::Stopped`].
    Stop,
}

/// Names of inputs, for the figures of who kept the shard busy: see [`Input::number`].
pub const INPUT_NAMES: [&str; 19] = [
    "start_or_stop",
    "disk",
    "produce",
    "fetch",
    "query",
    "cancel",
    "control",
    "elect",
    "view",
    "register",
    "enter",
    "old_copy",
    "peer",
    "formation",
    "space",
    "link",
    "tick",
    "turn_end",
    "markers",
];

impl Input<'_> {
    /// Its place in [`INPUT_NAMES`].
    pub fn number(&self) -> usize {
        match self {
            // The first and the last inputs of a shard.
            Self::Start | Self::Drain | Self::Stop => 0,
            Self::Disk { .. } => 1,
            Self::Produce(_) => 2,
            Self::Fetch(_) => 3,
            Self::Query(_) => 4,
            Self::Cancel { .. } => 5,
            Self::Control { .. } => 6,
            Self::Elect { .. } => 7,
            Self::View(_) | Self::Peers(_) => 8,
            Self::Register(_) => 9,
            Self::Enter(_) => 10,
            Self::OldCopy { .. } => 11,
            Self::Peer { .. } => 12,
            Self::Formation(_) => 13,
            Self::Space { .. } => 14,
            Self::Link { .. } => 15,
            Self::Tick => 16,
            Self::TurnEnd => 17,
            Self::Markers(_) => 18,
        }
    }
}
