//! Makes the topics of the loops, and those of their coordinators.

use super::super::apart::TOPICS;
use super::super::{Client, Ctx};
use super::names::PARTITIONS;
use engine::control::config::Statics;
use engine::control::propose::{self, NewTopic};
use engine::groups::OFFSETS_TOPIC;
use engine::ids::TopicId;
use engine::port::{Input, Output};
use engine::transactions::TRANSACTIONS_TOPIC;

/// Few, so that they are in one or two journals, and more than one.
const COORDINATORS_PARTITIONS: i32 = 3;

#[derive(Default)]
pub struct Maker {
    is_asking: bool,
}

impl Client for Maker {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let nodes = ctx.world.nodes.len();
        let (Some(view), Some(place)) = (ctx.view(), ctx.controller()) else { return };
        let all = [OFFSETS_TOPIC, TRANSACTIONS_TOPIC].into_iter().chain(TOPICS);
        let Some(name) = all.into_iter().find(|name| !view.topics.contains_key(*name)) else { return };
        if self.is_asking || view.nodes.len() < nodes {
            return;
        }
        let is_loops = TOPICS.contains(&name);
        // However a clock jumps, nothing of it grows old.
        let forever = vec![("retention.ms".to_owned(), "-1".to_owned())];
        let new = NewTopic {
            name: name.to_owned(),
            partitions: if is_loops { PARTITIONS } else { COORDINATORS_PARTITIONS },
            replication_factor: nodes as i16,
            configs: if is_loops { forever } else { Vec::new() },
            topic_id: TopicId(u128::from(ctx.rng.next_u64()) << 64 | 1),
            entropy: ctx.rng.next_u64(),
            by_hand: Vec::new(),
        };
        let Ok(command) = propose::create_topic(&view, &Statics::default(), new) else { return };
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
