//! The shard's part in forming a cluster: it carries reports and stores what is decided.

use super::Shard;
use crate::clock::Now;
use crate::formation::{Formation, Input as Told, Output as Asked, Waiting};
use crate::ids::NodeId;
use crate::journal::effects::Effects;
use crate::port::{Event, Fatal, Output};
use crate::register::Begun;
use crate::shard::identity::forming::Forming;
use std::collections::BTreeSet;

/// Reports are told again after so many ticks of 10 ms.
const REPORT_TICKS: u32 = 10;

/// Whom it waits for is said again after so many ticks: every 10 s.
const SAY_TICKS: u32 = 1000;

impl Shard {
    /// The folder is read: a formed node goes on, a new one forms.
    pub(super) fn folder_read(&mut self, begun: Begun, now: Now, fx: &mut Effects) {
        let record = begun.record.expect("it was written");
        let node = record.node.clone();
        // One that had journals is not a new node: it does not form a new cluster.
        let is_new = record.register.journals.is_empty() && !self.config.joins;
        let may_found = record.node.is_final || is_new;
        self.begin_register(record, fx);
        for (journal, why) in begun.lost {
            fx.out.push(Output::Event(Event::ReplicaLost { journal, why }));
        }
        for (journal, to) in begun.aside {
            fx.out.push(Output::Event(Event::SetAside { journal, to }));
        }
        let alone: &[NodeId] = &[self.config.node];
        let listed: BTreeSet<NodeId> = self.config.peers.iter().chain(alone).copied().collect();
        let members: Vec<NodeId> = node.formation.iter().map(|(member, _)| *member).collect();
        if node.is_final && members == alone && listed.len() > 1 && !self.config.has_met_others {
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
            let (broker_ids, entropy) = (self.config.broker_ids, self.rng.next_u64());
            let formation = Formation::new(node.clone(), broker_ids, &listed, may_found, entropy);
            self.forming = Some(Forming { formation, ticks: REPORT_TICKS, said: None });
        }
        if node.is_final {
            self.open_meta(node, now, fx);
        }
    }

    pub(super) fn forming_step(&mut self, told: Told, now: Now, fx: &mut Effects) {
        let Some(forming) = &mut self.forming else { return };
        if told == Told::Tick {
            forming.ticks += 1;
            if !forming.ticks.is_multiple_of(REPORT_TICKS) {
                return;
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
                Asked::Store(node) => self.write(now, fx, |record| record.node = node),
                Asked::Formed => {}
                Asked::Refused(refused) => {
                    fx.out.push(Output::Event(Event::FormationRefused { why: refused.to_string() }));
                }
            }
        }
    }
}
