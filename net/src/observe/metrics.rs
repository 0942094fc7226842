//! The metrics page: the shards' figures as OpenMetrics text. Reads pages, counts nothing itself. What other forms
//! there are of it is `exposition`'s.

use crate::kafka::versions;
use crate::observe::stats::{ApiStats, ShardPage};
use crate::observe::status::Status;
use engine::health::{Finding, Kind};
use engine::journal::log::deleting::Why;
use engine::journal::quorum::lead::FollowerStanding;
use engine::latency::{LATENCY_BUCKETS, Latency};
use engine::peer::Space;
use engine::port::NotRewritten;
use engine::shard::JournalMetrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::{Error, Result};

/// Name without `duramen_`, help text, and the figure.
type Row<T> = (&'static str, &'static str, fn(&T) -> u64);

const SHARD_COUNTERS: &[Row<ShardPage>] = &[
    ("connections_accepted", "Connections accepted", |p| p.connections_accepted),
    ("connections_refused", "Connections closed for bad input, a time-out or the memory budget", |p| {
        p.connections_refused
    }),
    ("logins_refused", "Clients that did not prove who they are", |p| p.logins_refused),
    ("tls_handshakes", "TLS handshakes that were done", |p| p.tls_handshakes),
    ("tls_handshakes_failed", "TLS handshakes that came to nothing", |p| p.tls_handshakes_failed),
    ("throttled", "Answers after which a connection was muted: a quota was exceeded", |p| p.throttled),
    ("received_bytes", "Bytes received from clients", |p| p.received_bytes),
    ("sent_bytes", "Bytes sent to clients", |p| p.sent_bytes),
    ("peer_received_bytes", "Bytes received from other nodes", |p| p.links.received_bytes),
    ("peer_sent_bytes", "Bytes sent to other nodes", |p| p.links.sent_bytes),
    ("peer_links_refused", "Calls to and from other nodes that came to nothing", |p| p.links.refused),
    ("peer_links_closed", "Links to other nodes that ended", |p| p.links.closed),
    ("scrubbed_bytes", "Bytes of sealed segments read again in the background", |p| p.engine.scrub.bytes),
    ("scrub_passes", "Times that all sealed segments were read again", |p| p.engine.scrub.passes),
    ("scrub_faults", "Entries that the scrub found bad", |p| p.engine.scrub.faults),
];

const SHARD_GAUGES: &[Row<ShardPage>] = &[
    ("connections", "Connections open", |p| p.connections_open),
    ("requests_in_flight", "Requests received whole and not answered yet", |p| p.requests_in_flight),
    ("peer_links", "Links to shards of other nodes", |p| p.links.open),
    ("peer_queued_bytes", "Bytes that wait to be sent to other nodes", |p| p.links.queued_bytes),
    ("disk_in_flight", "Disk operations handed out and not completed", |p| p.disk_in_flight),
    ("memory_budget_bytes", "Memory that frames and answers may take", |p| p.memory_budget_bytes),
    ("memory_used_bytes", "Memory reserved for frames and answers", |p| p.memory_used_bytes),
    ("parked_fetches", "Fetches waiting for records", |p| p.engine.parked_fetches),
    ("time_queries_running", "Lookups of offsets by time under way", |p| p.engine.time_questions.0),
    ("time_queries_waiting", "Lookups of offsets by time that wait for their turn", |p| {
        p.engine.time_questions.1
    }),
    ("replicas_joining", "Replicas of this node that do not count yet; until 0 no other disk may go", |p| {
        p.engine.replicas_joining
    }),
    ("groups", "Consumer groups that the shard coordinates", |p| p.groups.machine.groups),
    ("group_members", "Members of those groups", |p| p.groups.machine.members),
    ("groups_loading", "Partitions of the offsets topic that are being read back", |p| p.groups.loading),
    ("groups_history_bytes", "Bytes to read back after a restart", |p| p.groups.history_bytes),
    (
        "transactional_ids",
        "Transactional ids that the shard coordinates; each partition has room for 10,000",
        |p| p.transactions.machine.ids,
    ),
    ("transactional_ids_bytes", "Their texts and partitions; each partition has room for 8 MiB", |p| {
        p.transactions.machine.bytes
    }),
    (
        "transactional_ids_refused",
        "Requests refused for want of room, as POLICY_VIOLATION, since the shard coordinates them",
        |p| p.transactions.machine.refused,
    ),
    ("transactions_open", "Transactions of those ids that are open", |p| p.transactions.machine.open),
    ("transactions_oldest_seconds", "For how long the oldest of those is open", |p| {
        p.transactions.machine.oldest_ms / 1000
    }),
    ("transactions_loading", "Partitions of the topic of transactions that are being read back", |p| {
        p.transactions.loading
    }),
    ("transactions_history_bytes", "Bytes of transactions to read back after a restart", |p| {
        p.transactions.history_bytes
    }),
    ("cache_bytes", "Entries kept in memory for readers", |p| p.engine.cache_bytes),
    ("cache_bytes_max", "What entries in memory may take now: as much as readers would have used", |p| {
        p.engine.cache_bytes_max
    }),
    ("scrub_pass_bytes", "Bytes read in the pass under way", |p| p.engine.scrub.pass_bytes),
    ("scrub_sealed_bytes", "Bytes in sealed segments: a whole pass", |p| p.engine.scrub.sealed_bytes),
    (
        "scrub_last_pass_timestamp_seconds",
        "When the last whole pass ended, seconds since 1970; 0 before",
        |p| (p.engine.scrub.last_pass_wall_ms / 1000) as u64,
    ),
    ("pool_used_bytes", "Buffers in use", |p| p.engine.pool_used_bytes),
    ("pool_free_bytes", "Buffers kept for reuse", |p| p.engine.pool_free_bytes),
    ("incoming_bytes", "Held of checkpoints that come from other nodes", |p| p.engine.incoming_bytes),
    ("journals_closed", "Journals that are here and cannot be opened", |p| p.engine.journals_closed),
];

