//! One partition of the offsets topic, while this shard leads it: its groups, their timers, its
//! log. Gives each request to its group and each outcome to what waits for it.

use super::append::{AppendError, Tenure};
use super::commit::fetched;
use super::config::{GroupConfig, LIVE_BYTES_MAX};
use super::error::GroupError;
use super::group::{Group, Turn};
use super::history;
use super::load::Loading;
use super::log::{ForgetAnswer, Log, Pending};
use super::member::refuse_join;
use super::output::{Figures, Output};
use super::request::{Answer, FetchOffsets, Listed, Request};
use super::state::State;
use super::timers::{Timer, Timers};
use crate::clock::Now;
use crate::groups::output::LoadReport;
use crate::ids::{Offset, Term};
use crate::port::RequestId;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest text that names a group, a member or a protocol. Kafka takes up to 32 KiB and
/// puts two of them together in a member's id.
const NAME_BYTES_MAX: usize = 8 << 10;

/// What comes with each call: time, settings, where outputs go.
pub struct Stage<'a> {
    pub now: Now,
    pub config: &'a GroupConfig,
    pub out: &'a mut Vec<Output>,
}

/// See the head of this file.
pub struct OffsetsPartition {
    groups: BTreeMap<Arc<str>, Group>,
    timers: Timers,
    log: Log,
    /// In which this shard leads it.
    term: Term,
    /// While the log is read back.
    loading: Option<Loading>,
}

impl OffsetsPartition {
    /// Nothing is answered until [`Self::loaded`].
    pub fn new(tenure: Tenure, term: Term) -> Self {
        Self {
            groups: BTreeMap::new(),
            timers: Timers::default(),
            log: Log::new(tenure),
            term,
            loading: Some(Loading::default()),
        }
    }

    pub fn term(&self) -> Term {
        self.term
    }

    pub fn tenure(&self) -> Tenure {
        self.log.tenure
    }

    pub fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    pub fn load(&mut self, batches: &[u8], now: Now) {
        if let Some(loading) = &mut self.loading {
            loading.take(batches, now);
            self.log.note_read(batches.len() as u64);
        }
    }

    pub fn loaded(&mut self, shard_bytes: u64, stage: &mut Stage<'_>) -> LoadReport {
        let mut loading = self.loading.take().expect("a partition is loaded once");
        self.groups = loading.finish();
        let (groups, mut turn) = self.turn(stage);
        groups.values_mut().for_each(|group| group.restore(&mut turn));
        for topic in &loading.deleted {
            groups.values_mut().for_each(|group| group.forget_topic(topic, &mut turn));
        }
        let (_, live_bytes) = history::live_batches(&self.groups);
        self.log.loaded(live_bytes, shard_bytes);
        let first_ms = stage.config.retention_check_interval_ms;
        self.timers.set(stage.now.plus(Duration::from_millis(first_ms)), Timer::Expiry);
        let groups = self.groups.len();
        LoadReport { groups, records: loading.records, bad_records: loading.bad_records }
    }

