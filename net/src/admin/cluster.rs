//! `duramen cluster status`: asks every node, side by side, and shows what they tell.

use super::connection::Connection;
use super::out::Out;
use super::reach::Reach;
use super::scrape::PageAddress;
use super::side_by_side::{ask_all, first_of, left};
use super::status_report::{BrokerRow, ClusterReport, Space, page_silent};
use super::{broker_ids, health, topic_report};
use crate::access::how::Access;
use crate::observe::health_row::{self, HealthRow};
use crate::observe::may_stop::KnownJournals;
use crate::process::address::Address;
use crate::process::certificates::{days_left, now_s};
use crate::process::refusal::{EXIT_DATA, Refusal};
use crate::process::secret_file;
use clap::Subcommand;
use engine::health::Kind;
use engine::ids::BrokerIds;
use kafka_wire::describe_cluster_response::DescribeClusterBroker;
use kafka_wire::{DescribeClusterRequest, DescribeClusterResponse, DescribeLogDirsRequest, MetadataResponse};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show nodes, shards, leaders, space and what is wrong, within 5 s; ends with 3 when something is
    Status {
        /// Where a broker serves its metrics page (its --http-listen), https:// before it where that is
        /// within TLS: shows its journals and their lag, too. May be given once for each node
        #[arg(long, value_name = "HOST:PORT")]
        metrics: Vec<String>,

        /// A file whose first line is the token that those pages ask for, readable by its owner alone
        #[arg(long, value_name = "FILE", requires = "metrics")]
        metrics_token_file: Option<PathBuf>,
    },
}

/// Whoever looks wants to know now: what did not answer until then is said not to.
const STATUS_TIME_MAX: Duration = Duration::from_secs(5);
/// What is asked gives up a little earlier, so that its reason arrives.
const MARGIN: Duration = Duration::from_millis(200);
/// A node that others say is down may be there for us all the same; it gets this long to say so.
const DOWN_TIME_MAX: Duration = Duration::from_secs(1);

pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let Verb::Status { metrics, metrics_token_file } = verb;
    // Whoever is asked for a password may take his time.
    let access = reach.access()?;
    let token = metrics_token_file.as_deref().map(secret_file::first_line).transpose()?;
    let token = token.map(Zeroizing::new);
    let pages = metrics
        .iter()
        .map(|text| PageAddress::parse(text, access, token.as_deref().map(|token| token.trim())));
    let pages: Vec<PageAddress> = pages.collect::<Result<_, Refusal>>()?;
    let deadline = Instant::now() + reach.timeout().min(STATUS_TIME_MAX);
    let report = ask(reach, (metrics, pages), deadline)?;
    out.show(&report, ClusterReport::text)?;
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DATA) })
}

fn ask(
    reach: &Reach,
    (metrics, pages): (&[String], Vec<PageAddress>),
    deadline: Instant,
) -> Result<ClusterReport, Refusal> {
    let until = deadline - MARGIN.min(left(deadline) / 4);
    let access = reach.access()?.clone();
    let ask_first = move |address: Address| First::ask(&access, &address, until);
    let first = first_of(reach.bootstrap()?, deadline, ask_first);
    let First { metadata, ids, known, told } = first.map_err(|failures| Reach::nobody(&failures))?;
    let mut brokers = all_brokers(&metadata, known);
    for broker in &mut brokers {
        let node = ids.place(broker.id).map(|(node, _)| node.0);
        let is_it = |row: &HealthRow| row.what == Kind::NodeDown.name() && row.node == node;
        broker.is_away |= told.iter().any(is_it);
    }
    let rows = brokers.iter().map(|broker| broker_row(&metadata, ids, broker)).collect();
    let mut report = ClusterReport::of(&metadata, rows);
    let questions: Vec<Question> =
        brokers.into_iter().map(Question::Broker).chain(pages.into_iter().map(Question::Page)).collect();
    let access = reach.access()?.clone();
    let answers = ask_all(questions, deadline, move |question| question.ask(&access, until));
    let mut findings = told;
    let (of_brokers, of_pages) = answers.split_at(report.brokers.len());
    for (row, answer) in report.brokers.iter_mut().zip(of_brokers) {
        if let Some(Answer::Broker(Some(said))) = answer {
            (row.answers, row.space) = (true, said.space);
            row.certificate_days = said.certificate_end_s.map(|end_s| days_left(end_s, now_s()));
            findings.extend(said.told.iter().cloned());
        }
    }
    let mut read = Vec::new();
    for (answer, text) in of_pages.iter().zip(metrics) {
        match answer {
            Some(Answer::Page(Ok(page))) => read.push((text.as_str(), page)),
            Some(Answer::Page(Err(refusal))) => {
                findings.push(page_silent(refusal.what.clone(), &refusal.remedy))
            }
            _ => {
                findings.push(page_silent(format!("{text}: /metrics: no answer in time"), "see that it runs"))
            }
        }
    }
    (report.journals, report.followers) = health::read(&read);
    report.judge(findings);
    Ok(report)
}

