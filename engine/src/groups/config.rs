//! A coordinator's settings, Kafka's by meaning, and the bounds that Kafka has none for.

/// A group of this size is rebalanced in well under a second; each member costs its metadata and
/// assignment (a few hundred bytes), and a parked request.
pub const MEMBERS_MAX: usize = 10_000;
/// Metadata of all members of one group, and again their assignments. The group is one record,
/// which must fit one batch of 16 MiB with room to spare.
pub const GROUP_METADATA_BYTES_MAX: usize = 4 << 20;
/// Live records of one partition of the offsets topic, about as much in memory: with 50
/// partitions on four shards at most 400 MiB each, were all of them full.
pub const LIVE_BYTES_MAX: u64 = 32 << 20;

/// Which groups with members may change between the protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    Bidirectional,
    Upgrade,
    Downgrade,
    Disabled,
}

impl Migration {
    /// Kafka's names.
    pub const NAMES: [&str; 4] = ["bidirectional", "upgrade", "downgrade", "disabled"];

    pub fn of(name: &str) -> Option<Self> {
        let all = [Self::Bidirectional, Self::Upgrade, Self::Downgrade, Self::Disabled];
        let at = Self::NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        Some(all[at])
    }

    pub fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// What the broker's settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: u64,
    /// `group.max.size`.
    pub group_size_max: usize,
    /// `group.consumer.max.size`.
    pub consumer_group_size_max: usize,
    /// `group.consumer.session.timeout.ms`, and within which bounds a group's own may be.
    pub consumer_session_ms: i32,
    pub consumer_session_range_ms: (i32, i32),
    /// `group.consumer.heartbeat.interval.ms`, likewise.
    pub consumer_interval_ms: i32,
    pub consumer_interval_range_ms: (i32, i32),
    /// `group.consumer.migration.policy`.
    pub migration: Migration,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_bytes_max: usize,
    /// `offsets.retention.minutes`.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval_ms: u64,
    /// `offsets.topic.segment.bytes`: a partition's log is written again at its tail when it is
    /// above this and twice what lives. Reading 4 MiB back takes some 10 ms.
    pub history_bytes_min: u64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_min_ms: 6_000,
            session_timeout_max_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            group_size_max: MEMBERS_MAX,
            consumer_group_size_max: MEMBERS_MAX,
            consumer_session_ms: 45_000,
            consumer_session_range_ms: (45_000, 60_000),
            consumer_interval_ms: 5_000,
            consumer_interval_range_ms: (5_000, 15_000),
            migration: Migration::Bidirectional,
            offset_metadata_bytes_max: 4096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            retention_check_interval_ms: 600_000,
            history_bytes_min: 4 << 20,
        }
    }
}
