//! The groups of one partition of the offsets topic: gives each request to its group, each outcome
//! to what waits for it, each timer to whom it is about.

use super::commit::fetched;
use super::config::LIVE_BYTES_MAX;
use super::consumer::heartbeat::check_request;
use super::error::GroupError;
use super::figures::GroupFigures;
use super::group::Group;
use super::load;
use super::member::refuse_join;
use super::pending::{ForgetAnswer, Pending};
use super::record::{group_key, offset_key};
use super::refusal::refusal_of;
use super::request::{Answer, CommitInTransaction, FetchOffsets, Listed, Request};
use super::state::State;
use super::timers::Timer;
use super::words::{GroupNews, GroupWords, Turn};
use super::writers::Writers;
use crate::batch::records::Record;
use crate::batch::{EndMarker, Ending};
use crate::clock::Now;
use crate::coordinator::fields::BadRecord;
use crate::coordinator::{AppendError, InTransaction, KeyValue, Output, StateMachine, Unready};
use crate::ids::Offset;
use crate::port::RequestId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The longest text that names a group, a member or a protocol. Kafka takes up to 32 KiB and
/// puts two of them together in a member's id.
const NAME_BYTES_MAX: usize = 8 << 10;

/// See the head of this file.
#[derive(Default)]
pub struct Groups(BTreeMap<Arc<str>, Group>, Writers);

impl StateMachine for Groups {
    type Words = GroupWords;

    const TOPIC: &'static str = super::OFFSETS_TOPIC;

    fn name_in(request: &Request) -> Option<&str> {
        request.group()
    }

    fn unready(request: &Request, why: Unready) -> Answer {
        match (request, why) {
            // There is nothing wrong that the member could put right; it may just go on.
            (Request::Heartbeat(_), Unready::Loading) => Answer::Heartbeat(Ok(())),
            (_, Unready::Loading) => refused(request, GroupError::CoordinatorLoadInProgress),
            (_, Unready::NotCoordinator) => refused(request, GroupError::NotCoordinator),
        }
    }

