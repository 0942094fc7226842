//! The administrator: makes and deletes topics, adds partitions, changes retention, deletes
//! records and asks for offsets, one request at a time.

use super::{Client, Ctx};
use crate::check::topics::TopicModel;
use crate::sim::node::Node;
use engine::control::command::{ConfigChange, Resource};
use engine::control::config::{Statics, life_of};
use engine::control::{Command, ControlRefusal, Outcome};
use engine::ids::{PartitionId, TopicId};
use engine::port::{Answer, Input, Output, Query, QueryKind, Refusal};
use engine::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

const TOPICS_MAX: usize = 8;
const PARTITIONS_MAX: u32 = 6;
/// Where copies are added.
const RAISES_ONE_IN: u64 = 40;

#[derive(Clone, Debug)]
enum Asked {
    Create(TopicId),
    Delete(TopicId),
    Add(TopicId, u32),
    Raise,
    Configure(TopicId, String, Option<String>),
    Query(PartitionId, QueryKind),
}

#[derive(Default)]
pub struct Admin {
    under_way: Option<Asked>,
    made: usize,
    /// Where copies are added to topics: numbers of their own, so that other seeds stay as they are.
    grows: Option<Rng>,
}

impl Admin {
    /// One that gives topics more copies.
    pub fn growing(numbers: Rng) -> Self {
        Self { grows: Some(numbers), ..Self::default() }
    }

    /// A topic that has fewer copies than there are nodes gets two more.
    fn raise(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some(numbers) = self.grows.as_mut().filter(|_| ctx.controller().is_some()) else { return false };
        if !numbers.one_in(RAISES_ONE_IN) {
            return false;
        }
        let Some(view) = ctx.view() else { return false };
        let known = |id: &TopicId| {
            let topic = ctx.model.topics.by_id.get(id)?;
            let name = view.topic_ids.get(id).filter(|_| topic.create_answered && !topic.delete_asked)?;
            let copies = view.topics[name].replication_factor;
            (usize::from(copies) + 2 <= ctx.world.nodes.len()).then_some((*id, copies))
        };
        let low: Vec<(TopicId, u16)> = ctx.model.topics.by_id.keys().filter_map(known).collect();
        if low.is_empty() {
            return false;
        }
        let (topic_id, copies) = low[numbers.below(low.len() as u64) as usize];
        let command = Command::AlterReplication { topic_id, replication_factor: copies + 2 };
        self.control(ctx, Asked::Raise, command);
        true
    }

    fn control(&mut self, ctx: &mut Ctx<'_>, asked: Asked, command: Command) {
        let Some(place) = ctx.controller() else { return };
        let request = ctx.request();
        self.under_way = Some(asked);
        ctx.send(place, Input::Control { request, command });
    }

    fn create(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.controller().is_none() {
            return;
        }
        self.made += 1;
        let name = format!("topic-{}", self.made);
        let topic_id = TopicId(u128::from(ctx.rng.next_u64()) << 64 | u128::from(ctx.rng.next_u64()));
        let partitions = 1 + ctx.rng.below(4) as u32;
        let configs = first_configs(ctx);
        let replication_factor = match ctx.world.nodes.len() as u64 {
            1 => 1,
            _ if self.grows.as_mut().is_some_and(|numbers| numbers.one_in(2)) => 1,
            _ if ctx.rng.one_in(8) && !ctx.world.loses_disks => 1,
            nodes => 3 + 2 * ctx.rng.below(nodes / 2),
        };
        let possible: BTreeMap<_, _> =
            configs.iter().map(|(key, value)| (key.clone(), BTreeSet::from([Some(value.clone())]))).collect();
        let topic = TopicModel {
            name: name.clone(),
            partitions_answered: partitions,
            partitions_asked: partitions,
            configs: possible,
            ..TopicModel::default()
        };
        ctx.model.topics.by_id.insert(topic_id, topic);
        let command = Command::CreateTopic {
            name,
            topic_id,
            partitions,
            replication_factor: replication_factor as u16,
            life: life_of("", &configs.iter().cloned().collect(), &BTreeMap::new(), &Statics::default()),
            configs,
            entropy: ctx.rng.next_u64(),
            by_hand: Vec::new(),
        };
        self.control(ctx, Asked::Create(topic_id), command);
    }

    fn some_topic(&self, ctx: &mut Ctx<'_>) -> Option<TopicId> {
        let alive: Vec<TopicId> = ctx
            .model
            .topics
            .by_id
            .iter()
            .filter(|(_, topic)| topic.create_answered && !topic.delete_asked)
            .map(|(id, _)| *id)
            .collect();
        (!alive.is_empty()).then(|| alive[ctx.rng.below(alive.len() as u64) as usize])
    }

