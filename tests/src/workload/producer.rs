//! A producer: keeps up to five batches of a partition under way, and brings each to its end
//! through refusals and crashes, with the same sequence when it is idempotent.

use super::batches::{self, Recipe};
use super::{Client, Ctx};
use crate::check::Uid;
use crate::check::attempts::Sequence;
use engine::batch::validate::BatchError;
use engine::control::{Command, Outcome};
use engine::ids::PartitionId;
use engine::port::{Acks, BatchWriter, Input, Output, Produce, Produced, Refusal, RequestId};
use std::collections::{BTreeMap, VecDeque};

const UNDER_WAY_MAX: usize = 5;

struct Unacked {
    uid: Uid,
    /// Counts the lane's batches.
    number: usize,
    /// Under way as this request.
    request: Option<RequestId>,
}

/// One partition that it writes to.
struct Lane {
    partition: PartitionId,
    next_sequence: i32,
    next_number: usize,
    queue: VecDeque<Unacked>,
    /// A batch was refused: the others come home before anything is sent again.
    is_draining: bool,
    /// The last one acked, to be sent again for nothing.
    last_acked: Option<Uid>,
}

impl Lane {
    /// Batches that may be begun. A broker knows the last five again: it counts from the first that
    /// is not acked, for one behind it may be, when another leader answers earlier than the old one.
    fn room(&self) -> usize {
        let first = self.queue.front().map_or(self.next_number, |unacked| unacked.number);
        UNDER_WAY_MAX.saturating_sub(self.next_number - first)
    }
}

/// A request outside of the queues, and what it must give.
enum Aside {
    Corrupted,
    Repeated { uid: Uid },
}

pub struct Producer {
    acks: Acks,
    is_idempotent: bool,
    id: Option<i64>,
    id_request: Option<RequestId>,
    lanes: Vec<Lane>,
    aside: BTreeMap<RequestId, Aside>,
}

impl Producer {
    pub fn new(acks: Acks, is_idempotent: bool) -> Self {
        assert!(!is_idempotent || acks == Acks::All);
        Self { acks, is_idempotent, id: None, id_request: None, lanes: Vec::new(), aside: BTreeMap::new() }
    }

    fn ask_for_id(&mut self, ctx: &mut Ctx<'_>) {
        let Some(place) = ctx.controller() else { return };
        let request = ctx.request();
        self.id_request = Some(request);
        ctx.send(place, Input::Control { request, command: Command::AllocateProducerIds { count: 1 } });
    }

    fn add_lane(&mut self, ctx: &mut Ctx<'_>) {
        let Some(partition) = ctx.any_partition() else { return };
        if self.lanes.iter().all(|lane| lane.partition != partition) {
            let lane = Lane {
                partition,
                next_sequence: 0,
                next_number: 0,
                queue: VecDeque::new(),
                is_draining: false,
                last_acked: None,
            };
            self.lanes.push(lane);
        }
    }

    /// A new batch at the end of a lane's queue.
    fn enqueue(&mut self, ctx: &mut Ctx<'_>, lane: usize) {
        let lane = &mut self.lanes[lane];
        let mut recipe = Recipe::draw(ctx.rng, ctx.world.true_wall_ms());
        recipe.sequence = self.id.map(|producer| Sequence { producer, epoch: 0, first: lane.next_sequence });
        let batch = batches::build(ctx.rng, ctx.model.attempts.next_uid(), &recipe);
        lane.next_sequence += recipe.records as i32;
        let uid = ctx.model.attempts.add(lane.partition, recipe.sequence, batch);
        lane.queue.push_back(Unacked { uid, number: lane.next_number, request: None });
        lane.next_number += 1;
    }

