//! Transactions that hang: open in a partition, so that readers of what is committed wait there, while no coordinator
//! will ever end them. Found by asking both sides, and ended by hand.

use super::connection::Connection;
use super::coordinator::{Kind, coordinator};
use super::kafka_error::check;
use super::offsets;
use super::out;
use super::reach::Reach;
use super::topic_report;
use super::transaction_report::{self, TransactionReport, TransactionRow, age, now_ms};
use crate::process::refusal::Refusal;
use kafka_wire::describe_producers_request::TopicRequest;
use kafka_wire::describe_producers_response::{PartitionResponse, ProducerState};
use kafka_wire::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_wire::{DescribeProducersRequest, MetadataResponse, WriteTxnMarkersRequest};
use serde::Serialize;
use std::collections::BTreeMap;

/// A partition as a person names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub topic: &'a str,
    pub partition: i32,
}

/// A transaction that is open in a partition.
#[derive(Serialize, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenRow {
    topic: String,
    partition: i32,
    start_offset: i64,
    producer_id: i64,
    producer_epoch: i32,
    /// Of the last marker there; −1 before the first one.
    coordinator_epoch: i32,
    /// Since the producer wrote there.
    silent_ms: i64,
    /// Where some coordinator knows the producer.
    transactional_id: Option<String>,
}

#[derive(Serialize, Debug)]
pub struct Ended {
    topic: String,
    partition: i32,
    start_offset: i64,
    producer_id: i64,
}

impl Ended {
    pub fn text(&self) -> String {
        let Self { topic, partition, start_offset, producer_id } = self;
        format!(
            "aborted what producer {producer_id} had open in {topic}-{partition} from offset {start_offset}"
        )
    }
}

/// What is open for long and that no coordinator knows of.
pub fn find(
    connection: &mut Connection,
    reach: &Reach,
    topic: Option<&str>,
    older_than_s: u64,
) -> Result<Vec<OpenRow>, Refusal> {
    let metadata = topics(connection, topic)?;
    let older_than_ms = i64::try_from(older_than_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let mut suspects = open(reach, &metadata)?;
    suspects.retain(|row| row.silent_ms >= older_than_ms);
    if suspects.is_empty() {
        return Ok(suspects);
    }
    let ids = transaction_report::list(connection, reach, &[], None)?;
    let mut hanging = Vec::new();
    for mut row in suspects {
        let of = ids.iter().find(|one| one.producer_id == row.producer_id);
        row.transactional_id = of.map(|one| one.transactional_id.clone());
        if !will_be_ended(connection, reach, of, &row)? {
            hanging.push(row);
        }
    }
    // What was ended while the coordinators were asked does not hang.
    let still = open(reach, &metadata)?;
    hanging.retain(|row| still.iter().any(|other| is_same(row, other)));
    Ok(hanging)
}

/// Whether the coordinator of its id has this partition in a transaction that is open.
fn will_be_ended(
    connection: &mut Connection,
    reach: &Reach,
    id: Option<&TransactionRow>,
    row: &OpenRow,
) -> Result<bool, Refusal> {
    let Some(TransactionRow { transactional_id, .. }) = id else { return Ok(false) };
    let mut coordinator = coordinator(connection, reach, Kind::TransactionalId, transactional_id)?;
    let reports = transaction_report::describe(&mut coordinator, &[transactional_id])?;
    Ok(reports.iter().any(|report| has(report, row)))
}

fn has(report: &TransactionReport, row: &OpenRow) -> bool {
    report.partitions.iter().any(|(topic, number)| *topic == row.topic && *number == row.partition)
}

fn is_same(row: &OpenRow, other: &OpenRow) -> bool {
    let place = |row: &OpenRow| (row.partition, row.start_offset, row.producer_id);
    row.topic == other.topic && place(row) == place(other)
}

fn topics(connection: &mut Connection, topic: Option<&str>) -> Result<MetadataResponse, Refusal> {
    let names = topic.map(|name| [name]);
    let metadata = topic_report::metadata(connection, names.as_ref().map(|names| &names[..]))?;
    for topic in &metadata.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        check(&format!("topic '{name}'"), topic.error_code, None)?;
        for partition in &topic.partitions {
            check(&format!("partition {name}-{}", partition.partition_index), partition.error_code, None)?;
        }
    }
    Ok(metadata)
}