const JOURNAL_COUNTERS: &[Row<JournalMetrics>] = &[
    ("journal_entries", "Entries appended; batches over entries is the group commit's size", |j| j.entries),
    ("journal_entry_bytes", "Bytes of entries appended, heads and padding included", |j| j.entry_bytes),
    ("journal_batches", "Record batches appended", |j| j.batches),
    ("journal_batch_bytes", "Bytes of record batches appended", |j| j.batch_bytes),
    ("journal_syncs", "fdatasync calls, and writes that synced themselves (O_DSYNC)", |j| j.syncs),
    ("journal_synced_entries", "Entries made durable; over syncs it is entries per sync", |j| {
        j.synced_entries
    }),
    ("journal_zeroed_bytes", "Bytes of zeros written ahead of small entries", |j| j.zeroed_bytes),
    ("journal_held_writes", "Writes that waited for zeros on their way to the same blocks", |j| {
        j.held_writes
    }),
    ("journal_repaired_entries", "Damaged entries fetched from other replicas and written again", |j| {
        j.repaired_entries
    }),
    ("journal_rewrite_passes", "Passes of compaction that made a run", |j| j.rewrite_passes),
    ("journal_rewrite_failed", "Passes of compaction that came to nothing", |j| j.rewrite_failed),
    ("journal_rewrite_input_bytes", "Bytes of the files that went into runs", |j| j.rewrite_input_bytes),
    ("journal_rewrite_output_bytes", "Bytes of the runs that were made", |j| j.rewrite_output_bytes),
    ("journal_rewrite_freed_bytes", "Bytes of those that went in and are not in the runs", |j| {
        j.rewrite_input_bytes.saturating_sub(j.rewrite_output_bytes)
    }),
    ("journal_digests_compared", "Sealed segments whose digest was compared with the leader's", |j| {
        j.digests_compared
    }),
    ("journal_digests_differing", "Sealed segments whose digest was not the leader's", |j| {
        j.digests_differing
    }),
    ("journal_elections", "Times that this replica was elected", |j| j.elections),
    ("journal_refused_messages", "Messages of other replicas that were not believed", |j| j.refused_messages),
    ("journal_markers_aborted", "Transactions aborted in partitions, by this leader", |j| j.markers[0]),
    ("journal_markers_committed", "Transactions committed in partitions, by this leader", |j| j.markers[1]),
    ("journal_duplicates", "Batches of idempotent producers answered as duplicates", |j| j.duplicates),
];

type RatioRow = (&'static str, &'static str, fn(&JournalMetrics) -> f64);