    fn over_all<'a>(_: &Request, led: impl Iterator<Item = (&'a Self, bool)>, _: Now) -> Answer {
        let mut listed = Listed { loading: false, groups: Vec::new() };
        for (machine, is_loading) in led {
            listed.loading |= is_loading;
            listed.groups.extend(machine.0.values().filter(|_| !is_loading).map(Group::list));
        }
        Answer::Listed(listed)
    }

    fn topic_deleted(topic: &Arc<str>) -> Option<GroupNews> {
        Some(GroupNews::TopicDeleted { topic: Arc::clone(topic) })
    }

    fn load(
        &mut self,
        record: &Record<'_>,
        within: Option<InTransaction>,
        now: Now,
    ) -> Result<(), BadRecord> {
        load::take(&mut self.0, &mut self.1, record, within, now)
    }

    fn load_end(&mut self, marker: EndMarker) {
        let EndMarker { producer, epoch, ending, .. } = marker;
        // What is void after it goes when all is read back.
        self.transaction_ended(producer, epoch, ending);
    }

    fn begin_rewrite(&mut self) -> Option<Offset> {
        self.0.values_mut().filter_map(Group::begin_rewrite).min()
    }

    fn end_rewrite(&mut self, from: Option<Offset>) {
        self.0.values_mut().for_each(|group| group.offsets.end_copies(from));
    }

    fn loaded(&mut self, turn: &mut Turn<'_>) {
        self.0.retain(|_, group| {
            group.stored.is_some()
                || !group.flight.committed.is_empty()
                || !group.offsets.is_empty()
                || !group.undecided.is_empty()
        });
        for (id, group) in &mut self.0 {
            assert_eq!(*id, group.id, "a group stands under its own name");
            group.restore(turn);
            group.restore_consumer(turn);
        }
        let first_ns = turn.after_ms(turn.config.retention_check_interval_ms);
        turn.timers.set(first_ns, Timer::Expiry);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn request(&mut self, id: RequestId, request: Request, turn: &mut Turn<'_>) {
        if let Err(error) = check_names(&request) {
            return turn.answer(id, refused(&request, error));
        }
        let name: Arc<str> = request.group().expect("a request about one group").into();
        if !self.0.contains_key(&name) {
            if let Some(answer) = without_group(&request, turn) {
                return turn.answer(id, answer);
            }
            self.0.insert(Arc::clone(&name), Group::new(Arc::clone(&name), turn.now));
        }
        let group = self.0.get_mut(&name).expect("it is there");
        let writes = match &request {
            Request::CommitInTransaction(CommitInTransaction { within, .. }) => Some(within.producer),
            _ => None,
        };
        take(group, id, request, turn);
        if let Some(producer) = writes.filter(|producer| group.undecided.has(*producer)) {
            self.1.note(producer, &name);
        }
        self.after(&name);
    }

    fn appended(&mut self, pending: Pending, result: Result<Offset, AppendError>, turn: &mut Turn<'_>) {
        let groups = &mut self.0;
        let name = match pending {
            Pending::Commit { request, group: name, results, offsets } => {
                let group = groups.get_mut(&name).expect("a group stays while it is written");
                let answer = group.committed(offsets, results, result);
                turn.answer(request, answer);
                name
            }
            Pending::CommitInTransaction { request, group: name, results, offsets, producer, epoch } => {
                let group = groups.get_mut(&name).expect("a group stays while it is written");
                let answer = group.committed_in((producer, epoch), offsets, results, result);
                turn.answer(request, answer);
                name
            }
            Pending::Consumer { group: name, changes } => {
                let group = groups.get_mut(&name).expect("a group stays while it is written");
                group.flown(changes, result, turn);
                name
            }
            Pending::Group { group: name, value } => {
                let group = groups.get_mut(&name).expect("a group stays while it is written");
                store(group, value, result);
                name
            }
            Pending::Assignment { group: name, generation, value, assignments } => {
                let group = groups.get_mut(&name).expect("a group stays while it is written");
                store(group, value, result);
                group.assigned(generation, &assignments, result.map(drop), turn);
                name
            }
            Pending::StaticJoin { group: name, value, member, request, answer } => {
                let group = groups.get_mut(&name).expect("a group stays while it is written");
                store(group, value, result);
                let answer = match result {
                    Ok(_) => Answer::Joined(Ok(answer)),
                    Err(error) => refuse_join(error.group_error(GroupError::GroupTooLarge), member),
                };
                turn.answer(request, answer);
                name
            }
            Pending::Forget { group: name, offsets, whole, request } => {
                forgotten(groups, &name, &offsets, whole, result);
                if let Some(request) = request {
                    let (request, answer) = forget_answer(request, result);
                    turn.answer(request, answer);
                }
                name
            }
        };
        self.after(&name);
    }

    fn tick(&mut self, timer: Timer, turn: &mut Turn<'_>) {
        let name = match timer {
            Timer::Expiry => {
                self.0.values_mut().for_each(|group| group.expire_offsets(turn));
                let next_ns = turn.after_ms(turn.config.retention_check_interval_ms);
                return turn.timers.set(next_ns, Timer::Expiry);
            }
            Timer::Rebalance { group } => {
                self.0.get_mut(&group).into_iter().for_each(|group| group.rebalance_due(turn));
                group
            }
            Timer::Sync { group } => {
                self.0.get_mut(&group).into_iter().for_each(|group| group.sync_due(turn));
                group
            }
            Timer::Member { group, member } => {
                self.0.get_mut(&group).into_iter().for_each(|group| match group.consumer.is_some() {
                    true => group.consumer_due(&member, turn),
                    false => group.member_due(&member, turn),
                });
                group
            }
        };
        self.after(&name);
    }

    fn told(&mut self, news: &GroupNews, turn: &mut Turn<'_>) {
        match news {
            GroupNews::TopicDeleted { topic } => {
                self.0.values_mut().for_each(|group| group.forget_topic(topic, turn));
            }
            GroupNews::TransactionEnded { producer, epoch, ending } => {
                self.transaction_ended(*producer, *epoch, *ending).iter().for_each(|name| self.after(name));
            }
        }
    }

    fn resign(&mut self, pending: Vec<Pending>, out: &mut Vec<Output<GroupWords>>) {
        let refused = Err(AppendError::NotLeader);
        let error = GroupError::NotCoordinator;
        let mut answers = Vec::new();
        for pending in pending {
            match pending {
                Pending::Commit { request, mut results, .. }
                | Pending::CommitInTransaction { request, mut results, .. } => {
                    results.iter_mut().for_each(|result| *result = Err(error));
                    answers.push((request, Answer::Committed(Ok(results))));
                }
                Pending::StaticJoin { request, member, .. } => {
                    answers.push((request, refuse_join(error, member)));
                }
                Pending::Forget { request: Some(request), .. } => {
                    answers.push(forget_answer(request, refused));
                }
                _ => {}
            }
        }
        for (request, answer) in self.0.values_mut().flat_map(|group| group.flight.give_up()) {
            answers.push((request, refusal_of(&answer, error)));
        }
        for member in self.0.values_mut().flat_map(|group| group.members.values_mut()) {
            let joining = member.joining.take();
            answers.extend(joining.map(|request| (request, refuse_join(error, Arc::clone(&member.id)))));
            let syncing = member.syncing.take();
            answers.extend(syncing.map(|request| (request, Answer::Synced(Err(error)))));
        }
        out.extend(answers.into_iter().map(|(request, answer)| Output::Answer { request, answer }));
    }

    fn live(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
        self.0.values().flat_map(live_records)
    }

    /// The tombstone of a group that cannot be.
    fn void() -> KeyValue {
        (group_key(""), None)
    }

    fn count(&self, figures: &mut GroupFigures, _: Now) {
        figures.groups += self.0.len() as u64;
        let members = |group: &Group| {
            group.members.len() + group.consumer.as_ref().map_or(0, |consumer| consumer.members.len())
        };
        figures.members += self.0.values().map(|group| members(group) as u64).sum::<u64>();
    }
}

