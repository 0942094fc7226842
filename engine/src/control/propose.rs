//! Makes commands from requests: fills in defaults and refuses what the view shows to be wrong,
//! before an entry is spent on it. `apply` has the last word.

use super::command::{Command, ConfigChange, Place, Resource};
use super::command_error::CommandError;
use super::config::effective::Configs;
use super::config::kinds::list_of;
use super::config::{
    BrokerSettings, Statics, apply_changes, brokers_changes, check_proposed, group, life_of,
};
use super::life::Life;
use super::rules::{self, Existing, Wanted};
use super::view::{TopicView, View};
use crate::groups::{GroupConfig, OFFSETS_TOPIC};
use crate::ids::TopicId;
use crate::transactions::TRANSACTIONS_TOPIC;
use std::sync::Arc;

/// What a coordinator's topic must have: a group is one record, however many members.
const COORDINATED_CONFIGS: [(&str, &str); 3] =
    [("retention.ms", "-1"), ("retention.bytes", "-1"), ("max.message.bytes", "16777216")];

const OF_COORDINATORS: &str = "Invalid value for configuration cleanup.policy: coordinators bound the history of their topics themselves";

/// A topic that a client asks for.
#[derive(Clone, Debug)]
pub struct NewTopic {
    pub name: String,
    /// −1 is the broker's default.
    pub partitions: i32,
    /// −1 is the broker's default.
    pub replication_factor: i16,
    pub configs: Vec<(String, String)>,
    /// Random, never zero.
    pub topic_id: TopicId,
    /// Random.
    pub entropy: u64,
    /// A place for each partition, from [`super::by_hand`]; then the numbers follow from it.
    pub by_hand: Vec<Place>,
}

