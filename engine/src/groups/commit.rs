//! OffsetCommit, OffsetFetch, OffsetDelete, and what expires.

use super::error::GroupError;
use super::group::{CONSUMER, Group};
use super::offsets::Committed;
use super::pending::{ForgetAnswer, Pending};
use super::record::{OffsetValue, group_key, offset_key};
use super::request::{
    Answer, Commit, CommitInTransaction, DeleteOffsets, FetchOffsets, FetchedOffset, Identity,
};
use super::state::State;
use super::words::Turn;
use crate::batch::Ending;
use crate::coordinator::AppendError;
use crate::coordinator::{InTransaction, KeyValue};
use crate::ids::Offset;
use crate::port::RequestId;
use std::sync::Arc;

type Results = Vec<Result<(), GroupError>>;

/// A commit that is about to be appended.
struct New {
    /// Of all the request's offsets, those refused included.
    results: Results,
    offsets: Vec<(Arc<str>, i32, OffsetValue)>,
    records: Vec<KeyValue>,
}

impl Group {
    /// Answered when the offsets are committed.
    pub fn commit(&mut self, request: RequestId, commit: Commit, turn: &mut Turn<'_>) {
        if let Err(error) = self.check_commit(&commit, turn) {
            return turn.answer(request, Answer::Committed(Err(error)));
        }
        let New { results, offsets, records } = self.begin_commit(commit, turn);
        if records.is_empty() {
            return turn.answer(request, Answer::Committed(Ok(results)));
        }
        let pending = Pending::Commit { request, group: Arc::clone(&self.id), results, offsets };
        turn.append(pending, &records);
    }

    /// Answered when the offsets are committed as part of the transaction; they count once that is.
    pub fn commit_in(&mut self, request: RequestId, commit: CommitInTransaction, turn: &mut Turn<'_>) {
        let CommitInTransaction { commit, within } = commit;
        if let Err(error) = self.check_commit_in(&commit.member, turn) {
            return turn.answer(request, Answer::Committed(Err(error)));
        }
        let New { results, offsets, records } = self.begin_commit(commit, turn);
        if records.is_empty() {
            return turn.answer(request, Answer::Committed(Ok(results)));
        }
        let (group, InTransaction { producer, epoch, .. }) = (Arc::clone(&self.id), within);
        self.undecided.begin(producer);
        let pending = Pending::CommitInTransaction { request, group, results, offsets, producer, epoch };
        turn.append_in(within, pending, &records);
    }

    fn begin_commit(&mut self, commit: Commit, turn: &Turn<'_>) -> New {
        let now_ms = turn.now.wall_ms;
        let mut results = Results::with_capacity(commit.offsets.len());
        let (mut offsets, mut records) = (Vec::new(), Vec::new());
        for new in commit.offsets {
            if new.metadata.len() > turn.config.offset_metadata_bytes_max {
                results.push(Err(GroupError::OffsetMetadataTooLarge));
                continue;
            }
            let value = OffsetValue {
                offset: new.offset,
                leader_epoch: new.leader_epoch,
                metadata: new.metadata.into(),
                commit_ms: now_ms,
                expire_ms: commit.retention_ms.map(|ms| now_ms.saturating_add(ms)),
            };
            records.push((offset_key(&self.id, &new.topic, new.partition), Some(value.encode())));
            self.offsets.begin(&new.topic, new.partition);
            offsets.push((new.topic, new.partition, value));
            results.push(Ok(()));
        }
        New { results, offsets, records }
    }

    /// Who may commit in a transaction: a member of this generation, or a producer that claims no
    /// membership (KIP-447: before that nobody could).
    fn check_commit_in(&mut self, member: &Identity, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let claims_nothing = member.generation < 0 && member.member.is_empty() && member.instance.is_none();
        if claims_nothing || (member.generation < 0 && self.state == State::Empty) {
            return Ok(());
        }
        if let Some(consumer) = &self.consumer {
            return consumer.check_commit(member, true);
        }
        let id = self.check_identity(member)?;
        self.renew_session(&id, turn);
        Ok(())
    }

    /// Who may commit: a member of this generation; without members anybody who claims no
    /// generation (an assignment by hand).
    fn check_commit(&mut self, commit: &Commit, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let member = &commit.member;
        if member.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if let Some(consumer) = &self.consumer {
            return consumer.check_commit(member, commit.knows_epochs);
        }
        if self.state == State::Empty && self.generation == 0 && self.members.is_empty() {
            return Err(GroupError::IllegalGeneration);
        }
        let id = self.check_identity(member)?;
        // Between join and sync nobody owns anything that could be committed.
        if self.state == State::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        self.renew_session(&id, turn);
        Ok(())
    }