/// All transactions that are open in these topics, each asked of its partition's leader. A leader that does not answer is a
/// failure: nothing is found where nobody was asked.
fn open(reach: &Reach, metadata: &MetadataResponse) -> Result<Vec<OpenRow>, Refusal> {
    let mut by_broker: BTreeMap<i32, Vec<TopicRequest>> = BTreeMap::new();
    for topic in &metadata.topics {
        for (broker, led) in offsets::leaders(metadata, topic) {
            let mut asked = TopicRequest::default();
            asked.name = topic.name.clone().unwrap_or_default();
            asked.partition_indexes = led;
            by_broker.entry(broker.node_id).or_default().push(asked);
        }
    }
    let now_ms = now_ms();
    let mut rows = Vec::new();
    for broker in &metadata.brokers {
        let Some(topics) = by_broker.remove(&broker.node_id) else { continue };
        let mut leader = offsets::connect(reach, broker).ok_or_else(|| {
            let what = format!("broker {} does not answer", broker.node_id);
            Refusal::environment(what, "check that it runs")
        })?;
        let mut request = DescribeProducersRequest::default();
        request.topics = topics;
        for topic in leader.call(0, &request)?.topics {
            for partition in topic.partitions {
                rows.extend(open_in(topic.name.as_str(), &partition, now_ms)?);
            }
        }
    }
    rows.sort();
    Ok(rows)
}

fn open_in(topic: &str, partition: &PartitionResponse, now_ms: i64) -> Result<Vec<OpenRow>, Refusal> {
    let number = partition.partition_index;
    check(&format!("partition {topic}-{number}"), partition.error_code, partition.error_message.as_deref())?;
    let open = partition.active_producers.iter().filter(|one| one.current_txn_start_offset >= 0);
    let row = |one: &ProducerState| OpenRow {
        topic: topic.to_owned(),
        partition: number,
        start_offset: one.current_txn_start_offset,
        producer_id: one.producer_id,
        producer_epoch: one.producer_epoch,
        coordinator_epoch: one.coordinator_epoch,
        silent_ms: now_ms.saturating_sub(one.last_timestamp).max(0),
        transactional_id: None,
    };
    Ok(open.map(row).collect())
}

pub fn table(rows: &[OpenRow]) -> String {
    if rows.is_empty() {
        return "no transaction hangs".to_owned();
    }
    let cells = rows.iter().map(|row| {
        [
            row.topic.clone(),
            row.partition.to_string(),
            row.start_offset.to_string(),
            row.producer_id.to_string(),
            row.producer_epoch.to_string(),
            age(row.silent_ms),
            out::or_dash(row.transactional_id.as_ref()),
        ]
    });
    let header =
        ["topic", "partition", "start offset", "producer", "epoch", "silent for", "transactional id"];
    out::table(header, cells)
}

