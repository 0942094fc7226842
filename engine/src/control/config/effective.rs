//! What settings come to: a topic's and a broker's effective values, typed for the code that
//! reads them.

use super::kinds::list_of;
use super::statics::Statics;
use super::topic::{self, TopicSetting};
use super::{Source, broker};
use crate::batch::{Codec, Packing};
use crate::control::life::{Life, TopicSettings};
use crate::groups::config::{GroupConfig, Migration};
use crate::transactions::TransactionConfig;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Settings by name, as they were set.
pub type Configs = BTreeMap<String, String>;

/// A value of a topic setting and where it comes from: the topic, all brokers' dynamic settings,
/// the node's file, the default.
pub(super) fn topic_value<'a>(
    of: &TopicSetting,
    topic: &'a Configs,
    brokers: &'a Configs,
    statics: &'a Statics,
) -> (Cow<'a, str>, Source) {
    if let Some(value) = topic.get(of.setting.name) {
        return (Cow::Borrowed(value), Source::Topic);
    }
    let dynamic = of.synonyms.iter().find_map(|synonym| brokers.get(synonym.name));
    if let Some(value) = dynamic {
        return (Cow::Borrowed(value), Source::AllBrokers);
    }
    for synonym in of.synonyms {
        if let Some(value) = statics.get(synonym.name) {
            return (scaled(value, synonym.scale), Source::Static);
        }
    }
    (Cow::Borrowed(of.setting.default.expect("topic settings have defaults")), Source::Default)
}

/// A value in the topic setting's unit; −1 is no limit in any unit.
fn scaled(value: &str, scale: i64) -> Cow<'_, str> {
    if scale == 1 {
        return Cow::Borrowed(value);
    }
    let number: i64 = value.parse().expect("checked: a number");
    Cow::Owned(if number < 0 { number } else { number.saturating_mul(scale) }.to_string())
}

impl TopicSettings {
    /// From what was set on the topic, on all brokers, and in this node's file.
    pub fn effective(topic: &Configs, brokers: &Configs, statics: &Statics) -> Self {
        let value = |name| {
            let of = topic::setting(name).expect("a topic setting");
            topic_value(of, topic, brokers, statics).0
        };
        let number = |name| -> i64 { value(name).trim().parse().expect("checked when it was set") };
        let policy = value("cleanup.policy");
        let has = |wanted: &str| list_of(&policy).any(|policy| policy == wanted);
        let (compacts, deletes) = (has("compact"), has("delete"));
        let ratio: f64 = value("min.cleanable.dirty.ratio").trim().parse().expect("checked when it was set");
        Self {
            // Without `delete` nothing goes because it is old, or too much.
            retention_ms: if deletes { number("retention.ms") } else { -1 },
            // Kafka takes any negative number as no limit.
            retention_bytes: if deletes { number("retention.bytes").max(-1) } else { -1 },
            max_message_bytes: u32::try_from(number("max.message.bytes")).expect("checked when set"),
            log_append_time: value("message.timestamp.type").trim() == "LogAppendTime",
            packing: packing_of(&value("compression.type"), |name| number(name) as i32),
            // Whether each record has a key is not in the header.
            trusts_header: value("duramen.validate.records").trim() == "header" && !compacts,
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            min_insync_replicas: u16::try_from(number("min.insync.replicas")).expect("checked when set"),
            min_insync_is_own: topic.contains_key("min.insync.replicas"),
            compacted: !deletes,
            compacts,
            min_dirty_ppm: (ratio * 1e6).round() as u32,
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            max_compaction_lag_ms: number("max.compaction.lag.ms"),
            delete_retention_ms: number("delete.retention.ms"),
        }
    }
}

