//! How a node without a replica of the meta journal asks for one.

use super::Shard;
use crate::clock::Now;
use crate::control::{Command, ControlRefusal, Outcome, View};
use crate::folder::NodeMeta;
use crate::ids::{JournalId, META_JOURNAL, RaftId, ShardId};
use crate::journal::effects::Effects;
use crate::journal::format::meta_record::JournalMeta;
use crate::peer::Committed;
use crate::port::{Event, Fatal, Output};
use crate::register::{Amnesia, Register, Registered};
use crate::shard::identity::joining::Joining;
use crate::shard::lifecycle::first_meta;
use crate::shard::slot::{Slot, Stage};
use std::sync::Arc;

impl Shard {
    /// The meta journal: under the number of a founder, the one that is entered, or another.
    pub(super) fn open_meta(&mut self, node: NodeMeta, now: Now, fx: &mut Effects) {
        let register = self.register.as_ref().expect("it is read with the node's record");
        let is_founder = node.formation.contains(&(node.node, node.incarnation));
        match register.journals.get(&META_JOURNAL).copied() {
            Some(Registered { raft_id, lost: None, .. }) => {
                self.open_meta_as(node, raft_id, Stage::Recover, now, fx);
            }
            Some(Registered { raft_id, lost: Some(_), .. }) => self.join(node, Some(raft_id), now, fx),
            None if is_founder => {
                let (meta, _) = first_meta(&node);
                self.open_meta_as(node, meta.raft_id, Stage::Make, now, fx);
            }
            None => self.join(node, None, now, fx),
        }
    }

    /// The meta journal proved to be lost while it was opened.
    pub(super) fn join_if_lost(&mut self, now: Now, fx: &mut Effects) {
        let register = self.register.as_ref().expect("it just changed");
        let lost = register.journals.get(&META_JOURNAL).filter(|registered| registered.lost.is_some());
        let is_closed = matches!(self.journals.get(&META_JOURNAL), Some(Slot::Lost { .. }));
        if let (Some(Registered { raft_id, .. }), true, None) =
            (lost.copied(), is_closed, &self.lifecycle.joining)
            && let Some(node) = self.lifecycle.node.clone()
        {
            self.join(node, Some(raft_id), now, fx);
        }
    }

    fn join(&mut self, node: NodeMeta, lost: Option<RaftId>, now: Now, fx: &mut Effects) {
        let founder = node.formation.iter().find(|(member, _)| *member == node.node);
        // One that came later asks by the life that it has: the answer says which one the cluster knows.
        let known = founder.map_or(node.incarnation, |(_, founder)| *founder);
        let replaces = if lost.is_some() { node.incarnation } else { known };
        self.lifecycle.joining = Some(Joining { node, replaces, lost, asked: None });
        self.ask_to_rejoin(now, fx);
    }

    /// Asks the node that leads the meta journal, once a second until it says yes.
    pub(super) fn ask_to_rejoin(&mut self, now: Now, fx: &mut Effects) {
        let Some(joining) = self.lifecycle.joining.as_ref().filter(|joining| joining.asked.is_none()) else {
            return;
        };
        let command = joining.command();
        let asked = self.forward(None, &command, now, fx);
        if let Some(joining) = &mut self.lifecycle.joining {
            joining.asked = asked.map(|(id, _)| id);
        }
        fx.out.push(Output::Event(Event::Rejoining { asked: asked.map(|(_, node)| node) }));
    }

    /// An answer came, or none in time. Those to other questions change nothing here.
    pub(super) fn rejoin_answered(
        &mut self,
        id: u64,
        result: &Result<Committed, ControlRefusal>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(joining) = self.lifecycle.joining.as_mut().filter(|joining| joining.asked == Some(id))
        else {
            return;
        };
        joining.asked = None;
        let renewed = joining.lost.is_some() && joining.replaces == joining.node.incarnation;
        let Ok(Committed { outcome: Outcome::Member { incarnation, raft_id }, .. }) = result else { return };
        if renewed && *incarnation == joining.node.incarnation && joining.lost == Some(RaftId(0)) {
            // Nothing here told which replica it was.
            joining.lost = Some(*raft_id);
            return self.ask_to_rejoin(now, fx);
        }
        if joining.replaces != *incarnation {
            // The cluster knows another life of this node: an earlier one, one that was taken in
            // meanwhile and is over, or this one.
            joining.replaces = *incarnation;
            if *incarnation != joining.node.incarnation || joining.lost.is_some_and(|lost| *raft_id <= lost) {
                return self.ask_to_rejoin(now, fx);
            }
        }
        if *incarnation != joining.node.incarnation || joining.lost.is_some_and(|lost| *raft_id <= lost) {
            return;
        }
        let joining = self.lifecycle.joining.take().expect("just seen");
        fx.out.push(Output::Event(Event::Rejoined { raft_id: *raft_id }));
        let stage = if joining.lost.is_some() { Stage::SetAside } else { Stage::Make };
        self.open_meta_as(joining.node, *raft_id, stage, now, fx);
    }

