//! What comes from other nodes and goes to them.

use super::Shard;
use crate::clock::Now;
use crate::control::{Command, ControlRefusal};
use crate::folder::NodeMeta;
use crate::ids::{Index, JournalId, LaneId, META_JOURNAL, NodeId, Run};
use crate::journal::effects::Effects;
use crate::journal::heal::lending::Asked;
use crate::journal::ledger::asker::Asker;
use crate::peer::run::RunMessage;
use crate::peer::{Committed, Heartbeat, PeerMessage, RaftMessage};
use crate::port::{Output, RequestId};
use crate::raft::{ELECTION_TICKS, TICK};
use crate::shard::elect::Asking;
use crate::shard::peers::{Forwarded, Known};
use crate::shard::slot::Slot;
use core::time::Duration;

/// Hints are repeated, since a link may lose them.
const HINT_AGAIN: Duration = Duration::from_secs(1);

/// A leader that was not named for so long, by itself or by a replica here, is no longer known: it may
/// have lost its majority.
const FORGET_AFTER: Duration = Duration::from_secs(3);

/// A command that another node was asked to carry out is given up after this: two elections and
/// a slow disk.
const CONTROL_TIME_OUT: Duration = Duration::from_secs(5);

/// Leadership drifts back to the preferred node this long after it was elsewhere.
const DRIFT_AFTER: Duration = Duration::from_secs(5);

impl Shard {
    /// What is durable of this node's identity; the first shard knows it, once it was read.
    pub fn node(&self) -> Option<&NodeMeta> {
        self.lifecycle.node.as_ref().or_else(|| Some(self.forming.as_ref()?.node()))
    }

    pub(super) fn has_peers(&self) -> bool {
        self.config.peers.iter().any(|node| *node != self.config.node)
    }

    pub(super) fn others(&self) -> Vec<NodeId> {
        self.config.peers.iter().copied().filter(|node| *node != self.config.node).collect()
    }

    pub(super) fn peer(&mut self, from: NodeId, message: PeerMessage, now: Now, fx: &mut Effects) {
        match message {
            PeerMessage::Raft { journal, message } => {
                self.raft_message(from, journal, message, now, fx);
                self.tell_room(fx);
            }
            PeerMessage::Heartbeats(all) => {
                for Heartbeat { journal, message } in all {
                    self.raft_message(from, journal, message, now, fx);
                }
                self.tell_room(fx);
            }
            PeerMessage::Hint { journal, term, leader, in_sync, held_by_all } => {
                if let Some(journal) = self.journals.get_mut(&journal).and_then(Slot::journal_mut) {
                    journal.told_held_by_all(held_by_all);
                }
                self.learn(journal, Known { term, leader: Some(leader), in_sync }, now, fx);
            }
            PeerMessage::Control { id, command } => self.control_for(from, id, &command, now, fx),
            PeerMessage::ControlDone { id, result } => self.control_came(id, result, now, fx),
            PeerMessage::Elect { journal } => self.elect(journal, Asking::Peer, now, fx),
            PeerMessage::Errand { id, lane, errand } => {
                fx.out.push(Output::Errand { from, id, lane, errand });
            }
            PeerMessage::ErrandDone { id, answer } => fx.out.push(Output::ErrandDone { id, answer }),
            PeerMessage::Install { journal, message } => {
                if self.install_closed(journal, from, &message, now, fx) {
                    return;
                }
                if let Some(journal) = self.journals.get_mut(&journal).and_then(Slot::journal_mut) {
                    journal.install_message(from, message, now, fx);
                }
            }
            PeerMessage::Run { journal, message } => self.run_message(from, journal, message, now, fx),
            PeerMessage::Doubt { journal, message } => {
                if let Some(journal) = self.journals.get_mut(&journal).and_then(Slot::journal_mut) {
                    journal.doubt_message(from, message, now, fx);
                }
            }
            PeerMessage::Read { journal, index, checksum } => {
                self.lend(journal, Asked { by: from, index, checksum }, fx);
            }
            PeerMessage::ReadDone { journal, index, commit, sure, entry } => {
                if let Some(journal) = self.journals.get_mut(&journal).and_then(Slot::journal_mut) {
                    journal.read_done((from, index), (commit, sure), entry, now, fx);
                }
            }
        }
    }