/// What `compression.type` asks for; `None` is the producer's own.
fn packing_of(compression: &str, level: impl Fn(&'static str) -> i32) -> Option<Packing> {
    let codec = match compression.trim() {
        "uncompressed" => Codec::None,
        "gzip" => Codec::Gzip,
        "snappy" => Codec::Snappy,
        "lz4" => Codec::Lz4,
        "zstd" => Codec::Zstd,
        producer => {
            assert_eq!(producer, "producer", "checked when it was set");
            return None;
        }
    };
    let usual = Packing::usual(codec);
    let level = match codec {
        Codec::Gzip => level("compression.gzip.level"),
        Codec::Zstd => level("compression.zstd.level"),
        Codec::None | Codec::Snappy | Codec::Lz4 => usual.level,
    };
    // Kafka's −1 of gzip; of zstd it is a level like others.
    let is_usual = codec == Codec::Gzip && level == -1;
    Some(if is_usual { usual } else { Packing { codec, level } })
}

/// Which kind of journal a new topic's partitions belong in. The proposer decides this once and
/// writes it into the command, since it depends on its node's file.
pub fn life_of(name: &str, topic: &Configs, brokers: &Configs, statics: &Statics) -> Life {
    if crate::control::names::is_internal(name) {
        return Life::Internal;
    }
    let settings = TopicSettings::effective(topic, brokers, statics);
    if settings.compacts {
        Life::Compacted
    } else if settings.retention_ms == -1 && settings.retention_bytes == -1 {
        Life::Infinite
    } else {
        Life::Finite
    }
}

/// A node's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    pub authorizer: bool,
    /// Type and name.
    pub super_users: Vec<String>,
    pub allow_without_rule: bool,
    pub local_admin: bool,
    pub auto_create_topics: bool,
    pub delete_topic: bool,
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub fetch_max_bytes: u32,
    pub request_bytes_max: u32,
    pub connection_idle_max_ms: u64,
    pub fetch_sessions_max: u32,
    pub connections_max: u32,
    pub connections_per_ip_max: u32,
    pub retention_check_interval_ms: u64,
    pub offsets_partitions: i32,
    /// `None`: not set.
    pub offsets_replication_factor: Option<i16>,
    pub groups: GroupConfig,
    pub transactions_partitions: i32,
    /// `None`: not set.
    pub transactions_replication_factor: Option<i16>,
    pub transactions: TransactionConfig,
    pub sasl: SaslSettings,
}

/// How clients of SASL listeners prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslSettings {
    /// By their registered names.
    pub mechanisms: Vec<String>,
    pub receive_bytes_max: u32,
    /// 0: a proof is for as long as its connection.
    pub reauth_max_ms: u64,
    /// `None`: not set.
    pub jwks_url: Option<String>,
    pub issuer: Option<String>,
    pub audiences: Vec<String>,
    pub principal_claim: String,
    pub clock_skew_s: u64,
}

impl BrokerSettings {
    /// From the node's file; none of these change while it runs.
    pub fn effective(statics: &Statics) -> Self {
        Self {
            authorizer: !static_value(statics, "authorizer.class.name").is_empty(),
            super_users: super_users(statics.get("super.users").unwrap_or_default()),
            allow_without_rule: static_bool(statics, "allow.everyone.if.no.acl.found"),
            local_admin: static_bool(statics, "duramen.local.admin"),
            auto_create_topics: static_bool(statics, "auto.create.topics.enable"),
            delete_topic: static_bool(statics, "delete.topic.enable"),
            num_partitions: static_number(statics, "num.partitions"),
            default_replication_factor: static_number(statics, "default.replication.factor"),
            fetch_max_bytes: static_number(statics, "fetch.max.bytes"),
            request_bytes_max: static_number(statics, "socket.request.max.bytes"),
            connection_idle_max_ms: static_number(statics, "connections.max.idle.ms"),
            fetch_sessions_max: static_number(statics, "max.incremental.fetch.session.cache.slots"),
            connections_max: static_number(statics, "max.connections"),
            connections_per_ip_max: static_number(statics, "max.connections.per.ip"),
            retention_check_interval_ms: static_number(statics, "log.retention.check.interval.ms"),
            offsets_partitions: static_number(statics, "offsets.topic.num.partitions"),
            offsets_replication_factor: statics
                .get("offsets.topic.replication.factor")
                .map(|factor| factor.parse().expect("checked when it was set")),
            groups: group_config(statics),
            transactions_partitions: static_number(statics, "transaction.state.log.num.partitions"),
            transactions_replication_factor: statics
                .get("transaction.state.log.replication.factor")
                .map(|factor| factor.parse().expect("checked when it was set")),
            transactions: transaction_config(statics),
            sasl: sasl_settings(statics),
        }
    }
}

