//! Raft's work, carried out: entries get their bytes and go to the appender, messages to peers;
//! what is durable goes back to raft, what is committed into the fold and to those who wait.

use crate::clock::Now;
use crate::entry::builder::{Stamp, head_only};
use crate::entry::item::Item;
use crate::entry::{BatchDescriptor, EntryBytes, EntryKind};
use crate::journal::effects::{Effects, Raised};
use crate::journal::ledger::heads::Head;
use crate::journal::ledger::{Folded, NextToFold};
use crate::journal::phase::Phase;
use crate::journal::quorum::works::HeldWork;
use crate::journal::running::Journal;
use crate::planted::{Bug, is_planted};
use crate::port::{Damage, DamageKind, Event, Fatal, Output};
use crate::raft::{Change, EntryMeta, Work};

impl Journal {
    /// Carries out raft's work until there is none, and releases what is durable.
    pub(super) fn pump(&mut self, now: Now, fx: &mut Effects) {
        loop {
            while let Some(work) = self.quorum.replica.work() {
                self.carry_out(work, now, fx);
            }
            self.supply(now, fx);
            if !self.release(fx) && !self.quorum.report_unsent() && !self.quorum.replica.has_work() {
                break;
            }
        }
        self.note_followers(now);
        self.fold_committed(now, fx);
        self.answer_waiters(fx);
        self.go_on_after_cut(now, fx);
        if self.quorum.replica.has_work() {
            // Other members may make more committed, and want to be sent what there is.
            self.pump(now, fx);
        }
    }

    fn carry_out(&mut self, work: Work, now: Now, fx: &mut Effects) {
        self.follow_role(now, fx);
        if let Some(from) = work.cut_from {
            self.cut(from, fx);
        }
        let last = work.entries.last().map(|meta| meta.index);
        for meta in &work.entries {
            let entry = self.bytes_of(meta, now);
            self.append(entry, now, fx);
        }
        let vote = work.vote.map(|(term, vote)| self.log.votes.save(term, vote.unwrap_or_default()));
        if vote.is_some() {
            self.write_hard_state(fx);
        }
        work.send.into_iter().for_each(|outgoing| self.send(outgoing, fx));
        let durable_term = self.log.votes.durable().term;
        let (now_said, hold): (Vec<_>, Vec<_>) = work
            .hold
            .into_iter()
            .partition(|outgoing| self.quorum.replica.may_overtake(outgoing, durable_term));
        now_said.into_iter().for_each(|outgoing| self.send(outgoing, fx));
        self.quorum.works.hold(HeldWork { number: work.number, last, vote, hold });
    }

    /// The bytes of an entry that raft wants written: staged before it was proposed or stepped, or
    /// the term start that raft itself made.
    fn bytes_of(&mut self, meta: &EntryMeta, now: Now) -> EntryBytes {
        let is_meant = |entry: &EntryBytes| {
            let header = entry.header();
            (header.index(), header.term()) == (meta.index, meta.term)
        };
        if self.log.staged.front().is_some_and(is_meant) {
            return self.log.staged.pop_front().expect("there is a front");
        }
        assert_eq!(meta.kind, EntryKind::TermStart, "entry {} was not staged", meta.index);
        assert!(self.quorum.replica.is_leader(), "term start {} came without its bytes", meta.index);
        let place = self.log.place(crate::disk::BLOCK, 0);
        let stamp = Stamp { term: meta.term, ..self.stamp(place, now) };
        head_only(&self.context.pool, EntryKind::TermStart, 0, &[], &stamp)
    }

    fn append(&mut self, entry: EntryBytes, now: Now, fx: &mut Effects) {
        let allocated = if self.upkeep.active_short { 0 } else { self.log.limits.bytes };
        if let Some(base) = self.log.append(&self.context.pool, &entry, allocated, now.mono_ns) {
            fx.out.push(Output::Event(Event::SegmentRolled { journal: self.id, base }));
        }
        self.context.entries.push(entry.clone());
        self.ledger.appended(entry);
        if self.log.is_half_full() {
            self.prepare_next(now, fx);
        }
    }