    /// A commit has its outcome.
    pub fn committed(
        &mut self,
        offsets: Vec<(Arc<str>, i32, OffsetValue)>,
        mut results: Results,
        result: Result<Offset, AppendError>,
    ) -> Answer {
        for (at, (topic, partition, value)) in (0..).zip(offsets) {
            self.offsets.end(&topic, partition);
            if let Ok(base) = result {
                self.offsets.put(&topic, partition, Committed { value, at: base.plus(at) });
            }
        }
        if let Err(error) = result {
            let error = error.group_error(GroupError::InvalidCommitOffsetSize);
            results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = Err(error));
        }
        Answer::Committed(Ok(results))
    }

    /// A commit within a transaction has its outcome: it counts later, or at once where the transaction was
    /// committed meanwhile.
    pub fn committed_in(
        &mut self,
        (producer, epoch): (i64, i16),
        offsets: Vec<(Arc<str>, i32, OffsetValue)>,
        mut results: Results,
        result: Result<Offset, AppendError>,
    ) -> Answer {
        offsets.iter().for_each(|(topic, partition, _)| self.offsets.end(topic, *partition));
        match result {
            Ok(base) => {
                let written = (0..).zip(offsets).map(|(at, (topic, partition, value))| {
                    ((topic, partition), Committed { value, at: base.plus(at) })
                });
                let counting = self.undecided.written(producer, epoch, written);
                self.put_all(counting);
            }
            Err(error) => {
                self.undecided.failed(producer);
                let error = error.group_error(GroupError::InvalidCommitOffsetSize);
                results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = Err(error));
            }
        }
        Answer::Committed(Ok(results))
    }

    /// A transaction of this producer was ended.
    pub fn transaction_ended(&mut self, producer: i64, epoch: i16, ending: Ending) {
        let counting = self.undecided.end(producer, epoch, ending);
        self.put_all(counting);
    }

    /// All that lives is about to be written again; gives the first record that is needed beside that. An offset that a
    /// transaction may replace is not written again: the transaction's record would then be before it in the log, and
    /// not count any more. Both records stay where they are.
    pub fn begin_rewrite(&mut self) -> Option<Offset> {
        let (offsets, undecided) = (&mut self.offsets, &self.undecided);
        offsets.begin_copies(|topic, partition| !undecided.contains(topic, partition));
        let needed = undecided.iter().map(|(topic, partition, at)| {
            let decided = offsets.get(topic, partition).map_or(at, |committed| committed.at);
            at.min(decided)
        });
        needed.min()
    }

    fn put_all(&mut self, counting: Vec<((Arc<str>, i32), Committed)>) {
        for ((topic, partition), committed) in counting {
            self.offsets.put(&topic, partition, committed);
        }
    }

    /// Whether a commit of this partition is on its way, or waits for the end of a transaction.
    fn is_unstable(&self, topic: &Arc<str>, partition: i32) -> bool {
        self.offsets.is_unstable(topic, partition) || self.undecided.contains(topic, partition)
    }

    /// A member that says its epoch learns that it is not the group's, or behind.
    pub fn fetch_offsets(&self, fetch: &FetchOffsets) -> Result<Vec<FetchedOffset>, GroupError> {
        if let (Some(consumer), Some(member)) = (&self.consumer, fetch.member.as_deref())
            && fetch.epoch >= 0
        {
            let identity =
                Identity { member: member.to_owned(), generation: fetch.epoch, ..Identity::default() };
            consumer.check_commit(&identity, true)?;
        }
        let one = |topic: &Arc<str>, partition: i32| {
            let unstable = fetch.require_stable && self.is_unstable(topic, partition);
            let committed = self.offsets.get(topic, partition).filter(|_| !unstable);
            let error = unstable.then_some(GroupError::UnstableOffsetCommit);
            fetched(topic, partition, committed.map(|committed| &committed.value), error)
        };
        Ok(match &fetch.wanted {
            Some(wanted) => wanted.iter().map(|(topic, partition)| one(topic, *partition)).collect(),
            None => self.offsets.iter().map(|(topic, partition, _)| one(topic, partition)).collect(),
        })
    }

    /// Answered when it is committed that the offsets are gone.
    pub fn delete_offsets(&mut self, request: RequestId, delete: DeleteOffsets, turn: &mut Turn<'_>) {
        let refused = match self.state {
            State::Dead => Some(GroupError::GroupIdNotFound),
            State::Empty => None,
            _ if self.protocol_type.as_deref() == Some(CONSUMER) => None,
            _ => Some(GroupError::NonEmptyGroup),
        };
        if let Some(error) = refused {
            return turn.answer(request, Answer::OffsetsDeleted(Err(error)));
        }
        let judged = |(topic, _): &(Arc<str>, i32)| match self.is_subscribed(topic) {
            true => Err(GroupError::GroupSubscribedToTopic),
            false => Ok(()),
        };
        let results: Results = delete.partitions.iter().map(judged).collect();
        let allowed = delete.partitions.into_iter().zip(&results).filter(|(_, result)| result.is_ok());
        let gone: Vec<(Arc<str>, i32)> = allowed
            .map(|(partition, _)| partition)
            .filter(|(topic, partition)| self.offsets.get(topic, *partition).is_some())
            .collect();
        if gone.is_empty() {
            return turn.answer(request, Answer::OffsetsDeleted(Ok(results)));
        }
        self.forget(gone, false, Some(ForgetAnswer::Offsets(request, results)), turn);
    }

    /// Appends the tombstones of these offsets, and of the group itself where `whole`.
    pub fn forget(
        &mut self,
        offsets: Vec<(Arc<str>, i32)>,
        whole: bool,
        request: Option<ForgetAnswer>,
        turn: &mut Turn<'_>,
    ) {
        let tombstone =
            |(topic, partition): &(Arc<str>, i32)| (offset_key(&self.id, topic, *partition), None);
        let mut records: Vec<_> = offsets.iter().map(tombstone).collect();
        if whole {
            records.push((group_key(&self.id), None));
            records.extend(self.flight.keys().map(|key| (key.clone(), None)));
            self.set_state(State::Dead, turn.now);
        }
        let pending = Pending::Forget { group: Arc::clone(&self.id), offsets, whole, request };
        turn.append(pending, &records);
    }

    /// Offsets that nobody used for `offsets.retention.minutes`. While a consumer group has
    /// members, only those of topics that it does not name; while any other group has, none.
    pub fn expire_offsets(&mut self, turn: &mut Turn<'_>) {
        let is_consumer = self.protocol_type.as_deref() == Some(CONSUMER);
        let judged = match self.state {
            State::Empty => true,
            State::Stable => is_consumer,
            _ => false,
        };
        if !judged {
            return;
        }
        let now_ms = turn.now.wall_ms;
        let retention_ms = turn.config.offsets_retention_ms;
        let is_over = |topic: &Arc<str>, partition: i32, committed: &Committed| {
            let value = &committed.value;
            // A group that has been without members counts from then on.
            let since_ms = match self.state {
                State::Empty if self.protocol_type.is_some() => self.state_since_ms.max(value.commit_ms),
                _ => value.commit_ms,
            };
            let end_ms = value.expire_ms.unwrap_or(since_ms.saturating_add(retention_ms));
            now_ms >= end_ms && !self.is_unstable(topic, partition) && !self.is_subscribed(topic)
        };
        let over: Vec<(Arc<str>, i32)> = self
            .offsets
            .iter()
            .filter(|(topic, partition, committed)| is_over(topic, *partition, committed))
            .map(|(topic, partition, _)| (Arc::clone(topic), partition))
            .collect();
        let none_left = over.len() == self.offsets.iter().count();
        let whole =
            self.state == State::Empty && none_left && self.given.is_empty() && self.undecided.is_empty();
        if whole || !over.is_empty() {
            self.forget(over, whole, None, turn);
        }
    }

    /// The topic is deleted, and so are its offsets.
    pub fn forget_topic(&mut self, topic: &Arc<str>, turn: &mut Turn<'_>) {
        let gone: Vec<(Arc<str>, i32)> =
            self.offsets.of_topic(topic).map(|partition| (Arc::clone(topic), partition)).collect();
        if !gone.is_empty() && self.state != State::Dead {
            self.forget(gone, false, None, turn);
        }
    }
}

/// What is answered where nothing is committed is no error: offset −1.
pub fn fetched(
    topic: &Arc<str>,
    partition: i32,
    value: Option<&OffsetValue>,
    error: Option<GroupError>,
) -> FetchedOffset {
    FetchedOffset {
        topic: Arc::clone(topic),
        partition,
        offset: value.map_or(-1, |value| value.offset),
        leader_epoch: value.map_or(-1, |value| value.leader_epoch),
        metadata: value.map(|value| Arc::clone(&value.metadata)).unwrap_or_default(),
        error,
    }
}