fn sasl_settings(statics: &Statics) -> SaslSettings {
    let text = |name| statics.get(name).map(str::to_owned);
    let list = |value: &str| list_of(value).map(str::to_owned).collect();
    SaslSettings {
        mechanisms: list(static_value(statics, "sasl.enabled.mechanisms")),
        receive_bytes_max: static_number(statics, "sasl.server.max.receive.size"),
        reauth_max_ms: static_number(statics, "connections.max.reauth.ms"),
        jwks_url: text("sasl.oauthbearer.jwks.endpoint.url"),
        issuer: text("sasl.oauthbearer.expected.issuer"),
        audiences: statics.get("sasl.oauthbearer.expected.audience").map(list).unwrap_or_default(),
        principal_claim: static_value(statics, "sasl.oauthbearer.sub.claim.name").to_owned(),
        clock_skew_s: static_number(statics, "sasl.oauthbearer.clock.skew.seconds"),
    }
}

fn group_config(statics: &Statics) -> GroupConfig {
    const MINUTE_MS: i64 = 60_000;
    let retention_minutes: i64 = static_number(statics, "offsets.retention.minutes");
    GroupConfig {
        session_timeout_min_ms: static_number(statics, "group.min.session.timeout.ms"),
        session_timeout_max_ms: static_number(statics, "group.max.session.timeout.ms"),
        initial_rebalance_delay_ms: static_number(statics, "group.initial.rebalance.delay.ms"),
        group_size_max: static_number(statics, "group.max.size"),
        consumer_group_size_max: static_number(statics, "group.consumer.max.size"),
        consumer_session_ms: static_number(statics, "group.consumer.session.timeout.ms"),
        consumer_session_range_ms: (
            static_number(statics, "group.consumer.min.session.timeout.ms"),
            static_number(statics, "group.consumer.max.session.timeout.ms"),
        ),
        consumer_interval_ms: static_number(statics, "group.consumer.heartbeat.interval.ms"),
        consumer_interval_range_ms: (
            static_number(statics, "group.consumer.min.heartbeat.interval.ms"),
            static_number(statics, "group.consumer.max.heartbeat.interval.ms"),
        ),
        migration: Migration::of(static_value(statics, "group.consumer.migration.policy"))
            .expect("checked when it was set"),
        offset_metadata_bytes_max: static_number(statics, "offset.metadata.max.bytes"),
        offsets_retention_ms: retention_minutes * MINUTE_MS,
        retention_check_interval_ms: static_number(statics, "offsets.retention.check.interval.ms"),
        history_bytes_min: static_number(statics, "offsets.topic.segment.bytes"),
    }
}

