//! The table of broker settings: the defaults of topic settings, and those of a node itself.

use super::kinds::{Kind, Setting};
use super::topic::SETTINGS as TOPIC_SETTINGS;
use crate::groups::config::Migration;

const fn own(name: &'static str, kind: Kind, default: Option<&'static str>, doc: &'static str) -> Setting {
    Setting { name, kind, default, doc }
}

/// Kafka's own authorizer, whose rules are kept here.
pub const AUTHORIZER: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";

const ANY_INT_FROM_1: Kind = Kind::Int { min: 1, max: i32::MAX };

/// Those that are no topic's default under the same unit. Sorted by name.
#[rustfmt::skip]
const OWN: &[Setting] = &[
    own("allow.everyone.if.no.acl.found", Kind::Boolean, Some("false"),
        "Whether everybody may do what is about no resource with an access rule, where there is an authorizer."),
    own("authorizer.class.name", Kind::Choice(&["", AUTHORIZER]), Some(""),
        "Turns the authorizer on, as --authorizer on does."),
    own("auto.create.topics.enable", Kind::Boolean, Some("true"),
        "Whether a topic is made when a client asks for one that is not there."),
    own("connections.max.idle.ms", Kind::Long { min: 1_000, max: i64::MAX }, Some("600000"),
        "A connection on which nothing happens for this long is closed."),
    own("connections.max.reauth.ms", Kind::Long { min: 0, max: 1 << 40 }, Some("0"),
        "A client of a SASL listener proves who it is again within this; 0: once is enough."),
    own("default.replication.factor", Kind::Int { min: 1, max: 32_767 }, Some("1"),
        "Replicas of a topic whose maker gives no number."),
    own("delete.topic.enable", Kind::Boolean, Some("true"),
        "Whether topics may be deleted."),
    own("duramen.local.admin", Kind::Boolean, Some("true"),
        "Whether who comes from the broker's own machine, in the clear, may do everything."),
    own("fetch.max.bytes", Kind::Int { min: 1024, max: i32::MAX }, Some("57671680"),
        "The most bytes that one fetch is answered with."),
    own("group.consumer.heartbeat.interval.ms", Kind::Int { min: 1, max: i32::MAX }, Some("5000"),
        "How often members of the consumer protocol send heartbeats; a group may have its own."),
    own("group.consumer.max.heartbeat.interval.ms", Kind::Int { min: 1, max: i32::MAX }, Some("15000"),
        "The longest heartbeat interval that a group may have as its own."),
    own("group.consumer.max.session.timeout.ms", Kind::Int { min: 1, max: i32::MAX }, Some("60000"),
        "The longest session timeout that a group of the consumer protocol may have as its own."),
    own("group.consumer.max.size", ANY_INT_FROM_1, Some("2147483647"),
        "The most members of one group of the consumer protocol; never more than 10,000."),
    own("group.consumer.migration.policy", Kind::Choice(&Migration::NAMES), Some("bidirectional"),
        "Which groups with members may change between the classic and the consumer protocol."),
    own("group.consumer.min.heartbeat.interval.ms", Kind::Int { min: 1, max: i32::MAX }, Some("5000"),
        "The shortest heartbeat interval that a group may have as its own."),
    own("group.consumer.min.session.timeout.ms", Kind::Int { min: 1, max: i32::MAX }, Some("45000"),
        "The shortest session timeout that a group of the consumer protocol may have as its own."),
    own("group.consumer.session.timeout.ms", Kind::Int { min: 1, max: i32::MAX }, Some("45000"),
        "A member of the consumer protocol that is not heard of for this long is gone; a group may have its own."),
    own("group.initial.rebalance.delay.ms", Kind::Int { min: 0, max: i32::MAX }, Some("3000"),
        "How long an empty group waits for more members before its first rebalance."),
    own("group.max.session.timeout.ms", Kind::Int { min: 1, max: i32::MAX }, Some("1800000"),
        "The longest session timeout that a group member may ask for."),
    own("group.max.size", ANY_INT_FROM_1, Some("2147483647"),
        "The most members of one group; never more than 10,000."),
    own("group.min.session.timeout.ms", Kind::Int { min: 1, max: i32::MAX }, Some("6000"),
        "The shortest session timeout that a group member may ask for."),
    own("log.retention.check.interval.ms", Kind::Long { min: 1, max: i64::MAX }, Some("300000"),
        "How often retention is looked at."),
    own("log.retention.hours", Kind::Int { min: -1, max: i32::MAX }, Some("168"),
        "How long records are kept when neither log.retention.ms nor log.retention.minutes is set."),
    own("log.retention.minutes", Kind::Int { min: -1, max: i32::MAX }, None,
        "How long records are kept when log.retention.ms is not set."),
    own("log.roll.hours", ANY_INT_FROM_1, Some("168"),
        "Without effect: segments roll by size."),
    own("log.roll.jitter.hours", Kind::Int { min: 0, max: i32::MAX }, Some("0"),
        "Without effect: segments roll by size."),
    own("max.connections", Kind::Int { min: 1, max: i32::MAX }, Some("2147483647"),
        "Connections that a broker (a shard) serves at once, and never more than leave its files their descriptors; further ones wait until others leave."),
    own("max.connections.per.ip", Kind::Int { min: 1, max: i32::MAX }, Some("2147483647"),
        "Connections that a broker (a shard) serves from one address; further ones are closed."),
    own("max.incremental.fetch.session.cache.slots", Kind::Int { min: 0, max: i32::MAX }, Some("1000"),
        "How many fetch sessions the node remembers."),
    own("num.partitions", ANY_INT_FROM_1, Some("1"),
        "Partitions of a topic whose maker gives no number."),
    own("offset.metadata.max.bytes", Kind::Int { min: 0, max: 32_767 }, Some("4096"),
        "The longest text that may come with a committed offset."),
    own("offsets.retention.check.interval.ms", Kind::Long { min: 1, max: i64::MAX }, Some("600000"),
        "How often committed offsets are looked at for expiry."),
    own("offsets.retention.minutes", ANY_INT_FROM_1, Some("10080"),
        "How long committed offsets are kept that no member of their group uses."),
    own("offsets.topic.num.partitions", Kind::Int { min: 1, max: 10_000 }, Some("50"),
        "Partitions of the topic of committed offsets, when it is made."),
    own("offsets.topic.replication.factor", Kind::Int { min: 1, max: 32_767 }, None,
        "Replicas of the topic of committed offsets, when it is made; not set: 3 where there are as many nodes, else default.replication.factor."),
    // Kafka's 100 MiB would be read back in seconds, and there each segment is compacted alone.
    own("offsets.topic.segment.bytes", Kind::Int { min: 4096, max: i32::MAX }, Some("4194304"),
        "A partition of the topic of committed offsets that grows above this, and above twice what lives in it, is written again at its tail."),
    own("sasl.enabled.mechanisms", Kind::List(&["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"]), Some("SCRAM-SHA-512,SCRAM-SHA-256"),
        "What SASL listeners offer; PLAIN and OAUTHBEARER, which send what they prove with, only over TLS or on this machine."),
    own("sasl.oauthbearer.clock.skew.seconds", Kind::Int { min: 0, max: 3600 }, Some("30"),
        "How far the clocks of this node and of whoever issues tokens may differ."),
    own("sasl.oauthbearer.expected.audience", Kind::Text, None,
        "Audiences, with commas between: a token is for one of them. Not set: for any."),
    own("sasl.oauthbearer.expected.issuer", Kind::Text, None,
        "Who issues the tokens that are taken. Not set: anybody with a key of the JWKS file."),
    own("sasl.oauthbearer.jwks.endpoint.url", Kind::Text, None,
        "The file with the keys of tokens, as a JSON Web Key Set: file:///PATH. It is read again when it changes."),
    own("sasl.oauthbearer.sub.claim.name", Kind::Text, Some("sub"),
        "The claim of a token that names the user."),
    // Kafka's 524288 is for Kerberos; whoever is not known yet gets no more memory than this.
    own("sasl.server.max.receive.size", Kind::Int { min: 1024, max: 524_288 }, Some("65536"),
        "The largest message of a client that has not proven yet who it is."),
    own("socket.request.max.bytes", Kind::Int { min: 1024, max: 104_857_600 }, Some("104857600"),
        "The largest request that is read; a larger one closes its connection."),
    own("ssl.client.auth", Kind::Choice(&["none", "requested", "required"]), Some("none"),
        "Whether clients of listeners within TLS show certificates."),
    own("ssl.principal.mapping.rules", Kind::Text, Some("DEFAULT"),
        "Who a client is by the subject of its certificate: RULE:PATTERN/REPLACEMENT/[LU], the first that fits, with commas between."),
    own("super.users", Kind::Text, None,
        "Who may do everything whatever the access rules say, such as User:alice;User:bob."),
    own("transaction.max.timeout.ms", ANY_INT_FROM_1, Some("900000"),
        "The longest time that a producer may ask for its transactions; then they are aborted."),
    own("transaction.remove.expired.transaction.cleanup.interval.ms", Kind::Int { min: 1, max: i32::MAX }, Some("3600000"),
        "How often transactional ids are looked at for expiry."),
    own("transaction.state.log.num.partitions", Kind::Int { min: 1, max: 10_000 }, Some("50"),
        "Partitions of the topic of transactions, when it is made."),
    own("transaction.state.log.replication.factor", Kind::Int { min: 1, max: 32_767 }, None,
        "Replicas of the topic of transactions, when it is made; not set: 3 where there are as many nodes, else default.replication.factor."),
    own("transaction.state.log.segment.bytes", Kind::Int { min: 4096, max: i32::MAX }, Some("4194304"),
        "A partition of the topic of transactions that grows above this, and above twice what lives in it, is written again at its tail."),
    own("transactional.id.expiration.ms", ANY_INT_FROM_1, Some("604800000"),
        "How long a transactional id is remembered that no producer uses."),
];

