//! A producer of a loop: initialises itself, asks where its group stands, and then reads committed records, writes what
//! it read to the next topic and commits offsets, all in one transaction. Now and then it crashes or hangs; another
//! producer of the same loop may fence it at any time.

use super::super::apart::TOPICS;
use super::super::coordinators::{coordinator_of, is_newest_of};
use super::super::{Client, Ctx, Place};
use super::names::{PARTITIONS, group, partitions};
use super::open::Open;
use super::reader::{check_refusal, fetch, wanted};
use crate::sim::carried::TransactionAnswer;
use crate::sim::carried::{Committing, Transacted};
use engine::batch::Ending;
use engine::control::{Command, Outcome};
use engine::coordinator::partition_of;
use engine::groups::request::{Commit, FetchedOffset, Identity, NewOffset};
use engine::groups::{Answer as GroupAnswer, GroupError, OFFSETS_TOPIC, Request as GroupRequest};
use engine::ids::{Offset, PartitionId};
use engine::port::{
    FetchedPartition, Input, JoinRefusal, Output, Produced, Refusal, RequestId, TransactionVersion,
};
use engine::rng::Rng;
use engine::transactions::request::{AddPartitions, EndTransaction, InitProducer};
use engine::transactions::{Answer, ProducerEpoch, Request, TRANSACTIONS_TOPIC, TransactionError};
use std::collections::BTreeMap;
use std::sync::Arc;

const MS: u64 = 1_000_000;
/// It asks again after this long without an answer.
const PATIENCE_NS: u64 = 1_500 * MS;
/// After a refusal, within this time.
const RETRY_NS: u64 = 30 * MS;
/// Between two transactions.
const PAUSE_NS: u64 = 40 * MS;
/// Between its own faults, on average.
const CALM_NS: u64 = 500 * MS;
const DOWN_NS_MAX: u64 = 1_200 * MS;
/// One that was fenced leaves the other alone for about as long.
const FENCED_NS: u64 = 600 * MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has no producer id and epoch.
    New,
    /// It has, and does not know where to begin.
    Lost,
    Idle,
    /// Adds partitions to its transaction, as clients of version 1 do.
    Adding,
    Writing,
    Committing,
    Ending,
}

/// What it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Ids,
    Batch(usize),
    Fetch {
        input: i32,
        partition: PartitionId,
        offset: Offset,
    },
    Peek,
    /// What its phase asks for.
    Step,
}

pub struct Copier {
    of: usize,
    /// It stays until everything is settled.
    is_primary: bool,
    id: Arc<str>,
    version: TransactionVersion,
    timeout_ms: i32,
    phase: Phase,
    asked: BTreeMap<RequestId, (What, u64)>,
    producer: ProducerEpoch,
    /// A producer id that nobody has.
    fresh: Option<i64>,
    /// KIP-360: it goes on after an error, as this.
    expected: Option<ProducerEpoch>,
    /// Transactions that there were when it began.
    ended: usize,
    sequences: BTreeMap<PartitionId, i32>,
    /// By partition of its input: what is committed, where it reads, and whether that was the end.
    inputs: Vec<(Offset, Offset, bool)>,
    open: Option<Open>,
    /// Nothing is done before.
    next_ns: u64,
    fault_ns: u64,
    answered_by: Option<Place>,
}

impl Copier {
    pub fn new(of: usize, is_primary: bool, rng: &mut Rng) -> Self {
        let version = if rng.one_in(3) { TransactionVersion::One } else { TransactionVersion::Two };
        Self {
            of,
            is_primary,
            id: format!("copier-{of}").into(),
            version,
            timeout_ms: 200 + rng.below(1_500) as i32,
            phase: Phase::New,
            asked: BTreeMap::new(),
            producer: ProducerEpoch { id: -1, epoch: -1 },
            fresh: None,
            expected: None,
            ended: 0,
            sequences: BTreeMap::new(),
            inputs: vec![(Offset(0), Offset(0), false); PARTITIONS as usize],
            open: None,
            next_ns: if is_primary { 0 } else { rng.below(CALM_NS) },
            fault_ns: CALM_NS / 2,
            answered_by: None,
        }
    }

    fn wait(&mut self, ctx: &mut Ctx<'_>, within_ns: u64) {
        self.next_ns = ctx.world.now_ns + ctx.rng.below(within_ns);
    }

