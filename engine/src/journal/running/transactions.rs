//! Transactions in a journal: when a batch may begin one, and how markers get into an entry.

use crate::batch::marker::MARKER_BYTES;
use crate::batch::{BatchHeader, Ending};
use crate::clock::Now;
use crate::disk::BLOCK;
use crate::entry::builder::{OpenEntry, Placed, SLOTS_MAX};
use crate::entry::layout::DESCRIPTOR_BYTES;
use crate::entry::{BatchDescriptor, MarkerFields};
use crate::ids::{LeaderEpoch, Offset, PartitionId, ProducerId};
use crate::journal::effects::Effects;
use crate::journal::ledger::marking::QueuedMarkers;
use crate::journal::ledger::waiters::{Waiter, Waiting};
use crate::journal::log::appender::IN_FLIGHT_MAX;
use crate::journal::running::Journal;
use crate::journal::running::produce::Room;
use crate::partition::producers::{MarkerVerdict, Producer, Verdict};
use crate::partition::tail::Head;
use crate::partition::transactions::OPEN_MAX;
use crate::port::{Acks, BatchWriter, Guard, MarkerAnswer, Markers, Output, Refusal};

/// Markers of one entry: a request for more partitions takes several.
const MARKERS_AT_ONCE: usize = 4096;
const _: () = assert!(MARKERS_AT_ONCE <= SLOTS_MAX);

impl Journal {
    /// What must be shown to be true before this batch can be appended: its producer's coordinator is asked, and the guard
    /// comes back with the batch. `None` when the batch begins no transaction here, or is refused anyway.
    pub fn guard_for(&self, id: PartitionId, records: &[u8], is_sequenced: bool) -> Option<Guard> {
        let header = BatchHeader::of(records).filter(|header| header.is_transactional())?;
        let producer = ProducerId(header.producer_id.get());
        if !self.is_leader() || producer == ProducerId::NONE || header.last_offset_delta.get() < 0 {
            return None;
        }
        let (fold, tail) = (&self.ledger.state.fold, &self.ledger.tail);
        let head = tail.head(fold, id)?;
        let batch = header.descriptor(id, head.next_offset, self.epoch_of(head), 0);
        let verdict =
            if is_sequenced { tail.judge(fold, &batch) } else { tail.judge_unsequenced(fold, &batch) };
        let epoch = header.producer_epoch.get();
        let known = tail.producer(fold, id, producer);
        // The marker of the transaction before is on its way: its coordinator lets the next one wait for it.
        let is_next = verdict == Verdict::OtherTransaction && known.is_some_and(|known| known.epoch < epoch);
        let is_new = matches!(verdict, Verdict::Append | Verdict::First) || is_next;
        let is_open = known.is_some_and(|known| known.is_open(epoch));
        (is_new && !is_open).then(|| self.guard(known, producer, epoch))
    }

    fn guard(&self, known: Option<&Producer>, producer: ProducerId, epoch: i16) -> Guard {
        let term = self.quorum.replica.term();
        Guard { producer, epoch, term, markers: known.map_or(0, |known| known.markers) }
    }

    fn epoch_of(&self, head: Head) -> LeaderEpoch {
        LeaderEpoch(head.epoch_base + self.quorum.replica.term().0 as i32)
    }

    /// Whether a batch that was judged may be part of a transaction here: that one is open, or its coordinator said so and
    /// no marker came since.
    pub(super) fn check_transaction(
        &self,
        batch: &BatchDescriptor,
        writer: BatchWriter,
    ) -> Result<(), Refusal> {
        if !batch.is_transactional() {
            return Ok(());
        }
        let (fold, tail) = (&self.ledger.state.fold, &self.ledger.tail);
        let (producer, epoch) = (batch.producer_id(), batch.producer_epoch.get());
        let known = tail.producer(fold, batch.partition(), producer);
        if known.is_some_and(|known| known.is_open(epoch)) {
            return Ok(());
        }
        if writer.guard() != Some(self.guard(known, producer, epoch)) {
            return Err(Refusal::InvalidTransaction);
        }
        if tail.open_transactions(fold) >= OPEN_MAX {
            return Err(Refusal::TooManyTransactions);
        }
        Ok(())
    }

    /// Ends a transaction in some of a request's partitions, each with its slot.
    pub fn mark(&mut self, markers: &Markers, partitions: &[(u32, PartitionId)], now: Now, fx: &mut Effects) {
        let refused = match self.check_phase() {
            Ok(()) => None,
            Err(Refusal::Storage) => Some(MarkerAnswer::Full),
            Err(_) => Some(MarkerAnswer::Moved),
        };
        for partitions in partitions.chunks(self.markers_at_once()) {
            let queued = QueuedMarkers::of(markers, partitions);
            match refused {
                Some(answer) => queued.answer(answer, &mut fx.out),
                None => self.ledger.queued_markers.push_back(queued),
            }
        }
        self.append_markers(now, fx);
    }

