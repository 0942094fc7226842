//! The state machine, its checkpoint and its views, together.

use super::acls::{AclFilter, Operation};
use super::command::{Command, ConfigChange, Outcome, Place, Resource};
use super::command_error::CommandError;
use super::config::Statics;
use super::credentials::Mechanism;
use super::life::Life;
use super::nodes::{Advertised, AdvertisedListener, LISTENERS_MAX};
use super::propose::{self, NewTopic};
use super::quotas::{QuotaChange, QuotaEntity, QuotaKind, QuotaName};
use super::security_tests::{acl, credential};
use super::view::View;
use super::{DecodeError, MetaState, ViewBuilder};
use crate::ids::{
    BrokerIds, ClusterId, Incarnation, Index, JournalId, LaneId, META_JOURNAL, NodeId, PartitionId, RaftId,
    TopicId,
};
use proptest::prelude::*;
use std::sync::Arc;

fn form(nodes: u32) -> Command {
    let members = (0..nodes).map(|node| (NodeId(node), Incarnation(u128::from(node) + 100))).collect();
    let broker_ids = BrokerIds::default();
    Command::Form { cluster: ClusterId(77), members, lanes: 4, segment_bytes: 1 << 28, broker_ids }
}

pub(super) fn create(name: &str, id: u128, partitions: u32) -> Command {
    Command::CreateTopic {
        name: name.to_owned(),
        topic_id: TopicId(id),
        partitions,
        replication_factor: 1,
        configs: vec![],
        life: Life::Finite,
        entropy: id as u64,
        by_hand: vec![],
    }
}

/// Applies at the next index.
pub(super) fn apply(state: &mut MetaState, command: &Command) -> Result<Outcome, CommandError> {
    let before = state.clone();
    let result = state.apply(state.applied().next(), command);
    if result.is_err() {
        state.applied = before.applied;
        assert_eq!(*state, before, "a refused command changes nothing");
        state.applied = before.applied.next();
    }
    assert_eq!(MetaState::decode(&state.encode()).as_ref(), Ok(&*state), "a checkpoint is all of it");
    result
}

pub(super) fn formed(nodes: u32) -> MetaState {
    let mut state = MetaState::default();
    apply(&mut state, &form(nodes)).unwrap();
    state
}

#[test]
fn forming_numbers_the_members_and_makes_the_meta_journal() {
    let mut state = formed(3);
    let view = ViewBuilder::new(Statics::default()).view(&state);
    let rafts: Vec<_> = view.nodes.values().map(|node| node.raft_id).collect();
    assert_eq!(rafts, [RaftId(1), RaftId(2), RaftId(3)]);
    let meta = &view.journals[&JournalId(0)];
    assert_eq!((meta.life, meta.voters.len(), meta.segment_bytes), (Life::Meta, 3, 1 << 28));
    assert!(matches!(apply(&mut state, &form(1)), Err(CommandError::InvalidRequest(_))));
    let register = |node| Command::RegisterNode {
        node: NodeId(node),
        shards: 4,
        advertised: Advertised {
            host: "h".to_owned(),
            first_port: 9092,
            rack: None,
            ..Advertised::default()
        },
    };
    assert_eq!(apply(&mut state, &register(2)), Ok(Outcome::Done));
    assert!(matches!(apply(&mut state, &register(3)), Err(CommandError::InvalidRequest(_))));
}

