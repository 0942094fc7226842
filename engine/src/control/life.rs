//! How long what a journal holds lives, and what a topic says of it.

use crate::batch::{EnvelopeLimits, Packing, RecordBounds};

/// What the partitions of a journal have in common; different lives never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Life {
    /// The cluster's metadata.
    Meta = 0,
    /// Retention by time or size.
    Finite = 1,
    /// Kept until deleted.
    Infinite = 2,
    /// Compacted topics.
    Compacted = 3,
    /// `__consumer_offsets` and its like.
    Internal = 4,
}

impl Life {
    pub fn of(number: u8) -> Option<Self> {
        [Self::Meta, Self::Finite, Self::Infinite, Self::Compacted, Self::Internal]
            .get(usize::from(number))
            .copied()
    }
}

/// A topic's effective settings on the data path. −1 is no limit, as in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    pub retention_ms: i64,
    pub retention_bytes: i64,
    pub max_message_bytes: u32,
    pub log_append_time: bool,
    /// `compression.type`: how batches are stored; `None` is as their producers sent them.
    pub packing: Option<Packing>,
    /// `duramen.validate.records=header`: no record is looked at, the header's times are believed.
    pub trusts_header: bool,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub min_insync_replicas: u16,
    /// The topic says so itself, and has it not from the brokers' default.
    pub min_insync_is_own: bool,
    /// `cleanup.policy` without `delete`: DeleteRecords is refused.
    pub compacted: bool,
    /// `cleanup.policy` with `compact`: of each key the last record stays. A record without a key is refused.
    pub compacts: bool,
    /// `min.cleanable.dirty.ratio`: how much of a partition must be new before it is compacted.
    pub min_dirty_ppm: u32,
    /// How old a record must be before it may go for a newer one of its key.
    pub min_compaction_lag_ms: i64,
    /// How old one that is not compacted may get.
    pub max_compaction_lag_ms: i64,
    /// How long tombstones and markers stay once they were met.
    pub delete_retention_ms: i64,
}

impl TopicSettings {
    /// What a batch's header may say that comes at `wall_ms`.
    pub fn envelope_limits(&self, wall_ms: i64) -> EnvelopeLimits {
        EnvelopeLimits {
            batch_bytes_max: self.max_message_bytes,
            log_append_time: self.log_append_time,
            transactional: false,
            trusts_header: self.trusts_header,
            timestamp_before_max_ms: self.timestamp_before_max_ms,
            timestamp_after_max_ms: self.timestamp_after_max_ms,
            wall_ms,
        }
    }

    /// What records may be that come at `wall_ms`.
    pub fn record_bounds(&self, wall_ms: i64) -> RecordBounds {
        if self.log_append_time {
            return RecordBounds { needs_keys: self.compacts, ..RecordBounds::ANY };
        }
        RecordBounds {
            needs_keys: self.compacts,
            oldest_ms: wall_ms.saturating_sub(self.timestamp_before_max_ms),
            newest_ms: wall_ms.saturating_add(self.timestamp_after_max_ms),
        }
    }
}
