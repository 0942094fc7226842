//! Produce, in two stages: batches are handed to the engine in the order they came, and the
//! answer is made when all of them are as durable as asked.

use super::produce_codec::{self, FLEXIBLE_FROM, ProduceRequest, ProducedPartition};
use super::recompress::{Recompressed, Recompression, ToEngine};
use super::wire_topic::{AnsweredTopic, WireTopic};
use crate::kafka::authorizer::Judge;
use crate::kafka::codec::cursor::Malformed;
use crate::kafka::codec::header::{self};
use crate::kafka::codec::outgoing::Outgoing;
use crate::kafka::context::Context;
use crate::kafka::errors::{code, refusal_code};
use crate::kafka::listener::Listener;
use crate::kafka::request_context::RequestContext;
use crate::kafka::throttle;
use crate::kafka::transactions::{GUARDS_MAX, join, join_code};
use crate::shard::completion::Slots;
use crate::shard::pace::Pace;
use crate::shard::results::ProduceResult;
use engine::batch::{BatchHeader, Checked, Codec, EnvelopeLimits, RecordBounds};
use engine::control::acls::Operation;
use engine::control::life::TopicSettings;
use engine::control::{View, names};
use engine::ids::{PartitionId, ProducerId};
use engine::port::{
    Acks, BatchWriter, Guard, JoinRefusal, JoinTransaction, Produce, Refusal, RequestId, TransactionVersion,
};
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Below this version batches have the old formats: advertised (see `versions`), not answered.
const VERSION_MIN: i16 = 3;

/// From here on a batch adds its partition to the transaction (KIP-890); before, AddPartitionsToTxn did.
const ADDS_FROM: i16 = 12;

/// What a sync of a busy disk may take. Kafka with one replica answers from memory, so that there a
/// `timeout_ms` of 0 is one that is met.
const WAIT_MIN: Duration = Duration::from_millis(500);

/// A produce request whose batches are with the engine.
pub struct ProduceWork {
    version: i16,
    correlation: i32,
    /// With the number of partitions of each.
    topics: Vec<(AnsweredTopic, usize)>,
    partitions: Vec<Part>,
    slots: Rc<Slots<ProduceResult>>,
    /// How long nothing more is read: a quota was exceeded.
    pub throttle: Duration,
}

struct Part {
    number: i32,
    /// Of its topic, when there is one.
    settings: Option<TopicSettings>,
    /// Refused before the engine saw it.
    refused: Option<i16>,
    /// What the engine knows it by.
    id: PartitionId,
    writer: BatchWriter,
}

/// What became of a request.
pub enum Begun {
    Answered(ProduceWork),
    /// acks=0: nothing is answered. What the engine refuses later comes by the connection's
    /// silent request; `refused` says that something was refused at once.
    Silent {
        refused: bool,
        throttle: Duration,
    },
}

/// Decodes a request and hands its batches on; waits where a journal has no room, for at most
/// the request's own time-out, which also bounds the wait for the answer. `closed` tells that the client is gone, `silent` gives the
/// connection's request for batches with acks=0.
pub async fn begin(
    context: &Context,
    asked: &RequestContext,
    body: &[u8],
    closed: impl Fn() -> bool,
    silent: impl FnOnce() -> RequestId,
) -> Result<Begun, Malformed> {
    let request = ProduceRequest::decode(body, asked.version)?;
    let view = context.view();
    let refused = refused_whole(&request, asked.version);
    let mut partitions = resolve(&view, &request, refused);
    if let Some(judge) = Judge::of(context, asked, "Produce") {
        deny(&judge, &view, &request, &mut partitions);
    }
    let throttle = context.charge_produce(&view, asked, body.len());
    join_transaction(context, &view, asked.version, (&request, &mut partitions)).await;
    let deadline_ns = context.shard.now().plus(wait_of(request.timeout_ms));
    if request.acks == 0 {
        hand_all_on(context, silent(), &request, &mut partitions, (deadline_ns, &closed)).await;
        let refused = partitions.iter().any(|part| part.refused.is_some());
        return Ok(Begun::Silent { refused, throttle });
    }
    let (id, slots) = context.shard.begin_produce(partitions.len(), deadline_ns);
    hand_all_on(context, id, &request, &mut partitions, (deadline_ns, &closed)).await;
    // The engine answers each batch that it was given; the others are not waited for.
    fill_refused(&slots, &partitions);
    context.shard.forget_if_complete(id, &slots);
    let topics = request.topics.iter().map(|(topic, count)| (topic.answered(&view), *count)).collect();
    let (version, correlation) = (asked.version, asked.correlation);
    Ok(Begun::Answered(ProduceWork { version, correlation, topics, partitions, slots, throttle }))
}

