//! How a batch gets into the open entry, and when it may not.

use crate::batch::validate::{EnvelopeLimits, check_envelope};
use crate::batch::{BatchHeader, Codec, RecordWalk, check_records};
use crate::clock::Now;
use crate::control::life::TopicSettings;
use crate::disk::BLOCK;
use crate::entry::builder::{ITEMS_BYTES_MAX, OpenEntry, Placed, Times};
use crate::entry::item::Item;
use crate::entry::{BatchDescriptor, EntryKind};
use crate::ids::{Index, LeaderEpoch, Offset};
use crate::journal::effects::Effects;
use crate::journal::ledger::asker::Asker;
use crate::journal::ledger::waiters::{Waiter, Waiting};
use crate::journal::log::appender::IN_FLIGHT_MAX;
use crate::journal::log::segment::Next;
use crate::journal::phase::Phase;
use crate::journal::running::Journal;
use crate::partition::producers::Verdict;
use crate::port::{Acks, BatchWriter, Output, Produce, Produced, Refusal};

/// What a leader takes before a quorum has it: 16 of the longest entries of many batches. A quorum
/// that is slow stops the producers, and never fills the memory.
const UNCOMMITTED_BYTES_MAX: usize = 32 << 20;

/// Whether a journal takes a batch now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Yes,
    /// Soon: the disk is busy, or the next segment is being prepared.
    Wait,
    /// Not until space is freed.
    Full,
}

impl Journal {
    /// Whether a batch of `bytes` can be taken now.
    pub fn room_for(&self, bytes: usize) -> Room {
        self.room_for_all(1, bytes)
    }

    /// Whether so many batches of so many bytes each can be taken now, into one entry.
    pub(super) fn room_for_all(&self, count: usize, bytes_each: usize) -> Room {
        let (bytes, added) = (count * bytes_each, count as u32);
        if !self.is_leader() {
            return Room::Yes;
        }
        if let Some(open) = &self.ledger.open
            && open.fits_all(count, bytes_each)
        {
            let grown = open.bytes() + bytes.next_multiple_of(BLOCK);
            return self.place_for_batches(grown, open.descriptors().len() as u32 + added);
        }
        if self.ledger.open.is_some() && self.log.appender.in_flight() >= IN_FLIGHT_MAX {
            return Room::Wait;
        }
        let is_late = self.uncommitted_bytes() > UNCOMMITTED_BYTES_MAX || self.is_held_back();
        if is_late || self.quorum.replica.is_transferring() {
            return Room::Wait;
        }
        let before = self.ledger.open.as_ref().map_or(0, OpenEntry::bytes);
        let batches = self.ledger.open.as_ref().map_or(0, |open| open.descriptors().len() as u32);
        // Head and padding of a new entry, generously.
        let entry_bytes = bytes.next_multiple_of(BLOCK) + self.ledger.hint.at_least(count).head_bytes_max();
        match self.place_for_batches(before + entry_bytes, batches + added) {
            // The open entry would roll and this one would have to roll again.
            Room::Yes if before > 0 && self.log.cursor.rolls(self.log.limits, before, batches) => Room::Wait,
            room => room,
        }
    }

    /// Bytes of entries that are durable here at most, and not committed.
    fn uncommitted_bytes(&self) -> usize {
        if self.is_alone() {
            return 0;
        }
        self.ledger.heads.bytes()
    }

    /// Whether entries of `bytes` together find a place that stays theirs: in this segment short
    /// of its reserve, or in the next one.
    fn place_for_batches(&self, bytes: usize, batches: u32) -> Room {
        let end = self.log.cursor.position + bytes as u64;
        let fits = end + self.log.limits.reserve_bytes() <= self.log.limits.bytes
            && self.log.cursor.batches + batches <= self.log.limits.batches
            && !self.upkeep.active_short;
        match &self.log.segments.next {
            _ if fits => Room::Yes,
            Next::Ready { .. } if !self.upkeep.active_short => Room::Yes,
            Next::Full { .. } => Room::Full,
            _ if self.upkeep.active_short => Room::Full,
            _ => {
                self.upkeep.wants_next.set(true);
                Room::Wait
            }
        }
    }

