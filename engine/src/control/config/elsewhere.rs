//! Kafka's broker settings that have no meaning here, and where what they are about is set instead.
//! Tools that manage Kafka delete and set them: a deletion leaves what was so anyway, and a set is
//! refused with the place.

const SHARDS: &str = "one thread per shard does all work; start the node with --shards";
const MEMORY: &str = "all memory has one bound; start the node with --memory";
const LISTEN: &str = "start the node with --listen and --advertise";
const QUORUM: &str = "nodes agree by their own protocol; start them with --node-id and --peers";
const FOLDER: &str = "start the node with --data-dir";
const DISK: &str =
    "segments are written with direct I/O and synced before they are acknowledged; see --segment-bytes";
const REPLICATION: &str = "followers are sent entries as they are written; see --catch-up-rate";
const COMPACTION: &str = "compaction is paced by --rewrite-bytes-per-second, and set by topic: min.cleanable.dirty.ratio, delete.retention.ms";
const TRANSACTIONS: &str = "set transaction.max.timeout.ms, transactional.id.expiration.ms and transaction.state.log.* in the node's file";
const TIERED: &str = "tiered storage is not built";
const SECURITY: &str = "security is set by listeners (--listener NAME=PROTOCOL://HOST:PORT) and sasl.enabled.mechanisms; see OPERATIONS.md";
const TLS: &str = "certificates are PEM files: start the node with --tls-folder, or --tls-certificate, --tls-key and --tls-ca";
const QUOTAS: &str =
    "quotas are set per client, with kafka-configs --entity-type clients or AlterClientQuotas";
const METRICS: &str = "metrics are at --http-listen under /metrics";
const GROUPS: &str = "groups of the new protocol, share groups and streams groups are not built";
const BALANCE: &str =
    "leaders go back to the first replica of their list by themselves; ElectLeaders does it at once";
const SOCKETS: &str = "the kernel sizes the buffers of sockets (net.ipv4.tcp_rmem, tcp_wmem)";