    fn delete(&mut self, ctx: &mut Ctx<'_>, topic_id: TopicId) {
        let Some(view) = ctx.view() else { return };
        if !view.topic_ids.contains_key(&topic_id) {
            return;
        }
        // Partitions that were just added are not in every node's view yet, and go too.
        for view in ctx.world.nodes.iter().map(Node::view) {
            let Some(name) = view.topic_ids.get(&topic_id) else { continue };
            for partition in &view.topics[name].partitions {
                ctx.model.partition(partition.id).is_deleted = true;
            }
        }
        ctx.model.topics.by_id.get_mut(&topic_id).expect("known").delete_asked = true;
        self.control(ctx, Asked::Delete(topic_id), Command::DeleteTopic { topic_id });
    }

    fn add_partitions(&mut self, ctx: &mut Ctx<'_>, topic_id: TopicId) {
        let topic = ctx.model.topics.by_id.get_mut(&topic_id).expect("known");
        let total = topic.partitions_asked + 1;
        if total > PARTITIONS_MAX {
            return;
        }
        topic.partitions_asked = total;
        let (entropy, by_hand) = (ctx.rng.next_u64(), Vec::new());
        self.control(
            ctx,
            Asked::Add(topic_id, total),
            Command::AddPartitions { topic_id, total, entropy, by_hand },
        );
    }

    fn configure(&mut self, ctx: &mut Ctx<'_>, topic_id: TopicId) {
        let (key, value) = match ctx.rng.below(4) {
            0 => ("retention.ms", Some((500 + ctx.rng.below(60_000)).to_string())),
            1 => ("retention.bytes", Some((20_000 + ctx.rng.below(200_000)).to_string())),
            2 => ("retention.bytes", None),
            _ => ("max.message.bytes", Some((100_000 + ctx.rng.below(900_000)).to_string())),
        };
        if key.starts_with("retention") {
            mark_retention(ctx, topic_id);
        }
        let topic = ctx.model.topics.by_id.get_mut(&topic_id).expect("known");
        topic.retention_asked |= key.starts_with("retention");
        let possible = topic.configs.entry(key.to_owned()).or_insert_with(|| [None].into());
        possible.insert(value.clone());
        let change = match value.clone() {
            Some(value) => ConfigChange::Set { key: key.to_owned(), value },
            None => ConfigChange::Delete { key: key.to_owned() },
        };
        let command = Command::AlterConfigs { resource: Resource::Topic(topic_id), changes: vec![change] };
        self.control(ctx, Asked::Configure(topic_id, key.to_owned(), value), command);
    }

    fn query(&mut self, ctx: &mut Ctx<'_>) {
        let Some(partition) = ctx.any_partition() else { return };
        let Some(place) = ctx.leader(partition) else { return };
        let wall_ms = ctx.world.clock(place.node).wall_ms;
        let model = ctx.model.partition(partition);
        let kind = match ctx.rng.below(9) {
            0 => QueryKind::Earliest,
            1 => QueryKind::Latest,
            2 => QueryKind::MaxTimestamp,
            3 => QueryKind::AtTime(wall_ms - ctx.rng.below(2_000) as i64),
            4 => QueryKind::EpochEnd(ctx.rng.below(4) as i32),
            5 => QueryKind::Describe,
            6 => QueryKind::Producers,
            7 if ctx.rng.one_in(8) => QueryKind::DeleteBefore(-1),
            _ => {
                let span = (model.high_watermark.0 - model.log_start.0) as u64 / 2 + 1;
                QueryKind::DeleteBefore(model.log_start.0 + ctx.rng.below(span) as i64)
            }
        };
        if let QueryKind::DeleteBefore(offset) = kind {
            model.delete_asked = model.delete_asked.max(if offset < 0 { i64::MAX } else { offset });
        }
        let request = ctx.request();
        self.under_way = Some(Asked::Query(partition, kind));
        ctx.send(place, Input::Query(Query { request, slot: 0, partition, leader_epoch: -1, kind }));
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, partition: PartitionId, kind: QueryKind, answer: &Answer) {
        let model = ctx.model.partition(partition);
        match (kind, answer) {
            (QueryKind::Earliest, Answer::Offset { offset, .. }) => {
                model.bounds(*offset, engine::ids::Offset(-1))
            }
            (QueryKind::Latest, Answer::Offset { offset, .. }) => {
                model.bounds(engine::ids::Offset(-1), *offset)
            }
            (QueryKind::DeleteBefore(asked), Answer::LogStart(start)) => {
                assert!(start.0 >= asked, "{partition}: deleted before {start}, not {asked}");
                ctx.world.counts.add("records deleted by request");
                model.bounds(*start, engine::ids::Offset(-1));
            }
            (QueryKind::Describe, Answer::Described(status)) => {
                assert!(status.log_end >= status.high_watermark, "{status:?}");
                model.bounds(status.log_start, status.high_watermark);
            }
            (QueryKind::AtTime(_) | QueryKind::MaxTimestamp, Answer::Offset { .. })
            | (QueryKind::EpochEnd(_), Answer::EpochEnd { .. })
            | (QueryKind::Producers, Answer::Producers(_)) => {}
            (kind, answer) => panic!("{kind:?} was answered {answer:?}"),
        }
    }