impl Groups {
    /// Gives the groups that it was about.
    fn transaction_ended(&mut self, producer: i64, epoch: i16, ending: Ending) -> BTreeSet<Arc<str>> {
        let names = self.1.take(producer);
        for name in &names {
            let Some(group) = self.0.get_mut(name) else { continue };
            group.transaction_ended(producer, epoch, ending);
            // Appends on their way, or the next transaction's offsets: its marker is to find them.
            if group.undecided.has(producer) {
                self.1.note(producer, name);
            }
        }
        names
    }

    /// After all that happens to a group: what must hold does; one that nothing is known of is none.
    fn after(&mut self, name: &str) {
        let Some(group) = self.0.get(name) else { return };
        group.check();
        if is_void(group) {
            self.0.remove(name);
        }
    }
}

/// Nothing is known of it.
fn is_void(group: &Group) -> bool {
    group.state == State::Empty
        && group.stored.is_none()
        && group.consumer.is_none()
        && group.flight.is_void()
        && group.generation == 0
        && group.given.is_empty()
        && group.offsets.is_empty()
        && group.undecided.is_empty()
}

fn live_records(group: &Group) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    let own = group.stored.iter().map(|value| (group_key(&group.id), value.to_vec()));
    // See `Group::begin_rewrite`.
    let offsets =
        group.offsets.iter().filter(|(topic, partition, _)| !group.undecided.contains(topic, *partition));
    let offsets = offsets.map(|(topic, partition, committed)| {
        (offset_key(&group.id, topic, partition), committed.value.encode())
    });
    let consumer = group.flight.committed.iter().map(|(key, value)| (key.clone(), value.to_vec()));
    own.chain(consumer).chain(offsets)
}

