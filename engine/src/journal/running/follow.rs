//! Messages between the replicas of a journal: judged, stepped, sent.

use crate::clock::Now;
use crate::disk::BLOCK;
use crate::entry::reader::{Expect, check_body, check_head};
use crate::entry::{EntryBytes, EntryKind};
use crate::ids::{Index, NodeId, RaftId, Term};
use crate::journal::effects::Effects;
use crate::journal::format::hard_state::SyncedBound;
use crate::journal::heal::proven_loss::ProvenLoss;
use crate::journal::log::cursor::{Cursor, Place};
use crate::journal::log::segment::Next;
use crate::journal::phase::Phase;
use crate::journal::running::Journal;
use crate::peer::{PeerMessage, RaftKind, RaftMessage};
use crate::port::{Event, Output};
use crate::raft::{Outgoing, Refused};

/// What is to be done with a message.
enum Admitted {
    Step,
    /// Not now: the sender tries again.
    Pass,
}

impl Journal {
    /// The members know of no other replica, as of what is committed here.
    pub fn is_alone(&self) -> bool {
        self.ledger.state.members.is_only(self.meta.raft_id)
    }

    /// With peers, and it neither votes nor acknowledges.
    pub fn is_quarantined(&self) -> bool {
        self.phase == Phase::Quarantined
    }

    /// A lone replica that lost entries serves what is not lost, and takes nothing new.
    pub fn serves_around_loss(&self) -> bool {
        self.phase == Phase::Refusing
    }

    /// Who leads, as far as this replica knows.
    pub fn leader(&self) -> (Term, Option<NodeId>) {
        if self.serves_around_loss() {
            return (self.quorum.replica.term(), self.node_of(self.meta.raft_id));
        }
        let leader = self.quorum.replica.leader().filter(|_| !self.phase.lacks_entries());
        (self.quorum.replica.term(), leader.and_then(|id| self.node_of(id)))
    }

    /// Takes a message of another replica.
    pub fn peer(&mut self, from: NodeId, message: RaftMessage, now: Now, fx: &mut Effects) {
        if !matches!(self.phase, Phase::Running | Phase::Stopping) {
            return;
        }
        if message.to != self.quorum.replica.id() {
            // For the replica that this node had on another disk, until the members have changed; or
            // for one that it got later: raft ids rise.
            self.quorum.refusals.is_superseded |= message.to > self.quorum.replica.id();
            return;
        }
        let message = self.quorum.replica.tempered(message);
        let is_newer = self.quorum.members.hear(from, message.from, self.quorum.replica.members());
        let admitted = if self.node_of(message.from) == Some(from) {
            self.admit(&message, is_newer, now, fx)
        } else {
            Err(Refused::Drop("the sender is another node's replica"))
        };
        match admitted {
            Ok(Admitted::Step) => {}
            Ok(Admitted::Pass) => return,
            Err(refused) => return self.refuse(from, &message, refused, now, fx),
        }
        if let RaftKind::Append { entry: Some(entry), .. } = &message.kind {
            self.log.staged.push_back(entry.clone());
        }
        self.note_space(&message, fx);
        self.quorum.replica.step(&message, is_newer).expect("it was checked");
        self.tell_start(&message, fx);
        self.pump(now, fx);
        // What raft did not take it had already, or refused.
        self.log.staged.clear();
    }

    fn refuse(&mut self, from: NodeId, message: &RaftMessage, refused: Refused, now: Now, fx: &mut Effects) {
        let journal = self.id;
        self.counts.refused_messages += 1;
        if let (Refused::Lost(why), Some(loss)) = (refused, self.loss_of(message)) {
            self.phase = Phase::Quarantined;
            self.step_down(fx);
            // Behind this write every start finds it, and opened anew the journal is repaired.
            self.heal.proven_loss = Some(loss);
            self.write_hard_state(fx);
            fx.out.push(Output::Event(Event::Quarantined { journal, why }));
        }
        let (Refused::Drop(why) | Refused::Lost(why)) = refused;
        if self.quorum.refusals.note(from, why, now) {
            fx.out.push(Output::Event(Event::MessageRefused { journal, from, why }));
        }
    }

    /// What a message proves lost, where it does.
    fn loss_of(&self, message: &RaftMessage) -> Option<ProvenLoss> {
        match &message.kind {
            RaftKind::Heartbeat { commit } => Some(ProvenLoss::End(*commit)),
            RaftKind::Append { entry: Some(entry), .. } => {
                let header = entry.header();
                let (segment_base, position) = (Index(header.segment_base.get()), header.position.get());
                let expect = Expect { identity: self.meta.identity(), segment_base, position };
                // An entry that does not prove itself proves nothing of others.
                check_head(&entry.pieces()[0], &expect).ok()?;
                let (index, term, checksum) = (header.index(), header.term(), header.checksum.get());
                Some(ProvenLoss::Entry(SyncedBound { index, term, checksum }))
            }
            _ => None,
        }
    }