/// Batches of a transaction: those that begin it in their partitions need its coordinator's word, which is asked
/// for all of them at once. Later requests of the connection wait meanwhile.
async fn join_transaction(
    context: &Context,
    view: &View,
    version: i16,
    (request, parts): (&ProduceRequest<'_>, &mut [Part]),
) {
    let Some(id) = request.transactional_id else { return };
    let is_newest = version >= ADDS_FROM;
    let rules = if is_newest { TransactionVersion::Two } else { TransactionVersion::One };
    let topics = request.topics.iter().flat_map(|(name, count)| std::iter::repeat_n(*name, *count));
    let topics: Vec<WireTopic<'_>> = topics.collect();
    let records_of = |at: usize| request.partitions[at].records.unwrap_or_default();
    parts.iter_mut().for_each(|part| {
        part.writer = BatchWriter::Transactional { version: rules, guard: None };
    });
    let mut producer = None;
    let mut left: Vec<usize> = (0..parts.len()).filter(|at| parts[*at].refused.is_none()).collect();
    for _ in 0..GUARDS_MAX {
        let mut begins: Vec<(usize, Guard)> = Vec::new();
        for at in left.drain(..) {
            let Some(guard) = context.shard.guard_for(parts[at].id, records_of(at), true) else { continue };
            let header = BatchHeader::of(records_of(at)).expect("a batch that has a guard");
            let of = (ProducerId(header.producer_id.get()), header.producer_epoch.get());
            // A request is of one producer.
            match *producer.get_or_insert(of) == of {
                true => begins.push((at, guard)),
                false => parts[at].refused = Some(code::INVALID_RECORD),
            }
        }
        let Some((producer, epoch)) = producer.filter(|_| !begins.is_empty()) else { return };
        let name = |at: usize| Arc::clone(&topics[at].known(view).expect("it was resolved").name);
        let partitions = begins.iter().map(|(at, _)| (name(*at), parts[*at].number)).collect();
        let transactional_id = Arc::from(id);
        let asked = JoinTransaction { transactional_id, producer, epoch, adds: is_newest, partitions };
        for ((at, guard), joined) in begins.into_iter().zip(join(context, asked).await) {
            let now = context.shard.guard_for(parts[at].id, records_of(at), true);
            match joined {
                Ok(()) if now.is_some_and(|now| now != guard) => left.push(at),
                Ok(()) => {
                    parts[at].writer = BatchWriter::Transactional { version: rules, guard: Some(guard) }
                }
                Err(refusal) => parts[at].refused = Some(join_code(refusal, is_newest)),
            }
        }
    }
    for at in left {
        parts[at].refused = Some(join_code(JoinRefusal::Concurrent, is_newest));
    }
}

/// Refuses what may not be written, whether it is there or not.
fn deny(judge: &Judge, view: &View, request: &ProduceRequest<'_>, parts: &mut [Part]) {
    let of_id = request.transactional_id.is_none_or(|id| judge.transaction(Operation::Write, id));
    let mut parts = parts.iter_mut();
    for (topic, count) in &request.topics {
        // An id that is not there is no secret, and is refused for that.
        let may = topic.name(view).is_none_or(|name| judge.topic(Operation::Write, name));
        let refused = match (of_id, may) {
            (false, _) => Some(code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            (true, false) => Some(code::TOPIC_AUTHORIZATION_FAILED),
            (true, true) => None,
        };
        for part in parts.by_ref().take(*count) {
            part.refused = refused.or(part.refused);
        }
    }
}

/// Gives the engine, in order, every batch that is not refused already.
async fn hand_all_on(
    context: &Context,
    id: RequestId,
    request: &ProduceRequest<'_>,
    parts: &mut [Part],
    until: (u64, &impl Fn() -> bool),
) {
    let acks = acks_of(request.acks).unwrap_or(Acks::All);
    let mut pace = Pace::begin();
    for (slot, (part, wire)) in parts.iter_mut().zip(&request.partitions).enumerate() {
        if part.refused.is_some() {
            continue;
        }
        pace.rest_if_late().await;
        let records = wire.records.unwrap_or_default();
        let (slot, partition, settings) = (slot as u32, part.id, part.settings);
        let writer = part.writer;
        let batch = Batch { request: id, slot, partition, acks, records, settings, writer };
        if !hand_on(context, batch, &mut pace, until).await {
            part.refused = Some(code::REQUEST_TIMED_OUT);
        }
    }
}

struct Batch<'a> {
    request: RequestId,
    slot: u32,
    partition: PartitionId,
    acks: Acks,
    records: &'a [u8],
    settings: Option<TopicSettings>,
    writer: BatchWriter,
}

impl Batch<'_> {
    /// Where it has another codec than its topic wants: what it has to become.
    fn wanted(&self, wall_ms: i64) -> Option<Recompression> {
        let settings = self.settings?;
        let packing = settings.packing?;
        let is_as_wanted = BatchHeader::of(self.records)?.codec_number() == packing.codec as u8;
        let bounds = if settings.trusts_header { RecordBounds::ANY } else { settings.record_bounds(wall_ms) };
        let transactional = self.writer != BatchWriter::Client;
        let limits = EnvelopeLimits { transactional, ..settings.envelope_limits(wall_ms) };
        (!is_as_wanted).then_some(Recompression { packing, limits, bounds })
    }

    /// Where its records have to be decompressed to be looked at: what they have to be within.
    fn settings_to_check(&self) -> Option<TopicSettings> {
        let is_compressed = BatchHeader::of(self.records)?.codec_number() != Codec::None as u8;
        self.settings.filter(|settings| is_compressed && !settings.trusts_header)
    }
}

