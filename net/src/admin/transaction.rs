//! `duramen txn ...`: transactional ids, what they have open, and what hangs.

use super::connection::Connection;
use super::coordinator::{Kind, coordinator};
use super::hanging::{self, Place};
use super::kafka_error::check;
use super::out::{self, Out};
use super::reach::Reach;
use super::topic_report::left_out;
use super::transaction_report::{self, TransactionReport};
use crate::process::refusal::Refusal;
use clap::{Args, Subcommand};
use kafka_wire::InitProducerIdRequest;
use serde::Serialize;
use std::process::ExitCode;

/// Kafka's default of `transaction.max.timeout.ms`: a coordinator ends what is open for longer.
const OLDER_THAN_SECONDS: u64 = 900;
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// List the transactional ids of all brokers
    List {
        /// Only those in this state, such as Ongoing or PrepareCommit. May be given more than once
        #[arg(long, value_name = "STATE")]
        state: Vec<String>,
        /// Only those with a transaction that is open for longer
        #[arg(long, value_name = "SECONDS")]
        open_longer_than: Option<u32>,
    },
    /// Show one transactional id: state, producer, and the partitions of its transaction
    Describe {
        /// The transactional id
        id: String,
    },
    /// Abort what an id has open and fence its producer, or end what hangs open in one partition
    Abort(AbortArguments),
    /// Find transactions that are open in a partition and that no coordinator knows of
    FindHanging {
        /// Only in this topic
        #[arg(long, value_name = "NAME")]
        topic: Option<String>,
        /// Only where the producer wrote nothing for so long
        #[arg(long, value_name = "SECONDS", default_value_t = OLDER_THAN_SECONDS)]
        older_than: u64,
    },
}

#[derive(Args, Debug)]
pub struct AbortArguments {
    /// The transactional id
    #[arg(required_unless_present = "topic", conflicts_with_all = ["topic", "partition", "start_offset"])]
    id: Option<String>,
    /// Topic of the partition in which a transaction hangs
    #[arg(long, value_name = "NAME", requires_all = ["partition", "start_offset"])]
    topic: Option<String>,
    /// Number of that partition
    #[arg(long, value_name = "NUMBER", requires = "topic")]
    partition: Option<i32>,
    /// Where the transaction begins there, as find-hanging shows it
    #[arg(long, value_name = "OFFSET", requires = "topic")]
    start_offset: Option<i64>,
}

#[derive(Serialize)]
struct Aborted<'a> {
    transactional_id: &'a str,
    /// The producer from now on; nobody has it until a client begins under this id.
    producer_id: i64,
    producer_epoch: i16,
}

/// Carries the command out.
pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    reach.until_settled(|| attempt(verb, reach, out))
}

fn attempt(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let mut connection = reach.connect()?;
    match verb {
        Verb::List { state, open_longer_than } => {
            let rows = transaction_report::list(&mut connection, reach, state, *open_longer_than)?;
            out.show(&rows, |rows| transaction_report::list_table(rows))?;
        }
        Verb::Describe { id } => {
            let report = described(&mut connection, reach, id)?;
            out.show(&report, TransactionReport::text)?;
        }
        Verb::Abort(AbortArguments { id: Some(id), .. }) => abort_id(&mut connection, reach, id, out)?,
        Verb::Abort(AbortArguments { topic, partition, start_offset, .. }) => {
            let (Some(topic), Some(partition), Some(start)) = (topic, *partition, *start_offset) else {
                let remedy = "give an id, or --topic, --partition and --start-offset";
                return Err(Refusal::usage("nothing to abort is named", remedy));
            };
            let ended = hanging::abort(&mut connection, reach, &Place { topic, partition }, start)?;
            out.show(&ended, |ended| ended.text())?;
        }
        Verb::FindHanging { topic, older_than } => {
            let rows = hanging::find(&mut connection, reach, topic.as_deref(), *older_than)?;
            out.show(&rows, |rows| hanging::table(rows))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn described(connection: &mut Connection, reach: &Reach, id: &str) -> Result<TransactionReport, Refusal> {
    let mut coordinator = coordinator(connection, reach, Kind::TransactionalId, id)?;
    let mut reports = transaction_report::describe(&mut coordinator, &[id])?;
    reports.pop().ok_or_else(|| left_out(&coordinator))
}

/// A new producer of the id fences the one before, whose transaction is aborted.
fn abort_id(connection: &mut Connection, reach: &Reach, id: &str, out: Out) -> Result<(), Refusal> {
    // To begin under an id makes it: one that is not there is refused.
    described(connection, reach, id)?;
    let mut coordinator = coordinator(connection, reach, Kind::TransactionalId, id)?;
    let mut request = InitProducerIdRequest::default();
    request.transactional_id = Some(id.into());
    request.transaction_timeout_ms = reach.timeout_ms();
    (request.producer_id, request.producer_epoch) = (-1, -1);
    let answer = coordinator.call(0, &request)?;
    check(&Kind::TransactionalId.subject(id), answer.error_code, None)?;
    let (producer_id, producer_epoch) = (answer.producer_id, answer.producer_epoch);
    let aborted = Aborted { transactional_id: id, producer_id, producer_epoch };
    out.show(&aborted, |_| {
        let shown = out::printable(id);
        format!("{shown}: nothing is open, and the producer that was there is fenced")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(subcommand)]
        verb: Verb,
    }

    fn parses(line: &str) -> bool {
        Line::try_parse_from(["txn"].into_iter().chain(line.split(' '))).is_ok()
    }

    #[test]
    fn either_an_id_or_a_place_is_aborted() {
        assert!(parses("abort orders"));
        assert!(parses("abort --topic t --partition 0 --start-offset 7"));
        for wrong in
            ["abort", "abort orders --topic t", "abort --topic t --partition 0", "abort --partition 0"]
        {
            assert!(!parses(wrong), "{wrong}");
        }
        assert!(parses("find-hanging") && parses("list --state Ongoing --open-longer-than 60"));
    }
}
