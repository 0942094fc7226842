//! Writes what the first loop reads: one batch at a time, again until it is acked.

use super::super::batches::{self, Recipe};
use super::super::{Client, Ctx};
use super::names::{PARTITIONS, partitions};
use crate::check::Uid;
use engine::port::{Acks, BatchWriter, Input, Output, Produce, RequestId};

const MS: u64 = 1_000_000;
/// Between two batches.
const CALM_NS: u64 = 50 * MS;
const PATIENCE_NS: u64 = 3_000 * MS;

#[derive(Default)]
pub struct Source {
    batch: Option<(Uid, i32)>,
    asked: Option<(RequestId, u64)>,
    next_ns: u64,
}

impl Client for Source {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if now_ns < self.next_ns || self.asked.is_some_and(|(_, until_ns)| now_ns < until_ns) {
            return;
        }
        self.asked = None;
        let Some(all) = partitions(ctx, 0) else { return };
        let (uid, number) = match self.batch {
            Some(batch) => batch,
            None if ctx.desk.is_settling => return,
            None => {
                let number = ctx.rng.below(PARTITIONS as u64) as i32;
                let recipe = Recipe {
                    wall_ms: ctx.world.true_wall_ms(),
                    records: 1 + ctx.rng.below(3) as u32,
                    value_bytes: ctx.rng.below(400) as usize,
                    sequence: None,
                };
                let batch = batches::build(ctx.rng, ctx.model.attempts.next_uid(), &recipe);
                (ctx.model.attempts.add(all[number as usize].id, None, batch), number)
            }
        };
        self.batch = Some((uid, number));
        let partition = all[number as usize].id;
        let Some(place) = ctx.leader(partition) else { return };
        let bytes = ctx.model.attempts.get(uid).batch.len();
        if !ctx.world.nodes[place.node].shards[place.shard as usize].shard.room_for(partition, bytes) {
            return;
        }
        let request = ctx.number(place);
        self.asked = Some((request, now_ns + PATIENCE_NS));
        let records = ctx.model.attempts.sent(uid).to_vec();
        let (acks, writer) = (Acks::All, BatchWriter::Client);
        let produce = Produce { request, slot: 0, partition, acks, records: &records, checked: None, writer };
        ctx.world.input(place.node, place.shard, Input::Produce(produce));
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        let Output::Produced { request, result, .. } = output else { panic!("answered {output:?}") };
        if self.asked.is_none_or(|(asked, _)| asked != request) {
            return;
        }
        self.asked = None;
        self.next_ns = ctx.world.now_ns + ctx.rng.below(CALM_NS);
        if let (Ok(produced), Some((uid, _))) = (result, self.batch) {
            ctx.model.transactions.acked(&ctx.model.attempts, uid, produced.base_offset);
            self.batch = None;
        }
    }

    fn lost(&mut self, _: &mut Ctx<'_>) {
        self.asked = None;
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        self.batch.is_none()
    }
}
