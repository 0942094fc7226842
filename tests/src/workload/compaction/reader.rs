//! Reads what is committed of compacted topics from somewhere to the end, again and again; when all is quiet it reads
//! each partition whole.

use super::super::{Client, Ctx};
use super::keyed::{any_partition, partitions};
use crate::check::compaction::Reading;
use engine::ids::{Offset, PartitionId};
use engine::port::{Fetch, FetchPartition, FetchedPartition, Input, Isolation, Output, Refusal, RequestId};
use std::collections::VecDeque;

const MS: u64 = 1_000_000;
const CALM_NS: u64 = 200 * MS;
const PATIENCE_NS: u64 = 3_000 * MS;

#[derive(Default)]
pub struct Reader {
    reading: Option<Reading>,
    asked: Option<(RequestId, usize, u64)>,
    /// Those that are still to be read whole.
    left: Option<VecDeque<PartitionId>>,
    next_ns: u64,
}

impl Reader {
    fn begin(&mut self, ctx: &mut Ctx<'_>) {
        let whole = self.left.as_ref().and_then(|left| left.front().copied());
        self.reading = match whole {
            Some(partition) => Some(Reading::new(partition, Offset(0))),
            None => any_partition(ctx).map(|partition| {
                let known = ctx.model.compaction.known_end(partition).0;
                let from = if ctx.rng.one_in(2) { 0 } else { ctx.rng.below(known as u64 + 1) };
                Reading::new(partition, Offset(from as i64))
            }),
        };
    }

    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        let Some(reading) = &self.reading else { return };
        let partition = reading.partition;
        let Some(place) = ctx.leader(partition) else { return };
        let request = ctx.number(place);
        let max_bytes = 1 + ctx.rng.below(60_000) as u32;
        let wanted = FetchPartition {
            partition,
            offset: reading.next(),
            max_bytes,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let deadline_ns = ctx.world.clock(place.node).mono_ns;
        let (isolation, partitions) = (Isolation::ReadCommitted, vec![wanted]);
        let fetch = Fetch { request, partitions, isolation, min_bytes: 1, max_bytes, deadline_ns };
        self.asked = Some((request, place.node, ctx.world.now_ns + PATIENCE_NS));
        ctx.world.input(place.node, place.shard, Input::Fetch(fetch));
    }

    fn read(&mut self, ctx: &mut Ctx<'_>, node: usize, part: &FetchedPartition) {
        let Some(reading) = &mut self.reading else { return };
        if let Some(refusal) = part.error {
            return self.refused(ctx, node, refusal, part.log_start);
        }
        compared(ctx, reading.partition);
        if !ctx.model.compaction.read(reading, node, part) {
            return;
        }
        let gone = ctx.model.compaction.arrived(reading);
        ctx.world.counts.add("compaction: read to the end");
        ctx.world.counts.add_many("compaction: records that are gone", gone as u64);
        ctx.world.counts.add_many("compaction: emptied batch read", reading.emptied);
        let is_calm = reading.is_calm();
        self.reading = None;
        if let Some(left) = self.left.as_mut().filter(|_| is_calm) {
            left.pop_front();
            ctx.world.counts.add("compaction: partition read whole");
            if left.is_empty() {
                self.left = None;
                ctx.model.compaction.looked();
            }
        }
    }

    fn refused(&mut self, ctx: &mut Ctx<'_>, node: usize, refusal: Refusal, log_start: Offset) {
        let reading = self.reading.take().expect("it was asked");
        let deletes = ctx.model.compaction.deletes.contains(&reading.partition);
        match refusal {
            Refusal::OffsetOutOfRange if deletes => {
                self.reading = Some(Reading::new(reading.partition, log_start));
            }
            Refusal::NotLeader
            | Refusal::NotReady
            | Refusal::OffsetNotAvailable
            | Refusal::Stopping
            | Refusal::UnknownPartition => self.reading = Some(reading),
            Refusal::Storage => {
                ctx.world.counts.add("compaction: fetch refused for damage");
                let damage = &ctx.model.damage;
                let is_broken = damage.read_failed || damage.index_broken || !damage.repairable.is_empty();
                let lacks_runs = lacks_runs(ctx, node, reading.partition);
                ctx.world.counts.add_many("compaction: leader lacks runs", u64::from(lacks_runs));
                assert!(
                    is_broken || lacks_runs,
                    "{}: nothing is broken at {}",
                    reading.partition,
                    reading.next()
                );
                self.reading = Some(reading);
            }
            other => {
                panic!("{}: a fetch of {} was refused with {other:?}", reading.partition, reading.next())
            }
        }
    }
}

/// Whoever leads, and has not what is in its runs.
fn lacks_runs(ctx: &Ctx<'_>, node: usize, partition: PartitionId) -> bool {
    let Some(view) = ctx.view() else { return false };
    let Some((_, at)) = view.partition(partition) else { return false };
    let mut slots = ctx.world.nodes[node].shards.iter();
    let journal = slots.find_map(|slot| slot.shard.journal(at.spans[0].journal));
    journal.is_some_and(|journal| journal.lacks_runs() > 0)
}

/// Up to where any replica's journal says that records were compared.
fn compared(ctx: &mut Ctx<'_>, partition: PartitionId) {
    let Some(view) = ctx.view() else { return };
    let Some((_, at)) = view.partition(partition) else { return };
    let journal = at.spans[0].journal;
    let slots = ctx.world.nodes.iter().flat_map(|node| &node.shards);
    let folds = slots.filter_map(|slot| slot.shard.journal(journal)).map(|journal| journal.fold());
    let parts = folds.flat_map(|fold| fold.runs().settled()).filter_map(|made| made.part(partition));
    if let Some(clean_to) = parts.map(|part| part.clean_to).max() {
        ctx.model.compaction.compared(partition, clean_to);
    }
}

impl Client for Reader {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if now_ns < self.next_ns || self.asked.is_some_and(|(.., until_ns)| now_ns < until_ns) {
            return;
        }
        self.asked = None;
        let is_due = ctx.desk.is_verifying && !ctx.model.compaction.is_read();
        if is_due && self.left.is_none() {
            let all = partitions(ctx);
            self.left = (!all.is_empty()).then(|| all.into());
            self.reading = None;
        }
        if ctx.desk.is_settling && self.left.is_none() {
            self.reading = None;
            return;
        }
        if self.reading.is_none() {
            self.begin(ctx);
            let calm_ns = if self.left.is_some() { MS } else { CALM_NS };
            self.next_ns = now_ns + ctx.rng.below(calm_ns);
        }
        self.ask(ctx);
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        let Output::Fetched { request, partitions } = output else { panic!("answered {output:?}") };
        let Some((_, node, _)) = self.asked.take_if(|asked| asked.0 == request) else { return };
        self.read(ctx, node, &partitions[0]);
    }

    fn lost(&mut self, _: &mut Ctx<'_>) {
        self.asked = None;
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        self.asked.is_none()
    }
}
