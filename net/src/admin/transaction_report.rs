//! What there is to say of transactional ids: read by ListTransactions and DescribeTransactions, shown as tables.

use super::connection::Connection;
use super::coordinator::Kind;
use super::kafka_error::check;
use super::offsets;
use super::out;
use super::reach::Reach;
use super::topic_report;
use crate::process::refusal::Refusal;
use kafka_wire::describe_transactions_response::TransactionState;
use kafka_wire::{DescribeTransactionsRequest, ListTransactionsRequest};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Serialize, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionRow {
    pub transactional_id: String,
    pub state: String,
    pub producer_id: i64,
    /// The broker that knows it.
    pub coordinator: i32,
}

/// The transactional ids of every broker; one that does not answer is a failure, as what is missing there could be any.
pub fn list(
    connection: &mut Connection,
    reach: &Reach,
    states: &[String],
    open_longer_than_s: Option<u32>,
) -> Result<Vec<TransactionRow>, Refusal> {
    let metadata = topic_report::metadata(connection, Some(&[]))?;
    let mut request = ListTransactionsRequest::default();
    request.state_filters = states.iter().map(|state| state.as_str().into()).collect();
    request.duration_filter = open_longer_than_s.map_or(-1, |seconds| i64::from(seconds) * 1000);
    let mut rows = Vec::new();
    for broker in &metadata.brokers {
        let subject = format!("broker {}", broker.node_id);
        let mut coordinator = offsets::must_connect(reach, broker)?;
        // Version 1 is the first with a duration.
        let response = coordinator.call(if open_longer_than_s.is_some() { 1 } else { 0 }, &request)?;
        check(&subject, response.error_code, None)?;
        if let Some(unknown) = response.unknown_state_filters.first() {
            let what = format!("no transaction is ever in the state '{}'", unknown.as_str());
            return Err(Refusal::usage(what, "states are Empty, Ongoing, PrepareCommit, CompleteAbort, ..."));
        }
        rows.extend(response.transaction_states.into_iter().map(|one| TransactionRow {
            transactional_id: one.transactional_id.as_str().to_owned(),
            state: one.transaction_state.as_str().to_owned(),
            producer_id: one.producer_id,
            coordinator: broker.node_id,
        }));
    }
    rows.sort();
    Ok(rows)
}

pub fn list_table(rows: &[TransactionRow]) -> String {
    if rows.is_empty() {
        return "no transactional ids".to_owned();
    }
    let cells = rows.iter().map(|row| {
        let (producer, coordinator) = (row.producer_id.to_string(), row.coordinator.to_string());
        [row.transactional_id.clone(), row.state.clone(), producer, coordinator]
    });
    out::table(["transactional id", "state", "producer", "coordinator"], cells)
}

#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct TransactionReport {
    pub transactional_id: String,
    pub state: String,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub timeout_ms: i32,
    /// `None` where nothing is open.
    pub open_ms: Option<i64>,
    /// Topic and number of each.
    pub partitions: Vec<(String, i32)>,
}

/// Asks a coordinator about some of its ids.
pub fn describe(coordinator: &mut Connection, ids: &[&str]) -> Result<Vec<TransactionReport>, Refusal> {
    let mut request = DescribeTransactionsRequest::default();
    request.transactional_ids = ids.iter().map(|id| (*id).into()).collect();
    let now_ms = now_ms();
    let response = coordinator.call(0, &request)?;
    let report = |one: TransactionState| {
        check(&Kind::TransactionalId.subject(&one.transactional_id), one.error_code, None)?;
        Ok(report(&one, now_ms))
    };
    response.transaction_states.into_iter().map(report).collect()
}

/// This machine's clock, by which ages are shown.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn report(one: &TransactionState, now_ms: i64) -> TransactionReport {
    let is_open = one.transaction_start_time_ms >= 0 && !one.topics.is_empty();
    let partitions = one
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|number| (topic.topic.as_str().to_owned(), *number)));
    TransactionReport {
        transactional_id: one.transactional_id.as_str().to_owned(),
        state: one.transaction_state.as_str().to_owned(),
        producer_id: one.producer_id,
        producer_epoch: one.producer_epoch,
        timeout_ms: one.transaction_timeout_ms,
        open_ms: is_open.then(|| now_ms.saturating_sub(one.transaction_start_time_ms).max(0)),
        partitions: partitions.collect(),
    }
}

/// An age as people read it.
pub fn age(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

impl TransactionReport {
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {}, producer {} in epoch {}, its transactions may take {}",
            out::printable(&self.transactional_id),
            self.state,
            self.producer_id,
            self.producer_epoch,
            age(self.timeout_ms.into())
        );
        if let Some(open_ms) = self.open_ms {
            text.push_str(&format!("\nopen for {} in\n", age(open_ms)));
            let cells = self.partitions.iter().map(|(topic, number)| [topic.clone(), number.to_string()]);
            text.push_str(&out::table(["topic", "partition"], cells));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_wire::describe_transactions_response::TopicData;

    #[test]
    fn what_is_open_is_shown_with_its_age_and_partitions() {
        let mut topic = TopicData::default();
        (topic.topic, topic.partitions) = ("t".into(), vec![0, 4]);
        let mut state = TransactionState::default();
        (state.transactional_id, state.transaction_state) = ("a\n".into(), "Ongoing".into());
        (state.producer_id, state.producer_epoch, state.transaction_timeout_ms) = (7, 2, 60_000);
        state.transaction_start_time_ms = 10_000;
        assert_eq!(report(&state, 40_000).open_ms, None, "it has no partition");
        state.topics.push(topic);
        let shown = report(&state, 40_000);
        assert_eq!((shown.open_ms, shown.partitions.len()), (Some(30_000), 2));
        let text = shown.text();
        assert!(
            text.contains("a\\n: Ongoing, producer 7 in epoch 2") && text.contains("open for 30 s"),
            "{text}"
        );
        assert_eq!(list_table(&[]), "no transactional ids");
    }

    #[test]
    fn ages_are_for_people() {
        assert_eq!([0, 119_999, 120_000, 7_200_000].map(age), ["0 s", "119 s", "2 min", "2 h"]);
    }
}
