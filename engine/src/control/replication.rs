//! How many copies a topic has, changed while it is there: the journals of its partitions get more replicas. Whatever
//! else is in such a journal gets them, too: a journal's replica is the unit. How a journal comes to have them is its
//! leader's business, step by step from what is committed (`journal/quorum/members.rs`).

use super::command::Outcome;
use super::command_error::CommandError;
use super::nodes::NodeView;
use super::placement::{Journals, extended_set};
use super::rules::check_replication_factor;
use super::state::MetaState;
use super::view::JournalView;
use crate::ids::{JournalId, NodeId, RaftId, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl MetaState {
    /// More copies of a topic. The same command again changes nothing.
    pub(super) fn alter_replication(&mut self, id: TopicId, factor: u16) -> Result<Outcome, CommandError> {
        let topic = self.topics.get(&id).ok_or(CommandError::UnknownTopic)?;
        check_replication_factor(factor, self.nodes.len())?;
        let spans = topic.partitions.iter().flat_map(|partition| &partition.spans);
        let journals: BTreeSet<JournalId> = spans.map(|span| span.journal).collect();
        for journal in &journals {
            check_copies(&self.journals.by_id[journal], factor)?;
        }
        for journal in journals {
            self.journals.replicate(&self.nodes, journal, factor, &mut self.next_raft);
        }
        let topic = self.topics.get_mut(&id).expect("just seen");
        if topic.replication_factor != factor {
            Arc::make_mut(topic).replication_factor = factor;
        }
        Ok(Outcome::Done)
    }
}

fn check_copies(journal: &JournalView, factor: u16) -> Result<(), CommandError> {
    let copies = journal.replicas.len();
    let reason = if copies > usize::from(factor) {
        format!("Its partitions have {copies} copies; a lower replication factor is not supported yet.")
    } else if copies.is_multiple_of(2) && copies < usize::from(factor) {
        format!("Its partitions have {copies} copies: only odd numbers of copies can be raised.")
    } else {
        return Ok(());
    };
    Err(CommandError::InvalidReplicationFactor(reason))
}

impl Journals {
    /// Gives a journal so many replicas: those that it has, and others. Each new one has a raft id of its own, that
    /// no folder ever had.
    fn replicate(
        &mut self,
        nodes: &BTreeMap<NodeId, Arc<NodeView>>,
        journal: JournalId,
        factor: u16,
        next_raft: &mut u64,
    ) {
        let journal = self.by_id.get_mut(&journal).expect("a span's journal is there");
        if journal.replicas.len() >= usize::from(factor) {
            return;
        }
        let order: Vec<NodeId> = nodes.keys().copied().collect();
        let journal = Arc::make_mut(journal);
        let before = journal.replicas.len();
        journal.replicas = extended_set(nodes, &order, journal.replicas.clone(), usize::from(factor));
        assert_eq!(journal.replicas.len(), usize::from(factor));
        for node in &journal.replicas[before..] {
            journal.renewed.push((*node, RaftId(*next_raft)));
            *next_raft += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::command::Command;
    use crate::control::life::Life;
    use crate::control::nodes::Advertised;
    use crate::ids::{BrokerIds, ClusterId, Incarnation, Index};

    const TOPIC: TopicId = TopicId(7);

    fn applied(state: &mut MetaState, index: u64, command: Command) -> Result<Outcome, CommandError> {
        state.apply(Index(index), &command)
    }

    /// A topic of two partitions with one copy each on the first of so many nodes.
    fn formed(nodes: u32) -> MetaState {
        let mut state = MetaState::default();
        let members = (1..=nodes).map(|node| (NodeId(node), Incarnation(node.into()))).collect();
        let broker_ids = BrokerIds::default();
        let form =
            Command::Form { cluster: ClusterId(1), members, lanes: 2, segment_bytes: 1 << 20, broker_ids };
        applied(&mut state, 1, form).expect("formed");
        for node in 1..=nodes {
            let register =
                Command::RegisterNode { node: NodeId(node), shards: 2, advertised: Advertised::default() };
            applied(&mut state, 2, register).expect("registered");
        }
        let create = Command::CreateTopic {
            name: "t".into(),
            topic_id: TOPIC,
            partitions: 2,
            replication_factor: 1,
            configs: Vec::new(),
            life: Life::Finite,
            entropy: 1,
            by_hand: Vec::new(),
        };
        applied(&mut state, 3, create).expect("made");
        state
    }

    fn alter(state: &mut MetaState, replication_factor: u16) -> Result<Outcome, CommandError> {
        applied(state, 9, Command::AlterReplication { topic_id: TOPIC, replication_factor })
    }

    #[test]
    fn journals_get_replicas_with_raft_ids_that_nobody_had() {
        let mut state = formed(5);
        let journal = |state: &MetaState| JournalView::clone(&state.journals.by_id[&JournalId(1)]);
        let before = journal(&state);
        assert_eq!(before.replicas.len(), 1);
        alter(&mut state, 3).expect("raised");
        let after = journal(&state);
        assert_eq!((after.replicas[0], after.voters.clone()), (before.replicas[0], before.voters.clone()));
        let ids: BTreeSet<RaftId> = after.renewed.iter().map(|(_, id)| *id).collect();
        assert_eq!((after.replicas.len(), ids.len()), (3, 2));
        assert!(ids.iter().all(|id| id.0 > 5), "{ids:?}: those of the nodes are taken");
        let once = state.clone();
        alter(&mut state, 3).expect("it is so");
        assert_eq!(state, once, "the same again");
        alter(&mut state, 5).expect("raised again");
        assert_eq!(journal(&state).replicas[..3], after.replicas[..]);
        assert_eq!(state.topics[&TOPIC].replication_factor, 5);
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let mut state = formed(3);
        alter(&mut state, 3).expect("raised");
        let before = state.clone();
        for factor in [0, 1, 2, 5] {
            assert!(alter(&mut state, factor).is_err(), "{factor}");
        }
        let unknown = Command::AlterReplication { topic_id: TopicId(8), replication_factor: 3 };
        assert_eq!(applied(&mut state, 9, unknown), Err(CommandError::UnknownTopic));
        assert_eq!(state, before);
    }
}