    /// Another replica asks for an entry. A journal that is not open yet has none to give.
    fn lend(&mut self, id: JournalId, asked: Asked, fx: &mut Effects) {
        match self.journals.get_mut(&id) {
            Some(Slot::Running(journal)) => journal.asked_for(asked, fx),
            Some(slot) => {
                let (lane, index) = (slot.lane(), asked.index);
                let (commit, sure, entry) = (Index::NONE, false, None);
                let message = PeerMessage::ReadDone { journal: id, index, commit, sure, entry };
                fx.out.push(Output::Peer { to: asked.by, lane, message });
            }
            None => {}
        }
    }

    /// Another replica's word on runs. A journal that is not open yet has none to give.
    fn run_message(&mut self, from: NodeId, id: JournalId, message: RunMessage, now: Now, fx: &mut Effects) {
        match (self.journals.get_mut(&id), message) {
            (Some(Slot::Running(journal)), message) => journal.run_message(from, message, now, fx),
            (Some(slot), RunMessage::Read { name, .. }) => {
                let (lane, message) = (slot.lane(), RunMessage::Absent { name });
                let message = PeerMessage::Run { journal: id, message };
                fx.out.push(Output::Peer { to: from, lane, message });
            }
            _ => {}
        }
    }

    fn raft_message(
        &mut self,
        from: NodeId,
        journal: JournalId,
        message: RaftMessage,
        now: Now,
        fx: &mut Effects,
    ) {
        if let Some(journal) = self.journals.get_mut(&journal).and_then(Slot::journal_mut) {
            journal.peer(from, message, now, fx);
        }
    }

    /// The process of another node that last linked with this one.
    pub fn run_of(&self, node: NodeId) -> Option<Run> {
        self.peers.runs.get(&node).copied()
    }

    pub(super) fn link(&mut self, node: NodeId, lane: LaneId, run: Option<Run>, now: Now, fx: &mut Effects) {
        if let Some(run) = run {
            self.peers.runs.insert(node, run);
        }
        let of_lane = |slot: &&mut Slot| slot.journal().is_some_and(|journal| journal.lane() == lane);
        for journal in self.journals.values_mut().filter(|slot| of_lane(slot)).filter_map(Slot::journal_mut) {
            journal.link_changed(node, now, fx);
        }
        if run.is_some() {
            self.send_hints(&[node], now, fx);
        }
    }

    /// After a gap (a process that was stopped) a leader lets the time pass before it does
    /// anything else, so that it serves nothing of what another may have taken over.
    pub(super) fn pass_gap(&mut self, now: Now, fx: &mut Effects) {
        let last_ns = self.peers.ticked_ns.unwrap_or(now.mono_ns);
        let ticks = (now.mono_ns.saturating_sub(last_ns) / TICK.as_nanos() as u64) as usize;
        if ticks < ELECTION_TICKS || !self.has_peers() {
            return;
        }
        self.peers.ticked_ns = Some(now.mono_ns);
        // Two check-quorum periods say it all: the first may still count what was heard before.
        let ticks = ticks.min(2 * ELECTION_TICKS + 1) as u32;
        for journal in self.journals.values_mut().filter_map(Slot::journal_mut) {
            if journal.is_raft_leader() {
                journal.tick_raft(ticks, now, fx);
            }
        }
    }