/// A batch as the engine gets it.
struct Prepared<'a> {
    sent: &'a [u8],
    /// Written again with its topic's codec.
    again: Option<Recompressed>,
    checked: Option<Checked>,
}

impl Prepared<'_> {
    fn records(&self) -> &[u8] {
        self.again.as_ref().map_or(self.sent, |again| &again.batch)
    }
}

/// Does what takes longer than a step of the engine may; `None` when there was no time for it.
async fn prepare<'a>(
    context: &Context,
    batch: &Batch<'a>,
    pace: &mut Pace,
    (deadline_ns, closed): (u64, &impl Fn() -> bool),
) -> Option<Prepared<'a>> {
    let (sent, shard) = (batch.records, &context.shard);
    let mut prepared = Prepared { sent, again: None, checked: None };
    let wall_ms = shard.now().wall_ms;
    if let Some(wanted) = batch.wanted(wall_ms) {
        let over = || closed() || shard.now().mono_ns >= deadline_ns;
        match context.recompressor.recompress(pace, sent, &wanted, &over).await? {
            ToEngine::AsSent(found) => prepared.checked = found,
            ToEngine::Again(again) => {
                prepared.checked = Some(again.checked);
                prepared.again = Some(again);
            }
        }
    } else if let Some(settings) = batch.settings_to_check() {
        let bounds = settings.record_bounds(wall_ms);
        prepared.checked = Some(context.record_checks.check(pace, sent, bounds, closed).await?);
    }
    Some(prepared)
}

/// Gives one batch to the engine once there is room; false when there was none in time.
async fn hand_on(
    context: &Context,
    batch: Batch<'_>,
    pace: &mut Pace,
    (deadline_ns, closed): (u64, &impl Fn() -> bool),
) -> bool {
    let Some(prepared) = prepare(context, &batch, pace, (deadline_ns, closed)).await else { return false };
    let (shard, records) = (&context.shard, prepared.records());
    let has_room = || shard.room_for(batch.partition, records.len());
    if !has_room() {
        let over = || has_room() || closed() || shard.now().mono_ns >= deadline_ns;
        shard.changes.until(over).await;
        if !has_room() {
            return false;
        }
    }
    let (Batch { request, slot, partition, acks, writer, .. }, checked) = (batch, prepared.checked);
    shard.produce(Produce { request, slot, partition, acks, records, checked, writer });
    true
}