/// Shares and factors.
const JOURNAL_RATIOS: &[RatioRow] = &[
    (
        "journal_dirty_ratio",
        "The share of what compaction would read that is new, as it was found last: see min.cleanable.dirty.ratio",
        |j| ratio(j.dirty_bytes, j.clean_bytes + j.dirty_bytes),
    ),
    (
        "journal_write_amplification",
        "Bytes written into runs for each byte of segments that went in, since the process began",
        |j| ratio(j.rewrite_output_bytes, j.rewrite_new_bytes),
    ),
];

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Counters of time, in seconds.
const JOURNAL_TIMES: &[Row<JournalMetrics>] =
    &[("journal_held_back_seconds", "Time that producers waited for a follower that nearly keeps up", |j| {
        j.held_back_ns
    })];

const JOURNAL_GAUGES: &[Row<JournalMetrics>] = &[
    ("journal_term", "Raft term", |j| j.term),
    ("journal_is_leader", "1 when this replica leads", |j| u64::from(j.is_leader)),
    ("journal_commit_index", "Highest index known to be committed", |j| j.commit),
    ("journal_durable_index", "Highest index on this disk", |j| j.durable),
    ("journal_last_index", "Highest index appended", |j| j.last),
    ("journal_segments", "Segment files", |j| j.segments),
    ("journal_live_bytes", "Bytes of batches that clients can read", |j| j.live_bytes),
    ("journal_dead_bytes", "Bytes of deleted batches in segments still there", |j| j.dead_bytes),
    ("journal_run_bytes", "Bytes of the run that is read: what compaction left", |j| j.run_bytes),
    ("journal_bad_runs", "Runs that are damaged or not there", |j| j.bad_runs),
    ("journal_clean_bytes", "Bytes that a pass of compaction left, as it was found last", |j| j.clean_bytes),
    ("journal_dirty_bytes", "Bytes in full segments that are not compacted, as it was found last", |j| {
        j.dirty_bytes
    }),
    ("journal_pinned_bytes", "Dead bytes in sealed segments that something alive keeps", |j| j.pinned_bytes),
    ("journal_fence_bytes", "Memory for which segments have which partitions", |j| j.fence_bytes),
    (
        "journal_open_transactions",
        "Transactions open in its partitions; at 65,536 no other one begins",
        |j| j.open_transactions,
    ),
    ("journal_full", "1 when produce is refused for want of space", |j| u64::from(j.full)),
    ("journal_damaged_ranges", "Damaged ranges of entries, not repaired yet", |j| j.damaged_ranges),
    ("journal_bad_copies", "Bad copies of journal.meta and hard-state at the last start", |j| j.bad_copies),
    ("journal_bad_checkpoints", "Checkpoints that cannot be read, not replaced yet", |j| j.bad_checkpoints),
    ("journal_quarantined", "1 while this replica neither votes nor acknowledges", |j| {
        u64::from(j.quarantined)
    }),
];

/// By reason.
const FRONT_KEPT: (&str, &str) = (
    "journal_front_kept",
    "1 for what keeps the oldest sealed segment: its file is deleted when nothing does",
);

/// By reason, of what asks for compaction.
const NOT_REWRITTEN: (&str, &str) = (
    "journal_not_rewritten",
    "1 for why no run is made now, of a journal with compacted topics, by its leader",
);

const STAGES_HELP: &str = "Of an entry: group, from its first batch to its seal; write, from its append to its \
    last write; sync, one fdatasync; durable, from its append to it and all before it being on this disk; commit, \
    from its append to its commit. Of a fetch: read, from the disk";

type FollowerRow = (&'static str, &'static str, fn(&FollowerStanding) -> f64);

/// Told by the leader.
const FOLLOWER_GAUGES: &[FollowerRow] = &[
    ("follower_matched_index", "Highest index that the follower has on its disk", |f| f.matched.0 as f64),
    ("follower_lag_entries", "Entries that the follower has not acknowledged", |f| f.lag_entries as f64),
    ("follower_lag_bytes", "Bytes of those entries", |f| f.lag_bytes as f64),
    ("follower_lag_seconds", "Since when the follower has not held all that there was", |f| {
        f.lag_ns as f64 / 1e9
    }),
    ("follower_full", "1 when the follower's disk has no place for the next entry", |f| {
        f64::from(u8::from(f.space == Space::Full))
    }),
    ("follower_in_sync", "1 when the follower is in sync", |f| f64::from(u8::from(f.in_sync))),
];