/// What all nodes tell of what is wrong and of every journal.
pub struct AllTold {
    pub findings: Vec<HealthRow>,
    pub standings: Vec<KnownJournals>,
    /// Nodes of which no shard answered.
    pub silent: BTreeSet<u32>,
}

/// Asks every node whether nodes may stop.
pub fn ask_standings(reach: &Reach) -> Result<AllTold, Refusal> {
    let deadline = Instant::now() + reach.timeout().min(STATUS_TIME_MAX);
    let until = deadline - MARGIN.min(left(deadline) / 4);
    let access = reach.access()?.clone();
    let ask_first = move |address: Address| First::ask(&access, &address, until);
    let first = first_of(reach.bootstrap()?, deadline, ask_first);
    let First { metadata, ids, known, told } = first.map_err(|failures| Reach::nobody(&failures))?;
    let brokers = all_brokers(&metadata, known);
    let nodes: Vec<Option<u32>> =
        brokers.iter().map(|broker| ids.place(broker.id).map(|(node, _)| node.0)).collect();
    let access = reach.access()?.clone();
    let answers = ask_all(brokers, deadline, move |broker| ask_broker(&access, &broker, until));
    let mut all =
        AllTold { findings: told, standings: Vec::new(), silent: nodes.iter().flatten().copied().collect() };
    for (node, said) in nodes.into_iter().zip(answers.into_iter().map(Option::flatten)) {
        let (Some(node), Some(said)) = (node, said) else { continue };
        all.silent.remove(&node);
        all.findings.extend(said.told);
        all.standings.extend(said.standing);
    }
    Ok(all)
}

/// What the first node that answers says of the cluster.
struct First {
    metadata: MetadataResponse,
    ids: BrokerIds,
    /// All brokers, those included that it does not hear; empty where it cannot say.
    known: Vec<DescribeClusterBroker>,
    told: Vec<HealthRow>,
}

impl First {
    fn ask(access: &Access, address: &Address, until: Instant) -> Result<Self, String> {
        let failed = |refusal: Refusal| refusal.what;
        let opened = Connection::open(access, &address.host, address.port, left(until));
        let mut connection = opened.map_err(failed)?;
        connection.limit(left(until));
        let metadata = topic_report::metadata(&mut connection, None).map_err(failed)?;
        connection.limit(left(until));
        let ids = broker_ids::ask(&mut connection, &metadata).map_err(failed)?;
        let described = describe(&mut connection);
        let (known, told) = described.map_or_else(
            |_| (Vec::new(), Vec::new()),
            |described| {
                let told = health_row::read_answer(&described.unknown_tagged_fields).unwrap_or_default();
                (described.brokers, told)
            },
        );
        Ok(Self { metadata, ids, known, told })
    }
}