/// Kafka's list: with semicolons between, since names have commas.
fn super_users(list: &str) -> Vec<String> {
    list.split(';').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

fn transaction_config(statics: &Statics) -> TransactionConfig {
    let timeout_max_ms = static_number(statics, "transaction.max.timeout.ms");
    let id_expiration_ms = static_number(statics, "transactional.id.expiration.ms");
    assert!(timeout_max_ms > 0, "a transaction has time: {timeout_max_ms} ms");
    assert!(id_expiration_ms > 0, "an id is not forgotten while it is made: {id_expiration_ms} ms");
    TransactionConfig {
        timeout_max_ms,
        id_expiration_ms,
        expiry_interval_ms: static_number(
            statics,
            "transaction.remove.expired.transaction.cleanup.interval.ms",
        ),
        history_bytes_min: static_number(statics, "transaction.state.log.segment.bytes"),
        ..TransactionConfig::default()
    }
}

fn static_value<'a>(statics: &'a Statics, name: &str) -> &'a str {
    let default = broker::setting(name).and_then(|setting| setting.default).expect("it has a default");
    statics.get(name).unwrap_or(default)
}

fn static_bool(statics: &Statics, name: &str) -> bool {
    static_value(statics, name).eq_ignore_ascii_case("true")
}

fn static_number<T: TryFrom<i64>>(statics: &Statics, name: &str) -> T {
    let number: i64 = static_value(statics, name).parse().expect("checked when it was set");
    T::try_from(number).ok().expect("the table's bounds fit the type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::RecordBounds;

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn statics(pairs: &[(&str, &str)]) -> Statics {
        Statics::new(&configs(pairs).into_iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn defaults_are_kafkas() {
        let settings = TopicSettings::effective(&configs(&[]), &configs(&[]), &Statics::default());
        assert_eq!(settings.retention_ms, 604_800_000);
        assert_eq!(settings.max_message_bytes, 1_048_588);
        assert_eq!(settings.timestamp_after_max_ms, 3_600_000);
        assert_eq!((settings.retention_bytes, settings.min_insync_replicas), (-1, 1));
        assert!(!settings.log_append_time && !settings.compacted && !settings.trusts_header);
        let broker = BrokerSettings::effective(&Statics::default());
        assert!(broker.auto_create_topics && broker.delete_topic);
        assert_eq!((broker.num_partitions, broker.request_bytes_max), (1, 104_857_600));
    }

    #[test]
    fn records_may_be_as_far_from_our_clock_as_the_topic_says() {
        let bounds = |pairs: &[(&str, &str)]| {
            let settings = TopicSettings::effective(&configs(pairs), &configs(&[]), &Statics::default());
            settings.record_bounds(1_000_000_000)
        };
        let ahead =
            RecordBounds { oldest_ms: i64::MIN + 1_000_000_001, newest_ms: 1_003_600_000, needs_keys: false };
        assert_eq!(bounds(&[]), ahead);
        let both = [("message.timestamp.before.max.ms", "5"), ("message.timestamp.after.max.ms", "7")];
        let near = RecordBounds { oldest_ms: 999_999_995, newest_ms: 1_000_000_007, needs_keys: false };
        assert_eq!(bounds(&both), near);
        let keyed = [("cleanup.policy", "compact"), both[0], both[1]];
        assert_eq!(bounds(&keyed), RecordBounds { needs_keys: true, ..near });
        assert!(
            bounds(&[("cleanup.policy", "compact"), ("message.timestamp.type", "LogAppendTime")]).needs_keys
        );
        assert_eq!(bounds(&[("message.timestamp.type", "LogAppendTime"), both[0]]), RecordBounds::ANY);
        let far = "9223372036854775807";
        assert_eq!(bounds(&[("message.timestamp.after.max.ms", far)]).newest_ms, i64::MAX);
    }

    #[test]
    fn the_nearest_setting_wins() {
        let retention = |topic: &[_], brokers: &[_], file: &[_]| {
            TopicSettings::effective(&configs(topic), &configs(brokers), &statics(file)).retention_ms
        };
        let file = [("log.retention.hours", "2"), ("log.retention.minutes", "3")];
        assert_eq!(retention(&[], &[], &file[..1]), 7_200_000);
        assert_eq!(retention(&[], &[], &file), 180_000);
        assert_eq!(retention(&[], &[("log.retention.ms", "5")], &file), 5);
        assert_eq!(retention(&[("retention.ms", "4")], &[("log.retention.ms", "5")], &file), 4);
        assert_eq!(retention(&[], &[], &[("log.retention.hours", "-1")]), -1);
    }

    #[test]
    fn compression_is_the_producers_or_the_topics_with_its_level() {
        let packing = |topic: &[_], brokers: &[_]| {
            TopicSettings::effective(&configs(topic), &configs(brokers), &Statics::default()).packing
        };
        let of = |codec, level| Some(Packing { codec, level });
        assert_eq!(packing(&[], &[]), None);
        for (name, expected) in [
            ("producer", None),
            ("uncompressed", Some(Packing::PLAIN)),
            ("gzip", of(Codec::Gzip, 6)),
            ("snappy", of(Codec::Snappy, 0)),
            ("lz4", of(Codec::Lz4, 0)),
            ("zstd", of(Codec::Zstd, 3)),
        ] {
            assert_eq!(packing(&[("compression.type", name)], &[]), expected, "{name}");
        }
        let levels = [("compression.gzip.level", "9"), ("compression.zstd.level", "-5")];
        assert_eq!(packing(&[levels[0], levels[1], ("compression.type", "gzip")], &[]), of(Codec::Gzip, 9));
        assert_eq!(packing(&[levels[0], levels[1], ("compression.type", "zstd")], &[]), of(Codec::Zstd, -5));
        assert_eq!(packing(&[], &[("compression.type", "lz4")]), of(Codec::Lz4, 0), "the brokers' default");
    }

    #[test]
    fn a_life_follows_from_retention_and_name() {
        let life = |name, topic: &[_]| life_of(name, &configs(topic), &configs(&[]), &Statics::default());
        assert_eq!(life("a", &[]), Life::Finite);
        assert_eq!(life("a", &[("retention.ms", "-1")]), Life::Infinite);
        assert_eq!(life("a", &[("retention.ms", "-1"), ("retention.bytes", "9")]), Life::Finite);
        assert_eq!(life("__consumer_offsets", &[]), Life::Internal);
        assert_eq!(life("a", &[("cleanup.policy", "compact")]), Life::Compacted);
        assert_eq!(
            life("a", &[("cleanup.policy", "compact,delete"), ("retention.ms", "-1")]),
            Life::Compacted
        );
    }

    #[test]
    fn what_is_only_compacted_is_not_deleted_by_age_or_size_and_its_records_are_looked_at() {
        let settings =
            |topic: &[_]| TopicSettings::effective(&configs(topic), &configs(&[]), &Statics::default());
        let header = ("duramen.validate.records", "header");
        let limits = [("retention.ms", "5"), ("retention.bytes", "9"), header];
        let of = |policy| settings(&[("cleanup.policy", policy), limits[0], limits[1], limits[2]]);
        let (deleted, compacted, both) = (of("delete"), of("compact"), of("compact,delete"));
        assert_eq!((deleted.retention_ms, compacted.retention_ms, both.retention_ms), (5, -1, 5));
        assert_eq!((deleted.retention_bytes, compacted.retention_bytes, both.retention_bytes), (9, -1, 9));
        assert_eq!([deleted.compacts, compacted.compacts, both.compacts], [false, true, true]);
        assert_eq!([deleted.compacted, compacted.compacted, both.compacted], [false, true, false]);
        assert_eq!(
            [deleted.trusts_header, compacted.trusts_header, both.trusts_header],
            [true, false, false]
        );
        assert_eq!((both.min_dirty_ppm, both.delete_retention_ms), (500_000, 86_400_000));
        assert_eq!((both.min_compaction_lag_ms, both.max_compaction_lag_ms), (0, i64::MAX));
        let set = settings(&[("min.cleanable.dirty.ratio", "0.123"), ("delete.retention.ms", "7")]);
        assert_eq!((set.min_dirty_ppm, set.delete_retention_ms), (123_000, 7));
    }
}