#[test]
fn the_stride_of_broker_ids_is_chosen_at_formation_and_stays() {
    let form = |stride, lanes| {
        let (cluster, members) =
            (ClusterId(7), vec![(NodeId(1), Incarnation(1)), (NodeId(2), Incarnation(2))]);
        let broker_ids = BrokerIds::new(stride).expect("valid");
        Command::Form { cluster, members, lanes, segment_bytes: 1 << 28, broker_ids }
    };
    let mut state = MetaState::default();
    let more_lanes = apply(&mut state, &form(1, 2));
    assert!(
        matches!(more_lanes, Err(CommandError::InvalidRequest(_))),
        "ids of neighbours would be the same"
    );
    apply(&mut state, &form(1, 1)).unwrap();
    assert_eq!(state.encode()[0], 5);
    let advertised =
        Advertised { host: "h".to_owned(), first_port: 9092, rack: None, ..Advertised::default() };
    // The second shard has no lane, and is no broker.
    let register = Command::RegisterNode { node: NodeId(1), shards: 2, advertised };
    apply(&mut state, &register).unwrap();
    let view = ViewBuilder::new(Statics::default()).view(&MetaState::decode(&state.encode()).unwrap());
    let named = |id| view.broker(id).map(|(node, shard)| (node.node.0, shard.0));
    assert_eq!((named(1), named(2), named(0)), (Some((1, 0)), None, None), "node 2 is not registered");
}

#[test]
fn a_topic_is_made_grown_and_deleted_and_numbers_are_never_used_again() {
    let mut state = formed(1);
    let made = apply(&mut state, &create("a", 1, 2)).unwrap();
    let partitions = vec![PartitionId(1), PartitionId(2)];
    assert_eq!(made, Outcome::TopicCreated { topic_id: TopicId(1), partitions });
    let grow = |total| Command::AddPartitions { topic_id: TopicId(1), total, entropy: 5, by_hand: vec![] };
    assert_eq!(apply(&mut state, &grow(3)), Ok(Outcome::Done));
    for total in [0, 2, 3] {
        assert!(matches!(apply(&mut state, &grow(total)), Err(CommandError::InvalidPartitions(_))));
    }
    let mut views = ViewBuilder::new(Statics::default());
    let view = views.view(&state);
    let (topic, partition) = view.partition(PartitionId(3)).unwrap();
    assert_eq!((&*topic.name, partition.spans[0].epoch_base), ("a", -1));
    assert_eq!(apply(&mut state, &Command::DeleteTopic { topic_id: TopicId(1) }), Ok(Outcome::Done));
    let gone = Command::DeleteTopic { topic_id: TopicId(1) };
    assert_eq!(apply(&mut state, &gone), Err(CommandError::UnknownTopic));
    assert_eq!(apply(&mut state, &grow(9)), Err(CommandError::UnknownTopic));
    let deleted = |view: &View| view.deleted.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!((deleted(&view).len(), deleted(&views.view(&state))), (0, vec!["a".to_owned()]));
    apply(&mut state, &create("a", 2, 1)).unwrap();
    let view = views.view(&state);
    assert_eq!(view.topics["a"].partitions[0].id, PartitionId(4));
    assert!(view.was_deleted(PartitionId(3)) && !view.was_deleted(PartitionId(5)));
    assert_eq!((view.topics.len(), view.topic_ids.len(), view.partitions.len()), (1, 1, 1));
}