/// The answer where there is no such group; none where the request makes one.
fn without_group(request: &Request, turn: &Turn<'_>) -> Option<Answer> {
    let is_full = turn.log.live_bytes > LIVE_BYTES_MAX;
    Some(match request {
        Request::Join(join) => {
            let session = turn.config.session_timeout_min_ms..=turn.config.session_timeout_max_ms;
            let error = if !session.contains(&join.session_timeout_ms) {
                GroupError::InvalidSessionTimeout
            } else if !join.member.is_empty() {
                GroupError::UnknownMemberId
            } else if is_full {
                GroupError::GroupMaxSizeReached
            } else {
                return None;
            };
            refuse_join(error, join.member.as_str())
        }
        Request::Commit(commit) | Request::CommitInTransaction(CommitInTransaction { commit, .. })
            if commit.member.generation >= 0 =>
        {
            Answer::Committed(Err(GroupError::IllegalGeneration))
        }
        Request::Commit(_) | Request::CommitInTransaction(_) if is_full => {
            Answer::Committed(Err(GroupError::InvalidCommitOffsetSize))
        }
        Request::Commit(_) | Request::CommitInTransaction(_) => return None,
        Request::FetchOffsets(fetch) => Answer::Offsets(Ok(none_committed(fetch))),
        Request::ConsumerHeartbeat(beat) if check_request(beat).is_err() => {
            Answer::Beat(check_request(beat).map(|()| unreachable!("seen above")))
        }
        Request::ConsumerHeartbeat(beat) if beat.epoch == 0 && is_full => {
            Answer::Beat(Err(GroupError::GroupMaxSizeReached))
        }
        Request::ConsumerHeartbeat(beat) if beat.epoch == 0 => return None,
        Request::Leave(leave) => {
            Answer::Left(Ok(leave.members.iter().map(|_| Err(GroupError::UnknownMemberId)).collect()))
        }
        Request::Sync(_) | Request::Heartbeat(_) => refused(request, GroupError::UnknownMemberId),
        other => refused(other, GroupError::GroupIdNotFound),
    })
}

/// Gives a group what it is asked.
fn take(group: &mut Group, id: RequestId, request: Request, turn: &mut Turn<'_>) {
    if group.flight.is_broken() {
        return turn.answer(id, refused(&request, GroupError::CoordinatorNotAvailable));
    }
    let Some(request) = group.take_consumer(id, request, turn) else { return };
    let answer = match request {
        Request::Join(join) => {
            let session = turn.config.session_timeout_min_ms..=turn.config.session_timeout_max_ms;
            if session.contains(&join.session_timeout_ms) {
                return group.join(id, join, turn);
            }
            refuse_join(GroupError::InvalidSessionTimeout, join.member)
        }
        Request::Sync(sync) => return group.sync(id, sync, turn),
        Request::Commit(commit) => return group.commit(id, commit, turn),
        Request::CommitInTransaction(commit) => return group.commit_in(id, commit, turn),
        Request::DeleteOffsets(delete) => return group.delete_offsets(id, delete, turn),
        Request::Delete { .. } => return group.delete(id, turn),
        Request::Heartbeat(heartbeat) => Answer::Heartbeat(group.heartbeat(&heartbeat, turn)),
        Request::Leave(leave) => Answer::Left(group.leave(&leave, turn)),
        Request::FetchOffsets(fetch) => Answer::Offsets(group.fetch_offsets(&fetch)),
        Request::Describe { .. } => Answer::Described(Ok(group.describe())),
        Request::DescribeConsumer { .. } => Answer::ConsumerDescribed(Err(GroupError::GroupIdNotFound)),
        Request::ConsumerHeartbeat(_) | Request::List => unreachable!("taken before"),
    };
    turn.answer(id, answer);
}

fn store(group: &mut Group, value: Arc<[u8]>, result: Result<Offset, AppendError>) {
    if result.is_ok() {
        group.stored = Some(value);
    }
}