    /// Sends what may be sent of a lane.
    fn send_lane(&mut self, ctx: &mut Ctx<'_>, lane_number: usize) {
        let lane = &mut self.lanes[lane_number];
        let under_way = lane.queue.iter().any(|unacked| unacked.request.is_some());
        if lane.is_draining && under_way {
            return;
        }
        lane.is_draining = false;
        for at in 0..lane.queue.len() {
            if lane.queue[at].request.is_some() {
                continue;
            }
            let Some(place) = ctx.leader(lane.partition) else { return };
            let uid = lane.queue[at].uid;
            let bytes = ctx.model.attempts.get(uid).batch.len();
            if !ctx.world.nodes[place.node].shards[place.shard as usize].shard.room_for(lane.partition, bytes)
            {
                ctx.world.counts.add("produce held back: no room");
                return;
            }
            let request = ctx.request();
            lane.queue[at].request = Some(request);
            let batch = ctx.model.attempts.sent(uid).to_vec();
            let produce = Produce {
                request,
                slot: lane_number as u32,
                partition: lane.partition,
                acks: self.acks,
                records: &batch,
                checked: None,
                writer: BatchWriter::Client,
            };
            ctx.send(place, Input::Produce(produce));
        }
        if self.acks == Acks::None {
            lane.queue.retain(|unacked| unacked.request.is_none());
        }
    }

    /// Sends a batch with a wrong checksum, or one again that was acked.
    fn send_aside(&mut self, ctx: &mut Ctx<'_>, lane_number: usize) {
        let lane = &self.lanes[lane_number];
        let Some(place) = ctx.leader(lane.partition) else { return };
        // Where the operator accepted a loss nobody knows any more what a producer had sent.
        let is_known = !ctx.model.damage.has_holes(lane.partition);
        let repeated = self.is_idempotent && lane.queue.is_empty() && is_known;
        let (aside, batch) = match lane.last_acked {
            Some(uid) if repeated => (Aside::Repeated { uid }, ctx.model.attempts.sent(uid).to_vec()),
            _ => {
                let recipe = Recipe { sequence: None, ..Recipe::draw(ctx.rng, ctx.world.true_wall_ms()) };
                let mut batch = batches::build(ctx.rng, ctx.model.attempts.next_uid(), &recipe);
                *batch.last_mut().expect("not empty") ^= 1;
                (Aside::Corrupted, batch)
            }
        };
        let shard = &ctx.world.nodes[place.node].shards[place.shard as usize].shard;
        if self.acks == Acks::None || !shard.room_for(lane.partition, batch.len()) {
            return;
        }
        let request = ctx.request();
        self.aside.insert(request, aside);
        let produce = Produce {
            request,
            slot: lane_number as u32,
            partition: lane.partition,
            acks: self.acks,
            records: &batch,
            checked: None,
            writer: BatchWriter::Client,
        };
        ctx.send(place, Input::Produce(produce));
    }

    fn aside_answered(
        &mut self,
        ctx: &mut Ctx<'_>,
        aside: Aside,
        lane: usize,
        result: Result<Produced, Refusal>,
    ) {
        let partition = self.lanes[lane].partition;
        match (aside, result) {
            (Aside::Corrupted, Err(Refusal::Batch(BatchError::Crc))) => {
                ctx.world.counts.add("corrupt batch refused")
            }
            (Aside::Corrupted, Ok(produced)) => {
                panic!("a batch with a wrong checksum was taken: {produced:?}")
            }
            (Aside::Repeated { uid }, Ok(produced)) => {
                let places = ctx.model.partition(partition).places_of(uid);
                assert!(
                    places.contains(&produced.base_offset.0),
                    "a duplicate of {uid:?} at {places:?} was answered with {produced:?}"
                );
                ctx.world.counts.add("duplicate answered");
            }
            (_, Err(refusal)) => self.check_refusal(ctx, lane, refusal),
        }
    }

    fn check_refusal(&mut self, ctx: &mut Ctx<'_>, lane: usize, refusal: Refusal) {
        let is_cluster = ctx.world.nodes.len() > 1;
        let model = ctx.model.partition(self.lanes[lane].partition);
        let is_fine = match refusal {
            Refusal::NotLeader | Refusal::NotReady | Refusal::Storage | Refusal::Stopping => true,
            Refusal::UnknownPartition => true,
            Refusal::NotEnoughReplicas | Refusal::NotEnoughReplicasAfterAppend => is_cluster,
            // One batch that failed takes those behind it along.
            Refusal::OutOfOrderSequence => self.lanes[lane].is_draining,
            _ => false,
        };
        assert!(
            is_fine || model.is_deleted || !ctx.model.damage.broken.is_empty(),
            "{}: refused with {refusal:?}",
            self.lanes[lane].partition
        );
    }