    /// It begins anew, whatever became of its transaction.
    fn begin_anew(&mut self) {
        self.phase = Phase::New;
        self.open = None;
        self.asked.clear();
        self.sequences.clear();
    }

    /// Its process dies and comes back knowing nothing, or it hangs and knows all.
    fn fault(&mut self, ctx: &mut Ctx<'_>) {
        self.fault_ns = ctx.world.now_ns + ctx.rng.below(2 * CALM_NS);
        if ctx.rng.one_in(2) {
            ctx.world.counts.add("transactions: client stalled");
        } else {
            ctx.world.counts.add("transactions: client crashed");
            self.expected = None;
            self.begin_anew();
        }
        self.wait(ctx, DOWN_NS_MAX);
    }

    fn waits_for(&mut self, ctx: &Ctx<'_>, request: RequestId, what: What) {
        self.asked.insert(request, (what, ctx.world.now_ns + PATIENCE_NS));
    }

    fn ask_coordinator(&mut self, ctx: &mut Ctx<'_>, body: Request) {
        let Some(place) = coordinator_of(ctx, TRANSACTIONS_TOPIC, &self.id) else { return };
        let request = ctx.number(place);
        self.waits_for(ctx, request, What::Step);
        ctx.world.ask_transactions(place.node, place.shard, request, body);
    }

    fn ask_for_offsets(&mut self, ctx: &mut Ctx<'_>, what: What) {
        let Some(place) = coordinator_of(ctx, OFFSETS_TOPIC, &group(self.of)) else { return };
        let request = ctx.number(place);
        self.waits_for(ctx, request, what);
        let fetch = wanted(self.of, what == What::Step);
        ctx.world.ask_group(place.node, place.shard, request, GroupRequest::FetchOffsets(fetch));
    }

    fn ask_for_id(&mut self, ctx: &mut Ctx<'_>) {
        let Some(place) = ctx.controller() else { return };
        let request = ctx.number(place);
        self.waits_for(ctx, request, What::Ids);
        let command = Command::AllocateProducerIds { count: 1 };
        ctx.world.input(place.node, place.shard, Input::Control { request, command });
    }

    fn initialise(&mut self, ctx: &mut Ctx<'_>) {
        let init = InitProducer {
            transactional_id: Arc::clone(&self.id),
            timeout_ms: self.timeout_ms,
            expected: self.expected,
            fresh: self.fresh,
        };
        self.ask_coordinator(ctx, Request::Init(init));
    }

    fn idle(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.rng.one_in(6) && !ctx.desk.is_settling {
            return self.ask_for_offsets(ctx, What::Peek);
        }
        let input = ctx.rng.below(PARTITIONS as u64) as i32;
        let Some(all) = partitions(ctx, self.of) else { return };
        let partition = all[input as usize].id;
        let Some(place) = ctx.leader(partition) else { return };
        let offset = self.inputs[input as usize].1;
        let request = fetch(ctx, place, partition, offset, 5 * MS);
        self.waits_for(ctx, request, What::Fetch { input, partition, offset });
    }

    fn add(&mut self, ctx: &mut Ctx<'_>) {
        let open = self.open.as_ref().expect("a transaction is open");
        let mut places = open.places(self.of);
        if open.has_offsets
            && let Some(view) = ctx.view()
            && let Some(topic) = view.topics.get(OFFSETS_TOPIC)
        {
            let number = partition_of(&group(self.of), topic.partitions.len() as i32);
            places.push((OFFSETS_TOPIC.into(), number));
        }
        places.sort_unstable();
        places.dedup();
        let add = AddPartitions {
            transactional_id: Arc::clone(&self.id),
            producer: self.producer,
            partitions: places,
            verify_only: false,
            version: TransactionVersion::One,
        };
        self.ask_coordinator(ctx, Request::Add(add));
    }