/// Prefixes of names, and whole ones; the first that fits counts.
#[rustfmt::skip]
const PLACES: &[(&str, &str)] = &[
    ("advertised.listeners", LISTEN), ("listeners", LISTEN), ("listener.", LISTEN), ("control.plane.listener.", LISTEN),
    ("inter.broker.", LISTEN), ("host.name", LISTEN), ("port", LISTEN), ("early.start.listeners", LISTEN),
    ("alter.config.policy.class.name", SECURITY), ("create.topic.policy.class.name", SECURITY),
    ("early.start.", SECURITY), ("principal.builder.", SECURITY),
    ("ssl.", TLS), ("sasl.", SECURITY), ("security.", SECURITY), ("password.encoder.", SECURITY), ("delegation.token.", SECURITY),
    ("connection.failed.authentication.delay.ms", SECURITY),
    ("zookeeper.", QUORUM),
    ("node.id", QUORUM), ("broker.id", QUORUM), ("reserved.broker.max.id", QUORUM), ("process.roles", QUORUM),
    ("controller.", QUORUM), ("metadata.", QUORUM), ("broker.heartbeat.", QUORUM), ("broker.session.", QUORUM),
    ("initial.broker.registration.timeout.ms", QUORUM), ("server.max.startup.time.ms", QUORUM), ("unstable.", QUORUM),
    ("broker.rack", "start the node with --rack"), ("replica.selector.class", "fetches are answered by leaders"),
    ("log.dir", FOLDER), ("cordoned.log.dirs", FOLDER),
    ("num.network.threads", SHARDS), ("num.io.threads", SHARDS), ("background.threads", SHARDS),
    ("num.recovery.threads.per.data.dir", SHARDS), ("num.replica.alter.log.dirs.threads", SHARDS),
    ("num.replica.fetchers", SHARDS), ("queued.max.", MEMORY), ("message.max.copies", MEMORY),
    ("socket.send.buffer.bytes", SOCKETS), ("socket.receive.buffer.bytes", SOCKETS), ("socket.listen.backlog.size", SOCKETS),
    ("socket.connection.setup.", SOCKETS), ("replica.socket.", REPLICATION), ("replica.fetch.", REPLICATION),
    ("replica.high.watermark.", REPLICATION), ("replica.lag.time.max.ms", REPLICATION), ("leader.replication.throttled.rate", REPLICATION),
    ("follower.replication.throttled.rate", REPLICATION), ("replication.quota.", REPLICATION), ("follower.fetch.", REPLICATION),
    ("fetch.purgatory.", REPLICATION), ("producer.purgatory.", REPLICATION), ("delete.records.purgatory.", REPLICATION),
    ("auto.leader.rebalance.enable", BALANCE), ("leader.imbalance.", BALANCE),
    ("log.cleaner.", COMPACTION), ("log.flush.", DISK), ("log.initial.task.delay.ms", DISK), ("log.message.format.version", DISK),
    ("log.message.downconversion.enable", DISK), ("log.dir.failure.timeout.ms", DISK), ("controlled.shutdown.", DISK),
    ("log.message.timestamp.difference.max.ms", "set log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms"),
    ("remote.", TIERED), ("log.local.", TIERED),
    ("transaction.", TRANSACTIONS), ("transactional.", TRANSACTIONS), ("producer.id.expiration.", TRANSACTIONS),
    ("quota.", QUOTAS), ("alter.log.dirs.replication.quota.", QUOTAS), ("controller.quota.", QUOTAS), ("client.quota.", QUOTAS),
    ("max.connection.creation.rate", QUOTAS), ("max.connections.per.ip.overrides", QUOTAS),
    ("metric", METRICS), ("auto.include.jmx.reporter", METRICS), ("kafka.metrics.", METRICS), ("telemetry.max.bytes", METRICS),
    ("group.consumer.", GROUPS), ("group.coordinator.", GROUPS), ("group.share.", GROUPS), ("group.streams.", GROUPS), ("share.coordinator.", GROUPS),
    ("offsets.commit.", GROUPS), ("offsets.load.buffer.size", GROUPS), ("offsets.topic.compression.codec", GROUPS),
    ("max.request.partition.size.limit", "an answer of DescribeTopicPartitions has at most 2,000 partitions"),
    ("request.timeout.ms", "clients say how long their requests may take"),
    ("eligible.leader.replicas.", "a quorum holds all that is committed"),
    ("config.providers", "values are taken as they stand; write them into the node's file"),
];

/// Where what a setting of Kafka's brokers is about is set here; `None` for names that Kafka does
/// not know either, or that have their meaning here.
pub fn elsewhere(name: &str) -> Option<&'static str> {
    if super::broker::setting(name).is_some() {
        return None;
    }
    let fits = |prefix: &str| name == prefix || (prefix.ends_with('.') && name.starts_with(prefix));
    let begins =
        |prefix: &str| matches!(prefix, "log.dir" | "metric" | "broker.id") && name.starts_with(prefix);
    PLACES.iter().find(|(prefix, _)| fits(prefix) || begins(prefix)).map(|(_, place)| *place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_names_say_where_they_belong_and_others_do_not() {
        for (name, part) in [
            ("num.io.threads", "--shards"),
            ("log.dirs", "--data-dir"),
            ("log.cleaner.threads", "compaction"),
            ("listener.security.protocol.map", "--listen"),
            ("broker.id.generation.enable", "--node-id"),
            ("metric.reporters", "/metrics"),
            ("follower.replication.throttled.rate", "--catch-up-rate"),
        ] {
            assert!(elsewhere(name).is_some_and(|place| place.contains(part)), "{name}");
        }
        for name in [
            "no.such",
            "num.io.thread",
            "num.partitions",
            "log.retention.ms",
            "log.cleaner.min.cleanable.ratio",
        ] {
            assert_eq!(elsewhere(name), None, "{name}");
        }
    }
}
