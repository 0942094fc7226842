//! Fetches and questions, answered from the fold, the indexes in memory and the cache; what needs
//! the disk is handed on.

use crate::clock::Now;
use crate::entry::item::Item as ControlItem;
use crate::ids::{LeaderEpoch, Offset, PartitionId};
use crate::journal::effects::{Done, Effects};
use crate::journal::ledger::shown::{NotShown, Shown};
use crate::journal::ledger::waiters::{Waiter, Waiting};
use crate::journal::phase::Phase;
use crate::journal::read::aborted::{AbortedSearch, MarkerAt};
use crate::journal::read::by_time;
use crate::journal::read::cold::{Places, gather};
use crate::journal::read::index::{Item, Spread};
use crate::journal::read::sealed_index::IndexError;
use crate::journal::read::want::{Gathered, Located, ReadFault, Want};
use crate::journal::running::Journal;
use crate::partition::Partition;
use crate::port::{
    AbortedTransaction, Acks, Answer, FetchPartition, FetchedPartition, Isolation, PartitionStatus,
    ProducerStatus, Query, QueryKind, Refusal,
};
use std::rc::Rc;

/// Index items in memory that one cold read works through.
const MEMORY_ITEMS_MAX: usize = 256;

/// One partition's part of a fetch, as far as memory gives it.
pub enum Part {
    Done(FetchedPartition),
    /// Bounds are set; the records come from the disk.
    Cold(FetchedPartition, Want),
}

/// A question's answer, or that it comes later.
pub enum Asked {
    Now(Result<Answer, Refusal>),
    Later,
}

/// An answer without records.
pub fn refused(refusal: Refusal) -> FetchedPartition {
    FetchedPartition {
        error: Some(refusal),
        high_watermark: Offset(-1),
        last_stable: Offset(-1),
        log_start: Offset(-1),
        diverging: None,
        aborted: Vec::new(),
        records: Default::default(),
        bytes: 0,
    }
}

impl Journal {
    fn epoch(&self, partition: &Partition) -> LeaderEpoch {
        LeaderEpoch(partition.epoch_base + self.quorum.replica.term().0 as i32)
    }

    fn check_epoch(&self, partition: &Partition, client: i32) -> Result<(), Refusal> {
        let current = self.epoch(partition).0;
        match client {
            -1 => Ok(()),
            older if older < current => Err(Refusal::FencedEpoch),
            newer if newer > current => Err(Refusal::UnknownEpoch),
            _ => Ok(()),
        }
    }

