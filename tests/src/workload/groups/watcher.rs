//! Looks at all offsets of a group again and again: none that was promised is lost, and none
//! moves back. The first watcher also makes the topic that they are kept in.

use super::super::{Client, Ctx, Place};
use super::names::{coordinator, is_newest, name};
use engine::control::config::Statics;
use engine::control::propose::{self, NewTopic};
use engine::groups::request::FetchOffsets;
use engine::groups::{Answer, OFFSETS_TOPIC, Request};
use engine::ids::TopicId;
use engine::port::{Input, Output, RequestId};
use std::collections::BTreeMap;

const MS: u64 = 1_000_000;
const LOOK_NS: u64 = 40 * MS;
/// Few, so that they are in one or two journals, and more than one.
const OFFSETS_PARTITIONS: i32 = 3;

pub struct Watcher {
    group: usize,
    under_way: Option<RequestId>,
    next_ns: u64,
    makes_topic: bool,
}

impl Watcher {
    pub fn new(group: usize) -> Self {
        Self { group, under_way: None, next_ns: 0, makes_topic: false }
    }

    fn make_topic(&mut self, ctx: &mut Ctx<'_>) {
        let (Some(view), Some(place)) = (ctx.view(), ctx.controller()) else { return };
        let nodes = ctx.world.nodes.len();
        if view.nodes.len() < nodes {
            return;
        }
        let new = NewTopic {
            name: OFFSETS_TOPIC.to_owned(),
            partitions: OFFSETS_PARTITIONS,
            replication_factor: nodes as i16,
            configs: Vec::new(),
            topic_id: TopicId(u128::from(ctx.rng.next_u64()) << 64 | 1),
            entropy: ctx.rng.next_u64(),
            by_hand: Vec::new(),
        };
        let Ok(command) = propose::create_topic(&view, &Statics::default(), new) else { return };
        let request = ctx.request();
        self.makes_topic = true;
        ctx.send(place, Input::Control { request, command });
    }

    fn look(&mut self, ctx: &mut Ctx<'_>) {
        let Some(place) = coordinator(ctx, self.group) else { return };
        let fetch =
            FetchOffsets { group: name(self.group), require_stable: false, ..FetchOffsets::default() };
        self.under_way = Some(ctx.ask_group(place, Request::FetchOffsets(fetch)));
    }
}

impl Client for Watcher {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.world.now_ns < self.next_ns || self.under_way.is_some() || self.makes_topic {
            return;
        }
        self.next_ns = ctx.world.now_ns + ctx.rng.below(LOOK_NS);
        match ctx.view() {
            None => {}
            Some(view) if view.topics.contains_key(OFFSETS_TOPIC) => self.look(ctx),
            Some(_) => self.make_topic(ctx),
        }
    }

    fn answer(&mut self, _: &mut Ctx<'_>, output: Output) {
        assert!(matches!(output, Output::ControlDone { .. }), "a watcher was answered {output:?}");
        self.makes_topic = false;
    }

    fn group_answer(&mut self, ctx: &mut Ctx<'_>, from: Place, request: RequestId, answer: Answer) {
        assert_eq!(self.under_way.take(), Some(request));
        let offsets = match answer {
            Answer::Offsets(Ok(offsets)) => offsets,
            Answer::Offsets(Err(error)) => {
                return ctx.world.counts.add(&format!("groups: not told: {error:?}"));
            }
            other => panic!("a watcher was answered {other:?}"),
        };
        if !is_newest(ctx, self.group, from) {
            return ctx.world.counts.add("groups: a deposed coordinator answered");
        }
        let offsets: BTreeMap<i32, i64> = offsets.iter().map(|one| (one.partition, one.offset)).collect();
        ctx.model.groups.group(self.group).saw_all(&offsets);
        ctx.world.counts.add("groups: offsets looked at");
    }

    fn lost(&mut self, _: &mut Ctx<'_>) {
        (self.under_way, self.makes_topic) = (None, false);
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        !self.makes_topic
    }
}
