//! Reads what is committed of all that loops write, from anywhere; when all is quiet it reads everything, and looks
//! whether offsets and output of each loop agree.

use super::super::apart::TOPICS;
use super::super::coordinators::{coordinator_of, is_newest_of};
use super::super::{Client, Ctx, Place};
use super::names::{PARTITIONS, group, partitions};
use engine::groups::request::FetchOffsets;
use engine::groups::{Answer, OFFSETS_TOPIC, Request};
use engine::ids::{Offset, PartitionId};
use engine::port::{Fetch, FetchPartition, FetchedPartition, Input, Isolation, Output, Refusal, RequestId};
use std::sync::Arc;

const MS: u64 = 1_000_000;
const CALM_NS: u64 = 40 * MS;
const WAIT_NS_MAX: u64 = 40 * MS;
const PATIENCE_NS: u64 = 3_000 * MS;

/// How far the pass over everything is.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    topic: usize,
    number: usize,
    next: Offset,
    /// The loop whose offsets are looked at.
    of: usize,
}

#[derive(Default)]
pub struct Reader {
    asked: Option<(RequestId, PartitionId, Offset, u64)>,
    pass: Option<Pass>,
    next_ns: u64,
}

impl Reader {
    fn read(&mut self, ctx: &mut Ctx<'_>) {
        let (topic, number, offset) = match self.pass {
            Some(pass) => (pass.topic, pass.number, Some(pass.next)),
            None => (ctx.rng.below(TOPICS.len() as u64) as usize, ctx.rng.below(2) as usize, None),
        };
        let Some(all) = partitions(ctx, topic) else { return };
        let partition = all[number].id;
        let known = ctx.model.transactions.known_end(partition);
        let offset = offset.unwrap_or(Offset(ctx.rng.below(known.0 as u64 + 1) as i64));
        let Some(place) = ctx.leader(partition) else { return };
        let wait_ns = if self.pass.is_none() { ctx.rng.below(WAIT_NS_MAX) } else { 0 };
        let request = fetch(ctx, place, partition, offset, wait_ns);
        self.asked = Some((request, partition, offset, ctx.world.now_ns + PATIENCE_NS));
    }

    fn ask_offsets(&mut self, ctx: &mut Ctx<'_>, of: usize) {
        let Some(place) = coordinator_of(ctx, OFFSETS_TOPIC, &group(of)) else { return };
        let request = ctx.number(place);
        let until_ns = ctx.world.now_ns + PATIENCE_NS;
        self.asked = Some((request, PartitionId(0), Offset(0), until_ns));
        ctx.world.ask_group(place.node, place.shard, request, Request::FetchOffsets(wanted(of, true)));
    }

    fn was_read(&mut self, next: Offset, part: &FetchedPartition) -> bool {
        let Some(pass) = &mut self.pass else { return false };
        pass.next = next;
        // Whatever was open is ended in the end.
        let is_whole = next == part.high_watermark && part.last_stable == part.high_watermark;
        if is_whole {
            let last = pass.number + 1 == PARTITIONS as usize;
            (pass.topic, pass.number) =
                if last { (pass.topic + 1, 0) } else { (pass.topic, pass.number + 1) };
            pass.next = Offset(0);
        }
        is_whole
    }
}

/// The offsets of a loop.
pub fn wanted(of: usize, require_stable: bool) -> FetchOffsets {
    let wanted = (0..PARTITIONS).map(|number| (Arc::from(TOPICS[of]), number)).collect();
    FetchOffsets { group: group(of), wanted: Some(wanted), require_stable, member: None, epoch: -1 }
}

