//! Fetch: what is wanted is resolved against metadata and session and handed to the engine, which
//! answers when there is enough or the time is over.

use super::fetch_codec::{self, AnsweredPartition, FetchAnswerHead, FetchRequest, IDS_FROM, WantedPartition};
use super::sessions::{Followed, Key, SessionError, Told};
use super::wire_topic::WireTopic;
use crate::kafka::authorizer::Judge;
use crate::kafka::codec::cursor::Malformed;
use crate::kafka::codec::outgoing::Outgoing;
use crate::kafka::context::Context;
use crate::kafka::errors::{code, refusal_code};
use crate::kafka::listener::Listener;
use crate::kafka::request_context::RequestContext;
use crate::kafka::throttle::{self, Quota};
use crate::shard::completion::Slots;
use crate::shard::shard_loop::FetchTicket;
use engine::control::View;
use engine::control::acls::Operation;
use engine::control::quotas::QuotaKind;
use engine::ids::{Offset, PartitionId, TopicId};
use engine::port::{Fetch, FetchPartition, FetchedPartition, Isolation, Refusal};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A fetch is parked for at most this long, whatever the client says; above what clients ask for.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Two ticks and a cold read are no delay that anybody looks for.
const LATE_MIN: Duration = Duration::from_millis(50);

/// A fetch request on its way.
pub struct FetchWork {
    head: FetchAnswerHead,
    /// A further request of a session: only what changed is told.
    incremental: bool,
    wanted: Vec<Wanted>,
    /// `None` when nothing was asked of the engine.
    ticket: Option<FetchTicket>,
    /// Until when it may be parked.
    deadline_ns: u64,
    /// The client's, if it has one.
    quota: Option<Quota>,
}

struct Wanted {
    followed: Followed,
    /// The engine's partition, or the error that it gets without being asked for.
    resolved: Result<PartitionId, i16>,
}

/// Decodes a request and hands it to the engine; `bytes_max` bounds the answer.
pub fn begin(
    context: &Context,
    asked: &RequestContext,
    body: &[u8],
    bytes_max: usize,
) -> Result<FetchWork, Malformed> {
    let request = FetchRequest::decode(body, asked.version)?;
    let view = context.view();
    let mut head = FetchAnswerHead {
        correlation: asked.correlation,
        version: asked.version,
        error_code: code::NONE,
        session_id: 0,
        read_committed: request.read_committed,
        throttle_ms: 0,
    };
    let named = named(&view, &request);
    let (incremental, followed) = match session(context, &request, &view, named) {
        Ok(Joined { session_id, incremental, followed }) => {
            head.session_id = session_id;
            (incremental, followed)
        }
        Err(error_code) => {
            head.error_code = error_code;
            (false, Vec::new())
        }
    };
    let resolve = |followed| resolve(&view, asked.version, followed);
    let mut wanted: Vec<Wanted> = followed.into_iter().map(resolve).collect();
    if let Some(judge) = Judge::of(context, asked, "Fetch") {
        deny(&judge, &mut wanted);
    }
    let quota = Quota::of(&view.quotas, asked, QuotaKind::Fetch);
    let bytes_max = quota.as_ref().map_or(bytes_max, |quota| bytes_max.min(quota.answer_bytes_max()));
    let deadline_ns = deadline_ns(context, &request, &wanted);
    let ticket = ask(context, &request, &wanted, (bytes_max, deadline_ns));
    Ok(FetchWork { head, incremental, wanted, ticket, deadline_ns, quota })
}

/// Refuses what may not be read, whether it is there or not. An id that is not there is no secret.
fn deny(judge: &Judge, wanted: &mut [Wanted]) {
    let mut last: Option<(Arc<str>, bool)> = None;
    for Wanted { followed, resolved } in wanted {
        // A session may have been opened when its id was not there yet.
        let name =
            if followed.topic.is_empty() { judge.topic_of(followed.topic_id) } else { Some(&followed.topic) };
        let Some(name) = name else { continue };
        let may = match &last {
            Some((known, may)) if known == name => *may,
            _ => judge.topic(Operation::Read, name),
        };
        if !may {
            *resolved = Err(code::TOPIC_AUTHORIZATION_FAILED);
        }
        last = Some((Arc::clone(name), may));
    }
}

/// An error is told at once.
fn deadline_ns(context: &Context, request: &FetchRequest<'_>, wanted: &[Wanted]) -> u64 {
    let has_error = wanted.iter().any(|one| one.resolved.is_err());
    let wait_ms = if has_error { 0 } else { request.max_wait_ms.max(0) as u64 };
    context.shard.now().plus(Duration::from_millis(wait_ms).min(WAIT_MAX))
}