    /// Tells raft what is durable, and peers what waited for it. True when it was something.
    fn release(&mut self, fx: &mut Effects) -> bool {
        let durable = self.log.appender.told_durable();
        let votes = &self.log.votes;
        let is_vote_durable =
            |number| votes.is_vote_durable(number) || is_planted(Bug::VoteBeforeItIsDurable);
        let Some(hold) = self.quorum.told_durable(durable, is_vote_durable) else { return false };
        hold.into_iter().for_each(|outgoing| self.send(outgoing, fx));
        true
    }

    /// Folds what is committed, taking a checkpoint where a segment ends.
    fn fold_committed(&mut self, now: Now, fx: &mut Effects) {
        let mut commit = self.quorum.replica.commit();
        if is_planted(Bug::WatermarkFromLeaderAlone) && self.quorum.replica.is_leader() {
            commit = commit.max(self.log.appender.durable().index);
        }
        let mut changes = Vec::new();
        loop {
            let index = match self.ledger.next_to_fold(commit) {
                NextToFold::None => break,
                NextToFold::NotUnderstood => {
                    self.stop_at_not_understood(fx);
                    break;
                }
                NextToFold::Entry(index) => index,
            };
            if is_planted(Bug::FoldNotClosed) && self.quorum.replica.is_leader() {
                self.ledger.state.fold.wall_ms += 1;
            }
            // Only now is it certain that the segment before ends where it does.
            if !self.is_checkpoint_taken_before(index, fx) {
                break;
            }
            match self.ledger.fold_next() {
                Ok(folded) => changes.extend(self.folded(folded, fx)),
                Err(text) => return fx.out.push(Output::Fatal(Fatal::Data(text))),
            }
        }
        let committed = self.ledger.state.fold.applied;
        self.log.appended.committed(committed, now.mono_ns, &mut self.log.appender.stages.commit);
        if self.ledger.is_settled() && !self.upkeep.settled {
            self.upkeep.settled = true;
            fx.metadata_changed |= self.ledger.state.meta.is_some();
            fx.partitions_changed = true;
        }
        self.seal_rolled(now, fx);
        changes.into_iter().for_each(|change| self.change_members(change, fx));
    }

    /// Tells those who wait for records what came.
    fn tell_raised(&self, batches: &[BatchDescriptor], fx: &mut Effects) {
        let fold = &self.ledger.state.fold;
        let has_open = fold.open_transactions() > 0;
        let is_held = |id| fold.partition(id).is_some_and(|partition| partition.first_unstable().is_some());
        fx.raised.extend(batches.iter().map(|batch| {
            let partition = batch.partition();
            // With a marker all that it decided is shown: how much that is nobody counted.
            let bytes = if batch.is_marker() { u64::MAX } else { u64::from(batch.bytes.get()) };
            Raised { partition, bytes, is_stable: batch.is_marker() || !has_open || !is_held(partition) }
        }));
    }

    /// Takes note of what a committed entry brought; gives what it changes of the members.
    fn folded(&mut self, folded: Folded, fx: &mut Effects) -> Option<Change> {
        let Folded { head, applied } = folded;
        let (header, _) = head.known()?;
        self.digests_told(&applied.items, fx);
        self.losses_accepted(&applied.items);
        self.note_runs(&applied.items);
        if let Head::Entry(entry) = &head {
            self.tell_raised(entry.descriptors(), fx);
        }
        fx.metadata_changed |= header.kind() == Some(EntryKind::Meta);
        fx.partitions_changed |= !applied.items.is_empty();
        self.note_dying(&applied.items);
        self.ledger.waiters.commands_done(header.index(), applied.outcomes, fx);
        applied.change
    }

    /// What the operator accepted as lost is no damage any more.
    fn losses_accepted(&mut self, items: &[Item]) {
        for item in items {
            let Item::LossAccepted { first, last, .. } = item else { continue };
            let is_in = |damage: &Damage| *first <= damage.first && damage.last <= *last;
            self.heal.damage.retain(|damage| damage.kind != DamageKind::Head || !is_in(damage));
        }
    }

    /// A newer version wrote what is committed: without it nothing that follows is known here.
    fn stop_at_not_understood(&mut self, fx: &mut Effects) {
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Quarantined;
        self.step_down(fx);
        let why =
            "an entry holds what only a newer version of the program understands: run that version here";
        fx.out.push(Output::Event(Event::Quarantined { journal: self.id, why }));
    }
}
