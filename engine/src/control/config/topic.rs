//! The table of topic settings, each with the broker settings that are its default.

use super::kinds::{Kind, Setting};
use crate::entry::layout::BATCH_BYTES_MAX;

/// A topic's setting and where its default comes from.
#[derive(Clone, Copy, Debug)]
pub struct TopicSetting {
    pub setting: Setting,
    /// Broker settings that stand in for it, the strongest first.
    pub synonyms: &'static [BrokerSynonym],
}

/// A broker setting whose value times `scale` is the topic's.
#[derive(Clone, Copy, Debug)]
pub struct BrokerSynonym {
    pub name: &'static str,
    pub scale: i64,
}

const fn same(name: &'static str) -> BrokerSynonym {
    BrokerSynonym { name, scale: 1 }
}

const fn topic(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    synonyms: &'static [BrokerSynonym],
    doc: &'static str,
) -> TopicSetting {
    TopicSetting { setting: Setting { name, kind, default: Some(default), doc }, synonyms }
}

const ANY_LONG_FROM_0: Kind = Kind::Long { min: 0, max: i64::MAX };
const ANY_LONG_FROM_1: Kind = Kind::Long { min: 1, max: i64::MAX };
const LONG_OR_NO_LIMIT: Kind = Kind::Long { min: -1, max: i64::MAX };
const LONG_OR_AS_RETENTION: Kind = Kind::Long { min: -2, max: i64::MAX };
const ANY_LONG: Kind = Kind::Long { min: i64::MIN, max: i64::MAX };

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const RETENTION_MS_SYNONYMS: &[BrokerSynonym] = &[
    same("log.retention.ms"),
    BrokerSynonym { name: "log.retention.minutes", scale: MINUTE_MS },
    BrokerSynonym { name: "log.retention.hours", scale: HOUR_MS },
];
const SEGMENT_MS_SYNONYMS: &[BrokerSynonym] =
    &[same("log.roll.ms"), BrokerSynonym { name: "log.roll.hours", scale: HOUR_MS }];
const JITTER_MS_SYNONYMS: &[BrokerSynonym] =
    &[same("log.roll.jitter.ms"), BrokerSynonym { name: "log.roll.jitter.hours", scale: HOUR_MS }];