    /// What a reader who knows of `client_epoch` may see of a partition.
    fn shown(&self, id: PartitionId, client_epoch: i32) -> Result<Shown<'_>, Refusal> {
        let shown = self.ledger.shown(id)?;
        self.check_epoch(shown.partition, client_epoch)?;
        Ok(shown)
    }

    /// One partition of a fetch.
    pub fn fetch(
        &mut self,
        fetch: &FetchPartition,
        isolation: Isolation,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Part {
        let shown = match self.shown(fetch.partition, fetch.leader_epoch) {
            Ok(shown) => shown,
            Err(refusal) => return Part::Done(refused(refusal)),
        };
        let mut part = FetchedPartition {
            error: None,
            high_watermark: shown.watermark,
            last_stable: shown.stable,
            log_start: shown.log_start,
            diverging: None,
            aborted: Vec::new(),
            records: Default::default(),
            bytes: 0,
        };
        if fetch.last_fetched_epoch >= 0 {
            part.diverging = diverging(shown.partition, fetch);
            if part.diverging.is_some() {
                return Part::Done(part);
            }
        }
        if fetch.offset < shown.log_start || fetch.offset > shown.log_end {
            part.error = Some(Refusal::OffsetOutOfRange);
            return Part::Done(part);
        }
        let is_committed = isolation == Isolation::ReadCommitted;
        let end = if is_committed { shown.stable } else { shown.watermark };
        if fetch.offset >= end {
            return Part::Done(part);
        }
        let transactions = &shown.partition.transactions;
        let with_aborted = is_committed && transactions.may_concern(fetch.offset, end);
        if bytes_max == 0 && !at_least_one {
            // Others took all that the answer may hold: nothing is read in vain.
            return Part::Done(part);
        }
        let want = Want {
            partition: fetch.partition,
            offset: fetch.offset,
            commit: shown.committed,
            end,
            with_aborted,
            bytes_max,
            at_least_one,
            skipped_below: shown.partition.skipped_below,
            together: 1,
        };
        match self.gather_hot(&want) {
            Some(mut gathered) => {
                if let Some(to) = gathered.next_offset.filter(|_| want.with_aborted) {
                    gathered.aborted = self.aborted_in_memory(&want, to);
                }
                fill(&mut part, gathered);
                Part::Done(part)
            }
            None => Part::Cold(part, want),
        }
    }

    /// Gathers from memory; `None` when the first batch is not there.
    fn gather_hot(&mut self, want: &Want) -> Option<Gathered> {
        let mut gathered = Gathered::default();
        for (_, _, index) in self.log.segments.indexes() {
            let from = gathered.next_offset.unwrap_or(want.offset);
            for item in index.items_from(want.partition, from) {
                let is_gap = gathered.next_offset.is_none() && item.first_offset > want.offset;
                if item.entry > want.commit || is_gap {
                    return (gathered.bytes > 0).then_some(gathered);
                }
                let Some(entry) = self.context.entries.get(item.entry) else {
                    return (gathered.bytes > 0).then_some(gathered);
                };
                if !gather(&mut gathered, &entry, want) {
                    return (gathered.bytes > 0 || gathered.fault.is_none()).then_some(gathered);
                }
            }
        }
        (gathered.bytes > 0).then_some(gathered)
    }

    /// Of what is in memory, all that is behind it is there, too.
    fn aborted_in_memory(&self, want: &Want, to: Offset) -> Vec<AbortedTransaction> {
        let mut search = AbortedSearch::new(want.offset, to);
        for marker in self.markers_in_memory(want.partition, want.offset) {
            if !search.take(marker) {
                break;
            }
        }
        search.found()
    }

    fn markers_in_memory(&self, partition: PartitionId, offset: Offset) -> impl Iterator<Item = &MarkerAt> {
        let indexes = self.log.segments.indexes();
        indexes.flat_map(move |(_, _, index)| index.markers_from(partition, offset))
    }

    /// Those of them that matter to a reader of what is below `end`.
    fn markers_for(&self, want: &Want) -> Vec<MarkerAt> {
        let mut markers = Vec::new();
        for marker in self.markers_in_memory(want.partition, want.offset) {
            let decides_all = marker.stable.is_some_and(|stable| stable >= want.end);
            if marker.aborts || decides_all {
                markers.push(*marker);
            }
            if decides_all {
                break;
            }
        }
        markers
    }

    /// Where the batches of a cold read are.
    pub fn places_for(&self, want: &Want) -> Places {
        let markers = if want.with_aborted { self.markers_for(want) } else { Vec::new() };
        Places { markers, ..self.places(want.partition, want.offset) }
    }

    /// Where a partition's entries are, from `offset` on.
    pub fn places(&self, partition: PartitionId, offset: Offset) -> Places {
        Places {
            identity: self.meta.identity(),
            finder: self.catalog.finder(),
            memory: self.items(partition, offset).take(MEMORY_ITEMS_MAX).collect(),
            markers: Vec::new(),
            memory_spread: self.spread(partition),
            not_durable: Vec::new(),
            reader: Rc::clone(&self.log.readers),
        }
    }

    /// How a partition lies in the newest entries.
    fn spread(&self, partition: PartitionId) -> Spread {
        let mut indexes = self.log.segments.indexes().rev();
        indexes.find_map(|(_, _, index)| index.spread(partition)).unwrap_or_default()
    }

    pub fn context(&self) -> crate::journal::context::Context {
        self.context.clone()
    }

    /// The bounds of now: others were answered while the disk was read.
    pub fn refresh_bounds(&self, id: PartitionId, part: &mut FetchedPartition) {
        if let Some(shown) = self.ledger.committed(id)
            && part.error.is_none()
        {
            part.last_stable = shown.stable;
            part.high_watermark = shown.watermark;
            part.log_start = shown.log_start;
        }
    }

    /// Takes the result of a cold read into the answer.
    pub fn take_read(
        &mut self,
        id: PartitionId,
        part: &mut FetchedPartition,
        gathered: Gathered,
        fx: &mut Effects,
    ) {
        if let Some(fault) = &gathered.fault {
            self.note_fault(fault, fx);
        }
        // The log start passed the reader by, and what it wanted next was deleted.
        let log_start = self.ledger.state.fold.partition(id).map(|partition| partition.log_start);
        let is_deleted = matches!(gathered.fault, Some(ReadFault::Lost(next)) if log_start > Some(next));
        fill(part, gathered);
        if part.error.is_some() && is_deleted {
            part.error = Some(Refusal::OffsetOutOfRange);
        }
    }

    /// A read met something bad: it is told, or made again where it can be.
    pub(super) fn note_fault(&mut self, fault: &ReadFault, fx: &mut Effects) {
        match fault {
            ReadFault::Run { run, fault } | ReadFault::Index(IndexError::Run { run, fault }) => {
                return self.note_bad_run(*run, fault.to_string());
            }
            _ => {}
        }
        match self.damage_of(fault) {
            Some(damage) => self.note_damage(damage, fx),
            None => self.rebuild_bad_index(fx),
        }
    }

    /// Answers a question, or begins to.
    pub fn query(&mut self, query: &Query, compacted: bool, now: Now, fx: &mut Effects) -> Asked {
        match self.ask(query, compacted, now, fx) {
            Ok(Some(answer)) => Asked::Now(Ok(answer)),
            Ok(None) => Asked::Later,
            Err(refusal) => Asked::Now(Err(refusal)),
        }
    }

    fn ask(
        &mut self,
        query: &Query,
        compacted: bool,
        now: Now,
        fx: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        let is_latest = matches!(query.kind, QueryKind::Latest | QueryKind::Stable);
        if is_latest && self.ledger.shown(query.partition).is_err_and(|why| why == NotShown::NotSettled) {
            return Err(Refusal::OffsetNotAvailable);
        }
        let Shown { partition, log_start, watermark, stable, log_end, .. } =
            self.shown(query.partition, query.leader_epoch)?;
        let epoch = self.epoch(partition);
        Ok(Some(match query.kind {
            QueryKind::Earliest => {
                let leader_epoch = partition.epoch_at(log_start).unwrap_or(epoch);
                Answer::Offset { offset: log_start, timestamp_ms: -1, leader_epoch }
            }
            QueryKind::Stable => Answer::Offset { offset: stable, timestamp_ms: -1, leader_epoch: epoch },
            QueryKind::Latest => Answer::Offset { offset: watermark, timestamp_ms: -1, leader_epoch: epoch },
            QueryKind::EpochEnd(asked) => epoch_end(partition, epoch, LeaderEpoch(asked)),
            QueryKind::Describe => Answer::Described(PartitionStatus {
                journal: self.id,
                leader_epoch: epoch,
                log_start,
                high_watermark: watermark,
                log_end,
                bytes: partition.kept_bytes,
                rewriting: None,
            }),
            QueryKind::Producers => Answer::Producers(producers(partition)),
            QueryKind::DeleteBefore(offset) => return self.delete_before(query, offset, compacted, now, fx),
            QueryKind::AtTime(timestamp) => {
                self.find_time(query, Some(timestamp), log_start, fx);
                return Ok(None);
            }
            QueryKind::MaxTimestamp => {
                self.find_time(query, None, log_start, fx);
                return Ok(None);
            }
        }))
    }

    /// DeleteRecords: answered once the entry that moves the log start is committed.
    fn delete_before(
        &mut self,
        query: &Query,
        offset: i64,
        compacted: bool,
        now: Now,
        fx: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        let partition = self.ledger.state.fold.partition(query.partition).ok_or(Refusal::NotReady)?;
        if compacted {
            return Err(Refusal::PolicyViolation);
        }
        if self.phase != Phase::Running {
            return Err(Refusal::Storage);
        }
        let target = if offset == -1 { partition.next_offset } else { Offset(offset) };
        if target < Offset(0) || target > partition.next_offset {
            return Err(Refusal::OffsetOutOfRange);
        }
        if target <= partition.log_start {
            return Ok(Some(Answer::LogStart(partition.log_start)));
        }
        let before = (partition.next_offset.0 - partition.log_start.0) as u128;
        let after = (partition.next_offset.0 - target.0) as u128;
        let kept_bytes = (u128::from(partition.kept_bytes) * after / before) as u64;
        let waiter = Waiter {
            request: query.request,
            slot: query.slot,
            partition: query.partition,
            acks: Acks::All,
            waiting: Waiting::LogStart,
        };
        let item = ControlItem::LogStartMoved { partition: query.partition, log_start: target, kept_bytes };
        self.queue_items(vec![item], vec![waiter]);
        self.propose_queued(now, fx);
        Ok(None)
    }

    fn find_time(&self, query: &Query, timestamp: Option<i64>, log_start: Offset, fx: &mut Effects) {
        let mut places = self.places(query.partition, log_start);
        // Times are not in order: every item counts, not only the first ones.
        places.memory = self.items(query.partition, Offset(0)).collect();
        let durable = self.log.appender.durable().index;
        let newest = places.memory.iter().map(|located| located.item.entry).filter(|entry| *entry > durable);
        places.not_durable = newest.filter_map(|entry| self.context.entries.get(entry)).collect();
        let (context, journal) = (self.context.clone(), self.id);
        let (request, slot, partition) = (query.request, query.slot, query.partition);
        fx.start(async move {
            let timestamp = match timestamp {
                Some(timestamp) => Ok(Some(timestamp)),
                None => by_time::max_timestamp(&context, &places, partition, log_start).await,
            };
            let result = match timestamp {
                Ok(Some(time)) => by_time::find_by_time(&context, &places, partition, time, log_start).await,
                Ok(None) => Ok(None),
                Err(fault) => Err(fault),
            };
            Done::FoundTime { journal, request, slot, result }
        });
    }

    /// A partition's committed entries whose index is in memory, from `offset` on.
    fn items(&self, partition: PartitionId, offset: Offset) -> impl Iterator<Item = Located> {
        let items = self.log.segments.indexes().flat_map(move |(file, base, index)| {
            let items = index.items_from(partition, offset);
            items.map(move |item: Item| Located { file, base, item })
        });
        items.filter(|located| located.item.entry <= self.ledger.state.fold.applied)
    }

    /// The answer to a question about time.
    pub fn found_time(
        &mut self,
        result: Result<Option<by_time::Found>, ReadFault>,
        fx: &mut Effects,
    ) -> Result<Answer, Refusal> {
        match result {
            Ok(Some(found)) => Ok(Answer::Offset {
                offset: found.offset,
                timestamp_ms: found.timestamp_ms,
                leader_epoch: found.leader_epoch,
            }),
            Ok(None) => {
                Ok(Answer::Offset { offset: Offset(-1), timestamp_ms: -1, leader_epoch: LeaderEpoch(-1) })
            }
            Err(fault) => {
                self.note_fault(&fault, fx);
                Err(Refusal::Storage)
            }
        }
    }
}