/// How long a request's answer may take, by its own `timeout_ms`. It ends also when a follower
/// that stands still is waited for: clients take the time they give their requests from it, and one
/// without an answer then closes the connection with all that is in flight there.
fn wait_of(timeout_ms: i32) -> Duration {
    Duration::from_millis(timeout_ms.max(0) as u64).max(WAIT_MIN)
}

/// The error that all partitions get, whatever they hold.
fn refused_whole(request: &ProduceRequest<'_>, version: i16) -> Option<i16> {
    if version < VERSION_MIN {
        return Some(code::UNSUPPORTED_VERSION);
    }
    // A transaction's batches are on a quorum before its end can be.
    let is_half = request.transactional_id.is_some() && request.acks != -1;
    (acks_of(request.acks).is_none() || is_half).then_some(code::INVALID_REQUIRED_ACKS)
}

fn acks_of(acks: i16) -> Option<Acks> {
    match acks {
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        -1 => Some(Acks::All),
        _ => None,
    }
}

fn resolve(view: &View, request: &ProduceRequest<'_>, refused: Option<i16>) -> Vec<Part> {
    let mut parts = Vec::with_capacity(request.partitions.len());
    let mut rest = request.partitions.iter();
    for (named, count) in &request.topics {
        let topic = named.known(view);
        let settings = topic.map(|topic| topic.settings);
        // What the brokers write there for themselves is nothing for clients to add to.
        let is_internal = named.name(view).is_some_and(names::is_internal);
        let refused = refused.or(is_internal.then_some(code::INVALID_TOPIC_EXCEPTION));
        let unknown = match named {
            WireTopic::Id(_) if topic.is_none() => code::UNKNOWN_TOPIC_ID,
            _ => code::UNKNOWN_TOPIC_OR_PARTITION,
        };
        for wire in rest.by_ref().take(*count) {
            let number = usize::try_from(wire.number).ok();
            let found = topic.and_then(|topic| topic.partitions.get(number?));
            let refused = refused.or(match (found, wire.records) {
                (None, _) => Some(unknown),
                (_, None | Some([])) => Some(code::INVALID_RECORD),
                _ => None,
            });
            let id = found.map_or(PartitionId(0), |found| found.id);
            parts.push(Part { number: wire.number, settings, refused, id, writer: BatchWriter::Client });
        }
    }
    parts
}

fn fill_refused(slots: &Slots<ProduceResult>, parts: &[Part]) {
    if slots.is_complete() {
        // Its time was over meanwhile.
        return;
    }
    for (slot, part) in parts.iter().enumerate() {
        if part.refused.is_some() {
            slots.fill(slot as u32, Err(Refusal::UnknownPartition));
        }
    }
}

impl ProduceWork {
    pub fn is_complete(&self) -> bool {
        self.slots.is_complete()
    }

    pub fn slots(&self) -> Rc<Slots<ProduceResult>> {
        Rc::clone(&self.slots)
    }

    /// The answer as clients of this listener get it, and how many partitions in it have an error.
    pub fn finish(self, context: &Context, listener: &Listener) -> (Outgoing, u64) {
        let results = self.slots.take();
        assert_eq!(results.len(), self.partitions.len(), "the answer is made when all is there");
        let answered = self
            .partitions
            .iter()
            .zip(results)
            .map(|(part, result)| part.answered((context, listener), result));
        let partitions: Vec<ProducedPartition> = answered.collect();
        let errors = partitions.iter().filter(|one| one.error_code != code::NONE).count() as u64;
        let mut answer = header::begin_answer(self.correlation);
        if self.version >= FLEXIBLE_FROM {
            answer.push(0);
        }
        let throttle_ms = throttle::in_ms(self.throttle);
        produce_codec::encode_response(&mut answer, self.version, &self.topics, &partitions, throttle_ms);
        header::seal(&mut answer, 0);
        (Outgoing::of(answer), errors)
    }
}