#[test]
fn places_by_hand_are_taken_or_refused_as_a_whole() {
    let mut state = formed(3);
    let place = |lane, node: u32| Place { lane: LaneId(lane), replicas: vec![NodeId(node)] };
    let made = |places: &[Place]| match create("a", 1, 2) {
        Command::CreateTopic {
            name,
            topic_id,
            partitions,
            replication_factor,
            configs,
            life,
            entropy,
            ..
        } => {
            let by_hand = places.to_vec();
            Command::CreateTopic {
                name,
                topic_id,
                partitions,
                replication_factor,
                configs,
                life,
                entropy,
                by_hand,
            }
        }
        _ => unreachable!("made above"),
    };
    let twice = Place { lane: LaneId(0), replicas: vec![NodeId(1), NodeId(1)] };
    for wrong in [vec![place(0, 1)], vec![place(0, 1), place(0, 3)], vec![place(4, 1); 2], vec![twice; 2]] {
        let refused = apply(&mut state, &made(&wrong));
        assert!(matches!(refused, Err(CommandError::InvalidPlace(_))), "{wrong:?}: {refused:?}");
    }
    apply(&mut state, &made(&[place(3, 2), place(3, 2)])).unwrap();
    let view = ViewBuilder::new(Statics::default()).view(&state);
    let journal_of = |view: &View, partition: usize| {
        view.journals[&view.topics["a"].partitions[partition].spans[0].journal].clone()
    };
    assert_eq!(journal_of(&view, 0), journal_of(&view, 1));
    assert_eq!(
        (journal_of(&view, 0).lane, &journal_of(&view, 0).replicas[..]),
        (LaneId(3), &[NodeId(2)][..])
    );
    let grow = |by_hand| Command::AddPartitions { topic_id: TopicId(1), total: 3, entropy: 5, by_hand };
    let two = apply(&mut state, &grow(vec![place(0, 0), place(0, 1)]));
    assert!(matches!(two, Err(CommandError::InvalidPlace(_))), "{two:?}");
    apply(&mut state, &grow(vec![place(0, 0)])).unwrap();
    let view = ViewBuilder::new(Statics::default()).view(&state);
    assert_eq!((view.journals.len(), journal_of(&view, 2).replicas[0]), (3, NodeId(0)));
}

#[test]
fn what_cannot_be_made_is_refused_with_its_own_error() {
    let mut state = formed(3);
    apply(&mut state, &create("a.b", 1, 1)).unwrap();
    let factor = |replication_factor| match create("f", 2, 1) {
        Command::CreateTopic { name, topic_id, partitions, configs, life, entropy, by_hand, .. } => {
            Command::CreateTopic {
                name,
                topic_id,
                partitions,
                replication_factor,
                configs,
                life,
                entropy,
                by_hand,
            }
        }
        _ => unreachable!("made above"),
    };
    let error = |state: &mut MetaState, command| apply(state, &command).unwrap_err();
    assert_eq!(error(&mut state, create("a.b", 3, 1)), CommandError::TopicExists("a.b".to_owned()));
    assert!(matches!(error(&mut state, create("a_b", 3, 1)), CommandError::InvalidTopicName(_)));
    assert!(matches!(error(&mut state, create("a b", 3, 1)), CommandError::InvalidTopicName(_)));
    assert!(matches!(error(&mut state, create("c", 3, 0)), CommandError::InvalidPartitions(_)));
    assert!(matches!(error(&mut state, create("c", 3, 10_001)), CommandError::LimitReached(_)));
    assert!(matches!(error(&mut state, create("c", 1, 1)), CommandError::InvalidRequest(_)));
    for wrong in [0, 2, 4] {
        let refused = error(&mut state, factor(wrong));
        assert!(matches!(refused, CommandError::InvalidReplicationFactor(_)), "{wrong}: {refused}");
    }
    apply(&mut state, &factor(3)).unwrap();
}

#[test]
fn settings_change_as_a_whole_or_not_at_all() {
    let mut state = formed(1);
    apply(&mut state, &create("a", 1, 1)).unwrap();
    let set = |key: &str, value: &str| ConfigChange::Set { key: key.to_owned(), value: value.to_owned() };
    let alter = |resource, changes| Command::AlterConfigs { resource, changes };
    let topic = Resource::Topic(TopicId(1));
    let half = vec![set("retention.ms", "5"), set("cleanup.policy", "shred")];
    assert!(matches!(apply(&mut state, &alter(topic.clone(), half)), Err(CommandError::InvalidConfig(_))));
    let mut views = ViewBuilder::new(Statics::default());
    assert_eq!(views.view(&state).topics["a"].settings.retention_ms, 604_800_000);
    apply(&mut state, &alter(topic, vec![set("retention.ms", "5")])).unwrap();
    assert_eq!(views.view(&state).topics["a"].settings.retention_ms, 5);
    apply(&mut state, &alter(Resource::Brokers, vec![set("message.max.bytes", "999")])).unwrap();
    assert_eq!(views.view(&state).topics["a"].settings.max_message_bytes, 999);
    let nobody = alter(Resource::Topic(TopicId(9)), vec![]);
    assert_eq!(apply(&mut state, &nobody), Err(CommandError::UnknownTopic));
}