    /// Whether an entry of `bytes` without batches finds a place now, the reserve included.
    pub(super) fn has_place_for_control(&self, bytes: usize) -> bool {
        if self.upkeep.active_short {
            return false;
        }
        !self.log.cursor.rolls(self.log.limits, bytes, 0)
            || matches!(self.log.segments.next, Next::Ready { .. })
    }

    /// Appends a batch, or says why not. The answer comes when it is as durable as its acks ask.
    pub fn produce(&mut self, produce: &Produce<'_>, settings: &TopicSettings, now: Now, fx: &mut Effects) {
        match self.try_produce(produce, settings, now, fx) {
            Ok(None) => {}
            Ok(Some(produced)) => {
                let (request, slot) = (produce.request, produce.slot);
                fx.out.push(Output::Produced { request, slot, result: Ok(produced) });
            }
            Err(refusal) => {
                // The same batch may be taken when it comes again; those behind it only then.
                if may_come_again(refusal) {
                    self.ledger.refused.note(produce.partition, produce.records);
                }
                let (request, slot) = (produce.request, produce.slot);
                fx.out.push(Output::Produced { request, slot, result: Err(refusal) });
            }
        }
    }

    fn try_produce(
        &mut self,
        produce: &Produce<'_>,
        settings: &TopicSettings,
        now: Now,
        fx: &mut Effects,
    ) -> Result<Option<Produced>, Refusal> {
        self.check_phase()?;
        let bytes_max = settings.max_message_bytes.min(self.log.limits.batch_bytes_max() as u32);
        let transactional = produce.writer != BatchWriter::Client;
        let of_topic = settings.envelope_limits(now.wall_ms);
        let limits = EnvelopeLimits { batch_bytes_max: bytes_max, transactional, ..of_topic };
        let header = check_envelope(produce.records, &limits).map_err(Refusal::Batch)?;
        let copies = self.copies_wanted(settings);
        if produce.acks == Acks::All && self.quorum.in_sync_count(now) < copies {
            return Err(Refusal::NotEnoughReplicas);
        }
        let copies = if usize::from(copies) > self.membership().quorum() { copies } else { 0 };
        let head =
            self.ledger.tail.head(&self.ledger.state.fold, produce.partition).ok_or(Refusal::NotReady)?;
        let epoch = LeaderEpoch(head.epoch_base + self.quorum.replica.term().0 as i32);
        let descriptor = header.descriptor(produce.partition, head.next_offset, epoch, 0);
        match self.judge_batch(&descriptor, produce.writer) {
            Verdict::First if self.ledger.refused.blocks(&descriptor) => {
                return Err(Refusal::OutOfOrderSequence);
            }
            Verdict::Append | Verdict::First => {}
            Verdict::OldEpoch => return Err(Refusal::InvalidProducerEpoch),
            Verdict::OutOfOrder => return Err(Refusal::OutOfOrderSequence),
            Verdict::OtherTransaction => return Err(Refusal::InvalidTransaction),
            Verdict::Duplicate(original) => {
                self.ledger.refused.appended(&descriptor);
                self.counts.duplicates += 1;
                let time_ms = if settings.log_append_time { original.max_timestamp_ms } else { -1 };
                self.wait(original.index, produce, (original.base_offset, time_ms), copies);
                self.answer_waiters(fx);
                return Ok(None);
            }
        }
        self.check_transaction(&descriptor, produce.writer)?;
        match self.room_for(produce.records.len()) {
            Room::Yes => {}
            Room::Full => return Err(Refusal::Storage),
            // Whoever asks `room_for` first waits for it instead.
            Room::Wait => return Err(Refusal::NotReady),
        }
        let placed = Placed {
            descriptor,
            append_ms: self.leader_wall_ms(now),
            log_append_time: settings.log_append_time,
            times: times_of(produce, header, settings, now),
        };
        self.append_batch(produce, placed, copies, now, fx)?;
        Ok(None)
    }

    fn judge_batch(&self, batch: &BatchDescriptor, writer: BatchWriter) -> Verdict {
        let (fold, tail) = (&self.ledger.state.fold, &self.ledger.tail);
        let verdict = match writer {
            BatchWriter::Coordinator { .. } => tail.judge_unsequenced(fold, batch),
            BatchWriter::Client | BatchWriter::Transactional { .. } => tail.judge(fold, batch),
        };
        let is_late = batch.is_transactional() && writer.begins_at_zero() && batch.base_sequence.get() != 0;
        if verdict == Verdict::First && is_late { Verdict::OutOfOrder } else { verdict }
    }