impl Part {
    fn answered(
        &self,
        (context, listener): (&Context, &Listener),
        result: ProduceResult,
    ) -> ProducedPartition {
        let mut partition = ProducedPartition {
            number: self.number,
            error_code: code::NONE,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start: -1,
            record_errors: Vec::new(),
            message: None,
            leader: None,
        };
        match (self.refused, result) {
            (Some(error_code), _) => partition.error_code = error_code,
            (None, Ok(produced)) => {
                partition.base_offset = produced.base_offset.0;
                partition.log_append_time_ms = produced.log_append_time_ms;
                partition.log_start = produced.log_start.0;
            }
            (None, Err(refusal)) => {
                partition.error_code = produced_code(refusal, self.writer);
                partition.message = message(refusal);
                if let Refusal::Batch(error) = refusal {
                    partition.record_errors = error.records();
                }
                if refusal == Refusal::NotLeader {
                    partition.leader = context.leader_hint(self.id, listener);
                }
            }
        }
        partition
    }
}

/// CONCURRENT_TRANSACTIONS in an answer to Produce is known from version 12 on; older clients try again what has too few
/// replicas.
fn produced_code(refusal: Refusal, writer: BatchWriter) -> i16 {
    let is_newest = matches!(writer, BatchWriter::Transactional { version: TransactionVersion::Two, .. });
    match refusal {
        Refusal::TooManyTransactions if !is_newest => code::NOT_ENOUGH_REPLICAS,
        _ => refusal_code(refusal),
    }
}