#[test]
fn a_topic_that_was_made_without_compaction_waits_for_it() {
    let mut state = formed(1);
    let node = *state.nodes.keys().next().unwrap();
    let register = Command::RegisterNode { node, shards: 1, advertised: Advertised::default() };
    apply(&mut state, &register).unwrap();
    let mut made_with_it = create("with", 2, 1);
    if let Command::CreateTopic { life, .. } = &mut made_with_it {
        *life = Life::Compacted;
    }
    apply(&mut state, &create("without", 1, 1)).unwrap();
    apply(&mut state, &made_with_it).unwrap();
    let mut views = ViewBuilder::new(Statics::default());
    let mut with_policy = |topic: &str, policy: &str| {
        let set = ConfigChange::Set { key: "cleanup.policy".to_owned(), value: policy.to_owned() };
        let altered = propose::alter_topic(&views.view(&state), topic, vec![set]);
        apply(&mut state, &altered.expect("all of them may")).unwrap();
        views.view(&state).awaiting_compaction()
    };
    assert!(with_policy("with", "compact").is_empty());
    assert!(with_policy("with", "delete").is_empty() && with_policy("with", "compact,delete").is_empty());
    let waiting = with_policy("without", "compact");
    let named: Vec<_> = waiting.values().map(|topics| (topics.names.clone(), topics.more)).collect();
    assert_eq!(named, [(vec![Arc::from("without")], 0)]);
    assert!(with_policy("without", "delete").is_empty());
}

#[test]
fn settings_of_one_broker_are_kept_in_the_state_its_checkpoint_and_its_views() {
    let mut state = formed(1);
    let node = *state.nodes.keys().next().unwrap();
    let advertised = Advertised { host: "h".to_owned(), first_port: 1, rack: None, ..Advertised::default() };
    apply(&mut state, &Command::RegisterNode { node, shards: 2, advertised }).unwrap();
    let second = 1;
    let alter = |id, changes| Command::AlterConfigs { resource: Resource::Broker(id), changes };
    let key = || "log.retention.ms".to_owned();
    let set = || vec![ConfigChange::Set { key: key(), value: "5".to_owned() }];
    let unknown = apply(&mut state, &alter(second + 1, set()));
    assert!(matches!(unknown, Err(CommandError::InvalidRequest(_))), "{unknown:?}");
    let without = state.encode();
    apply(&mut state, &alter(second, set())).unwrap();
    let bytes = state.encode();
    assert_eq!((without[0], bytes[0]), (1, 3), "the oldest version that has it all");
    let read = MetaState::decode(&bytes).unwrap();
    assert_eq!(read, state);
    let view = ViewBuilder::new(Statics::default()).view(&read);
    assert_eq!(view.own_broker_configs[&second][&key()], "5");
    apply(&mut state, &alter(second, vec![ConfigChange::Delete { key: key() }])).unwrap();
    assert!(state.own_broker_configs.is_empty(), "a broker without settings is not kept");
}

#[test]
fn settings_of_groups_are_kept_in_the_state_its_checkpoint_and_its_views() {
    let mut state = formed(3);
    let key = || "consumer.session.timeout.ms".to_owned();
    let alter = |changes| Command::AlterConfigs { resource: Resource::Group("g".to_owned()), changes };
    let set = |key| vec![ConfigChange::Set { key, value: "50000".to_owned() }];
    let unknown = apply(&mut state, &alter(set("log.retention.ms".to_owned())));
    assert!(matches!(unknown, Err(CommandError::InvalidConfig(_))), "{unknown:?}");
    apply(&mut state, &alter(set(key()))).unwrap();
    let bytes = state.encode();
    assert_eq!(bytes[0], 10, "the oldest version that has it all");
    let read = MetaState::decode(&bytes).unwrap();
    assert_eq!(read, state);
    let view = ViewBuilder::new(Statics::default()).view(&read);
    assert_eq!(view.group_configs["g"][&key()], "50000");
    apply(&mut state, &alter(vec![ConfigChange::Delete { key: key() }])).unwrap();
    assert!(state.group_configs.is_empty(), "a group without settings is not kept");
}