    fn turn<'a>(&'a mut self, stage: &'a mut Stage<'_>) -> (&'a mut BTreeMap<Arc<str>, Group>, Turn<'a>) {
        let turn = Turn {
            now: stage.now,
            config: stage.config,
            log: &mut self.log,
            timers: &mut self.timers,
            out: stage.out,
        };
        (&mut self.groups, turn)
    }

    /// A request about one group.
    pub fn request(&mut self, id: RequestId, request: Request, stage: &mut Stage<'_>) {
        if self.is_loading() {
            let answer = match request {
                // There is nothing wrong that the member could put right; it may just go on.
                Request::Heartbeat(_) => Answer::Heartbeat(Ok(())),
                other => refused(&other, GroupError::CoordinatorLoadInProgress),
            };
            return stage.out.push(Output::Answer { request: id, answer });
        }
        if let Err(error) = check_names(&request) {
            let answer = refused(&request, error);
            return stage.out.push(Output::Answer { request: id, answer });
        }
        let name: Arc<str> = request.group().expect("a request about one group").into();
        if !self.groups.contains_key(&name) {
            if let Some(answer) = self.without_group(&request, stage.config) {
                return stage.out.push(Output::Answer { request: id, answer });
            }
            self.groups.insert(Arc::clone(&name), Group::new(Arc::clone(&name), stage.now));
        }
        let (groups, mut turn) = self.turn(stage);
        let group = groups.get_mut(&name).expect("it is there");
        take(group, id, request, &mut turn);
        group.check();
        self.drop_void(&name);
    }

    /// The answer where there is no such group; none where the request makes one.
    fn without_group(&self, request: &Request, config: &GroupConfig) -> Option<Answer> {
        let is_full = self.log.live_bytes > LIVE_BYTES_MAX;
        Some(match request {
            Request::Join(join) => {
                let session = config.session_timeout_min_ms..=config.session_timeout_max_ms;
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
            Request::Commit(commit) if commit.member.generation >= 0 => {
                Answer::Committed(Err(GroupError::IllegalGeneration))
            }
            Request::Commit(_) if is_full => Answer::Committed(Err(GroupError::InvalidCommitOffsetSize)),
            Request::Commit(_) => return None,
            Request::FetchOffsets(fetch) => Answer::Offsets(Ok(none_committed(fetch))),
            Request::Leave(leave) => {
                Answer::Left(Ok(leave.members.iter().map(|_| Err(GroupError::UnknownMemberId)).collect()))
            }
            Request::Sync(_) | Request::Heartbeat(_) => refused(request, GroupError::UnknownMemberId),
            other => refused(other, GroupError::GroupIdNotFound),
        })
    }

    /// A group that nothing is known of is none.
    fn drop_void(&mut self, name: &str) {
        let void = |group: &Group| {
            group.state == State::Empty
                && group.stored.is_none()
                && group.generation == 0
                && group.given.is_empty()
                && group.offsets.is_empty()
        };
        if self.groups.get(name).is_some_and(void) {
            self.groups.remove(name);
        }
    }

    pub fn list(&self, listed: &mut Listed) {
        listed.loading |= self.is_loading();
        listed.groups.extend(self.groups.values().map(Group::list));
    }

    pub fn count(&self, figures: &mut Figures) {
        figures.groups += self.groups.len() as u64;
        figures.members += self.groups.values().map(|group| group.members.len() as u64).sum::<u64>();
        figures.loading += u64::from(self.is_loading());
        figures.history_bytes += self.log.history_bytes();
    }

    /// When there is something to look at.
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.timers.next_ns()
    }

    /// Looks at what is due.
    pub fn tick(&mut self, stage: &mut Stage<'_>) {
        while let Some(timer) = self.timers.due(stage.now.mono_ns) {
            let (groups, mut turn) = self.turn(stage);
            let name = match timer {
                Timer::Expiry => {
                    self.expire(stage);
                    continue;
                }
                Timer::Rebalance { group } => {
                    groups.get_mut(&group).into_iter().for_each(|group| group.rebalance_due(&mut turn));
                    group
                }
                Timer::Sync { group } => {
                    groups.get_mut(&group).into_iter().for_each(|group| group.sync_due(&mut turn));
                    group
                }
                Timer::Member { group, member } => {
                    let of = groups.get_mut(&group).into_iter();
                    of.for_each(|group| group.member_due(&member, &mut turn));
                    group
                }
            };
            groups.get(&name).into_iter().for_each(Group::check);
            self.drop_void(&name);
        }
    }

    fn expire(&mut self, stage: &mut Stage<'_>) {
        let (groups, mut turn) = self.turn(stage);
        groups.values_mut().for_each(|group| group.expire_offsets(&mut turn));
        let next_ms = stage.config.retention_check_interval_ms;
        self.timers.set(stage.now.plus(Duration::from_millis(next_ms)), Timer::Expiry);
    }

    pub fn topic_deleted(&mut self, topic: &Arc<str>, stage: &mut Stage<'_>) {
        if let Some(loading) = &mut self.loading {
            return loading.deleted.push(Arc::clone(topic));
        }
        let (groups, mut turn) = self.turn(stage);
        groups.values_mut().for_each(|group| group.forget_topic(topic, &mut turn));
    }

    /// Writes the history again where it is long; called after everything else.
    pub fn bound_history(&mut self, shard_bytes: u64, stage: &mut Stage<'_>) {
        if !self.is_loading() && self.log.must_rewrite(stage.config, shard_bytes, stage.now) {
            history::rewrite(&mut self.log, &self.groups, shard_bytes, stage.now, stage.out);
        }
    }

    /// An append has its outcome.
    pub fn appended(&mut self, number: u64, result: Result<Offset, AppendError>, stage: &mut Stage<'_>) {
        let pending = self.log.outcome(number);
        let partition = self.log.tenure.partition;
        let (groups, mut turn) = self.turn(stage);
        let name = match pending {
            Pending::Rewrite => {
                if let Some(before) = turn.log.rewritten(result, turn.now) {
                    turn.out.push(Output::Trim { partition, before });
                }
                return;
            }
            Pending::Commit { request, group: name, results, offsets } => {
                let group = groups.get_mut(&name).expect("a group stays while it is written");
                let answer = group.committed(offsets, results, result);
                turn.answer(request, answer);
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
                group.assigned(generation, &assignments, result.map(drop), &mut turn);
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
        groups.get(&name).into_iter().for_each(Group::check);
        self.drop_void(&name);
    }

    /// The leadership is over: all who wait are sent on.
    pub fn resign(mut self, stage: &mut Stage<'_>) {
        let refused = Err(AppendError::NotLeader);
        let error = GroupError::NotCoordinator;
        let mut answers = Vec::new();
        for pending in self.log.give_up() {
            match pending {
                Pending::Commit { request, mut results, .. } => {
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
        for member in self.groups.values_mut().flat_map(|group| group.members.values_mut()) {
            let joining = member.joining.take();
            answers.extend(joining.map(|request| (request, refuse_join(error, Arc::clone(&member.id)))));
            let syncing = member.syncing.take();
            answers.extend(syncing.map(|request| (request, Answer::Synced(Err(error)))));
        }
        let output = |(request, answer)| Output::Answer { request, answer };
        stage.out.extend(answers.into_iter().map(output));
    }
}

/// Gives a group what it is asked.
fn take(group: &mut Group, id: RequestId, request: Request, turn: &mut Turn<'_>) {
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
        Request::DeleteOffsets(delete) => return group.delete_offsets(id, delete, turn),
        Request::Delete { .. } => return group.delete(id, turn),
        Request::Heartbeat(heartbeat) => Answer::Heartbeat(group.heartbeat(&heartbeat, turn)),
        Request::Leave(leave) => Answer::Left(group.leave(&leave, turn)),
        Request::FetchOffsets(fetch) => Answer::Offsets(Ok(group.fetch_offsets(&fetch))),
        Request::Describe { .. } => Answer::Described(Ok(group.describe())),
        Request::List => unreachable!("it is about no single group"),
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
    let needs_name =
        matches!(request, Request::Join(_) | Request::Sync(_) | Request::Heartbeat(_) | Request::Leave(_));
    if (needs_name && group.is_empty()) || group.len() > NAME_BYTES_MAX {
        return Err(GroupError::InvalidGroupId);
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
        Request::Commit(_) => Answer::Committed(Err(error)),
        Request::FetchOffsets(_) => Answer::Offsets(Err(error)),
        Request::DeleteOffsets(_) => Answer::OffsetsDeleted(Err(error)),
        Request::Describe { .. } => Answer::Described(Err(error)),
        Request::Delete { .. } => Answer::Deleted(Err(error)),
        Request::List => unreachable!("it is about no single group"),
    }
}