    /// What fits an entry and a segment in any case.
    fn markers_at_once(&self) -> usize {
        let fit =
            self.log.limits.entry_bytes_max().saturating_sub(2 * BLOCK) / (MARKER_BYTES + DESCRIPTOR_BYTES);
        MARKERS_AT_ONCE.min(fit).min(self.log.limits.batches as usize).max(1)
    }

    /// Appends the markers that wait, as far as there is room.
    pub(super) fn append_markers(&mut self, now: Now, fx: &mut Effects) {
        while let Some(queued) = self.ledger.queued_markers.front() {
            let count = queued.partitions.len();
            let does_not_fit = |open: &OpenEntry| !open.fits_all(count, MARKER_BYTES);
            if self.ledger.open.as_ref().is_some_and(does_not_fit)
                && self.log.appender.in_flight() < IN_FLIGHT_MAX
            {
                self.seal_open(now, fx);
            }
            // To seal is to propose, which may end the leadership, and with it what waits.
            if self.ledger.queued_markers.is_empty() {
                return;
            }
            match self.room_for_all(count, MARKER_BYTES) {
                Room::Wait => return,
                Room::Full => {
                    let queued = self.ledger.queued_markers.pop_front().expect("there is a front");
                    queued.answer(MarkerAnswer::Full, &mut fx.out);
                }
                Room::Yes => {
                    let queued = self.ledger.queued_markers.pop_front().expect("there is a front");
                    self.write_markers(&queued, now, fx);
                }
            }
        }
    }

    fn write_markers(&mut self, queued: &QueuedMarkers, now: Now, fx: &mut Effects) {
        let wall_ms = self.leader_wall_ms(now);
        let batch = queued.batch(wall_ms);
        let index = self.log.cursor.next;
        for (slot, id) in &queued.partitions {
            let (fold, tail) = (&self.ledger.state.fold, &self.ledger.tail);
            let verdict = tail.judge_marker(fold, *id, queued.producer, queued.claim);
            let waits_for = match (tail.head(fold, *id), verdict) {
                (None, _) => Err(MarkerAnswer::Moved),
                (_, MarkerVerdict::OldEpoch) => Err(MarkerAnswer::OldEpoch),
                (_, MarkerVerdict::OldCoordinator) => Err(MarkerAnswer::OldCoordinator),
                // What was written before may not be committed yet.
                (_, MarkerVerdict::Repeat) => tail.touched(*id).ok_or(MarkerAnswer::Done),
                (Some(head), MarkerVerdict::Append(first)) => {
                    let marked = self.marker_of(queued, &batch, *id, head, first);
                    self.append_marker(&batch, marked, queued.partitions.len(), wall_ms, now);
                    Ok(index)
                }
            };
            match waits_for {
                Ok(index) => {
                    let (request, slot, partition) = (queued.request, *slot, *id);
                    let (acks, waiting) = (Acks::All, Waiting::Marker);
                    self.ledger.waiters.add(index, Waiter { request, slot, partition, acks, waiting }, 0);
                }
                Err(answer) => {
                    fx.out.push(Output::Marked { request: queued.request, slot: *slot, answer });
                }
            }
        }
        self.context.pace.used(now);
    }

    fn marker_of(
        &self,
        queued: &QueuedMarkers,
        batch: &[u8],
        id: PartitionId,
        head: Head,
        first: Option<Offset>,
    ) -> BatchDescriptor {
        let header = BatchHeader::of(batch).expect("it was just made");
        let mut descriptor = header.descriptor(id, head.next_offset, self.epoch_of(head), 0);
        let (fold, tail) = (&self.ledger.state.fold, &self.ledger.tail);
        let stable = tail.stable_behind(fold, id, queued.producer, descriptor.next_offset());
        descriptor.set_marker(&MarkerFields {
            ending: queued.ending,
            coordinator_epoch: queued.claim.coordinator_epoch,
            first_offset: first.unwrap_or(head.next_offset),
            stable: Some(stable),
        });
        descriptor
    }

    /// Puts a marker into the open entry, which has room for `together` of them.
    fn append_marker(
        &mut self,
        batch: &[u8],
        descriptor: BatchDescriptor,
        together: usize,
        wall_ms: i64,
        now: Now,
    ) {
        let (index, pool) = (self.log.cursor.next, self.context.pool.clone());
        let mut open = self.ledger.open.take().unwrap_or_else(|| {
            self.ledger.opened_ns = now.mono_ns;
            let hint = self.ledger.hint.at_least(together);
            OpenEntry::new(&pool, hint, self.log.limits.entry_bytes_max(), batch.len())
        });
        let appended = open.append(&pool, batch, Placed::as_it_is(descriptor));
        assert_eq!(appended, Ok(()), "a marker of our own making");
        let stored = *open.descriptors().last().expect("just appended");
        self.ledger.open = Some(open);
        self.ledger.tail.append(&self.ledger.state.fold, &stored, index, wall_ms);
        self.counts.markers
            [usize::from(descriptor.marker().is_some_and(|it| it.ending == Ending::Commit))] += 1;
    }
}
