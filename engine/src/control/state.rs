//! The meta journal's state machine: a function of its entries and of nothing else.

use super::acls::rules::ACLS_AT_ONCE;
use super::acls::{AclFilter, Acls};
use super::command::{Command, ConfigChange, Outcome, Place, Resource};
use super::command_error::CommandError;
use super::config::apply_changes;
use super::config::effective::Configs;
use super::config::group;
use super::credentials::{self, Credentials};
use super::life::Life;
use super::nodes::{Advertised, AdvertisedListener, Invited, LISTENERS_MAX, NodeView};
use super::placement::{Journals, Request, meta_journal_secret};
use super::quotas::{self, Quotas};
use super::rules::{self, Existing, Wanted};
use super::view::{self, PartitionView, SpanView};
use crate::control::view::LOST_NUMBERS;
use crate::ids::{BrokerIds, ClusterId, Incarnation, Index, JournalId, NodeId, PartitionId, RaftId, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most producer ids that one command gives away: a node asks for 1,000 at a time.
pub const PRODUCER_IDS_MAX: u32 = 1_000_000;
/// A host name's longest text (RFC 1035), bytes; a rack's name has the same bound.
pub const HOST_BYTES_MAX: usize = 255;

/// The cluster's metadata: what the meta journal's entries add up to. Whatever is shared with a
/// [`super::View`] is behind an `Arc`, so that a view costs what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetaState {
    pub(super) applied: Index,
    pub(super) cluster: ClusterId,
    pub(super) lanes: u16,
    pub(super) segment_bytes: u64,
    pub(super) broker_ids: BrokerIds,
    pub(super) nodes: BTreeMap<NodeId, Arc<NodeView>>,
    pub(super) topics: BTreeMap<TopicId, Arc<Topic>>,
    /// By name; says nothing that `topics` does not.
    pub(super) names: BTreeMap<Arc<str>, TopicId>,
    pub(super) journals: Journals,
    pub(super) broker_configs: Arc<Configs>,
    /// Of single brokers, by their id; none without settings.
    pub(super) own_broker_configs: Arc<BTreeMap<i32, Configs>>,
    /// Of groups, by their name; none without settings.
    pub(super) group_configs: Arc<BTreeMap<String, Configs>>,
    pub(super) quotas: Arc<Quotas>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) acls: Arc<Acls>,
    /// Nodes that may come, and where they are to be found.
    pub(super) invited: Arc<BTreeMap<NodeId, Invited>>,
    pub(super) next_raft: u64,
    pub(super) next_partition: u64,
    pub(super) next_producer: i64,
    /// Partitions of all topics.
    pub(super) partition_count: usize,
}

/// A topic as the journal has it; its effective settings depend on the node and are the view's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: TopicId,
    pub life: Life,
    pub replication_factor: u16,
    pub configs: Configs,
    /// By partition number.
    pub partitions: Vec<PartitionView>,
}

impl MetaState {
    /// The index of the last entry that was applied.
    pub fn applied(&self) -> Index {
        self.applied
    }