/// The whole page.
pub fn page(status: &Status) -> String {
    let mut registry = Registry::with_prefix("duramen");
    let (shards, is_ready, findings) = (status.pages(), status.is_ready(), status.findings());
    let certificate_end_s = status.certificate_end_s();
    registry.register_collector(Box::new(Page { shards, is_ready, findings, certificate_end_s }));
    let mut text = String::with_capacity(16 << 10);
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes all");
    text
}

#[derive(Debug)]
struct Page {
    shards: Vec<ShardPage>,
    is_ready: bool,
    certificate_end_s: Option<i64>,
    findings: Vec<Finding>,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result {
        let help = "1 while every shard answers clients and what the node needs has a quorum";
        gauge(&mut descriptor(&mut encoder, "ready", help, MetricType::Gauge)?, u64::from(self.is_ready))?;
        self.health(&mut encoder)?;
        if let Some(end_s) = self.certificate_end_s {
            let help = "When this node's certificate expires, seconds since 1970";
            let name = "tls_certificate_end_timestamp_seconds";
            gauge(&mut descriptor(&mut encoder, name, help, MetricType::Gauge)?, end_s.max(0) as u64)?;
        }
        let help = "Log lines that stderr did not take";
        let mut dropped = descriptor(&mut encoder, "log_lines_dropped", help, MetricType::Counter)?;
        counter(&mut dropped, crate::process::logging::dropped_lines())?;
        if let Some(audit) = crate::audit::figures() {
            let help = "Lines of the audit log that were written";
            counter(&mut descriptor(&mut encoder, "audit_lines", help, MetricType::Counter)?, audit.written)?;
            let help = "Lines of the audit log that found no place or could not be written";
            let mut dropped = descriptor(&mut encoder, "audit_lines_dropped", help, MetricType::Counter)?;
            counter(&mut dropped, audit.dropped)?;
        }
        self.shard_rows(&mut encoder)?;
        self.journal_rows(&mut encoder)?;
        self.follower_rows(&mut encoder)?;
        self.stages(&mut encoder)?;
        self.delays(&mut encoder)?;
        self.steps(&mut encoder)?;
        self.apis(&mut encoder)
    }
}

impl Page {
    /// Every kind, so that an alert has a series before anything is wrong.
    fn health(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        let help = "What is wrong, as far as this node knows: how many findings of each kind there are";
        let mut family = descriptor(encoder, "health", help, MetricType::Gauge)?;
        for kind in Kind::ALL {
            let count = self.findings.iter().filter(|finding| finding.what.kind() == kind).count();
            gauge(&mut family.encode_family(&[("what", kind.name())])?, count as u64)?;
        }
        Ok(())
    }

    fn shard_rows(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        for (rows, kind) in [(SHARD_COUNTERS, MetricType::Counter), (SHARD_GAUGES, MetricType::Gauge)] {
            for (name, help, figure) in rows {
                let mut family = descriptor(encoder, name, help, kind)?;
                for (shard, page) in self.shards.iter().enumerate() {
                    value(&mut family.encode_family(&[("shard", shard.to_string())])?, kind, figure(page))?;
                }
            }
        }
        Ok(())
    }