    fn admit(
        &mut self,
        message: &RaftMessage,
        is_newer: bool,
        now: Now,
        fx: &mut Effects,
    ) -> Result<Admitted, Refused> {
        if let RaftKind::Append { entry: Some(entry), .. } = &message.kind
            && entry.header().kind().is_none_or(|kind| kind == EntryKind::Rewrite)
        {
            return Err(Refused::Drop("an entry of a kind that is not known"));
        }
        self.quorum.replica.check(message, is_newer)?;
        match &message.kind {
            RaftKind::TimeoutNow if self.phase == Phase::Stopping || !self.may_lead() => Ok(Admitted::Pass),
            RaftKind::Append { previous, previous_term, entry: Some(entry), .. } => {
                let follows = self.quorum.replica.term_at(*previous) == Some(*previous_term);
                let term = entry.header().term();
                let is_new = *previous >= self.quorum.replica.commit()
                    && self.quorum.replica.term_at(previous.next()) != Some(term)
                    && message.term >= self.quorum.replica.term();
                // Where the logs part before this entry raft says so, and takes nothing of it.
                if follows && is_new { self.admit_entry(entry, now, fx) } else { Ok(Admitted::Step) }
            }
            _ => Ok(Admitted::Step),
        }
    }

    /// Judges the bytes of an entry that raft will take.
    fn admit_entry(&mut self, entry: &EntryBytes, now: Now, fx: &mut Effects) -> Result<Admitted, Refused> {
        let header = entry.header();
        let (segment_base, position) = (Index(header.segment_base.get()), header.position.get());
        let expect = Expect { identity: self.meta.identity(), segment_base, position };
        let first = &entry.pieces()[0][..];
        check_head(first, &expect).map_err(|_| Refused::Drop("an entry whose head is not good"))?;
        let before = self.cursor_before(header.index());
        let before = before.ok_or(Refused::Drop("an entry behind one that is not known"))?;
        if header.entry_bytes() as u64 > self.log.limits.bytes {
            return Err(Refused::Drop("an entry longer than a segment"));
        }
        let batches = if header.kind() == Some(EntryKind::Batches) { header.count.get() } else { 0 };
        let place = before.place(self.log.limits, entry.len(), batches);
        if place != (Place { segment_base, position }) || before.previous_term > header.term() {
            return Err(Refused::Drop("an entry that belongs elsewhere in the log"));
        }
        if before.previous_checksum != header.previous_checksum.get() {
            return Err(Refused::Drop("an entry that does not continue the chain"));
        }
        check_body(entry).map_err(|_| Refused::Drop("an entry whose body is not good"))?;
        let rolls = segment_base != before.segment_base;
        if self.upkeep.active_short || (rolls && !matches!(self.log.segments.next, Next::Ready { .. })) {
            self.prepare_next(now, fx);
            self.upkeep.turned_away = self.upkeep.reported_full;
            return Ok(Admitted::Pass);
        }
        Ok(Admitted::Step)
    }

    /// The cursor as it was before entry `index`, which is uncommitted or the next one.
    fn cursor_before(&self, index: Index) -> Option<Cursor> {
        if index == self.log.cursor.next {
            return Some(self.log.cursor);
        }
        let (header, _) = self.ledger.head(index)?.known()?;
        let mut all = self.log.segments.indexes();
        // The segment that holds the entry before; where there is none, the first one.
        let (_, base, entries) = all.clone().rfind(|(_, base, _)| *base < index).or_else(|| all.next())?;
        let mut position = 0;
        let mut batches = 0;
        for number in base.0..index.0 {
            let (bytes, of_entry) = entries.extent(Index(number))?;
            position += u64::from(bytes);
            batches += of_entry;
        }
        Some(Cursor {
            next: index,
            segment_base: base,
            position,
            batches,
            previous_checksum: header.previous_checksum.get(),
            previous_term: self.quorum.replica.term_at(Index(index.0 - 1))?,
        })
    }

    /// A term start must find its place, whenever this replica is elected; and all that its log says
    /// must be understood.
    pub(super) fn may_lead(&self) -> bool {
        self.has_place_for_control(BLOCK) && self.ledger.is_understood()
    }

    /// A leader's word that all voters hold all up to `index`: nobody needs it from here.
    pub fn told_held_by_all(&mut self, index: Index) {
        self.quorum.note_held_by_all(index);
    }

    /// A link to another node came up or broke: what was on its way is lost.
    pub fn link_changed(&mut self, node: NodeId, now: Now, fx: &mut Effects) {
        self.hurry_repair();
        self.forget_answers_of(node);
        if !self.quorum.replica.is_leader() {
            return;
        }
        let followers = self.quorum.replica.followers().map(|follower| follower.id);
        let there: Vec<RaftId> = followers.filter(|id| self.node_of(*id) == Some(node)).collect();
        there.into_iter().for_each(|id| self.quorum.replica.report_unreachable(id));
        self.pump(now, fx);
    }

    /// Sends a message, with the entry that it speaks of.
    pub(super) fn send(&mut self, outgoing: Outgoing, fx: &mut Effects) {
        let Outgoing { mut message, entry: wanted } = outgoing;
        if let RaftKind::Append { entry, .. } = &mut message.kind
            && let Some((index, term)) = wanted
        {
            if !self.has_room(message.to) {
                return self.quorum.unsent.push(message.to);
            }
            let bytes = self.context.entries.get(index).or_else(|| self.quorum.supply.get(index).cloned());
            *entry = bytes.filter(|bytes| bytes.header().term() == term);
            if entry.is_none() {
                // It left the memory between raft's decision and now: raft probes again.
                return self.quorum.unsent.push(message.to);
            }
        }
        if let RaftKind::HeartbeatResponse { space, .. } = &mut message.kind {
            *space = self.space();
        }
        if let Some(to) = self.node_of(message.to) {
            let (journal, lane) = (self.id, self.meta.lane);
            fx.out.push(Output::Peer { to, lane, message: PeerMessage::Raft { journal, message } });
        }
    }
}