/// All broker settings, not sorted.
pub fn settings() -> impl Iterator<Item = Setting> {
    TOPIC_SETTINGS.iter().flat_map(topic_defaults).chain(OWN.iter().copied())
}

/// The broker settings of the same unit that give a topic setting its default.
fn topic_defaults(topic: &'static super::topic::TopicSetting) -> impl Iterator<Item = Setting> {
    topic.synonyms.iter().filter(|synonym| synonym.scale == 1).map(|synonym| Setting {
        name: synonym.name,
        // Where another unit follows, that one holds the default.
        default: if topic.synonyms.len() > 1 { None } else { topic.setting.default },
        ..topic.setting
    })
}

/// A broker setting by name.
pub fn setting(name: &str) -> Option<Setting> {
    settings().find(|setting| setting.name == name)
}

/// Whether it may change while the broker runs, for all brokers at once. As in Kafka these are
/// the defaults of topic settings.
pub fn is_dynamic(name: &str) -> bool {
    TOPIC_SETTINGS.iter().flat_map(topic_defaults).any(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_is_there_once() {
        let names: Vec<_> = settings().map(|setting| setting.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(is_dynamic("log.retention.ms"));
        assert!(!is_dynamic("num.partitions"));
        assert!(!is_dynamic("log.retention.hours"));
    }

    #[test]
    fn every_synonym_is_a_broker_setting() {
        for topic in TOPIC_SETTINGS {
            for synonym in topic.synonyms {
                assert!(setting(synonym.name).is_some(), "{}", synonym.name);
            }
        }
    }
}