/// CreateTopics, and auto-creation with −1 and −1. The topics of coordinators have defaults of
/// their own, whoever makes them: their records stay until the coordinator moves the log start.
pub fn create_topic(view: &View, statics: &Statics, mut new: NewTopic) -> Result<Command, CommandError> {
    let broker = BrokerSettings::effective(statics);
    let mut defaults = (broker.num_partitions, broker.default_replication_factor);
    let coordinated = match new.name.as_str() {
        OFFSETS_TOPIC => Some((broker.offsets_partitions, broker.offsets_replication_factor)),
        TRANSACTIONS_TOPIC => Some((broker.transactions_partitions, broker.transactions_replication_factor)),
        _ => None,
    };
    if let Some((partitions, factor)) = coordinated {
        assert!(partitions > 0, "{}: its names have to belong somewhere", new.name);
        assert!(factor.is_none_or(|factor| factor > 0), "{}: {factor:?} copies", new.name);
        // All groups or transactions depend on it: it is worth its copies where they can be.
        let usual = if view.nodes.len() >= 3 { defaults.1.max(3) } else { defaults.1 };
        defaults = (partitions, factor.unwrap_or(usual));
        new.configs.retain(|(key, _)| COORDINATED_CONFIGS.iter().all(|(own, _)| own != key));
        new.configs.extend(COORDINATED_CONFIGS.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    if let Some(first) = new.by_hand.first() {
        new.partitions = i32::try_from(new.by_hand.len()).unwrap_or(i32::MAX);
        new.replication_factor = i16::try_from(first.replicas.len()).unwrap_or(i16::MAX);
    }
    assert!(defaults.0 > 0 && defaults.1 > 0, "settings were checked when they were set: {defaults:?}");
    let partitions = if new.partitions == -1 { defaults.0 } else { new.partitions };
    let factor = if new.replication_factor == -1 { defaults.1 } else { new.replication_factor };
    // A negative number is as wrong as zero, and the rules know that one.
    let partitions = u32::try_from(partitions).unwrap_or(0);
    let replication_factor = u16::try_from(factor).unwrap_or(0);
    let (name, configs, by_hand) = (&new.name, &new.configs, &new.by_hand);
    let wanted = Wanted { name, partitions, replication_factor, configs, by_hand };
    let configs = rules::check_new_topic(&existing(view), wanted)?;
    check_proposed(&configs)?;
    let life = life_of(&new.name, &configs, &view.broker_configs, statics);
    if compacts(&configs) {
        check_compacted(life)?;
    }
    Ok(Command::CreateTopic {
        life,
        name: new.name,
        topic_id: new.topic_id,
        partitions,
        replication_factor,
        configs: configs.into_iter().collect(),
        entropy: new.entropy,
        by_hand: new.by_hand,
    })
}

/// Whether the topic's own settings ask for compaction: brokers have no default of it.
fn compacts(configs: &Configs) -> bool {
    let policy = configs.get("cleanup.policy").map_or("", String::as_str);
    list_of(policy).any(|policy| policy == "compact")
}

/// Coordinators bound the history of their topics themselves: no journal of theirs is compacted.
fn check_compacted(life: Life) -> Result<(), CommandError> {
    if life == Life::Compacted {
        return Ok(());
    }
    Err(CommandError::InvalidConfig(OF_COORDINATORS.to_owned()))
}

/// What the rules ask about.
fn existing(view: &View) -> Existing<'_, Arc<TopicView>> {
    let (topics, nodes, lanes) = (&view.topics, &view.nodes, view.lanes);
    Existing { topics, nodes, lanes, partitions: view.partitions.len() }
}

/// CreatePartitions, with a place for each new partition or none.
pub fn add_partitions(
    view: &View,
    name: &str,
    total: i32,
    entropy: u64,
    by_hand: Vec<Place>,
) -> Result<Command, CommandError> {
    let topic = view.topics.get(name).ok_or(CommandError::UnknownTopic)?;
    if matches!(name, OFFSETS_TOPIC | TRANSACTIONS_TOPIC) {
        let reason =
            "A group's or transaction's partition follows from their number: it cannot change.".to_owned();
        return Err(CommandError::InvalidPartitions(reason));
    }
    let total = u32::try_from(total).unwrap_or(0);
    let (sizes, copies) = ((topic.partitions.len() as u32, total), topic.replication_factor);
    rules::check_more_partitions(&existing(view), sizes, copies, &by_hand)?;
    Ok(Command::AddPartitions { topic_id: topic.id, total, entropy, by_hand })
}

/// AlterConfigs and IncrementalAlterConfigs of a topic.
pub fn alter_topic(view: &View, name: &str, changes: Vec<ConfigChange>) -> Result<Command, CommandError> {
    let topic = view.topics.get(name).ok_or(CommandError::UnknownTopic)?;
    let resource = Resource::Topic(topic.id);
    let changed = apply_changes(&resource, &topic.configs, &changes)?;
    check_proposed(&changed)?;
    // Whether it is compacted then depends on where its records are: see `View::awaits_compaction`.
    if compacts(&changed) && matches!(name, OFFSETS_TOPIC | TRANSACTIONS_TOPIC) {
        return Err(CommandError::InvalidConfig(OF_COORDINATORS.to_owned()));
    }
    Ok(Command::AlterConfigs { resource, changes })
}

/// The same of one broker, which the view knows.
pub fn alter_broker(view: &View, id: i32, changes: Vec<ConfigChange>) -> Result<Command, CommandError> {
    let changes = brokers_changes(changes)?;
    let resource = Resource::Broker(id);
    let none = Default::default();
    apply_changes(&resource, view.own_broker_configs.get(&id).unwrap_or(&none), &changes)?;
    Ok(Command::AlterConfigs { resource, changes })
}

/// The same of a group; `broker` has the bounds of the one that was asked.
pub fn alter_group(
    view: &View,
    name: &str,
    changes: Vec<ConfigChange>,
    broker: &GroupConfig,
) -> Result<Command, CommandError> {
    let resource = Resource::Group(name.to_owned());
    let none = Default::default();
    let before = view.group_configs.get(name).unwrap_or(&none);
    group::check(&apply_changes(&resource, before, &changes)?, broker)?;
    Ok(Command::AlterConfigs { resource, changes })
}

/// The same of all brokers.
pub fn alter_brokers(view: &View, changes: Vec<ConfigChange>) -> Result<Command, CommandError> {
    let changes = brokers_changes(changes)?;
    apply_changes(&Resource::Brokers, &view.broker_configs, &changes)?;
    Ok(Command::AlterConfigs { resource: Resource::Brokers, changes })
}
