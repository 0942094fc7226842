//! A node whose disk is new, in a cluster that is formed: it asks to be taken in under a new raft
//! id, and begins with the meta journal as one that is no member yet.
//!
//! The id is committed before anything is written under it, and stands in the meta journal's record
//! here before that journal takes its first message: a lost disk's votes are never given again.

use super::Shard;
use super::lifecycle::{Slot, first_meta};
use super::output::{Event, Fatal, Output};
use crate::clock::Now;
use crate::control::{Command, ControlRefusal, Outcome};
use crate::folder::{self, NodeMeta};
use crate::framing::read_copies;
use crate::ids::{Incarnation, JournalId, META_JOURNAL, RaftId, ShardId};
use crate::journal::Journal;
use crate::journal::effects::{Done, Effects};
use crate::journal::meta_record::JournalMeta;
use crate::peer::Committed;

/// What a node without a number does to get one.
#[derive(Debug)]
pub struct Joining {
    node: NodeMeta,
    /// The incarnation that the cluster has for this node, as far as is known here.
    replaces: Incarnation,
    /// The question under way.
    asked: Option<u64>,
}

impl Shard {
    /// This life is not one of those that formed the cluster: its number is in the meta journal's
    /// record, if it has one already.
    pub(super) fn find_number(&mut self, node: NodeMeta, fx: &mut Effects) {
        let io = self.io.clone();
        fx.start(async move {
            let path = folder::journal_meta_path(META_JOURNAL);
            let record = match read_copies(&io, &path, 1 << 20).await {
                Ok(bytes) => JournalMeta::decode(&path, &bytes).map(|(record, _)| Some(record)),
                // Not made yet; what else is wrong with it shows when it is made or recovered.
                Err(_) => Ok(None),
            };
            Done::Numbered { node, result: Box::new(record.map_err(|error| error.to_string())) }
        });
    }

    pub(super) fn numbered(
        &mut self,
        node: NodeMeta,
        record: Result<Option<JournalMeta>, String>,
        now: Now,
        fx: &mut Effects,
    ) {
        match record {
            Ok(Some(record)) if record.cluster == node.cluster => {
                self.open_meta_as(node, record.raft_id, now, fx);
            }
            Ok(Some(_)) => {
                let text = "the meta journal in this folder belongs to another cluster".to_owned();
                fx.out.push(Output::Fatal(Fatal::Data(text)));
            }
            Ok(None) => {
                let founder = node.formation.iter().find(|(member, _)| *member == node.node);
                let Some((_, replaces)) = founder.copied() else {
                    let text = format!("node {} is no member of this cluster", node.node);
                    return fx.out.push(Output::Fatal(Fatal::Data(text)));
                };
                self.lifecycle.joining = Some(Joining { node, replaces, asked: None });
                self.ask_to_rejoin(now, fx);
            }
            Err(text) => fx.out.push(Output::Fatal(Fatal::Data(text))),
        }
    }

    /// Asks the node that leads the meta journal, once a second until it says yes.
    pub(super) fn ask_to_rejoin(&mut self, now: Now, fx: &mut Effects) {
        let Some(joining) = self.lifecycle.joining.as_ref().filter(|joining| joining.asked.is_none()) else {
            return;
        };
        let command = Command::Rejoin {
            node: joining.node.node,
            incarnation: joining.node.incarnation,
            replaces: joining.replaces,
        };
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
        let Ok(Committed { outcome: Outcome::Member { incarnation, raft_id }, .. }) = result else { return };
        if *incarnation != joining.node.incarnation {
            // Another life of this node was taken in meanwhile, and is over.
            joining.replaces = *incarnation;
            return self.ask_to_rejoin(now, fx);
        }
        let joining = self.lifecycle.joining.take().expect("just seen");
        fx.out.push(Output::Event(Event::Rejoined { raft_id: *raft_id }));
        self.open_meta_as(joining.node, *raft_id, now, fx);
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
            self.journals.get(id).and_then(Slot::journal).is_some_and(Journal::counts_for_good)
        };
        of_view.map(|journal| journal.id).chain(meta).filter(|id| !counts(id)).count() as u64
    }

    fn open_meta_as(&mut self, node: NodeMeta, raft_id: RaftId, now: Now, fx: &mut Effects) {
        let (meta, mut members) = first_meta(&node);
        members.push((raft_id, node.node));
        self.lifecycle.node = Some(node);
        self.add_journal(JournalMeta { raft_id, ..meta }, members, now, fx);
    }
}