fn forgotten(
    groups: &mut BTreeMap<Arc<str>, Group>,
    name: &str,
    offsets: &[(Arc<str>, i32)],
    whole: bool,
    result: Result<Offset, AppendError>,
) {
    let group = groups.get_mut(name).expect("a group stays while it is written");
    assert!(!whole || group.state == State::Dead, "group {name} is forgotten in {:?}", group.state);
    if let Ok(base) = result {
        for (at, (topic, partition)) in (0..).zip(offsets) {
            group.offsets.remove(topic, *partition, base.plus(at));
        }
    }
    match result {
        Ok(_) if whole => drop(groups.remove(name)),
        Err(_) if whole => group.state = State::Empty,
        _ => {}
    }
}

fn forget_answer(request: ForgetAnswer, result: Result<Offset, AppendError>) -> (RequestId, Answer) {
    let error = result.err().map(|error| error.group_error(GroupError::InvalidCommitOffsetSize));
    match (request, error) {
        (ForgetAnswer::Group(request), None) => (request, Answer::Deleted(Ok(()))),
        (ForgetAnswer::Group(request), Some(error)) => (request, Answer::Deleted(Err(error))),
        (ForgetAnswer::Offsets(request, results), None) => (request, Answer::OffsetsDeleted(Ok(results))),
        (ForgetAnswer::Offsets(request, _), Some(error)) => (request, Answer::OffsetsDeleted(Err(error))),
    }
}

fn none_committed(fetch: &FetchOffsets) -> Vec<super::request::FetchedOffset> {
    let wanted = fetch.wanted.iter().flatten();
    wanted.map(|(topic, partition)| fetched(topic, *partition, None, None)).collect()
}

/// Group ids may be empty where no member is needed, as in Kafka.
fn check_names(request: &Request) -> Result<(), GroupError> {
    let group = request.group().expect("a request about one group");
    let needs_name = matches!(
        request,
        Request::Join(_)
            | Request::Sync(_)
            | Request::Heartbeat(_)
            | Request::Leave(_)
            | Request::ConsumerHeartbeat(_)
    );
    if (needs_name && group.is_empty()) || group.len() > NAME_BYTES_MAX {
        return Err(GroupError::InvalidGroupId);
    }
    if let Request::ConsumerHeartbeat(beat) = request {
        let own = [&beat.member, &beat.client_id, &beat.client_host];
        let given = [&beat.instance, &beat.rack, &beat.assignor].into_iter().flatten();
        let mut names = own.into_iter().chain(given).chain(beat.topics.iter().flatten());
        return match names.any(|name| name.len() > NAME_BYTES_MAX) {
            true => Err(GroupError::GroupTooLarge),
            false => Ok(()),
        };
    }
    let Request::Join(join) = request else { return Ok(()) };
    let names = join.protocols.iter().map(|(name, _)| name.as_str());
    let names =
        names.chain([join.client_id.as_str(), join.client_host.as_str(), join.protocol_type.as_str()]);
    let mut names = names.chain(join.instance.as_deref());
    if names.any(|name| name.len() > NAME_BYTES_MAX) { Err(GroupError::GroupTooLarge) } else { Ok(()) }
}

/// The answer that says only why not.
pub fn refused(request: &Request, error: GroupError) -> Answer {
    match request {
        Request::Join(join) => refuse_join(error, join.member.as_str()),
        Request::Sync(_) => Answer::Synced(Err(error)),
        Request::Heartbeat(_) => Answer::Heartbeat(Err(error)),
        Request::Leave(_) => Answer::Left(Err(error)),
        Request::Commit(_) | Request::CommitInTransaction(_) => Answer::Committed(Err(error)),
        Request::FetchOffsets(_) => Answer::Offsets(Err(error)),
        Request::DeleteOffsets(_) => Answer::OffsetsDeleted(Err(error)),
        Request::ConsumerHeartbeat(_) => Answer::Beat(Err(error)),
        Request::DescribeConsumer { .. } => Answer::ConsumerDescribed(Err(error)),
        Request::Describe { .. } => Answer::Described(Err(error)),
        Request::Delete { .. } => Answer::Deleted(Err(error)),
        Request::List => unreachable!("it is about no single group"),
    }
}