    /// Asks for another raft id for each replica that was lost, until the metadata has it. The first
    /// shard does, for all.
    pub(super) fn renew_lost(&mut self, now: Now, fx: &mut Effects) {
        let (Some(register), ShardId(0)) = (self.register.clone(), self.config.shard) else { return };
        let (view, own) = (Arc::clone(&self.view), self.config.node);
        let Some(node) = view.nodes.get(&own) else { return };
        let lost = register.journals.iter().filter(|(_, registered)| registered.lost.is_some());
        for (id, Registered { raft_id, .. }) in lost {
            let Some(journal) = view.journals.get(id).filter(|_| *id != META_JOURNAL) else { continue };
            let is_its_own = journal.raft_id_of(node) == *raft_id;
            if is_its_own && journal.replicas.contains(&own) && !self.is_only_copy(journal) {
                let (incarnation, replaces) = (node.incarnation, *raft_id);
                let renew = Command::Renew { node: own, incarnation, journal: *id, replaces };
                self.ask(crate::journal::ledger::asker::Asker::Shard, &renew, now, fx);
            }
        }
    }

    /// A folder from before there was a register: what the metadata names for this node was made
    /// here, whether or not it is there now.
    pub(super) fn complete_register(&mut self, view: &View, now: Now, fx: &mut Effects) {
        let Some(register) = self.register.as_ref().filter(|register| !register.is_complete) else { return };
        let (Some(node), ShardId(0)) = (view.nodes.get(&self.config.node), self.config.shard) else { return };
        let missing: Vec<(JournalId, RaftId)> = view
            .journals
            .values()
            .filter(|journal| journal.replicas.contains(&node.node))
            .filter(|journal| !register.journals.contains_key(&journal.id))
            .map(|journal| (journal.id, journal.raft_id_of(node)))
            .collect();
        let why = Amnesia::FolderMissing;
        let is_accepted = |id: &JournalId| self.config.accept_loss.contains(id) && !self.has_peers();
        let lost: Vec<_> = missing.into_iter().filter(|(id, _)| !is_accepted(id)).collect();
        if !lost.is_empty() && !self.has_peers() {
            let lost: Vec<_> = lost.iter().map(|(id, _)| (*id, why)).collect();
            let text = crate::shard::identity::registry::missing_here(&lost);
            return fx.out.push(Output::Fatal(Fatal::Data(text)));
        }
        for (journal, _) in &lost {
            fx.out.push(Output::Event(Event::ReplicaLost { journal: *journal, why }));
        }
        let unknown: Vec<(JournalId, RaftId)> = view
            .journals
            .values()
            .filter(|journal| register.journals.get(&journal.id).is_some_and(|known| known.raft_id.0 == 0))
            .map(|journal| (journal.id, journal.raft_id_of(node)))
            .collect();
        self.write(now, fx, |record| {
            let Register { journals, is_complete, .. } = &mut record.register;
            *is_complete = true;
            for (journal, raft_id) in unknown {
                journals.get_mut(&journal).expect("just seen").raft_id = raft_id;
            }
            journals.extend(lost.into_iter().map(|(journal, raft_id)| {
                (journal, Registered { lost: Some(why), ..Registered::new(raft_id, 0) })
            }));
        });
    }

    /// Replicas that this node is to have on this shard and that do not count yet, or not for good.
    /// While one of any node does not, that journal may have no disk to spare.
    pub(super) fn replicas_joining(&self) -> u64 {
        let (node, shard, shards) = (self.config.node, self.config.shard, self.config.shards);
        let of_view = self.view.journals.values().filter(|journal| {
            let is_mine = journal.lane.shard(shards) == shard && journal.replicas.contains(&node);
            is_mine && journal.replicas.len() > 1 && journal.id != META_JOURNAL
        });
        // Who does not take part in the metadata does not know what else it is to have.
        let meta = (shard == ShardId(0) && self.has_peers()).then_some(META_JOURNAL);
        let counts = |id: &JournalId| {
            let journal = self.journals.get(id).and_then(Slot::journal);
            journal.is_some_and(|journal| journal.counts_for_good() || journal.is_standby())
        };
        of_view.map(|journal| journal.id).chain(meta).filter(|id| !counts(id)).count() as u64
    }

    fn open_meta_as(&mut self, node: NodeMeta, raft_id: RaftId, stage: Stage, now: Now, fx: &mut Effects) {
        let (meta, mut members) = first_meta(&node);
        if members.iter().all(|(id, _)| *id != raft_id) {
            members.push((raft_id, node.node));
        }
        self.lifecycle.node = Some(node);
        self.add_journal(JournalMeta { raft_id, ..meta }, members, stage, now, fx);
    }
}
