//! The last client: when all others are done it reads every partition whole, and asks about
//! offsets what it can then tell itself.

use super::apart::is_apart;
use super::fetcher::check_part;
use super::{Client, Ctx};
use engine::batch::records::Records;
use engine::control::View;
use engine::ids::{Offset, PartitionId};
use engine::port::{Answer, Fetch, FetchPartition, Input, Isolation, Output, Query, QueryKind, Refusal};
use std::collections::VecDeque;

const DECOMPRESSED_BYTES_MAX: usize = 4 << 20;

enum Step {
    Bounds,
    Read { next: Offset },
    Ask { kind: QueryKind, expected: (i64, i64) },
}

#[derive(Default)]
pub struct Verifier {
    /// Set when the pass began.
    partitions: Option<VecDeque<PartitionId>>,
    step: Option<Step>,
    questions: Vec<(QueryKind, (i64, i64))>,
    under_way: bool,
    /// It was refused: asks again only when it is woken, so that time goes on.
    rests: bool,
}

impl Verifier {
    fn current(&self) -> Option<PartitionId> {
        self.partitions.as_ref()?.front().copied()
    }

    fn begin(&mut self, ctx: &mut Ctx<'_>) {
        let view = ctx.view().expect("asked before");
        ctx.model.topics.check(&view);
        let topics = view.topics.values().filter(|topic| !is_apart(&topic.name));
        let all = topics.flat_map(|topic| topic.partitions.iter().map(|partition| partition.id));
        self.partitions = Some(all.filter(|id| !ctx.model.partition(*id).is_deleted).collect());
        self.step = None;
    }