    fn journals(&self) -> impl Iterator<Item = ([(&'static str, String); 2], &JournalMetrics)> {
        self.shards.iter().enumerate().flat_map(|(shard, page)| {
            let labels = move |journal: &JournalMetrics| {
                [("shard", shard.to_string()), ("journal", journal.journal.to_string())]
            };
            page.engine.journals.iter().map(move |journal| (labels(journal), journal))
        })
    }

    fn journal_rows(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        for (rows, kind) in [(JOURNAL_COUNTERS, MetricType::Counter), (JOURNAL_GAUGES, MetricType::Gauge)] {
            for (name, help, figure) in rows {
                let mut family = descriptor(encoder, name, help, kind)?;
                for (labels, journal) in self.journals() {
                    value(&mut family.encode_family(&labels)?, kind, figure(journal))?;
                }
            }
        }
        let mut family = descriptor(encoder, FRONT_KEPT.0, FRONT_KEPT.1, MetricType::Gauge)?;
        for ([shard, journal], figures) in self.journals() {
            for why in Why::ALL {
                let labels = [shard.clone(), journal.clone(), ("why", why.name().to_owned())];
                let is_so = u64::from(figures.front_kept == Some(why));
                value(&mut family.encode_family(&labels)?, MetricType::Gauge, is_so)?;
            }
        }
        let mut family = descriptor(encoder, NOT_REWRITTEN.0, NOT_REWRITTEN.1, MetricType::Gauge)?;
        for ([shard, journal], figures) in self.journals() {
            let Some(is_why) = figures.not_rewritten else { continue };
            for why in NotRewritten::ALL {
                let labels = [shard.clone(), journal.clone(), ("why", why.name().to_owned())];
                value(&mut family.encode_family(&labels)?, MetricType::Gauge, u64::from(is_why == why))?;
            }
        }
        for (name, help, figure) in JOURNAL_RATIOS {
            let mut family = descriptor(encoder, name, help, MetricType::Gauge)?;
            for (labels, journal) in self.journals() {
                family.encode_family(&labels)?.encode_gauge(&figure(journal))?;
            }
        }
        for (name, help, nanoseconds) in JOURNAL_TIMES {
            let mut family = descriptor(encoder, name, help, MetricType::Counter)?;
            for (labels, journal) in self.journals() {
                let seconds = nanoseconds(journal) as f64 / 1e9;
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
            }
        }
        Ok(())
    }

    fn follower_rows(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        for (name, help, figure) in FOLLOWER_GAUGES {
            let mut family = descriptor(encoder, name, help, MetricType::Gauge)?;
            for (shard, page) in self.shards.iter().enumerate() {
                for (journal, follower) in &page.followers {
                    let (shard, journal) = (shard.to_string(), journal.to_string());
                    let labels =
                        [("shard", shard), ("journal", journal), ("node", follower.node.to_string())];
                    family.encode_family(&labels)?.encode_gauge(&figure(follower))?;
                }
            }
        }
        Ok(())
    }

    /// Sum and count as a histogram of one bucket: the mean is what they give.
    fn stages(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        let mut family = descriptor(encoder, "stage_seconds", STAGES_HELP, MetricType::Histogram)?;
        for (shard, page) in self.shards.iter().enumerate() {
            let stages = &page.engine.stages;
            let all = [
                ("group", &stages.group),
                ("write", &stages.write),
                ("sync", &stages.sync),
                ("durable", &stages.durable),
                ("commit", &stages.commit),
                ("read", &page.engine.read),
            ];
            for (stage, latency) in all {
                let labels = [("shard", shard.to_string()), ("stage", stage.to_owned())];
                histogram(&mut family.encode_family(&labels)?, latency)?;
            }
        }
        Ok(())
    }

    /// How late what is to come in time came.
    fn delays(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        type Delay = (&'static str, &'static str, fn(&ShardPage) -> &Latency);
        let delays: [Delay; 2] = [
            ("fetch_late_seconds", "Fetches answered later than they asked to wait, by how much", |p| {
                &p.fetches_late
            }),
            ("tick_late_seconds", "How late a shard's timer of 10 ms came: all waited as long", |p| {
                &p.ticks_late
            }),
        ];
        for (name, help, delay) in delays {
            let mut family = descriptor(encoder, name, help, MetricType::Histogram)?;
            for (shard, page) in self.shards.iter().enumerate() {
                histogram(&mut family.encode_family(&[("shard", shard.to_string())])?, delay(page))?;
            }
        }
        Ok(())
    }

    /// The engine's steps, by input.
    fn steps(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        let each = || {
            self.shards.iter().enumerate().flat_map(|(shard, page)| {
                let labels = move |input: &str| [("shard", shard.to_string()), ("input", input.to_owned())];
                page.steps.by_name().map(move |(input, step)| (labels(input), step))
            })
        };
        let help = "One step of a shard, by its input: all else on the shard waits for it";
        let mut family = descriptor(encoder, "step_seconds", help, MetricType::Histogram)?;
        for (labels, step) in each() {
            histogram(&mut family.encode_family(&labels)?, &step.times)?;
        }
        let help = "The longest step since the process began, by its input";
        let mut family = descriptor(encoder, "step_longest_seconds", help, MetricType::Gauge)?;
        for (labels, step) in each() {
            family.encode_family(&labels)?.encode_gauge(&(step.longest_ns as f64 / 1e9))?;
        }
        Ok(())
    }

    fn each_api(&self) -> impl Iterator<Item = ([(&'static str, String); 2], &ApiStats)> {
        self.shards.iter().enumerate().flat_map(|(shard, page)| {
            page.apis.iter().map(move |(key, stats)| {
                ([("shard", shard.to_string()), ("api", versions::name(*key).to_owned())], stats)
            })
        })
    }

    fn apis(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        let help =
            "From a request's last byte received to its answer's hand-over to the socket, by Kafka's API";
        let mut family = descriptor(encoder, "request_seconds", help, MetricType::Histogram)?;
        for (labels, stats) in self.each_api() {
            histogram(&mut family.encode_family(&labels)?, &stats.latency)?;
        }
        let help = "Answers with an error code";
        let mut family = descriptor(encoder, "request_errors", help, MetricType::Counter)?;
        for (labels, stats) in self.each_api() {
            counter(&mut family.encode_family(&labels)?, stats.errors)?;
        }
        Ok(())
    }
}

/// The head of a family; its help is a sentence.
fn descriptor<'s>(
    encoder: &'s mut DescriptorEncoder<'_>,
    name: &'s str,
    help: &str,
    kind: MetricType,
) -> std::result::Result<MetricEncoder<'s>, Error> {
    encoder.encode_descriptor(name, &format!("{help}."), None, kind)
}

fn value(metric: &mut MetricEncoder<'_>, kind: MetricType, value: u64) -> Result {
    match kind {
        MetricType::Counter => counter(metric, value),
        MetricType::Gauge => gauge(metric, value),
        _ => Err(Error),
    }
}

fn counter(metric: &mut MetricEncoder<'_>, value: u64) -> Result {
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn gauge(metric: &mut MetricEncoder<'_>, value: u64) -> Result {
    metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
}

fn histogram(metric: &mut MetricEncoder<'_>, latency: &Latency) -> Result {
    let mut buckets = [(f64::INFINITY, 0); LATENCY_BUCKETS];
    for (at, bucket) in buckets.iter_mut().enumerate() {
        *bucket = (Latency::upper_bound_s(at), latency.buckets[at]);
    }
    metric.encode_histogram::<NoLabelSet>(latency.sum_ns as f64 / 1e9, latency.count, &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ids::{Index, JournalId, NodeId, ShardId};

    #[test]
    fn a_followers_lag_comes_with_its_node() {
        let status = Status::new(1);
        let mut page = ShardPage::default();
        let standing = FollowerStanding {
            node: NodeId(3),
            matched: Index(7),
            lag_entries: 2,
            lag_bytes: 8192,
            lag_ns: 1_500_000_000,
            in_sync: true,
            space: Space::Room,
        };
        page.followers.push((JournalId(5), standing));
        status.publish(ShardId(0), page);
        let text = super::page(&status);
        for (name, value) in
            [("matched_index", "7"), ("lag_entries", "2"), ("lag_bytes", "8192"), ("lag_seconds", "1.5")]
        {
            let line = format!("duramen_follower_{name}{{shard=\"0\",journal=\"5\",node=\"3\"}} {value}");
            assert!(text.contains(&line), "{line}\nin\n{text}");
        }
    }

    #[test]
    fn figures_come_with_their_shard_journal_and_api() {
        let status = Status::new(2);
        let mut page = ShardPage { received_bytes: 7, ..ShardPage::default() };
        page.engine.journals.push(JournalMetrics {
            journal: JournalId(3),
            syncs: 11,
            ..JournalMetrics::default()
        });
        page.apis.entry(1).or_default().latency.record(20_000);
        page.apis.entry(1).or_default().errors = 2;
        page.engine.stages.sync.record(1_000_000);
        status.publish(ShardId(1), page);
        let text = super::page(&status);
        for line in [
            "duramen_ready 0",
            "duramen_received_bytes_total{shard=\"0\"} 0",
            "duramen_received_bytes_total{shard=\"1\"} 7",
            "duramen_journal_syncs_total{shard=\"1\",journal=\"3\"} 11",
            "duramen_request_seconds_bucket{le=\"0.000016\",shard=\"1\",api=\"Fetch\"} 0",
            "duramen_request_seconds_bucket{le=\"0.000032\",shard=\"1\",api=\"Fetch\"} 1",
            "duramen_request_seconds_bucket{le=\"+Inf\",shard=\"1\",api=\"Fetch\"} 1",
            "duramen_stage_seconds_sum{shard=\"1\",stage=\"sync\"} 0.001",
            "duramen_stage_seconds_count{shard=\"1\",stage=\"read\"} 0",
            "duramen_request_errors_total{shard=\"1\",api=\"Fetch\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
    }
}