#[test]
fn listeners_are_kept_in_the_state_its_checkpoint_and_its_views() {
    let mut state = formed(3);
    let (node, without) = (NodeId(2), state.encode());
    let listener = |name: &str| AdvertisedListener {
        name: name.to_owned(),
        protocol: 1,
        host: "o".to_owned(),
        first_port: 9192,
    };
    let register = |listeners| {
        let advertised = Advertised { host: "h".to_owned(), first_port: 9092, rack: None, listeners };
        Command::RegisterNode { node, shards: 1, advertised }
    };
    apply(&mut state, &register(vec![listener("B"), listener("A")])).unwrap();
    let bytes = state.encode();
    assert_eq!((without[0], bytes[0]), (1, 7), "the oldest version that has it all");
    let read = MetaState::decode(&bytes).unwrap();
    assert_eq!(read, state);
    let view = ViewBuilder::new(Statics::default()).view(&read);
    let names: Vec<&str> =
        view.nodes[&node].advertised.listeners.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["B", "A"], "in the order in which they were registered");
    let too_many = register(vec![listener("A"); LISTENERS_MAX + 1]);
    assert!(matches!(apply(&mut state, &too_many), Err(CommandError::InvalidRequest(_))));
    let too_long = register(vec![listener(&"A".repeat(300))]);
    assert!(matches!(apply(&mut state, &too_long), Err(CommandError::InvalidRequest(_))));
    apply(&mut state, &register(vec![])).unwrap();
    assert_eq!(state.encode()[0], 1, "without them older programs read it");
}

#[test]
fn quotas_are_kept_in_the_state_its_checkpoint_and_its_views() {
    let mut state = formed(1);
    let client = QuotaName::Named("c".to_owned());
    let entity = QuotaEntity { client, ..QuotaEntity::default() };
    let alter = |entity: &QuotaEntity, bytes_per_s| {
        let changes = vec![QuotaChange { kind: QuotaKind::Fetch, bytes_per_s }];
        Command::AlterQuotas { entity: entity.clone(), changes }
    };
    apply(&mut state, &alter(&entity, Some(1_000))).unwrap();
    let view = ViewBuilder::new(Statics::default()).view(&state);
    assert_eq!(view.quotas[&entity].fetch, Some(1_000));
    assert!(apply(&mut state, &alter(&entity, Some(0))).is_err());
    assert!(apply(&mut state, &alter(&QuotaEntity::default(), Some(1))).is_err());
    apply(&mut state, &alter(&entity, None)).unwrap();
    assert_eq!(state.encode()[0], 1, "without quotas older programs read it");
}

#[test]
fn a_node_that_rejoins_gets_a_number_that_none_had_and_late_words_of_its_lives_change_nothing() {
    let mut state = formed(3);
    assert_eq!(state.encode()[0], 1);
    let node = NodeId(2);
    let first = state.incarnation_of(node).expect("a member");
    let rejoin = |life: u128, replaces| Command::Rejoin { node, incarnation: Incarnation(life), replaces };
    let member = |life, raft| Ok(Outcome::Member { incarnation: life, raft_id: RaftId(raft) });
    assert_eq!(apply(&mut state, &rejoin(70, first)), member(Incarnation(70), 4));
    assert_eq!(apply(&mut state, &rejoin(70, first)), member(Incarnation(70), 4), "asked twice");
    assert_eq!(apply(&mut state, &rejoin(71, first)), member(Incarnation(70), 4), "it learns of the other");
    assert_eq!(apply(&mut state, &rejoin(71, Incarnation(70))), member(Incarnation(71), 5));
    assert_eq!(apply(&mut state, &rejoin(70, first)), member(Incarnation(71), 5), "a word of a life before");
    assert_eq!(state.encode()[0], 4);
    assert_eq!(MetaState::decode(&state.encode()).as_ref(), Ok(&state));
    let stranger = Command::Rejoin { node: NodeId(9), incarnation: first, replaces: first };
    assert!(matches!(apply(&mut state, &stranger), Err(CommandError::InvalidRequest(_))));
}