    fn produced(
        &mut self,
        ctx: &mut Ctx<'_>,
        request: RequestId,
        lane_number: usize,
        result: Result<Produced, Refusal>,
    ) {
        let lane = &mut self.lanes[lane_number];
        let Some(at) = lane.queue.iter().position(|unacked| unacked.request == Some(request)) else {
            // With acks=0 only an error is answered, and nobody waits for it.
            return;
        };
        match result {
            Ok(produced) => {
                let uid = lane.queue[at].uid;
                let model = ctx.model.partition(lane.partition);
                if !model.places_of(uid).is_empty() {
                    ctx.world.counts.add("retry answered with the original offset");
                }
                // What only the leader has is lost by a failover.
                if self.acks == Acks::All || ctx.world.nodes.len() == 1 {
                    let partition = ctx.model.partitions.get_mut(&lane.partition).expect("above");
                    partition.acked(&ctx.model.attempts, uid, produced.base_offset);
                }
                lane.queue.remove(at);
                lane.last_acked = Some(uid);
                ctx.world.counts.add("batch acked");
            }
            Err(refusal) => {
                lane.queue[at].request = None;
                // A refused batch at the front must be refused for a reason of its own.
                let first = at == 0;
                ctx.world.counts.add(&format!("produce refused: {refusal:?}"));
                self.lanes[lane_number].is_draining |= !first || refusal != Refusal::OutOfOrderSequence;
                self.check_refusal(ctx, lane_number, refusal);
                if refusal == Refusal::OutOfOrderSequence
                    && ctx.model.partition(self.lanes[lane_number].partition).is_lossy
                {
                    // What the broker knew of this producer is lost: a real one begins anew.
                    self.lanes[lane_number].queue.clear();
                }
                if refusal == Refusal::UnknownPartition
                    && ctx.model.partition(self.lanes[lane_number].partition).is_deleted
                {
                    self.lanes[lane_number].queue.clear();
                }
            }
        }
    }

    fn drop_deleted(&mut self, ctx: &mut Ctx<'_>) {
        for lane in &mut self.lanes {
            if ctx.model.partition(lane.partition).is_deleted && ctx.leader(lane.partition).is_none() {
                lane.queue.clear();
            }
        }
    }
}

impl Client for Producer {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        if self.is_idempotent && self.id.is_none() {
            if self.id_request.is_none() && !ctx.desk.is_settling {
                self.ask_for_id(ctx);
            }
            return;
        }
        if ctx.view().is_none() {
            return;
        }
        self.drop_deleted(ctx);
        if !ctx.desk.is_settling && (self.lanes.is_empty() || self.lanes.len() < 3 && ctx.rng.one_in(40)) {
            self.add_lane(ctx);
        }
        for lane in 0..self.lanes.len() {
            let deleted = ctx.model.partition(self.lanes[lane].partition).is_deleted;
            if !ctx.desk.is_settling && !deleted && ctx.rng.one_in(2) {
                if ctx.rng.one_in(12) {
                    self.send_aside(ctx, lane);
                }
                for _ in 0..ctx.rng.below(self.lanes[lane].room() as u64 + 1) {
                    self.enqueue(ctx, lane);
                }
            }
            self.send_lane(ctx, lane);
        }
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        match output {
            Output::ControlDone { result, .. } => {
                self.id_request = None;
                if let Ok(Outcome::ProducerIds { first, .. }) = result {
                    ctx.model.producer_id_given(first);
                    self.id = Some(first);
                }
            }
            Output::Produced { request, slot, result } => match self.aside.remove(&request) {
                Some(aside) => self.aside_answered(ctx, aside, slot as usize, result),
                None => self.produced(ctx, request, slot as usize, result),
            },
            other => panic!("a producer was answered {other:?}"),
        }
    }

    fn lost(&mut self, ctx: &mut Ctx<'_>) {
        self.id_request = None;
        self.aside.clear();
        for lane in &mut self.lanes {
            lane.is_draining = false;
            for unacked in &mut lane.queue {
                unacked.request = None;
            }
            // Without sequences a client may as well give up.
            if !self.is_idempotent && ctx.rng.one_in(2) {
                lane.queue.clear();
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.id_request.is_none()
            && self.aside.is_empty()
            && self.lanes.iter().all(|lane| lane.queue.is_empty())
    }
}