    fn write(&mut self, ctx: &mut Ctx<'_>) {
        let open = self.open.as_mut().expect("a transaction is open");
        let is_late = open.batches.iter().any(|batch| batch.request.is_some());
        if is_late && self.version == TransactionVersion::Two && ctx.rng.one_in(60) {
            // Its batches may come when their transaction is over.
            ctx.world.counts.add("transactions: aborted with batches under way");
            open.ending = Ending::Abort;
            self.asked.clear();
            return self.phase = Phase::Ending;
        }
        let Some(at) = open.next_batch() else { return };
        let batch = &mut open.batches[at];
        let Some(place) = ctx.leader(batch.partition) else { return };
        let request = ctx.number(place);
        batch.request = Some(request);
        let transacted = Transacted {
            transactional_id: Arc::clone(&self.id),
            version: self.version,
            place: (TOPICS[self.of + 1].into(), batch.number),
            partition: batch.partition,
            records: ctx.model.attempts.sent(batch.uid).to_vec(),
        };
        self.waits_for(ctx, request, What::Batch(at));
        ctx.world.transact(place.node, place.shard, request, transacted);
    }

    fn commit_offsets(&mut self, ctx: &mut Ctx<'_>) {
        let open = self.open.as_ref().expect("a transaction is open");
        let Some(place) = coordinator_of(ctx, OFFSETS_TOPIC, &group(self.of)) else { return };
        let offset = NewOffset {
            topic: TOPICS[self.of].into(),
            partition: open.input,
            offset: open.to.0,
            leader_epoch: 0,
            metadata: String::new(),
        };
        let member = Identity { group: group(self.of), generation: -1, ..Identity::default() };
        let committing = Committing {
            transactional_id: Arc::clone(&self.id),
            version: self.version,
            producer: self.producer.id,
            epoch: self.producer.epoch,
            commit: Commit { member, offsets: vec![offset], retention_ms: None, knows_epochs: true },
        };
        let request = ctx.number(place);
        self.waits_for(ctx, request, What::Step);
        ctx.world.commit_offsets(place.node, place.shard, request, committing);
    }

    fn end(&mut self, ctx: &mut Ctx<'_>) {
        let open = self.open.as_ref().expect("a transaction is open");
        if open.ending == Ending::Commit {
            ctx.model.transactions.commit_asked(open.id);
        }
        let end = EndTransaction {
            transactional_id: Arc::clone(&self.id),
            producer: self.producer,
            ending: open.ending,
            version: self.version,
            fresh: self.fresh,
        };
        self.ask_coordinator(ctx, Request::End(end));
    }

    /// The newest of a loop's input; copies what is shown.
    fn was_read(
        &mut self,
        ctx: &mut Ctx<'_>,
        (input, partition, offset): (i32, PartitionId, Offset),
        part: &FetchedPartition,
    ) {
        if let Some(refusal) = part.error {
            check_refusal(partition, offset, refusal);
            return self.wait(ctx, RETRY_NS);
        }
        let (mut reads, next) = ctx.model.transactions.read(&ctx.model.attempts, partition, offset, part);
        reads.retain(|read| read.is_shown);
        let from = self.inputs[input as usize].0;
        if !reads.is_empty() {
            let range = (input, from, next);
            self.open = Open::begin(ctx, self.of, range, &reads, self.producer, &mut self.sequences);
            if self.open.is_none() {
                // No node tells it now where to write: it reads the same again.
                return self.wait(ctx, RETRY_NS);
            }
        }
        self.inputs[input as usize] = (from, next, next == part.high_watermark);
        if reads.is_empty() {
            return self.wait(ctx, PAUSE_NS / 2);
        }
        self.phase = match self.version {
            TransactionVersion::One => Phase::Adding,
            TransactionVersion::Two => Phase::Writing,
        };
    }

    fn was_initialised(&mut self, ctx: &mut Ctx<'_>, producer: ProducerEpoch) {
        ctx.model.transactions.initialised(self.of);
        self.ended = ctx.model.transactions.len();
        (self.producer, self.expected) = (producer, None);
        self.sequences.clear();
        self.phase = Phase::Lost;
    }

    fn was_told_offsets(&mut self, ctx: &mut Ctx<'_>, from: Place, offsets: &[FetchedOffset], is_peek: bool) {
        if !is_newest_of(ctx, OFFSETS_TOPIC, &group(self.of), from) {
            ctx.world.counts.add("transactions: a deposed coordinator told offsets");
            return self.wait(ctx, RETRY_NS);
        }
        if offsets.iter().any(|one| one.error.is_some()) {
            ctx.world.counts.add("transactions: offsets are undecided");
            return self.wait(ctx, RETRY_NS);
        }
        for one in offsets {
            let committed = Offset(one.offset.max(0));
            let ended = (!is_peek).then_some(self.ended);
            ctx.model.transactions.saw_offset(self.of, one.partition, committed, ended);
            if !is_peek {
                self.inputs[one.partition as usize] = (committed, committed, false);
            }
        }
        if !is_peek {
            self.phase = Phase::Idle;
        }
    }

