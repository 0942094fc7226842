//! Writes outside of transactions: one batch at a time, again until it is acked.

use super::super::{Client, Ctx};
use super::keyed::{any_partition, new_batch, place_for};
use crate::check::compaction::{Fate, KeyedBatch};
use engine::ids::PartitionId;
use engine::port::{Acks, BatchWriter, Input, Output, Produce, RequestId};

const MS: u64 = 1_000_000;
/// Between two batches.
const CALM_NS: u64 = 60 * MS;
const PATIENCE_NS: u64 = 3_000 * MS;

#[derive(Default)]
pub struct Writer {
    batch: Option<(KeyedBatch, PartitionId)>,
    asked: Option<(RequestId, u64)>,
    next_ns: u64,
}

impl Client for Writer {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if now_ns < self.next_ns || self.asked.is_some_and(|(_, until_ns)| now_ns < until_ns) {
            return;
        }
        self.asked = None;
        let (batch, partition) = match self.batch {
            Some(batch) => batch,
            None if ctx.desk.is_settling => return,
            None => {
                let Some(partition) = any_partition(ctx) else { return };
                (new_batch(ctx, partition, Fate::Plain, None), partition)
            }
        };
        self.batch = Some((batch, partition));
        let Some(place) = place_for(ctx, partition, 16 << 10) else { return };
        let request = ctx.number(place);
        self.asked = Some((request, now_ns + PATIENCE_NS));
        let records = ctx.model.compaction.sent(batch);
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
        if let (Ok(produced), Some((batch, _))) = (result, self.batch) {
            ctx.model.compaction.acked(batch, produced.base_offset);
            ctx.world.counts.add("compaction: batch acked");
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
