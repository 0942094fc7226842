//! Makes the compacted topics.

use super::super::apart::COMPACTED;
use super::super::{Client, Ctx};
use engine::control::config::Statics;
use engine::control::propose::{self, NewTopic};
use engine::ids::TopicId;
use engine::port::{Input, Output};
use engine::rng::Rng;

const PARTITIONS: i32 = 2;

pub struct Maker {
    is_asking: bool,
    delete_retention_ms: u64,
    dirty_ratio: &'static str,
    min_lag_ms: u64,
    max_lag_ms: u64,
    retention_bytes: u64,
}

impl Maker {
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            is_asking: false,
            delete_retention_ms: rng.below(3) * rng.below(400),
            dirty_ratio: ["0", "0.2", "0.5"][rng.below(3) as usize],
            min_lag_ms: if rng.one_in(4) { rng.below(300) } else { 0 },
            max_lag_ms: if rng.one_in(4) { 500 + rng.below(1_000) } else { i64::MAX as u64 },
            retention_bytes: 100_000 + rng.below(400_000),
        }
    }

    fn configs(&self, deletes: bool) -> Vec<(String, String)> {
        let policy = if deletes { "compact,delete" } else { "compact" };
        let mut configs = vec![
            ("cleanup.policy".to_owned(), policy.to_owned()),
            ("delete.retention.ms".to_owned(), self.delete_retention_ms.to_string()),
            ("min.cleanable.dirty.ratio".to_owned(), self.dirty_ratio.to_owned()),
            ("min.compaction.lag.ms".to_owned(), self.min_lag_ms.to_string()),
            ("max.compaction.lag.ms".to_owned(), self.max_lag_ms.to_string()),
            ("retention.ms".to_owned(), "-1".to_owned()),
        ];
        if deletes {
            configs.push(("retention.bytes".to_owned(), self.retention_bytes.to_string()));
        }
        configs
    }
}

impl Client for Maker {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let nodes = ctx.world.nodes.len();
        let (Some(view), Some(place)) = (ctx.view(), ctx.controller()) else { return };
        if let Some(topic) = view.topics.get(COMPACTED[1]) {
            ctx.model.compaction.deletes.extend(topic.partitions.iter().map(|partition| partition.id));
        }
        let Some(name) = COMPACTED.into_iter().find(|name| !view.topics.contains_key(*name)) else { return };
        if self.is_asking || view.nodes.len() < nodes {
            return;
        }
        let new = NewTopic {
            name: name.to_owned(),
            partitions: PARTITIONS,
            replication_factor: nodes as i16,
            configs: self.configs(name == COMPACTED[1]),
            topic_id: TopicId(u128::from(ctx.rng.next_u64()) << 64 | 1),
            entropy: ctx.rng.next_u64(),
            by_hand: Vec::new(),
        };
        let command = propose::create_topic(&view, &Statics::default(), new).expect("it may be made");
        let request = ctx.number(place);
        self.is_asking = true;
        ctx.world.input(place.node, place.shard, Input::Control { request, command });
    }

    fn answer(&mut self, _: &mut Ctx<'_>, output: Output) {
        assert!(matches!(output, Output::ControlDone { .. }), "a maker was answered {output:?}");
        self.is_asking = false;
    }

    fn lost(&mut self, _: &mut Ctx<'_>) {
        self.is_asking = false;
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        !self.is_asking
    }
}