    fn was_ended(&mut self, ctx: &mut Ctx<'_>, from: Place, producer: ProducerEpoch) {
        let open = self.open.take().expect("a transaction was ended");
        ctx.model.transactions.ended(open.id, open.ending);
        let input = &mut self.inputs[open.input as usize];
        match open.ending {
            Ending::Commit => input.0 = open.to,
            Ending::Abort => input.1 = input.0,
        }
        input.2 = false;
        ctx.world.counts.add(&format!("transactions: {:?} answered", open.ending));
        if self.answered_by.replace(from).is_some_and(|before| before.node != from.node) {
            ctx.world.counts.add("transactions: ended after a failover");
        }
        if self.version == TransactionVersion::Two {
            assert_eq!((producer.id == self.producer.id, producer.epoch > self.producer.epoch), (true, true));
            self.sequences.clear();
        }
        self.producer = producer;
        self.phase = Phase::Idle;
        self.wait(ctx, PAUSE_NS);
    }

    /// It tries again, or has to begin anew.
    fn refused(&mut self, ctx: &mut Ctx<'_>, why: &str, is_passing: bool) {
        ctx.world.counts.add(&format!("transactions: refused: {why}"));
        if is_passing {
            return self.wait(ctx, RETRY_NS);
        }
        let is_fenced = why.contains("Fenced") || why.contains("Epoch") || why.contains("Mapping");
        // One that was fenced would only be told so again.
        let goes_on = !is_fenced && self.phase != Phase::New && ctx.rng.one_in(2);
        self.expected = goes_on.then_some(self.producer);
        self.begin_anew();
        self.wait(ctx, if is_fenced && !self.is_primary { FENCED_NS } else { RETRY_NS });
    }

    fn refused_by_coordinator(&mut self, ctx: &mut Ctx<'_>, error: TransactionError) {
        let is_passing = matches!(
            error,
            TransactionError::CoordinatorLoadInProgress
                | TransactionError::CoordinatorNotAvailable
                | TransactionError::NotCoordinator
                | TransactionError::ConcurrentTransactions
        );
        self.refused(ctx, &format!("{error:?}"), is_passing);
    }

    fn was_produced(&mut self, ctx: &mut Ctx<'_>, at: usize, result: Result<Produced, Refusal>) {
        let Some(open) = &mut self.open else { return };
        let batch = &mut open.batches[at];
        batch.request = None;
        match result {
            Ok(produced) => {
                batch.is_acked = true;
                let (uid, base) = (batch.uid, produced.base_offset);
                ctx.model.transactions.acked(&ctx.model.attempts, uid, base);
                if open.are_acked() {
                    self.phase = if open.has_offsets { Phase::Committing } else { Phase::Ending };
                }
            }
            Err(refusal) => {
                let is_passing = matches!(
                    refusal,
                    Refusal::NotLeader
                        | Refusal::NotReady
                        | Refusal::Storage
                        | Refusal::Stopping
                        | Refusal::UnknownPartition
                        | Refusal::NotEnoughReplicas
                        | Refusal::NotEnoughReplicasAfterAppend
                        | Refusal::TooManyTransactions
                );
                self.refused(ctx, &format!("{refusal:?}"), is_passing);
            }
        }
    }

    /// What it does not wait for any more is asked for again.
    fn lose_patience(&mut self, ctx: &Ctx<'_>, all: bool) {
        let now_ns = ctx.world.now_ns;
        self.asked.retain(|_, (_, until_ns)| !all && now_ns < *until_ns);
        let Some(open) = &mut self.open else { return };
        for batch in &mut open.batches {
            batch.request = batch.request.filter(|request| self.asked.contains_key(request));
        }
    }

    fn takes(&mut self, request: RequestId) -> Option<What> {
        self.asked.remove(&request).map(|(what, _)| what)
    }
}

