//! Figures that a shard keeps of its connections and requests: plain numbers, copied to the
//! metrics page about once a second. Knows nothing of Prometheus.

use crate::observe::steps::Steps;
use crate::peer::links::LinkStats;
use engine::coordinator::Figures;
use engine::groups::GroupFigures;
use engine::ids::JournalId;
use engine::journal::quorum::lead::FollowerStanding;
use engine::latency::Latency;
use engine::shard::ShardMetrics;
use engine::transactions::TransactionFigures;
use std::collections::BTreeMap;

/// One Kafka API on one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiStats {
    /// From the frame's last byte received to the answer's hand-over to the socket.
    pub latency: Latency,
    pub errors: u64,
}

/// What a shard tells of itself; the counters run from the start of the process.
#[derive(Clone, Debug, Default)]
pub struct ShardPage {
    pub engine: ShardMetrics,
    /// By journal that this shard leads.
    pub followers: Vec<(JournalId, FollowerStanding)>,
    pub links: LinkStats,
    /// By API key.
    pub apis: BTreeMap<i16, ApiStats>,
    pub connections_open: u64,
    pub connections_accepted: u64,
    /// Closed because of bad input, a time-out or the memory budget.
    pub connections_refused: u64,
    /// Clients that did not prove who they are.
    pub logins_refused: u64,
    pub tls_handshakes: u64,
    pub tls_handshakes_failed: u64,
    /// Fetches answered later than they asked to wait, by how much.
    pub fetches_late: Latency,
    /// How late the shard's ticks came: what had to wait for a long step had to wait this long.
    pub ticks_late: Latency,
    /// The engine's steps.
    pub steps: Steps,
    /// Answers that told of a quota exceeded.
    pub throttled: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// Requests received whole and not answered yet.
    pub requests_in_flight: u64,
    /// Disk operations handed out and not completed.
    pub disk_in_flight: u64,
    pub groups: Figures<GroupFigures>,
    pub transactions: Figures<TransactionFigures>,
    pub memory_budget_bytes: u64,
    /// Reserved for frames and answers.
    pub memory_used_bytes: u64,
}