#[test]
fn one_lost_replica_gets_another_number_and_the_others_of_its_node_keep_theirs() {
    let mut state = formed(3);
    let mut replicated = create("t", 1, 1);
    let Command::CreateTopic { replication_factor, .. } = &mut replicated else { unreachable!() };
    *replication_factor = 3;
    apply(&mut state, &replicated).expect("made");
    let (node, journal) = (NodeId(2), JournalId(1));
    let life = state.incarnation_of(node).expect("a member");
    let renew = |incarnation, journal, replaces| {
        let replaces = RaftId(replaces);
        Command::Renew { node, incarnation, journal, replaces }
    };
    let member = |raft| Ok(Outcome::Member { incarnation: life, raft_id: RaftId(raft) });
    let of = |state: &MetaState, journal| state.journals.by_id[&journal].raft_id_of(&state.nodes[&node]);
    apply(&mut state, &create("lone", 2, 1)).expect("made");
    let before = of(&state, journal).0;
    assert_eq!(apply(&mut state, &renew(life, META_JOURNAL, before)), member(4));
    assert_eq!(apply(&mut state, &renew(life, META_JOURNAL, before)), member(4), "asked twice");
    assert_eq!(apply(&mut state, &renew(life, META_JOURNAL, 4)), member(5), "lost again");
    let other = Incarnation(99);
    assert_eq!(apply(&mut state, &renew(other, META_JOURNAL, 5)), member(5), "a word of another life");
    assert_eq!((of(&state, META_JOURNAL), of(&state, journal)), (RaftId(5), RaftId(before)));
    assert_eq!(state.encode()[0], 6);
    assert_eq!(MetaState::decode(&state.encode()).as_ref(), Ok(&state));
    // A node that loses all of it has a newer one of every journal.
    let rejoin = Command::Rejoin { node, incarnation: Incarnation(70), replaces: life };
    apply(&mut state, &rejoin).expect("taken in");
    assert_eq!((of(&state, META_JOURNAL), of(&state, journal)), (RaftId(6), RaftId(6)));
    for wrong in [renew(life, JournalId(77), 1), renew(life, JournalId(2), 1)] {
        assert!(matches!(apply(&mut state, &wrong), Err(CommandError::InvalidRequest(_))), "{wrong:?}");
    }
}

#[test]
fn producer_ids_are_given_once() {
    let mut state = formed(1);
    let block = |count| Command::AllocateProducerIds { count };
    assert_eq!(apply(&mut state, &block(1_000)), Ok(Outcome::ProducerIds { first: 0, count: 1_000 }));
    assert_eq!(apply(&mut state, &block(10)), Ok(Outcome::ProducerIds { first: 1_000, count: 10 }));
    assert!(matches!(apply(&mut state, &block(0)), Err(CommandError::InvalidRequest(_))));
    assert!(matches!(apply(&mut state, &block(u32::MAX)), Err(CommandError::InvalidRequest(_))));
}