/// Asks for what is committed.
pub fn fetch(
    ctx: &mut Ctx<'_>,
    place: Place,
    partition: PartitionId,
    offset: Offset,
    wait_ns: u64,
) -> RequestId {
    let request = ctx.number(place);
    let max_bytes = 1 + ctx.rng.below(6_000) as u32;
    let wanted = FetchPartition { partition, offset, max_bytes, leader_epoch: -1, last_fetched_epoch: -1 };
    let deadline_ns = ctx.world.clock(place.node).mono_ns + wait_ns;
    let (isolation, partitions) = (Isolation::ReadCommitted, vec![wanted]);
    let fetch = Fetch { request, partitions, isolation, min_bytes: 1, max_bytes, deadline_ns };
    ctx.world.input(place.node, place.shard, Input::Fetch(fetch));
    request
}

/// Why a fetch may be refused; nothing of these topics is ever deleted.
pub fn check_refusal(partition: PartitionId, offset: Offset, refusal: Refusal) {
    let may_be = matches!(
        refusal,
        Refusal::NotLeader
            | Refusal::NotReady
            | Refusal::OffsetNotAvailable
            | Refusal::Stopping
            | Refusal::UnknownPartition
            | Refusal::Storage
    );
    assert!(may_be, "{partition}: a fetch of {offset} was refused with {refusal:?}");
}

impl Client for Reader {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if now_ns < self.next_ns || self.asked.is_some_and(|(.., until_ns)| now_ns < until_ns) {
            return;
        }
        self.asked = None;
        if ctx.desk.is_verifying && !ctx.model.transactions.is_read() && self.pass.is_none() {
            self.pass = Some(Pass::default());
        }
        if ctx.desk.is_settling && self.pass.is_none() {
            return;
        }
        self.next_ns = now_ns + ctx.rng.below(if self.pass.is_some() { MS } else { CALM_NS });
        match self.pass {
            Some(Pass { topic, of, .. }) if topic == TOPICS.len() => self.ask_offsets(ctx, of),
            _ => self.read(ctx),
        }
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        let Output::Fetched { request, partitions } = output else { panic!("answered {output:?}") };
        let Some((_, partition, offset, _)) = self.asked.take_if(|asked| asked.0 == request) else { return };
        let part = &partitions[0];
        if let Some(refusal) = part.error {
            return check_refusal(partition, offset, refusal);
        }
        let (reads, next) = ctx.model.transactions.read(&ctx.model.attempts, partition, offset, part);
        if reads.iter().any(|read| read.is_shown) {
            ctx.world.counts.add("transactions: committed records read");
        }
        if reads.iter().any(|read| !read.is_shown) {
            ctx.world.counts.add("transactions: aborted records passed over");
        }
        if part.last_stable < part.high_watermark {
            ctx.world.counts.add("transactions: stable offset below the watermark");
        }
        if self.was_read(next, part) {
            ctx.model.transactions.whole_log_was_read(&ctx.model.attempts, partition);
        }
    }

    fn group_answer(&mut self, ctx: &mut Ctx<'_>, from: Place, request: RequestId, answer: Answer) {
        if self.asked.take_if(|asked| asked.0 == request).is_none() {
            return;
        }
        let Some(of) = self.pass.map(|pass| pass.of) else { return };
        let Answer::Offsets(Ok(offsets)) = answer else { return };
        if !is_newest_of(ctx, OFFSETS_TOPIC, &group(of), from)
            || offsets.iter().any(|one| one.error.is_some())
        {
            return;
        }
        for one in offsets {
            let committed = Offset(one.offset.max(0));
            let model = &mut ctx.model.transactions;
            model.saw_offset(of, one.partition, committed, Some(usize::MAX));
            model.is_exactly_once(of, one.partition, committed);
        }
        ctx.world.counts.add("transactions: a loop was exactly once");
        let pass = self.pass.as_mut().expect("just seen");
        pass.of += 1;
        if pass.of + 1 == TOPICS.len() {
            self.pass = None;
            ctx.model.transactions.looked();
        }
    }

    fn lost(&mut self, ctx: &mut Ctx<'_>) {
        self.asked = None;
        if ctx.desk.is_verifying && !ctx.model.transactions.is_read() {
            self.pass = Some(Pass::default());
        }
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        self.asked.is_none()
    }
}
