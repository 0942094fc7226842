//! A shard's life: the folder's identity, its journals as the metadata names them, ready, stop.

use super::identity::joining::Joining;
use super::slot::Members;
use crate::control::placement::meta_journal_secret;
use crate::folder::NodeMeta;
use crate::ids::{JournalId, LaneId, META_JOURNAL, RaftId};
use crate::journal::format::meta_record::JournalMeta;
use std::collections::BTreeSet;

/// 256 Ki batches or `segment_bytes` make a segment full: its index stays below 16 MiB.
const BATCHES_PER_SEGMENT_MAX: u32 = 262_144;

/// Where the shard is between start and stop.
#[derive(Debug, Default)]
pub struct Lifecycle {
    /// Once the cluster is formed.
    pub(in crate::shard) node: Option<NodeMeta>,
    /// While this node asks for a number.
    pub(in crate::shard) joining: Option<Joining>,
    /// There was no room to make this node's record.
    pub(in crate::shard) begin_again_ns: Option<u64>,
    pub(in crate::shard) proposed_form: bool,
    pub(in crate::shard) registered: bool,
    pub(in crate::shard) ready: bool,
    /// While it hands over what it leads: the journals of which that began.
    pub(in crate::shard) draining: Option<BTreeSet<JournalId>>,
    pub stopping: bool,
    pub(in crate::shard) stopped: bool,
}

/// The meta journal as the set that formed the cluster began it: its members' replicas are numbered
/// in the set's order, as [`crate::control::MetaState`] numbers them. A node that joined later has
/// another number than the one of its place here.
pub(in crate::shard) fn first_meta(node: &NodeMeta) -> (JournalMeta, Members) {
    let number = |at: usize| RaftId(at as u64 + 1);
    let at = node.formation.iter().position(|(member, _)| *member == node.node);
    let meta = JournalMeta {
        journal: META_JOURNAL,
        cluster: node.cluster,
        secret: meta_journal_secret(&node.formation),
        segment_bytes: node.segment_bytes,
        batches_per_segment_max: BATCHES_PER_SEGMENT_MAX,
        life: crate::control::life::Life::Meta,
        lane: LaneId(0),
        voters: (0..node.formation.len()).map(number).collect(),
        // One that came later is told its number.
        raft_id: at.map_or(RaftId(0), number),
    };
    let members = node.formation.iter().enumerate().map(|(at, (node, _))| (number(at), *node)).collect();
    (meta, members)
}