    pub(super) fn tick_peers(&mut self, now: Now, fx: &mut Effects) {
        self.peers.ticked_ns = Some(now.mono_ns);
        if !self.has_peers() {
            return;
        }
        let late: Vec<u64> = self
            .peers
            .forwarded
            .iter()
            .filter(|(_, forwarded)| forwarded.deadline_ns <= now.mono_ns)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.control_came(id, Err(ControlRefusal::TimedOut), now, fx);
        }
        if now.mono_ns - self.peers.hinted_ns >= HINT_AGAIN.as_nanos() as u64 {
            self.peers.hinted_ns = now.mono_ns;
            self.tell_leaders(now, fx);
            self.send_hints(&self.others(), now, fx);
            self.register_node(now, fx);
            self.ask_to_rejoin(now, fx);
            self.renew_lost(now, fx);
            if self.journals.values().any(|slot| matches!(slot, Slot::Lost { .. })) {
                // Others may have come to lead what was lost here.
                self.look_after_replicas(now, fx);
            }
        }
        if now.mono_ns - self.peers.drifted_ns >= DRIFT_AFTER.as_nanos() as u64 {
            self.peers.drifted_ns = now.mono_ns;
            self.drift(now, fx);
        }
        self.tell_room(fx);
    }

    /// Leaders that are elsewhere than they are meant to be hand over, one at a time.
    fn drift(&mut self, now: Now, fx: &mut Effects) {
        if self.lifecycle.stopping {
            return;
        }
        for (id, journal) in &self.view.journals {
            let preferred = journal.replicas[0];
            let slot = self.journals.get_mut(id).and_then(Slot::journal_mut);
            let astray = slot.filter(|slot| slot.is_leader() && preferred != self.config.node);
            if astray.is_some_and(|journal| journal.drift(preferred, 0, now, fx)) {
                return;
            }
        }
    }

    /// Tells net, and once a second or on a change every other node, who leads here.
    pub(super) fn tell_leaders(&mut self, now: Now, fx: &mut Effects) {
        let mut known = Vec::new();
        for (id, slot) in &self.journals {
            let Some(journal) = slot.journal() else { continue };
            let (term, leader) = journal.leader();
            let in_sync = journal.in_sync(now);
            known.push((*id, Known { term, leader, in_sync }));
        }
        let mut to_hint = false;
        for (id, known) in known {
            let leads = known.leader == Some(self.config.node);
            to_hint |= self.learn(id, known, now, fx) && leads;
        }
        if to_hint && self.has_peers() {
            self.send_hints(&self.others(), now, fx);
        }
    }

    /// Takes word of a leader: of the highest term, and of one term that which says most. That this
    /// node itself leads no more it says itself. True when it was news.
    fn learn(&mut self, journal: JournalId, news: Known, now: Now, fx: &mut Effects) -> bool {
        let known = self.peers.known.entry(journal).or_default();
        let own = Some(self.config.node);
        let tells_less = news.leader.is_none() && known.leader.is_some() && known.leader != own
            || news.in_sync.is_empty() && news.leader.is_some() && news.leader == known.leader;
        if news.leader.is_some() && news.leader == known.leader && news.term == known.term {
            self.peers.told_ns.insert(journal, now.mono_ns);
        }
        if news.term < known.term || (news.term == known.term && (tells_less || news == *known)) {
            return false;
        }
        *known = news.clone();
        self.peers.told_ns.insert(journal, now.mono_ns);
        let Known { term, leader, in_sync } = news;
        fx.out.push(Output::Leader { journal, term, leader, in_sync });
        true
    }

    /// Leaders that nobody names any more, or whose nodes are down: that they led is not what is known
    /// now. That this node leads it says itself, and that it does no more.
    pub(super) fn forget_leaders(&mut self, now: Now, fx: &mut Effects) {
        let (forget_ns, own, health) = (FORGET_AFTER.as_nanos() as u64, self.config.node, &self.health);
        for (journal, known) in &mut self.peers.known {
            let told_ns = self.peers.told_ns.get(journal).copied().unwrap_or(0);
            let Some(leader) = known.leader.filter(|leader| *leader != own) else { continue };
            if !health.hears(leader, now) || now.mono_ns.saturating_sub(told_ns) >= forget_ns {
                (known.leader, known.in_sync) = (None, Vec::new());
                let (journal, term, in_sync) = (*journal, known.term, Vec::new());
                fx.out.push(Output::Leader { journal, term, leader: None, in_sync });
            }
        }
    }

    /// Who leads a journal, as far as this shard knows.
    pub(super) fn leader_of(&self, journal: JournalId) -> Option<NodeId> {
        self.peers.known.get(&journal)?.leader
    }

    fn send_hints(&self, to: &[NodeId], now: Now, fx: &mut Effects) {
        for (id, slot) in &self.journals {
            let Some(journal) = slot.journal().filter(|journal| journal.is_leader()) else { continue };
            let (term, leader) = journal.leader();
            let Some(leader) = leader else { continue };
            for node in to {
                let in_sync = journal.in_sync(now);
                let held_by_all = journal.held_by_all();
                let message = PeerMessage::Hint { journal: *id, term, leader, in_sync, held_by_all };
                fx.out.push(Output::Peer { to: *node, lane: journal.lane(), message });
            }
        }
    }

    /// Sends a command to the node that leads the meta journal; `None` asks for this shard itself.
    /// Gives the question's number and whom it went to.
    pub(super) fn forward(
        &mut self,
        request: Option<RequestId>,
        command: &Command,
        now: Now,
        fx: &mut Effects,
    ) -> Option<(u64, NodeId)> {
        let leader = self.peers.known.get(&META_JOURNAL).and_then(|known| known.leader);
        let Some(to) = leader.filter(|leader| *leader != self.config.node) else {
            self.control_failed(request, ControlRefusal::NotController, fx);
            return None;
        };
        self.peers.next_id += 1;
        let id = self.peers.next_id;
        let deadline_ns = now.plus(CONTROL_TIME_OUT);
        self.peers.forwarded.insert(id, Forwarded { request, deadline_ns });
        let message = PeerMessage::Control { id, command: command.encode() };
        fx.out.push(Output::Peer { to, lane: LaneId(0), message });
        Some((id, to))
    }

    fn control_failed(&self, request: Option<RequestId>, refusal: ControlRefusal, fx: &mut Effects) {
        if let Some(request) = request {
            fx.out.push(Output::ControlDone { request, result: Err(refusal) });
        }
    }

    /// Another node asks for a command to be carried out.
    fn control_for(&mut self, from: NodeId, id: u64, command: &[u8], now: Now, fx: &mut Effects) {
        match Command::decode(command) {
            Ok(command) => self.ask(Asker::Peer(from, id), &command, now, fx),
            // A newer node's command is not for this one to carry out.
            Err(_) => fx.commands.push((Asker::Peer(from, id), Err(ControlRefusal::NotController))),
        }
    }

    /// What became of a command that another node carried out.
    fn control_came(
        &mut self,
        id: u64,
        result: Result<Committed, ControlRefusal>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(Forwarded { request, .. }) = self.peers.forwarded.remove(&id) else { return };
        self.rejoin_answered(id, &result, now, fx);
        match (request, result) {
            (Some(request), Ok(committed)) => {
                self.peers.behind.push((request, committed));
                self.answer_behind(fx);
            }
            (request, Err(refusal)) => self.control_failed(request, refusal, fx),
            (None, Ok(_)) => {}
        }
    }

    /// Answers commands of other nodes whose entry is in the metadata here.
    pub(super) fn answer_behind(&mut self, fx: &mut Effects) {
        let here = self.journals.get(&META_JOURNAL).and_then(Slot::journal);
        let applied = here.map_or(Index::NONE, |meta| meta.fold().applied);
        let (done, behind) = core::mem::take(&mut self.peers.behind)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, committed)| committed.index <= applied);
        self.peers.behind = behind;
        for (request, committed) in done {
            fx.out.push(Output::ControlDone { request, result: Ok(committed.outcome) });
        }
    }

    /// Tells whoever asked for a command.
    pub(super) fn tell_asker(
        &mut self,
        asker: Asker,
        result: Result<Committed, ControlRefusal>,
        fx: &mut Effects,
    ) {
        match asker {
            Asker::Shard => {}
            Asker::Client(request) => {
                let result = result.map(|committed| committed.outcome);
                fx.out.push(Output::ControlDone { request, result });
            }
            Asker::Peer(to, id) => {
                let message = PeerMessage::ControlDone { id, result };
                fx.out.push(Output::Peer { to, lane: LaneId(0), message });
            }
        }
    }

    fn tell_room(&self, fx: &mut Effects) {
        if self.waits_for_room.take() {
            fx.out.push(Output::Room);
        }
    }
}