#[test]
fn a_proposal_fills_in_the_nodes_defaults() {
    let mut state = formed(1);
    let file = [("num.partitions", "6"), ("log.retention.ms", "-1")];
    let file: Vec<_> = file.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let statics = Statics::new(&file).unwrap();
    let view = ViewBuilder::new(statics.clone()).view(&state);
    let new = |partitions, replication_factor| NewTopic {
        name: "a".to_owned(),
        partitions,
        replication_factor,
        configs: vec![],
        topic_id: TopicId(1),
        entropy: 1,
        by_hand: vec![],
    };
    let command = propose::create_topic(&view, &statics, new(-1, -1)).unwrap();
    let Command::CreateTopic { partitions, replication_factor, life, .. } = &command else {
        panic!("{command:?}");
    };
    assert_eq!((*partitions, *replication_factor, *life), (6, 1, Life::Infinite));
    apply(&mut state, &command).unwrap();
    let error = |new| propose::create_topic(&view, &statics, new).unwrap_err();
    assert!(matches!(error(new(-2, 1)), CommandError::InvalidPartitions(_)));
    assert!(matches!(error(new(0, 1)), CommandError::InvalidPartitions(_)));
    assert!(matches!(error(new(1, -2)), CommandError::InvalidReplicationFactor(_)));
    assert_eq!(propose::add_partitions(&view, "b", 3, 1, vec![]), Err(CommandError::UnknownTopic));
}