    pub fn is_formed(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// The life of a node that is a member.
    pub fn incarnation_of(&self, node: NodeId) -> Option<Incarnation> {
        self.nodes.get(&node).map(|node| node.incarnation)
    }

    /// Carries out one committed command at `index`. Deterministic: the same on every replica. A
    /// refused one changes nothing.
    pub fn apply(&mut self, index: Index, command: &Command) -> Result<Outcome, CommandError> {
        assert!(index >= self.applied, "entry {index} after {}", self.applied);
        self.applied = index;
        match command {
            Command::Form { cluster, members, lanes, segment_bytes, broker_ids } => {
                self.form(*cluster, members, (*lanes, *broker_ids), *segment_bytes)
            }
            Command::AddNode { node, incarnation, advertised } => {
                self.add_node(*node, *incarnation, advertised)
            }
            Command::RegisterNode { node, shards, advertised } => self.register(*node, *shards, advertised),
            Command::Rejoin { node, incarnation, replaces } => self.rejoin(*node, *incarnation, *replaces),
            Command::Renew { node, incarnation, journal, replaces } => {
                self.renew(*node, *incarnation, *journal, *replaces)
            }
            Command::CreateTopic {
                name,
                topic_id,
                partitions,
                replication_factor,
                configs,
                life,
                entropy,
                by_hand,
            } => {
                let wanted = Wanted {
                    name,
                    partitions: *partitions,
                    replication_factor: *replication_factor,
                    configs,
                    by_hand,
                };
                self.create_topic(*topic_id, wanted, *life, *entropy)
            }
            Command::DeleteTopic { topic_id } => self.delete_topic(*topic_id),
            Command::AddPartitions { topic_id, total, entropy, by_hand } => {
                self.add_partitions(*topic_id, *total, *entropy, by_hand)
            }
            Command::AlterReplication { topic_id, replication_factor } => {
                self.alter_replication(*topic_id, *replication_factor)
            }
            Command::AlterConfigs { resource, changes } => self.alter_configs(resource, changes),
            Command::AllocateProducerIds { count } => self.allocate_producer_ids(*count),
            Command::AlterQuotas { entity, changes } => {
                quotas::check(&self.quotas, entity, changes)?;
                quotas::change(Arc::make_mut(&mut self.quotas), entity, changes);
                Ok(Outcome::Done)
            }
            Command::AlterCredential { user, mechanism, credential } => {
                let (mechanism, credential) = (*mechanism, credential.as_ref());
                credentials::check(&self.credentials, user, mechanism, credential)?;
                credentials::change(Arc::make_mut(&mut self.credentials), user, mechanism, credential);
                Ok(Outcome::Done)
            }
            Command::CreateAcls { acls } => {
                self.acls.check(acls)?;
                if acls.iter().any(|acl| !self.acls.contains(acl)) {
                    Arc::make_mut(&mut self.acls).create(acls);
                }
                Ok(Outcome::Done)
            }
            Command::DeleteAcls { filter, at_most } => Ok(self.delete_acls(filter, (*at_most).into())),
        }
    }

    fn form(
        &mut self,
        cluster: ClusterId,
        members: &[(NodeId, Incarnation)],
        (lanes, broker_ids): (u16, BrokerIds),
        segment_bytes: u64,
    ) -> Result<Outcome, CommandError> {
        let invalid = |reason: &str| Err(CommandError::InvalidRequest(reason.to_owned()));
        if self.is_formed() {
            return invalid("the cluster is formed already");
        }
        if members.is_empty() || lanes == 0 || segment_bytes == 0 {
            return invalid("a cluster has members, lanes and a segment length");
        }
        if lanes > broker_ids.stride() {
            return invalid("a cluster has no more lanes than broker ids a node");
        }
        let mut nodes = BTreeMap::new();
        for (raft, (node, incarnation)) in (1..).zip(members) {
            let view = NodeView {
                node: *node,
                incarnation: *incarnation,
                raft_id: RaftId(raft),
                former: Vec::new(),
                shards: 0,
                advertised: Advertised::default(),
            };
            if nodes.insert(*node, Arc::new(view)).is_some() {
                return invalid("a node is named twice");
            }
        }
        self.journals.form(&nodes, meta_journal_secret(members), segment_bytes)?;
        self.next_raft = members.len() as u64 + 1;
        self.nodes = nodes;
        self.cluster = cluster;
        self.lanes = lanes;
        self.broker_ids = broker_ids;
        self.segment_bytes = segment_bytes;
        // Zero is no partition's number, so that a field never written does not name one.
        self.next_partition = 1;
        Ok(Outcome::Done)
    }

    fn register(
        &mut self,
        node: NodeId,
        shards: u16,
        advertised: &Advertised,
    ) -> Result<Outcome, CommandError> {
        let invalid = |reason: String| Err(CommandError::InvalidRequest(reason));
        let rack_bytes = advertised.rack.as_ref().map_or(0, String::len);
        if shards == 0 || advertised.host.len().max(rack_bytes) > HOST_BYTES_MAX {
            return invalid(format!("node {node} registers {shards} shards at {}", advertised.host));
        }
        let is_long =
            |listener: &AdvertisedListener| listener.name.len().max(listener.host.len()) > HOST_BYTES_MAX;
        if advertised.listeners.len() > LISTENERS_MAX || advertised.listeners.iter().any(is_long) {
            return invalid(format!("node {node} registers more listeners, or longer names, than are kept"));
        }
        let Some(view) = self.nodes.get_mut(&node) else {
            return invalid(format!("node {node} is no member"));
        };
        if view.shards != shards || view.advertised != *advertised {
            let view = Arc::make_mut(view);
            view.shards = shards;
            view.advertised = advertised.clone();
        }
        Ok(Outcome::Done)
    }

    /// A node comes back with another disk. What it replaces is named, so that a command of an
    /// earlier life that comes late changes nothing; the answer says who the node is now.
    fn rejoin(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        replaces: Incarnation,
    ) -> Result<Outcome, CommandError> {
        let Some(view) = self.nodes.get_mut(&node) else {
            return self.take_in(node, incarnation);
        };
        if view.incarnation == replaces && incarnation != replaces {
            let view = Arc::make_mut(view);
            view.former.push(view.raft_id);
            view.raft_id = RaftId(self.next_raft);
            view.incarnation = incarnation;
            self.next_raft += 1;
        }
        Ok(Outcome::Member { incarnation: view.incarnation, raft_id: view.raft_id })
    }

    /// A node lost one replica. The one that it lost is named, so that a command that comes late or
    /// twice changes nothing; the answer says which it has now.
    fn renew(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        journal: JournalId,
        replaces: RaftId,
    ) -> Result<Outcome, CommandError> {
        let invalid = |reason: String| Err(CommandError::InvalidRequest(reason));
        let Some(view) = self.nodes.get(&node) else {
            return invalid(format!("node {node} is no member"));
        };
        let Some(journal) = self.journals.by_id.get_mut(&journal) else {
            return invalid(format!("there is no journal {journal}"));
        };
        // The only replica of a journal is no other one's to make anew.
        let may_be = journal.replicas.contains(&node) && journal.replicas.len() > 1;
        if !may_be {
            return invalid(format!("node {node} has no replica of journal {} that others have", journal.id));
        }
        if view.incarnation == incarnation && journal.raft_id_of(view) == replaces {
            Arc::make_mut(journal).renewed.push((node, RaftId(self.next_raft)));
            self.next_raft += 1;
        }
        Ok(Outcome::Member { incarnation: view.incarnation, raft_id: journal.raft_id_of(view) })
    }

    fn create_topic(
        &mut self,
        id: TopicId,
        wanted: Wanted<'_>,
        life: Life,
        entropy: u64,
    ) -> Result<Outcome, CommandError> {
        let configs = rules::check_new_topic(&self.existing(), wanted)?;
        if id.0 == 0 || self.topics.contains_key(&id) || life == Life::Meta {
            return Err(CommandError::InvalidRequest(format!("topic id {:032x} cannot be given", id.0)));
        }
        let name: Arc<str> = wanted.name.into();
        let replication_factor = wanted.replication_factor;
        let partitions = Vec::new();
        let mut topic = Topic { name: name.clone(), id, life, replication_factor, configs, partitions };
        self.grow(&mut topic, wanted.partitions, entropy, wanted.by_hand);
        let partitions = topic.partitions.iter().map(|partition| partition.id).collect();
        self.names.insert(name, id);
        self.topics.insert(id, Arc::new(topic));
        Ok(Outcome::TopicCreated { topic_id: id, partitions })
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<Outcome, CommandError> {
        let topic = self.topics.remove(&id).ok_or(CommandError::UnknownTopic)?;
        self.names.remove(&topic.name).expect("every topic has its name");
        for span in topic.partitions.iter().flat_map(|partition| &partition.spans) {
            self.journals.forget_partition(span.journal);
        }
        self.partition_count -= topic.partitions.len();
        Ok(Outcome::Done)
    }

    /// What the rules ask about.
    fn existing(&self) -> Existing<'_, TopicId> {
        let (topics, nodes, lanes) = (&self.names, &self.nodes, self.lanes);
        Existing { topics, nodes, lanes, partitions: self.partition_count }
    }

    fn add_partitions(
        &mut self,
        id: TopicId,
        total: u32,
        entropy: u64,
        by_hand: &[Place],
    ) -> Result<Outcome, CommandError> {
        let topic = self.topics.get(&id).ok_or(CommandError::UnknownTopic)?;
        let current = topic.partitions.len() as u32;
        let (sizes, copies) = ((current, total), topic.replication_factor);
        rules::check_more_partitions(&self.existing(), sizes, copies, by_hand)?;
        let mut topic = Topic::clone(topic);
        self.grow(&mut topic, total, entropy, by_hand);
        self.topics.insert(id, Arc::new(topic));
        Ok(Outcome::Done)
    }

    /// Gives a topic that was checked its partitions up to `total`.
    fn grow(&mut self, topic: &mut Topic, total: u32, entropy: u64, by_hand: &[Place]) {
        let existing: Vec<_> =
            topic.partitions.iter().flat_map(|partition| partition.spans.last()).map(|s| s.journal).collect();
        let request = Request {
            life: topic.life,
            replication_factor: topic.replication_factor,
            lanes: self.lanes,
            segment_bytes: self.segment_bytes,
            entropy,
        };
        let more = total - topic.partitions.len() as u32;
        let journals = match by_hand {
            [] => self.journals.place(&self.nodes, request, &existing, more),
            places => self.journals.place_by_hand(&self.nodes, request, places),
        };
        for journal in journals {
            let id = PartitionId(self.next_partition);
            self.next_partition += 1;
            // A journal's first term is 1 and Kafka's first leader epoch 0.
            let span = SpanView { journal, first_offset: 0, epoch_base: -1 };
            topic.partitions.push(PartitionView { id, spans: vec![span] });
        }
        self.partition_count += more as usize;
    }

    fn alter_configs(
        &mut self,
        resource: &Resource,
        changes: &[ConfigChange],
    ) -> Result<Outcome, CommandError> {
        match resource {
            Resource::Topic(id) => {
                let topic = self.topics.get_mut(id).ok_or(CommandError::UnknownTopic)?;
                let configs = apply_changes(resource, &topic.configs, changes)?;
                if configs != topic.configs {
                    Arc::make_mut(topic).configs = configs;
                }
            }
            Resource::Brokers => {
                let configs = apply_changes(resource, &self.broker_configs, changes)?;
                if configs != *self.broker_configs {
                    self.broker_configs = Arc::new(configs);
                }
            }
            Resource::Broker(id) => self.alter_broker(*id, changes)?,
            Resource::Group(name) => self.alter_group(name, changes)?,
        }
        Ok(Outcome::Done)
    }

    fn alter_broker(&mut self, id: i32, changes: &[ConfigChange]) -> Result<(), CommandError> {
        if view::broker(self.broker_ids, &self.nodes, id).is_none() {
            return Err(CommandError::InvalidRequest(format!("no broker has the id {id}")));
        }
        let none = Configs::new();
        let before = self.own_broker_configs.get(&id).unwrap_or(&none);
        let configs = apply_changes(&Resource::Broker(id), before, changes)?;
        if configs != *before {
            let all = Arc::make_mut(&mut self.own_broker_configs);
            all.insert(id, configs);
            all.retain(|_, configs| !configs.is_empty());
        }
        Ok(())
    }

    fn alter_group(&mut self, name: &str, changes: &[ConfigChange]) -> Result<(), CommandError> {
        let none = Configs::new();
        let before = self.group_configs.get(name).unwrap_or(&none);
        let configs = apply_changes(&Resource::Group(name.to_owned()), before, changes)?;
        if configs == *before {
            return Ok(());
        }
        let is_more = before.is_empty() && self.group_configs.len() >= group::GROUPS_MAX;
        if is_more || name.len() > group::NAME_BYTES_MAX {
            let (groups, bytes) = (group::GROUPS_MAX, group::NAME_BYTES_MAX);
            let reason =
                format!("at most {groups} groups have settings, with names of at most {bytes} bytes");
            return Err(CommandError::LimitReached(reason));
        }
        let all = Arc::make_mut(&mut self.group_configs);
        all.insert(name.to_owned(), configs);
        all.retain(|_, configs| !configs.is_empty());
        Ok(())
    }

    /// Entries are lost, and the operator accepts that: no number that one of them may have given is given
    /// again, and of the partitions numbered before nobody knows whether they were deleted.
    pub fn skip_lost_numbers(&mut self) {
        let after = |next: u64| (next / LOST_NUMBERS + 1) * LOST_NUMBERS;
        self.next_partition = after(self.next_partition);
        self.next_producer = after(self.next_producer as u64) as i64;
        self.next_raft = after(self.next_raft);
        self.journals.skip_lost_numbers(after);
    }

    fn delete_acls(&mut self, filter: &AclFilter, at_most: usize) -> Outcome {
        if self.acls.list(filter).next().is_none() {
            return Outcome::AclsDeleted { acls: Vec::new(), more: false };
        }
        let (acls, more) = Arc::make_mut(&mut self.acls).delete(filter, at_most.min(ACLS_AT_ONCE));
        assert!(acls.len() <= ACLS_AT_ONCE, "{} rules do not fit into a message", acls.len());
        Outcome::AclsDeleted { acls, more }
    }

    fn allocate_producer_ids(&mut self, count: u32) -> Result<Outcome, CommandError> {
        if count == 0 || count > PRODUCER_IDS_MAX {
            return Err(CommandError::InvalidRequest(format!("{count} producer ids asked for at once")));
        }
        let first = self.next_producer;
        self.next_producer += i64::from(count);
        Ok(Outcome::ProducerIds { first, count })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{apply, create, formed};
    use super::*;

    /// applied never falls; a refused command moves it and nothing else.
    #[test]
    fn what_is_applied_moves_with_each_entry_and_a_refused_command_changes_nothing_else() {
        let mut state = formed(1);
        let index = state.applied();
        apply(&mut state, &create("t", 9, 1)).expect("made");
        assert_eq!(state.applied(), index.next());
        let before = state.clone();
        assert!(apply(&mut state, &create("t", 10, 1)).is_err(), "the name is taken");
        assert_eq!(state.applied(), index.next().next());
        state.applied = before.applied;
        assert!(state == before);
    }

    #[test]
    #[should_panic(expected = "after")]
    fn an_entry_that_was_applied_is_not_applied_again() {
        let mut state = formed(1);
        let _ = state.apply(Index(0), &create("t", 9, 1));
    }
}
