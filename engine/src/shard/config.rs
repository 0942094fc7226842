//! What a shard is told when it is made.

use crate::control::View;
use crate::control::config::Statics;
use crate::control::nodes::Advertised;
use crate::ids::{BrokerIds, JournalId, NodeId, ShardId};
use std::sync::Arc;

/// Fixed for the shard's life.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    pub node: NodeId,
    /// All listed nodes, this one among them: whom it forms a cluster with. Empty, or only itself:
    /// a lone node.
    pub peers: Vec<NodeId>,
    /// Some of them this folder's node learned of from its cluster's metadata: a founder that was alone may have let
    /// others in.
    pub has_met_others: bool,
    /// Its folder is new, and it joins the cluster that those of the list are of: it founds none.
    pub joins: bool,
    pub shard: ShardId,
    /// Shards of this node; lane mod this is the shard of a lane.
    pub shards: u16,
    /// Lanes of the cluster, used at formation only; afterwards the meta journal says.
    pub lanes: u16,
    /// Bytes of memory that this shard may use.
    pub memory_bytes: usize,
    /// Segment length, used at formation only; afterwards each journal's meta record says.
    pub segment_bytes: u64,
    /// Broker ids as the operator asked for them; used at formation only, afterwards the metadata
    /// says: before a view is there nobody needs them.
    pub broker_ids: Option<BrokerIds>,
    /// Sealed segments are read again in the background at up to this rate; 0: never.
    pub scrub_bytes_per_second: u64,
    /// Compacted journals are rewritten in the background, reading and writing at up to this rate; 0: never.
    pub rewrite_bytes_per_second: u64,
    /// What a pass of compaction remembers keys in: where it is full the next pass goes on.
    pub key_map_bytes: usize,
    /// What followers that are behind get from the disk while clients are served.
    pub catch_up_bytes_per_s: u64,
    /// Entries whose metadata each journal keeps in memory behind the applied one, for followers that
    /// lag a little.
    pub raft_window_entries: usize,
    /// 256 bits from the operating system: incarnation, cluster and journal secrets and the
    /// engine's random numbers are derived from it. The simulator gives them from its seed.
    pub entropy: [u64; 4],
    /// Random per process, the same for all shards of the node; never 0.
    pub nonce: u64,
    /// Journals whose lost entries the operator accepts as lost.
    pub accept_loss: Vec<JournalId>,
    /// Kafka settings of this node from its file and command line; names and values are valid.
    pub kafka: Vec<(String, String)>,
    /// What this node tells the cluster of itself.
    pub advertised: Advertised,
}

impl ShardConfig {
    /// The view with what was set of this broker alone.
    pub fn view_here(&self, view: Arc<View>) -> Arc<View> {
        let statics = || Statics::new(&self.kafka).expect("settings are checked before a shard is made");
        match view.broker_ids.of(self.node, self.shard) {
            Some(id) => view.of_broker(id, statics),
            None => view,
        }
    }
}