    fn fetch(&mut self, ctx: &mut Ctx<'_>, partition: PartitionId, offset: Offset) {
        let Some(place) = ctx.leader(partition) else { return };
        let request = ctx.request();
        self.under_way = true;
        let part = FetchPartition {
            partition,
            offset,
            max_bytes: 200_000,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let deadline_ns = ctx.world.clock(place.node).mono_ns;
        let fetch = Fetch {
            request,
            partitions: vec![part],
            isolation: Isolation::default(),
            min_bytes: 1,
            max_bytes: 200_000,
            deadline_ns,
        };
        ctx.send(place, Input::Fetch(fetch));
    }

    fn ask(&mut self, ctx: &mut Ctx<'_>, partition: PartitionId, kind: QueryKind) {
        let Some(place) = ctx.leader(partition) else { return };
        let request = ctx.request();
        self.under_way = true;
        ctx.send(place, Input::Query(Query { request, slot: 0, partition, leader_epoch: -1, kind }));
    }

    fn next_partition(&mut self) {
        self.partitions.as_mut().expect("begun").pop_front();
        self.step = None;
    }

    /// The whole log was read: what do its records say of times?
    fn whole(&mut self, ctx: &mut Ctx<'_>, partition: PartitionId) {
        ctx.world.counts.add("partition read whole");
        let model = &ctx.model.partitions[&partition];
        model.whole_log_was_read(&ctx.model.attempts, &ctx.model.damage);
        self.questions = vec![
            (QueryKind::Latest, (model.high_watermark.0, -1)),
            (QueryKind::Earliest, (model.log_start.0, -1)),
        ];
        let is_stable = !model.has_retention && ctx.model.damage.broken.is_empty();
        if is_stable && let Some(times) = self.times(ctx, partition) {
            self.questions.extend(time_questions(ctx, &times));
        }
    }

    /// Every record's offset and time; nothing for a topic where the broker takes the time.
    fn times(&self, ctx: &Ctx<'_>, partition: PartitionId) -> Option<Vec<(i64, i64)>> {
        let view = ctx.view()?;
        if view.partition(partition)?.0.settings.log_append_time {
            return None;
        }
        let model = &ctx.model.partitions[&partition];
        let mut times = Vec::new();
        for (base, uid) in model.batches() {
            let attempt = ctx.model.attempts.get(uid);
            let records = Records::open(&attempt.batch, DECOMPRESSED_BYTES_MAX).expect("built here");
            for record in records.iter() {
                let record = record.expect("built here");
                times.push((base + record.offset, record.timestamp_ms));
            }
        }
        times.retain(|(offset, _)| *offset >= model.log_start.0);
        Some(times)
    }

    fn fetched(&mut self, ctx: &mut Ctx<'_>, partition: PartitionId, output: Output) {
        let Output::Fetched { partitions, .. } = output else {
            panic!("the verifier was answered {output:?}")
        };
        let part = &partitions[0];
        let asked = match self.step {
            Some(Step::Read { next }) => next,
            _ => unreachable!("a fetch is under way"),
        };
        let next = check_part(ctx, partition, asked, part);
        match part.error {
            // Offsets that an accepted loss passed over have no records: a client waits there.
            None if next == asked && ctx.model.partition(partition).is_lossy => self.next_partition(),
            None if next >= part.high_watermark => {
                self.whole(ctx, partition);
                self.next_question();
            }
            None => {
                let starved = next == asked;
                assert!(
                    !starved,
                    "{partition}: nothing at {asked} below the high watermark {}",
                    part.high_watermark
                );
                self.step = Some(Step::Read { next });
            }
            Some(Refusal::Storage) => match ctx.model.damage.hole_end(partition, asked) {
                Some(end) => self.step = Some(Step::Read { next: end }),
                // Nobody knows where what was lost ends.
                None if ctx.model.partition(partition).is_lossy => self.next_partition(),
                None => self.ask_again(),
            },
            Some(_) => self.ask_again(),
        }
    }

    fn ask_again(&mut self) {
        self.step = Some(Step::Bounds);
        self.rests = true;
    }

    fn next_question(&mut self) {
        match self.questions.pop() {
            Some((kind, expected)) => self.step = Some(Step::Ask { kind, expected }),
            None => self.next_partition(),
        }
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, partition: PartitionId, output: Output) {
        let Output::Answered { result, .. } = output else { panic!("the verifier was answered {output:?}") };
        match (self.step.take(), result) {
            (Some(Step::Bounds), Ok(Answer::Offset { offset, .. })) => {
                ctx.model.partition(partition).bounds(offset, Offset(-1));
                self.step = Some(Step::Read { next: offset });
            }
            (Some(Step::Ask { kind, expected }), Ok(Answer::Offset { offset, timestamp_ms, .. })) => {
                let model = ctx.model.partition(partition);
                // Retention may go on while we ask.
                let moved = kind == QueryKind::Earliest && model.has_retention && offset.0 >= expected.0;
                let found = (offset.0, timestamp_ms);
                let is_right = found == expected
                    || matches!(kind, QueryKind::Earliest | QueryKind::Latest) && offset.0 == expected.0;
                assert!(is_right || moved, "{partition}: {kind:?} is {found:?}, not {expected:?}");
                ctx.world.counts.add("offset question answered right");
                self.next_question();
            }
            (step, Err(_)) => {
                self.step = step;
                self.rests = true;
            }
            (_, Ok(answer)) => panic!("{partition}: answered {answer:?}"),
        }
    }
}

fn time_questions(ctx: &mut Ctx<'_>, times: &[(i64, i64)]) -> Vec<(QueryKind, (i64, i64))> {
    let none = (-1, -1);
    let Some(last) = times.iter().map(|(_, time)| *time).max() else {
        return vec![(QueryKind::MaxTimestamp, none), (QueryKind::AtTime(0), none)];
    };
    let first_at = |time: i64| times.iter().find(|(_, at)| *at >= time).copied().unwrap_or(none);
    let some = times[ctx.rng.below(times.len() as u64) as usize].1;
    let asked = [0, some, some + 1, last, last + 1];
    let newest = times.iter().find(|(_, at)| *at == last).copied().expect("there is a last");
    let mut questions: Vec<_> = asked.map(|time| (QueryKind::AtTime(time), first_at(time))).into();
    questions.push((QueryKind::MaxTimestamp, newest));
    questions
}

impl Client for Verifier {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let published = ctx.world.nodes.iter().map(|node| node.published).max().unwrap_or_default();
        let is_newest = |view: &View| view.version >= published;
        if !ctx.desk.is_verifying || self.under_way || !ctx.view().is_some_and(|view| is_newest(&view)) {
            return;
        }
        if self.partitions.is_none() {
            self.begin(ctx);
        }
        let Some(partition) = self.current() else { return };
        match self.step.get_or_insert(Step::Bounds) {
            Step::Bounds => self.ask(ctx, partition, QueryKind::Earliest),
            Step::Read { next } => {
                let next = *next;
                self.fetch(ctx, partition, next);
            }
            Step::Ask { kind, .. } => {
                let kind = *kind;
                self.ask(ctx, partition, kind);
            }
        }
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        self.under_way = false;
        let Some(partition) = self.current() else { return };
        match output {
            Output::Fetched { .. } => self.fetched(ctx, partition, output),
            _ => self.answered(ctx, partition, output),
        }
        if !std::mem::take(&mut self.rests) {
            self.wake(ctx);
        }
    }

    fn lost(&mut self, _: &mut Ctx<'_>) {
        *self = Self::default();
    }

    fn is_settled(&self) -> bool {
        self.partitions.as_ref().is_some_and(VecDeque::is_empty) && !self.under_way
    }
}
