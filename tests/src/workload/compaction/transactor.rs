//! Writes in transactions of one partition, and is its own coordinator: nobody else decides what they come to. A batch
//! that was not acked makes its transaction an aborted one.

use super::super::{Client, Ctx};
use super::keyed::{Numbered, any_partition, new_batch, place_for};
use crate::check::compaction::{Fate, KeyedBatch};
use engine::batch::Ending;
use engine::batch::header::attribute;
use engine::control::{Command, Outcome};
use engine::ids::{PartitionId, ProducerId};
use engine::port::{
    Acks, BatchWriter, Input, MarkerAnswer, Markers, Output, Produce, Produced, Refusal, RequestId,
    TransactionVersion,
};

const MS: u64 = 1_000_000;
const CALM_NS: u64 = 60 * MS;
const PATIENCE_NS: u64 = 3_000 * MS;
/// Batches of a transaction, at most.
const BATCHES_MAX: u64 = 5;

/// A transaction that is open, or is being ended.
struct Open {
    partition: PartitionId,
    batches: Vec<KeyedBatch>,
    /// Of its last batch nothing is known.
    is_waiting: bool,
    left: u64,
    next_sequence: i32,
    /// Decided: its marker is sent until it is there.
    ending: Option<Ending>,
}

#[derive(Default)]
pub struct Transactor {
    producer: Option<i64>,
    epoch: i16,
    open: Option<Open>,
    asked: Option<(RequestId, u64)>,
    next_ns: u64,
}

impl Transactor {
    fn ask_for_id(&mut self, ctx: &mut Ctx<'_>) {
        let Some(place) = ctx.controller() else { return };
        let request = ctx.number(place);
        self.asked = Some((request, ctx.world.now_ns + PATIENCE_NS));
        let command = Command::AllocateProducerIds { count: 1 };
        ctx.world.input(place.node, place.shard, Input::Control { request, command });
    }

    fn begin(&mut self, ctx: &mut Ctx<'_>) {
        let Some(partition) = any_partition(ctx) else { return };
        let left = 1 + ctx.rng.below(BATCHES_MAX);
        let (batches, is_waiting, next_sequence, ending) = (Vec::new(), false, 0, None);
        self.open = Some(Open { partition, batches, is_waiting, left, next_sequence, ending });
    }

    fn send(&mut self, ctx: &mut Ctx<'_>, producer: i64) {
        let open = self.open.as_mut().expect("it is open");
        let Some(place) = place_for(ctx, open.partition, 16 << 10) else { return };
        let numbered = Numbered {
            producer,
            epoch: self.epoch,
            sequence: open.next_sequence,
            attributes: attribute::TRANSACTIONAL,
        };
        let batch = new_batch(ctx, open.partition, Fate::Open, Some(numbered));
        open.batches.push(batch);
        (open.is_waiting, open.left) = (true, open.left - 1);
        let request = ctx.number(place);
        self.asked = Some((request, ctx.world.now_ns + PATIENCE_NS));
        let records = ctx.model.compaction.sent(batch);
        let count = engine::batch::BatchHeader::of(&records).expect("built here").offsets();
        open.next_sequence += count as i32;
        let shard = &ctx.world.nodes[place.node].shards[place.shard as usize].shard;
        let guard = shard.guard_for(open.partition, &records, true);
        let writer = BatchWriter::Transactional { version: TransactionVersion::Two, guard };
        let (partition, acks) = (open.partition, Acks::All);
        let produce = Produce { request, slot: 0, partition, acks, records: &records, checked: None, writer };
        ctx.world.input(place.node, place.shard, Input::Produce(produce));
    }

    fn end(&mut self, ctx: &mut Ctx<'_>, producer: i64) {
        let open = self.open.as_mut().expect("it is open");
        let ending = *open.ending.get_or_insert_with(|| {
            let aborts = open.is_waiting || ctx.rng.one_in(2);
            let ending = if aborts { Ending::Abort } else { Ending::Commit };
            ctx.model.compaction.ended(&open.batches, ending);
            ending
        });
        let Some(place) = place_for(ctx, open.partition, 4 << 10) else { return };
        let request = ctx.number(place);
        self.asked = Some((request, ctx.world.now_ns + PATIENCE_NS));
        let markers = Markers {
            request,
            producer: ProducerId(producer),
            epoch: self.epoch + 1,
            version: TransactionVersion::Two,
            coordinator_epoch: 1,
            ending,
            partitions: vec![open.partition],
        };
        ctx.world.input(place.node, place.shard, Input::Markers(markers));
    }

    fn produced(&mut self, ctx: &mut Ctx<'_>, result: Result<Produced, Refusal>) {
        let open = self.open.as_mut().expect("a batch of it was sent");
        if let Ok(produced) = result {
            open.is_waiting = false;
            let batch = *open.batches.last().expect("it was sent");
            ctx.model.compaction.acked(batch, produced.base_offset);
            ctx.world.counts.add("compaction: batch of a transaction acked");
        }
    }

    fn marked(&mut self, ctx: &mut Ctx<'_>, answer: MarkerAnswer) {
        match answer {
            MarkerAnswer::Done => {
                self.open = None;
                self.epoch += 1;
                ctx.world.counts.add("compaction: transaction ended");
            }
            MarkerAnswer::Moved | MarkerAnswer::Full => {}
            MarkerAnswer::OldEpoch | MarkerAnswer::OldCoordinator => panic!("nobody else is: {answer:?}"),
        }
    }
}

impl Client for Transactor {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if now_ns < self.next_ns || self.asked.is_some_and(|(_, until_ns)| now_ns < until_ns) {
            return;
        }
        self.asked = None;
        self.next_ns = now_ns + ctx.rng.below(CALM_NS);
        let Some(producer) = self.producer else {
            if !ctx.desk.is_settling {
                self.ask_for_id(ctx);
            }
            return;
        };
        match &self.open {
            None if ctx.desk.is_settling => {}
            None => self.begin(ctx),
            Some(open)
                if open.ending.is_some() || open.is_waiting || open.left == 0 || ctx.desk.is_settling =>
            {
                self.end(ctx, producer);
            }
            Some(_) => self.send(ctx, producer),
        }
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        let request = match &output {
            Output::ControlDone { request, .. }
            | Output::Produced { request, .. }
            | Output::Marked { request, .. } => *request,
            _ => panic!("answered {output:?}"),
        };
        if self.asked.is_none_or(|(asked, _)| asked != request) {
            return;
        }
        self.asked = None;
        match output {
            Output::ControlDone { result: Ok(Outcome::ProducerIds { first, .. }), .. } => {
                ctx.model.producer_id_given(first);
                self.producer = Some(first);
            }
            Output::Produced { result, .. } => self.produced(ctx, result),
            Output::Marked { answer, .. } => self.marked(ctx, answer),
            _ => {}
        }
    }

    fn lost(&mut self, _: &mut Ctx<'_>) {
        self.asked = None;
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        self.open.is_none() && self.asked.is_none()
    }
}