/// All of them, sorted by name. Those without effect here say so.
#[rustfmt::skip]
pub const SETTINGS: &[TopicSetting] = &[
    topic("cleanup.policy", Kind::List(&["compact", "delete"]), "delete", &[same("log.cleanup.policy")],
        "What happens to old records: 'delete' removes them by retention, 'compact' keeps the last record of each key. A topic that was made without 'compact' is not compacted when it gets it later, nor deleted: duramen.compaction tells of it."),
    topic("compression.gzip.level", Kind::Int { min: -1, max: 9 }, "-1", &[same("compression.gzip.level")],
        "How hard the broker packs with compression.type=gzip, from 1 to 9; -1 is gzip's usual level, 6."),
    topic("compression.lz4.level", Kind::Int { min: 1, max: 17 }, "9", &[same("compression.lz4.level")],
        "Without effect: with compression.type=lz4 the broker packs by lz4's fast mode."),
    topic("compression.type", Kind::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer", &[same("compression.type")],
        "'producer': batches are stored as they were sent. Others: the leader writes each batch again whose codec is another, which costs its processor time."),
    topic("compression.zstd.level", Kind::Int { min: -131_072, max: 22 }, "3", &[same("compression.zstd.level")],
        "How hard the broker packs with compression.type=zstd; levels above 6 count as 6."),
    topic("delete.retention.ms", ANY_LONG_FROM_0, "86400000", &[same("log.cleaner.delete.retention.ms")],
        "How long compaction keeps tombstones, and markers of transactions, once it has met them."),
    topic("duramen.validate.records", Kind::Choice(&["records", "header"]), "records", &[],
        "What a batch's record count, lengths and timestamps are taken from. 'records': every record of a batch is looked at, compressed ones up to 64 MiB of them, and the batch's maximum timestamp is set from them. 'header': what the client wrote in the batch's header is believed: a wrong one deletes records too early, hides them from lookups by time, or stops consumers."),
    topic("file.delete.delay.ms", ANY_LONG_FROM_0, "60000", &[same("log.segment.delete.delay.ms")],
        "Without effect: a dead segment goes as soon as a checkpoint covers it."),
    topic("flush.messages", ANY_LONG_FROM_1, "9223372036854775807", &[same("log.flush.interval.messages")],
        "Met whatever it says: every acknowledged batch is synced."),
    topic("flush.ms", ANY_LONG_FROM_0, "9223372036854775807", &[same("log.flush.interval.ms")],
        "Met whatever it says: every acknowledged batch is synced."),
    topic("follower.replication.throttled.replicas", Kind::List(&[]), "", &[],
        "Replication throttles are not built: only the empty list is taken."),
    topic("index.interval.bytes", Kind::Int { min: 0, max: i32::MAX }, "4096", &[same("log.index.interval.bytes")],
        "Without effect: the index has one item per partition and entry."),
    topic("leader.replication.throttled.replicas", Kind::List(&[]), "", &[],
        "Replication throttles are not built: only the empty list is taken."),
    topic("local.retention.bytes", LONG_OR_AS_RETENTION, "-2", &[same("log.local.retention.bytes")],
        "Without effect: tiered storage is not built."),
    topic("local.retention.ms", LONG_OR_AS_RETENTION, "-2", &[same("log.local.retention.ms")],
        "Without effect: tiered storage is not built."),
    topic("max.compaction.lag.ms", ANY_LONG_FROM_1, "9223372036854775807", &[same("log.cleaner.max.compaction.lag.ms")],
        "How old a record may get before it is compacted, whatever the dirty ratio is; counted from when its segment was full."),
    // The largest batch that an entry can hold.
    topic("max.message.bytes", Kind::Int { min: 0, max: BATCH_BYTES_MAX as i32 }, "1048588", &[same("message.max.bytes")],
        "The largest record batch that is taken, bytes after compression; at most 16 MiB."),
    topic("message.timestamp.after.max.ms", ANY_LONG_FROM_0, "3600000", &[same("log.message.timestamp.after.max.ms")],
        "How far a CreateTime may be ahead of the broker's clock."),
    topic("message.timestamp.before.max.ms", ANY_LONG_FROM_0, "9223372036854775807", &[same("log.message.timestamp.before.max.ms")],
        "How far a CreateTime may be behind the broker's clock."),
    topic("message.timestamp.type", Kind::Choice(&["CreateTime", "LogAppendTime"]), "CreateTime", &[same("log.message.timestamp.type")],
        "Whose clock a record's timestamp comes from: the producer's or the broker's."),
    topic("min.cleanable.dirty.ratio", Kind::Double { min: 0.0, max: 1.0 }, "0.5", &[same("log.cleaner.min.cleanable.ratio")],
        "How much of what a compacted journal has must be new before it is compacted: of all topics in the journal together, for the one that asks soonest."),
    topic("min.compaction.lag.ms", ANY_LONG_FROM_0, "0", &[same("log.cleaner.min.compaction.lag.ms")],
        "How old a record must be before it may go for a newer one of its key."),
    topic("min.insync.replicas", Kind::Int { min: 1, max: 32_767 }, "1", &[same("min.insync.replicas")],
        "How many synced copies acks=all waits for, if more than a quorum."),
    topic("preallocate", Kind::Boolean, "false", &[same("log.preallocate")],
        "Without effect: segments are always allocated whole."),
    topic("remote.log.copy.disable", Kind::Boolean, "false", &[],
        "Tiered storage is not built."),
    topic("remote.log.delete.on.disable", Kind::Boolean, "false", &[],
        "Tiered storage is not built."),
    topic("remote.storage.enable", Kind::Boolean, "false", &[],
        "Tiered storage is not built."),
    topic("retention.bytes", ANY_LONG, "-1", &[same("log.retention.bytes")],
        "How many bytes of batches each partition keeps; -1 is no limit."),
    topic("retention.ms", LONG_OR_NO_LIMIT, "604800000", RETENTION_MS_SYNONYMS,
        "How long records are kept; -1 is no limit."),
    topic("segment.bytes", Kind::Int { min: 14, max: i32::MAX }, "1073741824", &[same("log.segment.bytes")],
        "Without effect: segments hold many partitions; their size is set when the cluster is formed."),
    topic("segment.index.bytes", Kind::Int { min: 4, max: i32::MAX }, "10485760", &[same("log.index.size.max.bytes")],
        "Without effect: an index is as large as its segment needs."),
    topic("segment.jitter.ms", ANY_LONG_FROM_0, "0", JITTER_MS_SYNONYMS,
        "Without effect: segments roll by size."),
    topic("segment.ms", ANY_LONG_FROM_1, "604800000", SEGMENT_MS_SYNONYMS,
        "Without effect: segments roll by size."),
    topic("unclean.leader.election.enable", Kind::Boolean, "false", &[same("unclean.leader.election.enable")],
        "Only 'false': a replica without all committed records never leads."),
];

/// A topic setting by name.
pub fn setting(name: &str) -> Option<&'static TopicSetting> {
    let at = SETTINGS.binary_search_by(|topic| topic.setting.name.cmp(name)).ok()?;
    Some(&SETTINGS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_since_it_is_searched() {
        assert!(SETTINGS.is_sorted_by(|a, b| a.setting.name < b.setting.name));
        assert!(setting("retention.ms").is_some());
        assert!(setting("retention.MS").is_none());
    }
}
