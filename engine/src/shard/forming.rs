//! The first shard's part in forming a cluster: it carries reports and stores what is decided.

use super::Shard;
use super::output::{Event, Fatal, Output};
use crate::clock::Now;
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder::{NODE_META, NodeMeta};
use crate::formation::{Formation, Input as Told, Output as Asked, Waiting};
use crate::framing::replace_file;
use crate::ids::{META_JOURNAL, NodeId};
use crate::journal::effects::{Done, Effects};
use std::collections::BTreeSet;

/// Reports are told again after so many ticks of 10 ms.
const REPORT_TICKS: u32 = 10;
/// Whom it waits for is said again after so many ticks: every 10 s.
const SAY_TICKS: u32 = 1000;

/// A formation under way, or one that is over and answers nodes that do not know it yet.
pub struct Forming {
    formation: Formation,
    ticks: u32,
    said: Option<Waiting>,
    /// There was no room for it.
    unstored: Option<NodeMeta>,
}

impl Forming {
    /// There was no room for what it wants stored.
    pub fn waits_for_room(&self) -> bool {
        self.unstored.is_some()
    }

    /// What is durable.
    pub fn node(&self) -> &NodeMeta {
        self.formation.node()
    }
}

impl Shard {
    /// The folder is read: a formed node goes on, a new one forms.
    pub(super) fn folder_read(&mut self, node: NodeMeta, now: Now, fx: &mut Effects) {
        let alone: &[NodeId] = &[self.config.node];
        let listed: BTreeSet<NodeId> = self.config.peers.iter().chain(alone).copied().collect();
        let members: Vec<NodeId> = node.formation.iter().map(|(member, _)| *member).collect();
        if node.is_final && members == alone && listed.len() > 1 {
            let text = "the data folder belongs to a node that formed a cluster of its own; it cannot join \
                        another. Start the new nodes with empty folders and copy the topics over with a \
                        client, or start this one without --peers";
            return fx.out.push(Output::Fatal(Fatal::Data(text.to_owned())));
        }
        if node.is_final && members.len() > 1 && listed.len() == 1 {
            let members: Vec<String> = members.iter().map(NodeId::to_string).collect();
            let text = format!(
                "the data folder belongs to a cluster of the nodes {}; give their addresses with --peers",
                members.join(", ")
            );
            return fx.out.push(Output::Fatal(Fatal::Data(text)));
        }
        if listed.len() > 1 {
            let formation =
                Formation::new(node.clone(), self.config.broker_ids, &listed, self.rng.next_u64());
            self.forming = Some(Forming { formation, ticks: REPORT_TICKS, said: None, unstored: None });
        }
        if node.is_final {
            self.open_meta(node, now, fx);
        }
    }

    pub(super) fn forming_step(&mut self, told: Told, fx: &mut Effects) {
        let Some(forming) = &mut self.forming else { return };
        if told == Told::Tick {
            forming.ticks += 1;
            if !forming.ticks.is_multiple_of(REPORT_TICKS) {
                return;
            }
            if let Some(node) = forming.unstored.take() {
                return self.store_node(node, fx);
            }
        }
        let mut asked = Vec::new();
        forming.formation.step(told, &mut asked);
        let waiting = forming.formation.waiting();
        if !forming.formation.is_formed()
            && (forming.said.as_ref() != Some(&waiting) || forming.ticks.is_multiple_of(SAY_TICKS))
        {
            let Waiting { unheard, undecided } = waiting.clone();
            fx.out.push(Output::Event(Event::Forming { unheard, undecided }));
            forming.said = Some(waiting);
        }
        for asked in asked {
            match asked {
                Asked::Send { to, report } => fx.out.push(Output::Formation { to, report }),
                Asked::Store(node) => self.store_node(node, fx),
                Asked::Formed => {}
                Asked::Refused(refused) => {
                    fx.out.push(Output::Event(Event::FormationRefused { why: refused.to_string() }));
                }
            }
        }
    }

    fn store_node(&self, node: NodeMeta, fx: &mut Effects) {
        let (io, pool) = (self.io.clone(), self.pool.clone());
        fx.start(async move {
            let stored = replace_file(&io, &pool, ".", NODE_META, &node.encode()).await;
            Done::NodeStored { node, result: stored }
        });
    }

    /// What the formation wanted stored is durable, unless there was no room.
    pub(super) fn node_stored(
        &mut self,
        node: NodeMeta,
        result: Result<(), DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        match result {
            Ok(()) => {}
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                self.forming.as_mut().expect("it stores while it forms").unstored = Some(node);
                return fx.out.push(Output::Event(Event::DiskFull { journal: META_JOURNAL }));
            }
            Err(error) => return fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
        self.forming_step(Told::Stored, fx);
        let node = self.forming.as_ref().expect("it stores while it forms").formation.node().clone();
        if node.is_final && self.lifecycle.node.is_none() {
            fx.out.push(Output::Event(Event::Formed { nodes: node.formation.len() }));
            self.open_meta(node, now, fx);
        }
    }
}