fn ask(
    context: &Context,
    request: &FetchRequest<'_>,
    wanted: &[Wanted],
    (bytes_max, deadline_ns): (usize, u64),
) -> Option<FetchTicket> {
    let mut partitions = Vec::with_capacity(wanted.len());
    for Wanted { followed, resolved } in wanted {
        if let Ok(partition) = resolved {
            partitions.push(FetchPartition {
                partition: *partition,
                offset: Offset(followed.offset),
                max_bytes: followed.max_bytes.max(0) as u32,
                leader_epoch: followed.leader_epoch,
                last_fetched_epoch: followed.last_fetched_epoch,
            });
        }
    }
    if partitions.is_empty() {
        return None;
    }
    let max_bytes = (request.max_bytes.max(0) as u32).min(u32::try_from(bytes_max).unwrap_or(u32::MAX));
    // More than may be sent cannot be waited for.
    let min_bytes = (request.min_bytes.max(0) as u32).min(max_bytes);
    let isolation =
        if request.read_committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let fetch = |request| Fetch { request, partitions, isolation, min_bytes, max_bytes, deadline_ns };
    Some(context.shard.fetch(fetch))
}

struct Joined {
    session_id: i32,
    incremental: bool,
    followed: Vec<Followed>,
}

/// What the request means by its session id and epoch (KIP-227).
fn session(
    context: &Context,
    request: &FetchRequest<'_>,
    view: &View,
    named: Vec<Followed>,
) -> Result<Joined, i16> {
    let mut sessions = context.sessions.borrow_mut();
    let now_ns = context.shard.now().mono_ns;
    match (request.session_id, request.session_epoch) {
        // No session, or the end of one.
        (id, -1) => {
            sessions.close(id);
            Ok(Joined { session_id: 0, incremental: false, followed: named })
        }
        (id, 0) => {
            sessions.close(id);
            let session_id = sessions.open((context.random() >> 33) as i32, now_ns, &named);
            Ok(Joined { session_id, incremental: false, followed: named })
        }
        (id, epoch) => {
            let forgotten: Vec<_> = request
                .forgotten
                .iter()
                .map(|(topic, number)| {
                    let (name, id) = known_topic(view, *topic);
                    Key::of(&name, id, *number)
                })
                .collect();
            match sessions.advance((id, epoch), now_ns, &named, &forgotten) {
                Ok(followed) => Ok(Joined { session_id: id, incremental: true, followed }),
                Err(SessionError::NotFound) => Err(code::FETCH_SESSION_ID_NOT_FOUND),
                Err(SessionError::OtherNames) => Err(code::FETCH_SESSION_TOPIC_ID_ERROR),
                Err(SessionError::WrongEpoch) => Err(code::INVALID_FETCH_SESSION_EPOCH),
            }
        }
    }
}

/// A topic by what the request calls it: by name it has no id, by id its name is only for us.
fn known_topic(view: &View, topic: WireTopic<'_>) -> (Arc<str>, TopicId) {
    match topic {
        WireTopic::Name(name) => {
            let known = view.topics.get_key_value(name);
            (known.map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name)), TopicId(0))
        }
        WireTopic::Id(id) => (view.topic_ids.get(&id).cloned().unwrap_or_default(), id),
    }
}