    fn control_done(&mut self, ctx: &mut Ctx<'_>, asked: Asked, result: Result<Outcome, ControlRefusal>) {
        if let Err(refusal) = &result {
            ctx.world.counts.add("control refused");
            assert!(!matches!(refusal, ControlRefusal::Command(_)), "{asked:?} was refused: {refusal:?}");
            return;
        }
        let topics = &mut ctx.model.topics.by_id;
        match asked {
            Asked::Create(id) => {
                topics.get_mut(&id).expect("asked").create_answered = true;
                ctx.world.counts.add("topic created");
            }
            Asked::Delete(id) => {
                topics.get_mut(&id).expect("asked").delete_answered = true;
                ctx.world.counts.add("topic deleted");
            }
            Asked::Add(id, total) => {
                topics.get_mut(&id).expect("asked").partitions_answered = total;
                ctx.world.counts.add("partitions added");
            }
            Asked::Configure(id, key, value) => {
                topics.get_mut(&id).expect("asked").configured(key, value);
                ctx.world.counts.add("configuration changed");
            }
            Asked::Raise => ctx.world.counts.add("topic gets more copies"),
            Asked::Query(..) => unreachable!("a query is no command"),
        }
    }
}

/// Settings that a topic is made with.
fn first_configs(ctx: &mut Ctx<'_>) -> Vec<(String, String)> {
    let set = |key: &str, value: String| vec![(key.to_owned(), value)];
    match ctx.rng.below(5) {
        0 => set("retention.ms", "-1".to_owned()),
        1 => set("message.timestamp.type", "LogAppendTime".to_owned()),
        2 => set("retention.bytes", (20_000 + ctx.rng.below(100_000)).to_string()),
        _ => Vec::new(),
    }
}

fn mark_retention(ctx: &mut Ctx<'_>, topic_id: TopicId) {
    let Some(view) = ctx.view() else { return };
    let Some(name) = view.topic_ids.get(&topic_id) else { return };
    for partition in &view.topics[name].partitions {
        ctx.model.partition(partition.id).has_retention = true;
    }
}

impl Client for Admin {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        if self.under_way.is_some() || ctx.desk.is_settling || ctx.view().is_none() {
            return;
        }
        // One whose creation was refused, or is not known to have been done, is nothing to work on.
        let is_alive = |topic: &&TopicModel| topic.create_answered && !topic.delete_asked;
        let alive = ctx.model.topics.by_id.values().filter(is_alive).count();
        if alive < 2 || alive < TOPICS_MAX && ctx.rng.one_in(30) {
            return self.create(ctx);
        }
        if self.raise(ctx) {
            return;
        }
        match (ctx.rng.below(24), self.some_topic(ctx)) {
            (0, Some(topic)) => self.delete(ctx, topic),
            (1, Some(topic)) => self.add_partitions(ctx, topic),
            (2 | 3, Some(topic)) => self.configure(ctx, topic),
            _ => self.query(ctx),
        }
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        let asked = self.under_way.take().expect("an answer to the request under way");
        match (asked, output) {
            (Asked::Query(partition, kind), Output::Answered { result: Ok(answer), .. }) => {
                self.answered(ctx, partition, kind, &answer);
            }
            (Asked::Query(partition, kind), Output::Answered { result: Err(refusal), .. }) => {
                let may_be = !matches!(refusal, Refusal::OffsetOutOfRange)
                    || matches!(kind, QueryKind::DeleteBefore(_));
                assert!(may_be, "{partition}: {kind:?} was refused with {refusal:?}");
            }
            (asked, Output::ControlDone { result, .. }) => self.control_done(ctx, asked, result),
            (asked, output) => panic!("{asked:?} was answered {output:?}"),
        }
    }

    fn lost(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(Asked::Configure(id, key, value)) = self.under_way.take() {
            let topic = ctx.model.topics.by_id.get_mut(&id).expect("asked");
            topic.configs_lost.insert((key, value));
        }
    }

    fn is_settled(&self) -> bool {
        self.under_way.is_none()
    }
}