/// What the code alone does not say.
fn message(refusal: Refusal) -> Option<Cow<'static, str>> {
    match refusal {
        Refusal::TooManyTransactions => {
            Some("as many transactions are open in this partition's journal as may be: try again when one is ended".into())
        }
        Refusal::Batch(error) => Some(error.to_string().into()),
        Refusal::Storage => Some("no space left, or damaged storage".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use crate::kafka::authorizer::judge::fixture::judge;
    use crate::kafka::codec::wire;
    use crate::kafka::hot::produce_codec::ProducePartition;
    use engine::control::acls::ResourceType;
    use engine::groups::OFFSETS_TOPIC;
    use engine::ids::TopicId;
    use kafka_wire::ProduceResponse;

    fn part(number: i32, error_code: i16) -> ProducedPartition {
        ProducedPartition {
            number,
            error_code,
            base_offset: 5,
            log_append_time_ms: -1,
            log_start: 2,
            record_errors: Vec::new(),
            message: Some("why".into()),
            leader: None,
        }
    }

    #[test]
    fn every_version_of_the_answer_is_read_by_the_schema() {
        let names = [(AnsweredTopic::Name("a".into()), 2), (AnsweredTopic::Name("b".into()), 1)];
        let ids = [(AnsweredTopic::Id(TopicId(7)), 2), (AnsweredTopic::Id(TopicId(8)), 1)];
        let broker = crate::kafka::broker::Broker { id: 1, host: "h".into(), port: 9, rack: None };
        let hint = crate::kafka::hot::leader_hint::LeaderHint { broker, epoch: 4 };
        let bad_record = ProducedPartition { record_errors: vec![(2, "late".to_owned())], ..part(1, 3) };
        let parts = [part(0, 0), bad_record, ProducedPartition { leader: Some(hint), ..part(7, 6) }];
        for version in 3..=13 {
            let topics = if version >= 13 { &ids } else { &names };
            let mut body = Vec::new();
            produce_codec::encode_response(&mut body, version, topics, &parts, 7);
            let response: ProduceResponse = wire::decode(&body, version).expect("decodes");
            assert_eq!((response.responses.len(), response.throttle_time_ms), (2, 7));
            let second = &response.responses[1];
            let named = (second.name.as_str(), wire::topic_id(second.topic_id));
            assert_eq!(named, if version >= 13 { ("", TopicId(8)) } else { ("b", TopicId(0)) });
            let first = &response.responses[0].partition_responses;
            assert_eq!((first[1].error_code, first[0].base_offset), (3, 5));
            let bad = first[1].record_errors.iter().map(|error| error.batch_index);
            let named: &[i32] = if version >= 8 { &[2] } else { &[] };
            assert!(bad.eq(named.iter().copied()), "version {version}");
            assert_eq!(response.node_endpoints.len(), usize::from(version >= 10));
            let last = &response.responses[1].partition_responses[0];
            assert_eq!(last.current_leader.leader_id, if version >= 10 { 1 } else { -1 });
        }
    }

    fn request<'a>(topics: &[WireTopic<'a>]) -> ProduceRequest<'a> {
        let partition = |number| ProducePartition { number, records: Some(&b"records"[..]) };
        ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 0,
            topics: topics.iter().map(|topic| (*topic, 2)).collect(),
            partitions: topics.iter().flat_map(|_| [partition(0), partition(9)]).collect(),
        }
    }

    #[test]
    fn topics_by_id_are_found_and_those_that_are_not_there_refused_as_such() {
        let view = Cluster::new(1).with_topic("a", 7, 2).with_topic(OFFSETS_TOPIC, 8, 1).view();
        let ids = [7, 6, 0, 8].map(|id| WireTopic::Id(TopicId(id)));
        let refused = |topics: &[WireTopic<'_>]| {
            let parts = resolve(&view, &request(topics), None);
            parts.iter().map(|part| part.refused).collect::<Vec<_>>()
        };
        let of_ids = [None, Some(3), Some(100), Some(100), Some(100), Some(100), Some(17), Some(17)];
        assert_eq!(refused(&ids), of_ids);
        let of_names = [None, Some(3), Some(3), Some(3)];
        assert_eq!(refused(&[WireTopic::Name("a"), WireTopic::Name("gone")]), of_names);
        let parts = resolve(&view, &request(&[WireTopic::Id(TopicId(7)), WireTopic::Name("a")]), None);
        assert_eq!(parts[0].id, parts[2].id, "the same partition");
    }

    #[test]
    fn an_id_is_judged_by_its_topics_name_and_an_unknown_one_is_no_secret() {
        let cluster = || Cluster::new(1).with_topic("a", 7, 2).with_topic("b", 8, 1);
        let judge = judge(cluster(), 0, &[(Operation::Write, ResourceType::Topic, "a")]);
        let view = cluster().view();
        let request = request(&[7, 8, 6].map(|id| WireTopic::Id(TopicId(id))));
        let mut parts = resolve(&view, &request, None);
        deny(&judge, &view, &request, &mut parts);
        let refused: Vec<_> = parts.iter().map(|part| part.refused).collect();
        assert_eq!(refused, [None, Some(3), Some(29), Some(29), Some(100), Some(100)]);
        let of_transaction = ProduceRequest { transactional_id: Some("t"), ..request };
        let mut parts = resolve(&view, &of_transaction, None);
        deny(&judge, &view, &of_transaction, &mut parts);
        assert!(parts.iter().all(|part| part.refused == Some(53)), "nothing of a foreign transaction");
    }

    #[test]
    fn one_transaction_too_many_is_tried_again_by_old_clients_and_new_ones() {
        let by = |version| {
            let writer = BatchWriter::Transactional { version, guard: None };
            (produced_code(Refusal::TooManyTransactions, writer), produced_code(Refusal::NotLeader, writer))
        };
        assert_eq!(by(TransactionVersion::One), (code::NOT_ENOUGH_REPLICAS, 6));
        assert_eq!(by(TransactionVersion::Two), (code::CONCURRENT_TRANSACTIONS, 6));
        assert!(message(Refusal::TooManyTransactions).is_some());
    }

    #[test]
    fn acks_are_three_numbers() {
        assert_eq!(
            [acks_of(0), acks_of(1), acks_of(-1)],
            [Some(Acks::None), Some(Acks::Leader), Some(Acks::All)]
        );
        assert_eq!([acks_of(2), acks_of(-2)], [None, None]);
    }

    #[test]
    fn what_is_known_to_be_wrong_is_refused_for_every_partition() {
        let request = |acks, transactional_id| ProduceRequest {
            transactional_id,
            acks,
            timeout_ms: 0,
            topics: Default::default(),
            partitions: Default::default(),
        };
        assert_eq!(refused_whole(&request(1, None), 2), Some(35));
        assert_eq!(refused_whole(&request(2, None), 9), Some(21));
        assert_eq!(
            (refused_whole(&request(-1, Some("t")), 9), refused_whole(&request(1, Some("t")), 9)),
            (None, Some(21))
        );
        assert_eq!(refused_whole(&request(0, None), 9), None);
    }
}
