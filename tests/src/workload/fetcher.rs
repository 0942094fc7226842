//! A consumer: reads its partitions from wherever it is, waits at the end, begins again.

use super::{Client, Ctx};
use crate::check::Fetched;
use engine::ids::{Offset, PartitionId};
use engine::port::{Fetch, FetchPartition, FetchedPartition, Input, Isolation, Output, Refusal, RequestId};

/// Longest wait of a long poll.
const WAIT_NS_MAX: u64 = 20_000_000;

struct Cursor {
    partition: PartitionId,
    offset: Offset,
}

#[derive(Default)]
pub struct Fetcher {
    cursors: Vec<Cursor>,
    under_way: Option<(RequestId, Vec<usize>)>,
}

impl Fetcher {
    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        let first = ctx.rng.below(self.cursors.len() as u64) as usize;
        let Some(place) = ctx.leader(self.cursors[first].partition) else { return };
        // One request goes to one shard.
        let mut chosen = vec![first];
        for at in 0..self.cursors.len() {
            if at != first && ctx.leader(self.cursors[at].partition) == Some(place) {
                chosen.push(at);
            }
        }
        let request = ctx.request();
        let partition_bytes = 1 + ctx.rng.below(60_000) as u32;
        let partitions = chosen.iter().map(|at| ask_for(&self.cursors[*at], partition_bytes)).collect();
        let fetch = Fetch {
            request,
            partitions,
            isolation: Isolation::default(),
            min_bytes: if ctx.rng.one_in(3) { 1 + ctx.rng.below(20_000) as u32 } else { 1 },
            max_bytes: 1 + ctx.rng.below(300_000) as u32,
            deadline_ns: ctx.world.clock(place.node).mono_ns + ctx.rng.below(WAIT_NS_MAX),
        };
        self.under_way = Some((request, chosen));
        ctx.send(place, Input::Fetch(fetch));
    }

    fn part(&mut self, ctx: &mut Ctx<'_>, at: usize, part: &FetchedPartition) {
        let cursor = &mut self.cursors[at];
        let next = check_part(ctx, cursor.partition, cursor.offset, part);
        let model = ctx.model.partition(cursor.partition);
        cursor.offset = match part.error {
            None if ctx.rng.one_in(30) => model.log_start,
            None => next,
            Some(Refusal::OffsetOutOfRange) => Offset(part.log_start.0.max(model.log_start.0)),
            Some(Refusal::Storage) => {
                ctx.model.damage.hole_end(cursor.partition, cursor.offset).unwrap_or(cursor.offset)
            }
            Some(_) => cursor.offset,
        };
    }
}

fn ask_for(cursor: &Cursor, max_bytes: u32) -> FetchPartition {
    FetchPartition {
        partition: cursor.partition,
        offset: cursor.offset,
        max_bytes,
        leader_epoch: -1,
        last_fetched_epoch: -1,
    }
}

/// Checks one partition's part of an answer; gives the offset after what was read.
pub fn check_part(
    ctx: &mut Ctx<'_>,
    partition: PartitionId,
    offset: Offset,
    part: &FetchedPartition,
) -> Offset {
    let mut records = Vec::with_capacity(part.bytes);
    part.records.iter().for_each(|slice| records.extend_from_slice(slice));
    assert_eq!(records.len(), part.bytes, "the bytes of an answer are not its length");
    ctx.model.partition(partition);
    let model = ctx.model.partitions.get_mut(&partition).expect("made above");
    match part.error {
        None => {
            model.bounds(part.log_start, part.high_watermark);
            let fetched = Fetched {
                offset,
                high_watermark: part.high_watermark,
                log_start: part.log_start,
                records: &records,
            };
            let next = model.read(&ctx.model.attempts, &fetched);
            if next > offset {
                ctx.world.counts.add("records read");
            }
            return next;
        }
        Some(Refusal::OffsetOutOfRange) => model.out_of_range(offset),
        Some(Refusal::Storage) => {
            let damage = &ctx.model.damage;
            let broken = damage.is_hole(partition, offset)
                || damage.read_failed
                || damage.index_broken
                || !damage.repairable.is_empty();
            let lost = !ctx.model.damage.broken.is_empty();
            assert!(broken || lost || model.is_deleted, "{partition}: nothing is broken at {offset}");
            ctx.world.counts.add("fetch refused: damage");
        }
        Some(Refusal::NotLeader | Refusal::NotReady | Refusal::OffsetNotAvailable | Refusal::Stopping) => {}
        Some(Refusal::UnknownPartition) => {}
        Some(other) => panic!("{partition}: a fetch of {offset} was refused with {other:?}"),
    }
    assert!(records.is_empty(), "records with an error");
    offset
}

impl Client for Fetcher {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        if self.under_way.is_some() || ctx.desk.is_settling || ctx.view().is_none() {
            return;
        }
        if self.cursors.is_empty() || self.cursors.len() < 4 && ctx.rng.one_in(20) {
            let Some(partition) = ctx.any_partition() else { return };
            if self.cursors.iter().all(|cursor| cursor.partition != partition) {
                let offset = ctx.model.partition(partition).log_start;
                self.cursors.push(Cursor { partition, offset });
            }
        }
        if ctx.rng.one_in(3) {
            return;
        }
        self.ask(ctx);
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        let Output::Fetched { request, partitions } = output else {
            panic!("a fetcher was answered {output:?}")
        };
        let (asked, chosen) = self.under_way.take().expect("an answer to a request under way");
        assert_eq!((request, partitions.len()), (asked, chosen.len()));
        for (at, part) in chosen.into_iter().zip(&partitions) {
            self.part(ctx, at, part);
        }
    }

    fn lost(&mut self, _: &mut Ctx<'_>) {
        self.under_way = None;
    }

    fn is_settled(&self) -> bool {
        self.under_way.is_none()
    }
}
