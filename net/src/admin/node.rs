//! `duramen node ...`: what is done with single nodes.

use super::broker_ids;
use super::connection::Connection;
use super::kafka_error::check;
use super::may_stop;
use super::node_add::{self, Adding};
use super::node_list;
use super::out::Out;
use super::reach::Reach;
use super::topic_report;
use crate::kafka::stop_tag;
use crate::process::refusal::Refusal;
use clap::Subcommand;
use engine::ids::NodeId;
use kafka_wire::ElectLeadersRequest;
use kafka_wire::metadata_response::MetadataResponseBroker;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// List the members, those that are away, and those that are invited
    List,
    /// Invite a node: it becomes a member when it comes, on an empty folder with --join
    Add(Adding),
    /// Stop a node: what it leads moves to others first. Refused with 5 where `may-stop` says no
    Stop {
        /// The node's id
        id: u32,
        /// Stop it although journals lose their quorum or their only copy by it
        #[arg(long)]
        force: bool,
    },
}

/// How long a command rests before it looks again whether a node is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The first version of ElectLeaders that has room for it.
const FLEXIBLE: i16 = 2;

pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    match verb {
        Verb::List => node_list::run(reach, out),
        Verb::Add(adding) => node_add::run(adding, reach, out),
        Verb::Stop { id, force } => stop(NodeId(*id), *force, reach, out),
    }
}

fn stop(node: NodeId, force: bool, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let deadline = Instant::now() + reach.timeout();
    let mut asked = reach.connect()?;
    let metadata = topic_report::metadata(&mut asked, None)?;
    let ids = broker_ids::ask(&mut asked, &metadata)?;
    let is_its =
        |broker: &&MetadataResponseBroker| ids.place(broker.node_id).is_some_and(|(of, _)| of == node);
    let Some(broker) = metadata.brokers.iter().find(is_its) else {
        return Err(Refusal::refused(
            format!("no living node is called {node}"),
            "see `duramen cluster status`",
        ));
    };
    if !force {
        let reasons = may_stop::why_not(&[node.0], reach)?;
        if !reasons.is_empty() {
            let lines: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            return Err(Refusal::refused(
                format!("node {node} may not stop: {}", lines.join("; ")),
                "wait until the others are well; --force stops it all the same",
            ));
        }
    }
    let port = u16::try_from(broker.port).unwrap_or_default();
    let mut connection = Connection::open(reach.access()?, &broker.host, port, reach.timeout())?;
    let mut request = ElectLeadersRequest::default();
    request.topic_partitions = Some(Vec::new());
    request.unknown_tagged_fields = stop_tag::question(node);
    let response = connection.call(FLEXIBLE, &request)?;
    check(&format!("node {node}: stop"), response.error_code, None)?;
    while Connection::open(reach.access()?, &broker.host, port, LOOK_AGAIN).is_ok() {
        if Instant::now() >= deadline {
            let what = format!("node {node} still answers after {} s", reach.timeout);
            return Err(Refusal::environment(what, "see its log"));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    out.show(&format!("node {node} stopped"), Clone::clone)?;
    Ok(ExitCode::SUCCESS)
}