    /// Copies that acks=all waits for. The brokers' default is one for topics of all kinds, so that
    /// one with fewer replicas asks for those that it has, as in Kafka; what a topic says itself is
    /// what its producers were promised, and is never lowered.
    fn copies_wanted(&self, settings: &TopicSettings) -> u16 {
        let replicas = u16::try_from(self.membership().voters.len()).unwrap_or(u16::MAX);
        let wanted = settings.min_insync_replicas.max(1);
        if settings.min_insync_is_own { wanted } else { wanted.min(replicas.max(1)) }
    }

    /// Another replica is known to lead: it has what is asked for, however far this one is.
    pub(super) fn is_led_elsewhere(&self) -> bool {
        self.quorum.replica.leader().is_some_and(|leader| leader != self.meta.raft_id)
    }

    pub(super) fn check_phase(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Refusing | Phase::Quarantined => Err(Refusal::Storage),
            Phase::Starting if self.upkeep.active_short => Err(Refusal::Storage),
            Phase::Starting | Phase::Installing if self.is_led_elsewhere() => Err(Refusal::NotLeader),
            Phase::Starting | Phase::Installing => Err(Refusal::NotReady),
            Phase::Stopping => Err(Refusal::Stopping),
            Phase::Running if self.quorum.replica.is_leader() => Ok(()),
            Phase::Running => Err(Refusal::NotLeader),
        }
    }

    fn append_batch(
        &mut self,
        produce: &Produce<'_>,
        placed: Placed,
        copies: u16,
        now: Now,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let bytes = produce.records.len();
        if self.ledger.open.as_ref().is_some_and(|open| !open.fits(bytes)) {
            self.seal_open(now, fx);
        }
        let index = self.log.cursor.next;
        let pool = self.context.pool.clone();
        let mut open = match self.ledger.open.take() {
            Some(open) => open,
            None => {
                self.ledger.opened_ns = now.mono_ns;
                OpenEntry::new(&pool, self.ledger.hint, self.log.limits.entry_bytes_max(), bytes)
            }
        };
        let appended = open.append(&pool, produce.records, placed);
        if !open.is_empty() {
            self.ledger.open = Some(open);
        }
        appended.map_err(Refusal::Batch)?;
        let stored = self.ledger.open.as_ref().and_then(|open| open.descriptors().last()).copied();
        let stored = stored.expect("just appended");
        self.ledger.tail.append(&self.ledger.state.fold, &stored, index, placed.append_ms);
        self.ledger.refused.appended(&stored);
        self.context.pace.used(now);
        self.counts.batches += 1;
        self.counts.batch_bytes += bytes as u64;
        let time_ms = if placed.log_append_time { placed.append_ms } else { -1 };
        self.wait(index, produce, (stored.base_offset(), time_ms), copies);
        Ok(())
    }

    fn wait(
        &mut self,
        index: Index,
        produce: &Produce<'_>,
        (base_offset, log_append_time_ms): (Offset, i64),
        copies: u16,
    ) {
        let waiter = Waiter {
            request: produce.request,
            slot: produce.slot,
            partition: produce.partition,
            acks: produce.acks,
            waiting: Waiting::Produce { base_offset, log_append_time_ms },
        };
        self.ledger.waiters.add(index, waiter, copies);
    }

    pub(super) fn answer_waiters(&mut self, fx: &mut Effects) {
        let reached = self.reached();
        self.ledger.waiters.release(&reached, &self.ledger.state.fold, &mut fx.out);
    }

    /// Queues control items; they are proposed at the end of the turn, in entries of their own.
    pub fn queue_items(&mut self, items: Vec<Item>, waiters: Vec<Waiter>) {
        if !items.is_empty() {
            self.ledger.queued_items.push_back((items, waiters));
        }
    }

    /// Queues a command of the meta journal.
    pub fn queue_command(&mut self, asker: Asker, encoded: Vec<u8>) {
        self.ledger.queued_commands.push_back((asker, encoded));
    }

    /// Proposes what is queued, as far as there is a place for it.
    pub(super) fn propose_queued(&mut self, now: Now, fx: &mut Effects) {
        if !self.is_leader() || self.quorum.replica.is_transferring() {
            return;
        }
        if !self.ledger.queued_items.is_empty() || !self.ledger.queued_commands.is_empty() {
            self.seal_open_for_control(now, fx);
        }
        while self.ledger.open.is_none() && !self.ledger.queued_items.is_empty() {
            if !self.propose_item_batch(now, fx) {
                break;
            }
        }
        while self.ledger.open.is_none() && !self.ledger.queued_commands.is_empty() {
            if !self.propose_command_batch(now, fx) {
                break;
            }
        }
    }

    fn seal_open_for_control(&mut self, now: Now, fx: &mut Effects) {
        if self.ledger.open.is_some() {
            self.seal_open(now, fx);
        }
    }

    /// Queued items are split where they would not fit one entry; those who wait for them wait
    /// for the last part.
    fn propose_item_batch(&mut self, now: Now, fx: &mut Effects) -> bool {
        let (items, _) = self.ledger.queued_items.front().expect("there is one");
        let mut bytes = Vec::new();
        let mut count = 0;
        for item in items {
            let before = bytes.len();
            item.encode(&mut bytes);
            if bytes.len() > self.items_bytes_max() && count > 0 {
                bytes.truncate(before);
                break;
            }
            count += 1;
        }
        if !self.has_place_for_control(bytes.len() + BLOCK) {
            self.prepare_next(now, fx);
            return false;
        }
        let (mut items, waiters) = self.ledger.queued_items.pop_front().expect("there is one");
        let rest = items.split_off(count);
        let index = self.log.cursor.next;
        self.ledger.tail.apply_items(&self.ledger.state.fold, &items, index);
        self.propose_items(EntryKind::Control, count as u32, &bytes, now, fx);
        if rest.is_empty() {
            waiters.into_iter().for_each(|waiter| self.ledger.waiters.add(index, waiter, 0));
        } else {
            self.ledger.queued_items.push_front((rest, waiters));
        }
        true
    }

    fn propose_command_batch(&mut self, now: Now, fx: &mut Effects) -> bool {
        use crate::codec::Write;
        let mut bytes = Vec::new();
        let mut commands = Vec::new();
        for (waiter, encoded) in &self.ledger.queued_commands {
            if bytes.len() + encoded.len() + 4 > self.items_bytes_max() && !commands.is_empty() {
                break;
            }
            bytes.sized(encoded);
            commands.push(*waiter);
        }
        if !self.has_place_for_control(bytes.len() + BLOCK) {
            self.prepare_next(now, fx);
            return false;
        }
        self.ledger.queued_commands.drain(..commands.len());
        // Known before the entry can commit, which may be within the call.
        self.ledger.waiters.add_commands(self.log.cursor.next, commands.clone());
        self.propose_items(EntryKind::Meta, commands.len() as u32, &bytes, now, fx);
        true
    }

    fn items_bytes_max(&self) -> usize {
        ITEMS_BYTES_MAX.min(self.log.limits.entry_bytes_max() - BLOCK)
    }
}

/// The same batch may be taken when it comes again.
fn may_come_again(refusal: Refusal) -> bool {
    use Refusal::{NotEnoughReplicas, NotReady, Storage, TooManyTransactions};
    matches!(refusal, Storage | NotReady | NotEnoughReplicas | TooManyTransactions)
}

/// Where the times of a batch's records are known from.
fn times_of(produce: &Produce<'_>, header: &BatchHeader, settings: &TopicSettings, now: Now) -> Times {
    // What was found wrong counts in any case: it is why the batch comes with another codec than its topic wants.
    if settings.trusts_header && !matches!(produce.checked, Some(Err(_))) {
        return Times::Header;
    }
    let bounds = settings.record_bounds(now.wall_ms);
    match (Codec::of(header.codec_number()), produce.checked) {
        (_, Some(checked)) => Times::Checked(checked),
        (Some(Codec::None), None) => Times::Walk(RecordWalk::new(header, bounds)),
        (_, None) => Times::Checked(check_records(produce.records, bounds)),
    }
}
