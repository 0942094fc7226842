//! `duramen topic ...`: what is asked of the cluster about topics.

use super::connection::Connection;
use super::kafka_error::check;
use super::out::Out;
use super::reach::Reach;
use super::topic_report::{self, TopicReport};
use crate::admin::topic_report::{RESOURCE_TOPIC, left_out};
use crate::kafka::replication_tag;
use crate::process::refusal::Refusal;
use clap::Subcommand;
use engine::control::names::is_internal;
use kafka_wire::create_partitions_request::CreatePartitionsTopic;
use kafka_wire::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_wire::delete_topics_request::DeleteTopicState;
use kafka_wire::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_wire::{
    AlterPartitionReassignmentsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest,
};
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often a new topic is asked for its leaders.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Create a topic; done when it has leaders
    Create {
        /// Name of the topic
        name: String,
        /// Number of partitions [default: the brokers' num.partitions]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        partitions: Option<u16>,
        /// Nodes that keep a copy of each partition [default: the brokers'
        /// default.replication.factor]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(i16::MAX)))]
        replication_factor: Option<u16>,
        /// A setting of the topic by Kafka's name, such as retention.ms=3600000. May be given more
        /// than once
        #[arg(long, value_name = "KEY=VALUE", value_parser = parse_setting)]
        config: Vec<Setting>,
    },
    /// List the topics
    List {
        /// Internal topics, too
        #[arg(long)]
        internal: bool,
    },
    /// Show one topic: partitions, leaders, replicas, offsets, bytes, settings
    Describe {
        /// Name of the topic
        name: String,
    },
    /// Change settings, add partitions or copies
    Alter {
        /// Name of the topic
        name: String,
        /// Number of partitions that there shall be: more than there are
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        partitions: Option<u16>,
        /// Nodes that shall keep a copy of each partition: 3, 5 or 7, and not fewer than now. Copies are
        /// made while clients go on; `describe` shows when they are in sync. Topics that share a journal
        /// with this one get them, too
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=7))]
        replication_factor: Option<u16>,
        /// A setting by Kafka's name, such as retention.ms=3600000. May be given more than once
        #[arg(long, value_name = "KEY=VALUE", value_parser = parse_setting)]
        config: Vec<Setting>,
        /// A setting that goes back to its default. May be given more than once
        #[arg(long, value_name = "KEY")]
        delete_config: Vec<String>,
    },
    /// Delete a topic and all its records; on a terminal it asks first
    Delete {
        /// Name of the topic
        name: String,
        /// Ask nothing
        #[arg(long)]
        yes: bool,
        /// Also a topic of the brokers' own: with __consumer_offsets the offsets of all groups go
        #[arg(long)]
        force: bool,
    },
}

/// One `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    key: String,
    value: String,
}

fn parse_setting(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Setting { key: key.to_owned(), value: value.to_owned() }),
        _ => Err(format!("'{text}' is not KEY=VALUE")),
    }
}

const OPERATION_SET: i8 = 0;
const OPERATION_DELETE: i8 = 1;

pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    if let Verb::Delete { name, force: false, .. } = verb
        && is_internal(name)
    {
        let what = format!("topic '{name}' is the brokers' own: what is in it cannot be had again");
        return Err(Refusal::usage(what, "give --force if all of it is to go"));
    }
    let mut connection = reach.connect()?;
    match verb {
        Verb::Create { name, partitions, replication_factor, config } => {
            let mut topic = CreatableTopic::default();
            topic.name = name.as_str().into();
            topic.num_partitions = partitions.map_or(-1, i32::from);
            topic.replication_factor =
                replication_factor.map_or(-1, |factor| i16::try_from(factor).expect("the parser bounds it"));
            topic.configs = config.iter().map(creatable).collect();
            let created = create(&mut connection, reach, topic)?;
            out.show(&created, |made| {
                let Created { name, partitions, replication_factor, id } = made;
                format!("created {name}: {partitions} partition(s), replication factor {replication_factor}, id {id}")
            })?;
        }
        Verb::List { internal } => {
            let metadata = topic_report::metadata(&mut connection, None)?;
            let rows = topic_report::list(&metadata, *internal);
            out.show(&rows, |rows| topic_report::list_table(rows))?;
        }
        Verb::Describe { name } => {
            let report = TopicReport::ask(&mut connection, reach, name)?;
            out.show(&report, TopicReport::text)?;
        }
        Verb::Alter { name, partitions, replication_factor, config, delete_config } => {
            let copies = *replication_factor;
            let altered = Altered { name, partitions: *partitions, copies, config, delete_config };
            alter(&mut connection, reach, &altered)?;
            let report = TopicReport::ask(&mut connection, reach, name)?;
            out.show(&report, TopicReport::text)?;
        }
        Verb::Delete { name, yes, .. } => {
            if !yes && is_at_terminal() {
                confirm(name, &mut std::io::stdin().lock(), &mut std::io::stderr())?;
            }
            delete(&mut connection, reach, name)?;
            out.show(&Deleted { deleted: name }, |_| format!("deleted {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn creatable(setting: &Setting) -> CreatableTopicConfig {
    let mut config = CreatableTopicConfig::default();
    config.name = setting.key.as_str().into();
    config.value = Some(setting.value.as_str().into());
    config
}

#[derive(Serialize)]
struct Created {
    name: String,
    id: String,
    partitions: i32,
    replication_factor: i16,
}

#[derive(Serialize)]
struct Deleted<'a> {
    deleted: &'a str,
}

/// Version 7 tells the topic's id, 5 what the defaults came to.
fn create(connection: &mut Connection, reach: &Reach, topic: CreatableTopic) -> Result<Created, Refusal> {
    let name = topic.name.as_str().to_owned();
    let mut request = CreateTopicsRequest::default();
    request.topics.push(topic);
    request.timeout_ms = reach.timeout_ms();
    let response = connection.call(5, &request)?;
    let made = response.topics.into_iter().next().ok_or_else(|| left_out(connection))?;
    check(&format!("topic '{name}'"), made.error_code, made.error_message.as_deref())?;
    wait_for_leaders(connection, reach, &name)?;
    Ok(Created {
        name,
        id: topic_report::id_text(made.topic_id),
        partitions: made.num_partitions,
        replication_factor: made.replication_factor,
    })
}

/// The broker answers when the topic is there; its leaders come a moment later, or, where disks are
/// slow, some. Without them in time the topic is there all the same.
fn wait_for_leaders(connection: &mut Connection, reach: &Reach, name: &str) -> Result<(), Refusal> {
    let deadline = Instant::now() + reach.timeout();
    loop {
        let metadata = topic_report::metadata(connection, Some(&[name]))?;
        let mut partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        if partitions.all(|partition| partition.leader_id >= 0) || Instant::now() >= deadline {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

struct Altered<'a> {
    name: &'a str,
    partitions: Option<u16>,
    copies: Option<u16>,
    config: &'a [Setting],
    delete_config: &'a [String],
}

/// Settings first: they are refused or taken together, and a mistake there leaves all as it was.
fn alter(connection: &mut Connection, reach: &Reach, altered: &Altered<'_>) -> Result<(), Refusal> {
    let set = altered.config.iter().map(|one| alterable(&one.key, OPERATION_SET, Some(&one.value)));
    let deleted = altered.delete_config.iter().map(|key| alterable(key, OPERATION_DELETE, None));
    let configs: Vec<AlterableConfig> = set.chain(deleted).collect();
    if configs.is_empty() && altered.partitions.or(altered.copies).is_none() {
        let remedy = "give --config, --delete-config, --partitions or --replication-factor";
        return Err(Refusal::usage("there is nothing to alter", remedy));
    }
    let subject = format!("topic '{}'", altered.name);
    if !configs.is_empty() {
        let mut resource = AlterConfigsResource::default();
        (resource.resource_type, resource.resource_name) = (RESOURCE_TOPIC, altered.name.into());
        resource.configs = configs;
        let mut request = IncrementalAlterConfigsRequest::default();
        request.resources.push(resource);
        let response = connection.call(0, &request)?;
        let done = response.responses.into_iter().next().ok_or_else(|| left_out(connection))?;
        check(&subject, done.error_code, done.error_message.as_deref())?;
    }
    if let Some(factor) = altered.copies {
        let mut request = AlterPartitionReassignmentsRequest::default();
        request.timeout_ms = reach.timeout_ms();
        request.unknown_tagged_fields = replication_tag::question(altered.name, factor);
        let done = connection.call(0, &request)?;
        check(&subject, done.error_code, done.error_message.as_deref())?;
    }
    let Some(count) = altered.partitions else { return Ok(()) };
    let mut topic = CreatePartitionsTopic::default();
    (topic.name, topic.count, topic.assignments) = (altered.name.into(), i32::from(count), None);
    let mut request = CreatePartitionsRequest::default();
    request.topics.push(topic);
    request.timeout_ms = reach.timeout_ms();
    let response = connection.call(0, &request)?;
    let done = response.results.into_iter().next().ok_or_else(|| left_out(connection))?;
    check(&subject, done.error_code, done.error_message.as_deref())
}

fn alterable(key: &str, operation: i8, value: Option<&str>) -> AlterableConfig {
    let mut config = AlterableConfig::default();
    config.name = key.into();
    config.config_operation = operation;
    config.value = value.map(Into::into);
    config
}

/// Somebody is there to be asked.
fn is_at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for the topic's name: a habit types `y`, a name is read first.
fn confirm(name: &str, from: &mut impl BufRead, to: &mut impl Write) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal::environment(format!("the terminal: {error}"), "give --yes");
    write!(to, "Topic '{name}' and all its records will be gone. Type its name to delete it: ")
        .map_err(failed)?;
    to.flush().map_err(failed)?;
    let mut line = String::new();
    from.read_line(&mut line).map_err(failed)?;
    if line.trim() == name {
        return Ok(());
    }
    Err(Refusal::usage("nothing was deleted", "type the topic's name, or give --yes"))
}

/// From version 6 on topics are named in a structure of their own.
fn delete(connection: &mut Connection, reach: &Reach, name: &str) -> Result<(), Refusal> {
    let mut topic = DeleteTopicState::default();
    topic.name = Some(name.into());
    let mut request = DeleteTopicsRequest::default();
    request.topics.push(topic);
    request.timeout_ms = reach.timeout_ms();
    let response = connection.call(6, &request)?;
    let done = response.responses.into_iter().next().ok_or_else(|| left_out(connection))?;
    check(&format!("topic '{name}'"), done.error_code, done.error_message.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topics_own_name_deletes_it() {
        let answered = |line: &str| {
            let mut asked = Vec::new();
            let result = confirm("orders", &mut line.as_bytes(), &mut asked);
            assert!(String::from_utf8_lossy(&asked).contains("'orders'"));
            result.is_ok()
        };
        assert!(answered("orders\n"));
        assert!(!answered("y\n") && !answered("") && !answered("orders2\n"));
    }

    #[test]
    fn a_topic_of_the_brokers_own_goes_by_force_only() {
        let reach = Reach::sample(" , ");
        let delete = |name: &str, force| {
            let verb = Verb::Delete { name: name.to_owned(), yes: true, force };
            run(&verb, &reach, Out { json: false }).expect_err("there is no broker").exit_code
        };
        assert_eq!(delete("__consumer_offsets", false), crate::process::refusal::EXIT_USAGE);
        let no_broker = crate::process::refusal::EXIT_ENVIRONMENT;
        assert_eq!([delete("__consumer_offsets", true), delete("orders", false)], [no_broker; 2]);
    }

    #[test]
    fn a_setting_has_a_key_and_may_have_equals_signs_in_its_value() {
        let setting = |key: &str, value: &str| Setting { key: key.to_owned(), value: value.to_owned() };
        assert_eq!(parse_setting("a=b=c"), Ok(setting("a", "b=c")));
        assert_eq!(parse_setting("a="), Ok(setting("a", "")));
        assert!(parse_setting("a").is_err() && parse_setting("=a").is_err());
    }
}