/// From version 2 on brokers that are away are told, too; from 0 on there is room for what is wrong.
fn describe(connection: &mut Connection) -> Result<DescribeClusterResponse, Refusal> {
    let mut request = DescribeClusterRequest::default();
    request.unknown_tagged_fields = health_row::question();
    request.include_fenced_brokers = true;
    connection.call(2, &request).or_else(|_| {
        request.include_fenced_brokers = false;
        connection.call_at_most(0, 1, &request)
    })
}

/// A broker, and where it is.
struct Broker {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    is_away: bool,
}

/// Those that clients are told of, and those that are away.
fn all_brokers(metadata: &MetadataResponse, known: Vec<DescribeClusterBroker>) -> Vec<Broker> {
    let text = |text: &str| text.to_owned();
    let living = metadata.brokers.iter().map(|broker| Broker {
        id: broker.node_id,
        host: text(&broker.host),
        port: broker.port,
        rack: broker.rack.as_deref().map(text),
        is_away: false,
    });
    let mut all: Vec<Broker> = living.collect();
    let away = known.into_iter().filter(|broker| broker.is_fenced).map(|broker| Broker {
        id: broker.broker_id,
        host: text(&broker.host),
        port: broker.port,
        rack: broker.rack.as_deref().map(text),
        is_away: true,
    });
    let away: Vec<Broker> = away.filter(|one| all.iter().all(|living| living.id != one.id)).collect();
    all.extend(away);
    all.sort_by_key(|broker| broker.id);
    all
}

fn broker_row(metadata: &MetadataResponse, ids: BrokerIds, broker: &Broker) -> BrokerRow {
    let address = format!("{}:{}", broker.host, broker.port);
    BrokerRow::of(metadata, (broker.id, ids), address, broker.rack.clone())
}

enum Question {
    Broker(Broker),
    Page(PageAddress),
}

enum Answer {
    /// None where it does not answer.
    Broker(Option<Said>),
    Page(Result<super::scrape::Page, Refusal>),
}

impl Question {
    fn ask(self, access: &Access, until: Instant) -> Answer {
        match self {
            Self::Broker(broker) => {
                let until = if broker.is_away { until.min(Instant::now() + DOWN_TIME_MAX) } else { until };
                Answer::Broker(ask_broker(access, &broker, until))
            }
            Self::Page(address) => Answer::Page(super::scrape::Page::get(&address, access, left(until))),
        }
    }
}

/// What a broker says of itself.
struct Said {
    space: Option<Space>,
    certificate_end_s: Option<i64>,
    told: Vec<HealthRow>,
    standing: Option<KnownJournals>,
}

fn ask_broker(access: &Access, broker: &Broker, until: Instant) -> Option<Said> {
    let port = u16::try_from(broker.port).ok()?;
    let mut connection = Connection::open(access, &broker.host, port, left(until)).ok()?;
    connection.limit(left(until));
    // It answers, whether or not it is a broker of this kind.
    let described = describe(&mut connection).ok()?;
    let told = health_row::read_answer(&described.unknown_tagged_fields).unwrap_or_default();
    let standing = KnownJournals::read(&described.unknown_tagged_fields);
    let certificate_end_s = health_row::read_certificate_end_s(&described.unknown_tagged_fields);
    connection.limit(left(until));
    Some(Said { space: space(&mut connection), certificate_end_s, told, standing })
}

/// Version 4 tells the file system's space.
fn space(connection: &mut Connection) -> Option<Space> {
    let mut request = DescribeLogDirsRequest::default();
    request.topics = None;
    let response = connection.call(4, &request).ok()?;
    let folder = response.results.first()?;
    let partitions = folder.topics.iter().flat_map(|topic| &topic.partitions);
    let known = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    Some(Space {
        partition_bytes: partitions.map(|one| known(one.partition_size)).sum(),
        free_bytes: known(folder.usable_bytes),
        total_bytes: known(folder.total_bytes),
    })
}