/// Puts what was gathered into the answer. Damage is told only where nothing precedes it.
fn fill(part: &mut FetchedPartition, gathered: Gathered) {
    if gathered.bytes == 0 && gathered.fault.is_some() {
        part.error = Some(Refusal::Storage);
    }
    part.aborted = gathered.aborted;
    part.records = gathered.slices;
    part.bytes = gathered.bytes;
}

fn diverging(partition: &Partition, fetch: &FetchPartition) -> Option<(LeaderEpoch, Offset)> {
    let last_fetched = LeaderEpoch(fetch.last_fetched_epoch);
    // Without history at or below that epoch there is nothing to compare.
    let (epoch, end) = partition.epoch_end(last_fetched)?;
    (epoch < last_fetched || end < fetch.offset).then_some((epoch, end))
}

fn epoch_end(partition: &Partition, current: LeaderEpoch, asked: LeaderEpoch) -> Answer {
    if asked == current {
        return Answer::EpochEnd { leader_epoch: current, end_offset: partition.next_offset };
    }
    let known = partition.epoch_end(asked).filter(|_| asked < current);
    let (leader_epoch, end_offset) = known.unwrap_or((LeaderEpoch(-1), Offset(-1)));
    Answer::EpochEnd { leader_epoch, end_offset }
}

fn producers(partition: &Partition) -> Vec<ProducerStatus> {
    let mut producers: Vec<_> = partition
        .producers
        .iter()
        .map(|(producer, state)| ProducerStatus {
            producer: *producer,
            epoch: state.epoch,
            last_sequence: state.last_sequence(),
            last_timestamp_ms: state.recent.last().map_or(-1, |newest| newest.max_timestamp_ms),
            coordinator_epoch: state.coordinator_epoch,
            open_since: state.open_since,
        })
        .collect();
    producers.sort_unstable_by_key(|status| status.producer);
    producers
}