impl Client for Copier {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if ctx.desk.is_settling && !self.is_primary {
            // It is gone, and whatever it left open is ended by the others or by its time-out.
            return self.begin_anew();
        }
        if now_ns < self.next_ns || partitions(ctx, self.of + 1).is_none() {
            return;
        }
        if now_ns >= self.fault_ns && !ctx.desk.is_settling {
            return self.fault(ctx);
        }
        self.lose_patience(ctx, false);
        if self.phase == Phase::Writing {
            return self.write(ctx);
        }
        if !self.asked.is_empty() {
            return;
        }
        match self.phase {
            Phase::New => self.initialise(ctx),
            Phase::Lost => self.ask_for_offsets(ctx, What::Step),
            Phase::Idle => self.idle(ctx),
            Phase::Adding => self.add(ctx),
            Phase::Writing => unreachable!("seen above"),
            Phase::Committing => self.commit_offsets(ctx),
            Phase::Ending => self.end(ctx),
        }
    }

    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output) {
        match output {
            Output::ControlDone { request, result } => {
                if self.takes(request).is_some()
                    && let Ok(Outcome::ProducerIds { first, .. }) = result
                {
                    ctx.model.producer_id_given(first);
                    self.fresh = Some(first);
                }
            }
            Output::Produced { request, result, .. } => {
                if let Some(What::Batch(at)) = self.takes(request) {
                    self.was_produced(ctx, at, result);
                }
            }
            Output::Fetched { request, partitions } => {
                if let Some(What::Fetch { input, partition, offset }) = self.takes(request) {
                    self.was_read(ctx, (input, partition, offset), &partitions[0]);
                }
            }
            other => panic!("a copier was answered {other:?}"),
        }
    }

    fn group_answer(&mut self, ctx: &mut Ctx<'_>, from: Place, request: RequestId, answer: GroupAnswer) {
        let Some(what) = self.takes(request) else { return };
        let error = match answer {
            GroupAnswer::Offsets(Ok(offsets)) => {
                return self.was_told_offsets(ctx, from, &offsets, what == What::Peek);
            }
            GroupAnswer::Committed(Ok(results)) => match results[0] {
                Ok(()) => {
                    ctx.world.counts.add("transactions: offsets written");
                    return self.phase = Phase::Ending;
                }
                Err(error) => error,
            },
            GroupAnswer::Offsets(Err(error)) | GroupAnswer::Committed(Err(error)) => error,
            other => panic!("a copier was answered {other:?}"),
        };
        let is_passing = matches!(
            error,
            GroupError::CoordinatorLoadInProgress
                | GroupError::CoordinatorNotAvailable
                | GroupError::NotCoordinator
                | GroupError::RebalanceInProgress
        );
        self.refused(ctx, &format!("offsets: {error:?}"), is_passing);
    }

    fn transaction_answer(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: Place,
        request: RequestId,
        answer: TransactionAnswer,
    ) {
        let Some(what) = self.takes(request) else { return };
        match answer {
            TransactionAnswer::NotJoined(refusal) => {
                if let (What::Batch(at), Some(open)) = (what, &mut self.open) {
                    open.batches[at].request = None;
                }
                let is_passing = matches!(
                    refusal,
                    JoinRefusal::Concurrent | JoinRefusal::Unavailable | JoinRefusal::UnknownPartition
                );
                self.refused(ctx, &format!("joining: {refusal:?}"), is_passing);
            }
            TransactionAnswer::Coordinator(answer) => match answer {
                Answer::NeedsProducerId => self.ask_for_id(ctx),
                Answer::Initialised(Ok(producer)) => self.was_initialised(ctx, producer),
                Answer::Added(Ok(results)) if results.iter().all(Result::is_ok) => {
                    self.phase = Phase::Writing;
                }
                Answer::Ended(Ok(producer)) => self.was_ended(ctx, from, producer),
                Answer::Added(Ok(results)) => {
                    let error = results.into_iter().find_map(Result::err).expect("just seen");
                    self.refused_by_coordinator(ctx, error);
                }
                Answer::Initialised(Err(error)) | Answer::Added(Err(error)) | Answer::Ended(Err(error)) => {
                    self.refused_by_coordinator(ctx, error);
                }
                other => panic!("a copier was answered {other:?}"),
            },
        }
    }

    fn lost(&mut self, ctx: &mut Ctx<'_>) {
        self.lose_patience(ctx, true);
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        let is_at_end = self.inputs.iter().all(|(_, _, is_at_end)| *is_at_end);
        !self.is_primary && self.asked.is_empty() || self.phase == Phase::Idle && is_at_end
    }
}