/// The partitions named. One that is named again counts once, with what was said last, as in
/// Kafka: read as often as it is named, a small request would take all memory.
fn named(view: &View, request: &FetchRequest<'_>) -> Vec<Followed> {
    let mut named: Vec<Followed> = Vec::with_capacity(request.partitions.len());
    // Sorted: whoever sends the names could make all of them one in a hash map.
    let mut places: BTreeMap<(WireTopic<'_>, i32), usize> = BTreeMap::new();
    for wanted in &request.partitions {
        let followed = follow(view, wanted);
        match places.entry((wanted.topic, wanted.number)) {
            Entry::Occupied(place) => named[*place.get()] = followed,
            Entry::Vacant(place) => {
                place.insert(named.len());
                named.push(followed);
            }
        }
    }
    named
}

fn follow(view: &View, wanted: &WantedPartition<'_>) -> Followed {
    let (topic, topic_id) = known_topic(view, wanted.topic);
    Followed {
        topic,
        topic_id,
        number: wanted.number,
        leader_epoch: wanted.leader_epoch,
        offset: wanted.offset,
        last_fetched_epoch: wanted.last_fetched_epoch,
        max_bytes: wanted.max_bytes,
    }
}

fn resolve(view: &View, version: i16, followed: Followed) -> Wanted {
    let by_id = version >= IDS_FROM;
    let topic = match by_id {
        true => view.topic_ids.get(&followed.topic_id).and_then(|name| view.topics.get(name)),
        false => view.topics.get(&followed.topic),
    };
    let resolved = match (topic, usize::try_from(followed.number)) {
        (None, _) if by_id => Err(code::UNKNOWN_TOPIC_ID),
        (Some(topic), Ok(number)) => {
            topic.partitions.get(number).map(|one| one.id).ok_or(code::UNKNOWN_TOPIC_OR_PARTITION)
        }
        _ => Err(code::UNKNOWN_TOPIC_OR_PARTITION),
    };
    Wanted { followed, resolved }
}

impl FetchWork {
    pub fn is_complete(&self) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| ticket.slots.is_complete())
    }

    pub fn slots(&self) -> Option<Rc<Slots<Vec<FetchedPartition>>>> {
        self.ticket.as_ref().map(|ticket| Rc::clone(&ticket.slots))
    }

    /// Nobody waits for it any more.
    pub fn cancel(&self, context: &Context) {
        if let Some(ticket) = &self.ticket {
            context.shard.cancel(ticket.request);
        }
    }

    /// The answer, how many partitions in it have an error, and how long nothing more is read:
    /// a quota was exceeded.
    pub fn finish(self, context: &Context, listener: &Listener) -> (Outgoing, u64, Duration) {
        let late_ns = context.shard.now().mono_ns.saturating_sub(self.deadline_ns);
        if u128::from(late_ns) > LATE_MIN.as_nanos() {
            context.shard.page.borrow_mut().fetches_late.record(late_ns);
        }
        let fetched = self.ticket.map(|ticket| ticket.slots.take().pop().expect("it is complete"));
        let mut fetched = fetched.unwrap_or_default().into_iter();
        let (mut head, incremental) = (self.head, self.incremental);
        let mut answered = Vec::with_capacity(self.wanted.len());
        let mut errors = u64::from(head.error_code != code::NONE);
        for Wanted { followed, resolved } in self.wanted {
            let partition = match resolved {
                Ok(id) => {
                    found((context, listener), &followed, id, fetched.next().expect("one for each asked for"))
                }
                Err(error_code) => failed(&followed, error_code),
            };
            errors += u64::from(partition.error_code != code::NONE);
            if is_news(context, head.session_id, &partition) || !incremental {
                answered.push(partition);
            }
        }
        let bytes = answered.iter().map(|one| one.record_bytes).sum();
        let throttle = self.quota.map_or(Duration::ZERO, |quota| context.charge(&quota, bytes));
        head.throttle_ms = throttle::in_ms(throttle);
        (fetch_codec::encode_response(head, answered), errors, throttle)
    }
}

/// Notes in the session what is told; true when an incremental answer must say it.
fn is_news(context: &Context, session_id: i32, partition: &AnsweredPartition) -> bool {
    if session_id == 0 {
        return true;
    }
    let mut sessions = context.sessions.borrow_mut();
    let key = Key::of(&partition.topic, partition.topic_id, partition.number);
    if partition.error_code != code::NONE || partition.diverging.is_some() {
        sessions.forget_told(session_id, &key);
        return true;
    }
    let told = Told { high_watermark: partition.high_watermark, log_start: partition.log_start };
    let has_records = partition.record_bytes > 0;
    sessions.tell(session_id, &key, told, has_records) || has_records
}

fn found(
    (context, listener): (&Context, &Listener),
    followed: &Followed,
    id: PartitionId,
    fetched: FetchedPartition,
) -> AnsweredPartition {
    let mut partition = failed(followed, fetched.error.map_or(code::NONE, refusal_code));
    partition.high_watermark = fetched.high_watermark.0;
    partition.last_stable = fetched.last_stable.0;
    partition.log_start = fetched.log_start.0;
    partition.aborted = fetched.aborted;
    partition.diverging = fetched.diverging.map(|(epoch, offset)| (epoch.0, offset.0));
    partition.record_bytes = fetched.bytes;
    partition.records = fetched.records;
    if fetched.error == Some(Refusal::NotLeader) {
        partition.leader = context.leader_hint(id, listener);
    }
    partition
}

fn failed(followed: &Followed, error_code: i16) -> AnsweredPartition {
    AnsweredPartition {
        topic: Arc::clone(&followed.topic),
        topic_id: followed.topic_id,
        number: followed.number,
        error_code,
        high_watermark: -1,
        last_stable: -1,
        log_start: -1,
        aborted: Vec::new(),
        diverging: None,
        leader: None,
        records: SmallVec::new(),
        record_bytes: 0,
    }
}