/// Writes the marker that ends the transaction which begins at this offset.
pub fn abort(
    connection: &mut Connection,
    reach: &Reach,
    place: &Place<'_>,
    start_offset: i64,
) -> Result<Ended, Refusal> {
    let Place { topic, partition } = *place;
    let metadata = topics(connection, Some(topic))?;
    let rows = open(reach, &metadata)?;
    let is_it = |row: &&OpenRow| row.partition == partition && row.start_offset == start_offset;
    let row = rows.iter().find(is_it).ok_or_else(|| {
        let what = format!("no transaction that is open in {topic}-{partition} begins at {start_offset}");
        Refusal::refused(what, "`duramen txn find-hanging` shows where those begin that hang")
    })?;
    let led_by = |led: &[i32]| led.contains(&partition);
    let leaders = metadata.topics.iter().flat_map(|topic| offsets::leaders(&metadata, topic));
    let leader =
        leaders.into_iter().find(|(_, led)| led_by(led)).and_then(|(one, _)| offsets::connect(reach, one));
    let mut leader = leader.ok_or_else(|| {
        let what = format!("the leader of {topic}-{partition} does not answer");
        Refusal::environment(what, "check that it runs")
    })?;
    // Version 1 says no version of the transaction: its marker has the epoch of its records.
    let answer = leader.call_at_most(1, 1, &marker(row)?)?;
    let codes = answer.markers.into_iter().flat_map(|one| one.topics).flat_map(|one| one.partitions);
    for answered in codes {
        check(&format!("partition {topic}-{partition}"), answered.error_code, None)?;
    }
    Ok(Ended { topic: topic.to_owned(), partition, start_offset, producer_id: row.producer_id })
}

fn marker(row: &OpenRow) -> Result<WriteTxnMarkersRequest, Refusal> {
    let mut topic = WritableTxnMarkerTopic::default();
    (topic.name, topic.partition_indexes) = (row.topic.as_str().into(), vec![row.partition]);
    let mut marker = WritableTxnMarker::default();
    marker.producer_id = row.producer_id;
    marker.producer_epoch = i16::try_from(row.producer_epoch).map_err(|_| {
        Refusal::refused(format!("the broker tells of epoch {}", row.producer_epoch), "ask another broker")
    })?;
    // That of the last marker; none yet is the first coordinator's.
    marker.coordinator_epoch = row.coordinator_epoch.max(0);
    marker.topics.push(topic);
    let mut request = WriteTxnMarkersRequest::default();
    request.markers.push(marker);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> PartitionResponse {
        let state = |producer, start| {
            let mut state = ProducerState::default();
            (state.producer_id, state.current_txn_start_offset) = (producer, start);
            (state.producer_epoch, state.coordinator_epoch, state.last_timestamp) = (3, -1, 10_000);
            state
        };
        let mut partition = PartitionResponse::default();
        partition.partition_index = 2;
        partition.active_producers = vec![state(7, 40), state(8, -1)];
        partition
    }

    #[test]
    fn only_what_is_open_is_looked_at_and_ended_with_its_own_epochs() {
        let rows = open_in("t", &partition(), 25_000).expect("no error");
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((rows[0].start_offset, rows[0].producer_id, rows[0].silent_ms), (40, 7, 15_000));
        let request = marker(&rows[0]).expect("a good epoch");
        let marker = &request.markers[0];
        assert_eq!(
            (marker.producer_epoch, marker.coordinator_epoch, marker.transaction_result),
            (3, 0, false)
        );
        assert!(table(&rows).contains("15 s") && table(&[]).contains("no transaction hangs"));
        let mut failed = partition();
        failed.error_code = 6;
        assert!(open_in("t", &failed, 0).is_err(), "nobody looked there");
    }

    #[test]
    fn it_hangs_where_its_coordinator_has_not_that_partition() {
        let row = open_in("t", &partition(), 0).expect("no error").remove(0);
        let known = |partitions: &[(&str, i32)]| TransactionReport {
            transactional_id: "a".to_owned(),
            state: "Ongoing".to_owned(),
            producer_id: 7,
            producer_epoch: 3,
            timeout_ms: 1,
            open_ms: None,
            partitions: partitions.iter().map(|(topic, number)| ((*topic).to_owned(), *number)).collect(),
        };
        assert!(has(&known(&[("t", 2)]), &row));
        assert!(!has(&known(&[("t", 1), ("u", 2)]), &row) && !has(&known(&[]), &row));
        assert!(is_same(&row, &row.clone()) && !is_same(&row, &OpenRow { start_offset: 41, ..row.clone() }));
    }
}