#[test]
fn a_checkpoint_of_a_newer_version_is_refused_by_name_and_a_cut_one_too() {
    let mut state = formed(3);
    apply(&mut state, &create("a", 1, 3)).unwrap();
    let mut bytes = state.encode();
    for cut in 0..bytes.len() {
        assert!(MetaState::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    bytes[0] = 99;
    let newer = DecodeError::Newer { what: "the metadata checkpoint", version: 99, newest: 13 };
    assert_eq!(MetaState::decode(&bytes), Err(newer));
}

#[test]
fn what_did_not_change_is_shared_among_ten_thousand_partitions() {
    let mut state = MetaState::default();
    let mut views = ViewBuilder::new(Statics::default());
    state.apply(Index(1), &form(1)).unwrap();
    state.apply(Index(2), &create("big", 1, 10_000)).unwrap();
    let mut view = views.view(&state);
    for number in 0..1_000 {
        state.apply(Index(3 + number), &create(&format!("t{number}"), 2 + u128::from(number), 10)).unwrap();
        let big = view.topics["big"].clone();
        view = views.view(&state);
        assert!(Arc::ptr_eq(&big, &view.topics["big"]), "what did not change is shared");
    }
    assert_eq!(view.partitions.len(), 20_000);
    assert_eq!(view.journals.len(), 1 + 4);
    let restored = MetaState::decode(&state.encode()).unwrap();
    assert_eq!(restored, state);
}

/// Some of a node or a lane that there is not.
fn any_place() -> impl Strategy<Value = Place> {
    let nodes = proptest::collection::vec((0u32..4).prop_map(NodeId), 1..3);
    (0u16..5, nodes).prop_map(|(lane, replicas)| Place { lane: LaneId(lane), replicas })
}

fn any_command() -> impl Strategy<Value = Command> {
    let id = || (1u128..6).prop_map(TopicId);
    prop_oneof![
        ("[ab][._]?", 1u128..6, 0u32..5).prop_map(|(name, id, partitions)| create(&name, id, partitions)),
        id().prop_map(|topic_id| Command::DeleteTopic { topic_id }),
        (id(), 0u32..9, any::<u64>(), proptest::collection::vec(any_place(), 0..3)).prop_map(
            |(topic_id, total, entropy, by_hand)| Command::AddPartitions {
                topic_id,
                total,
                entropy,
                by_hand
            }
        ),
        (id(), -2i64..9).prop_map(|(id, value)| {
            let change = ConfigChange::Set { key: "retention.ms".to_owned(), value: value.to_string() };
            Command::AlterConfigs { resource: Resource::Topic(id), changes: vec![change] }
        }),
        (0u32..9).prop_map(|count| Command::AllocateProducerIds { count }),
        ("[ab]?", 0usize..4).prop_map(|(name, at)| Command::CreateAcls {
            acls: Operation::ALL[at..at + 2].iter().map(|operation| acl(&name, *operation)).collect()
        }),
        (0usize..4, 0u16..3).prop_map(|(at, at_most)| Command::DeleteAcls {
            filter: AclFilter { operation: Some(Operation::ALL[at]), ..AclFilter::any() },
            at_most,
        }),
        ("[ab]?", 4_090u32..4_100, any::<bool>()).prop_map(|(user, iterations, sets)| {
            let mechanism = Mechanism::ScramSha256;
            let credential = sets.then(|| credential(mechanism, iterations));
            Command::AlterCredential { user, mechanism, credential }
        }),
        (0u32..4, 1u128..5, 1u128..5).prop_map(|(node, incarnation, replaces)| Command::Rejoin {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
            replaces: Incarnation(replaces),
        }),
        (0u32..4, 0u64..3, 1u64..7).prop_map(|(node, journal, replaces)| Command::Renew {
            node: NodeId(node),
            incarnation: Incarnation(u128::from(node) + 100),
            journal: JournalId(journal),
            replaces: RaftId(replaces),
        }),
    ]
}

/// What clients see, without the pointers.
fn seen(view: &View) -> String {
    let mut partitions: Vec<_> = view.partitions.iter().collect();
    partitions.sort_unstable_by_key(|(id, _)| **id);
    format!(
        "{:?} {:?} {:?} {partitions:?} {:?} {:?}",
        view.topics,
        view.topic_ids,
        view.journals,
        view.credentials,
        view.acls.acls().list(&AclFilter::any()).collect::<Vec<_>>()
    )
}

proptest! {
    #[test]
    fn two_replicas_and_a_restored_one_agree(commands in proptest::collection::vec(any_command(), 1..40)) {
        let mut state = formed(3);
        let mut other = formed(3);
        let mut views = ViewBuilder::new(Statics::default());
        for command in &commands {
            let result = apply(&mut state, command);
            other = MetaState::decode(&other.encode()).unwrap();
            let read = Command::decode(&command.encode()).unwrap();
            prop_assert_eq!(other.apply(other.applied().next(), &read), result);
            prop_assert_eq!(state.encode(), other.encode());
            let fresh = ViewBuilder::new(Statics::default()).view(&other);
            prop_assert_eq!(seen(&views.view(&state)), seen(&fresh));
        }
    }
}

#[test]
fn where_entries_are_lost_no_number_is_given_twice_and_nothing_is_taken_for_deleted() {
    let mut state = MetaState::default();
    apply(&mut state, &form(1)).expect("forms");
    apply(&mut state, &create("kept", 1, 2)).expect("created");
    apply(&mut state, &create("gone", 2, 1)).expect("created");
    apply(&mut state, &Command::DeleteTopic { topic_id: TopicId(2) }).expect("deleted");
    let view = ViewBuilder::new(Statics::default()).view(&state);
    assert!(view.was_deleted(PartitionId(3)) && !view.was_deleted(PartitionId(4)));
    let lossy = View { has_lost: true, ..View::clone(&view) };
    assert!(!lossy.was_deleted(PartitionId(3)), "what is lost may have named it");
    let journals = state.journals.next;
    state.skip_lost_numbers();
    let first = apply(&mut state, &Command::AllocateProducerIds { count: 1 }).expect("given");
    assert_eq!(first, Outcome::ProducerIds { first: 1 << 40, count: 1 });
    let created = apply(&mut state, &create("new", 3, 1)).expect("created");
    let Outcome::TopicCreated { partitions, .. } = created else { panic!("{created:?}") };
    assert_eq!(partitions, [PartitionId(1 << 40)]);
    assert!(state.journals.next > journals + (1 << 39));
    apply(&mut state, &Command::DeleteTopic { topic_id: TopicId(3) }).expect("deleted");
    let view = ViewBuilder::new(Statics::default()).view(&state);
    assert!(view.was_deleted(PartitionId(1 << 40)), "of what came later all is known");
    assert!(!view.was_deleted(PartitionId(3)));
}
