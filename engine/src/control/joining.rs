//! How a cluster takes in nodes that it was not formed of. The operator names one and where it is, which is an
//! invitation; the first life that comes under that name becomes the member, or the one that was named with it. From
//! then on it is like any other: it has a replica of the metadata, and whatever is placed on it.

use super::command::Outcome;
use super::command_error::CommandError;
use super::nodes::{Advertised, Invited, NodeView};
use super::state::{HOST_BYTES_MAX, MetaState};
use crate::folder::FORMATION_MEMBERS_MAX;
use crate::ids::{BrokerIds, Incarnation, META_JOURNAL, NodeId, RaftId, ShardId};
use std::sync::Arc;

impl MetaState {
    /// A node may come, and is to be found there. The same again changes nothing; another address or life replaces
    /// the one before as long as it did not come.
    pub(super) fn add_node(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        at: &Advertised,
    ) -> Result<Outcome, CommandError> {
        let invalid = |reason: String| Err(CommandError::InvalidRequest(reason));
        if !self.is_formed() {
            return invalid("the cluster is not formed yet".to_owned());
        }
        if self.nodes.contains_key(&node) {
            return invalid(format!("node {node} is a member already"));
        }
        if node.0 > BrokerIds::NODE_ID_MAX {
            return invalid(format!("node {node} would have no broker id"));
        }
        assert!(self.broker_ids.of(node, ShardId(0)).is_some(), "node {node} has a broker id");
        let is_long = |listener: &super::nodes::AdvertisedListener| {
            listener.name.len().max(listener.host.len()) > HOST_BYTES_MAX
        };
        let rack_bytes = at.rack.as_ref().map_or(0, String::len);
        let is_large = at.host.len().max(rack_bytes) > HOST_BYTES_MAX;
        if is_large || at.listeners.iter().any(is_long) || at.listeners.len() > super::nodes::LISTENERS_MAX {
            return invalid(format!("node {node} has more listeners, or longer names, than are kept"));
        }
        let is_new = !self.invited.contains_key(&node);
        if is_new && self.nodes.len() + self.invited.len() >= FORMATION_MEMBERS_MAX {
            return Err(CommandError::LimitReached(format!(
                "a cluster has at most {FORMATION_MEMBERS_MAX} nodes"
            )));
        }
        let invited = Invited { incarnation, advertised: at.clone() };
        if self.invited.get(&node) != Some(&invited) {
            Arc::make_mut(&mut self.invited).insert(node, invited);
        }
        Ok(Outcome::Done)
    }

    /// The first life of a node that is invited.
    pub(super) fn take_in(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
    ) -> Result<Outcome, CommandError> {
        assert!(!self.nodes.contains_key(&node), "node {node} is a member already");
        let Some(invited) = self.invited.get(&node) else {
            return Err(CommandError::InvalidRequest(format!("node {node} is no member")));
        };
        if invited.incarnation != Incarnation(0) && invited.incarnation != incarnation {
            let reason = format!("node {node} is invited in another life than the one that comes");
            return Err(CommandError::InvalidRequest(reason));
        }
        let advertised = invited.advertised.clone();
        Arc::make_mut(&mut self.invited).remove(&node);
        let raft_id = RaftId(self.next_raft);
        self.next_raft += 1;
        let view = NodeView { node, incarnation, raft_id, former: Vec::new(), shards: 0, advertised };
        self.nodes.insert(node, Arc::new(view));
        let meta = self.journals.by_id.get_mut(&META_JOURNAL).expect("a formed cluster has it");
        assert!(!meta.replicas.contains(&node), "who was no member had no replica");
        Arc::make_mut(meta).replicas.push(node);
        Ok(Outcome::Member { incarnation, raft_id })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{apply, formed};
    use super::*;
    use crate::control::command::Command;

    fn invite(node: u32, host: &str) -> Command {
        invite_life(node, host, 0)
    }

    fn invite_life(node: u32, host: &str, incarnation: u128) -> Command {
        let advertised = Advertised { host: host.into(), first_port: 9090, ..Advertised::default() };
        Command::AddNode { node: NodeId(node), incarnation: Incarnation(incarnation), advertised }
    }

    fn come(node: u32, incarnation: u128, replaces: u128) -> Command {
        let (incarnation, replaces) = (Incarnation(incarnation), Incarnation(replaces));
        Command::Rejoin { node: NodeId(node), incarnation, replaces }
    }

    #[test]
    fn who_is_invited_comes_once_and_is_a_member_from_then_on() {
        let mut state = formed(1);
        assert!(apply(&mut state, &come(7, 70, 70)).is_err(), "nobody said so");
        for host in ["a", "b", "b"] {
            apply(&mut state, &invite(7, host)).expect("invited");
        }
        assert_eq!(state.nodes.len(), 1, "it did not come yet");
        let Ok(Outcome::Member { incarnation, raft_id }) = apply(&mut state, &come(7, 70, 70)) else {
            panic!("it is invited")
        };
        assert_eq!((incarnation, raft_id), (Incarnation(70), RaftId(2)));
        assert_eq!(state.journals.by_id[&META_JOURNAL].replicas.last(), Some(&NodeId(7)));
        assert_eq!(state.nodes[&NodeId(7)].advertised.host, "b");
        assert!(apply(&mut state, &invite(7, "c")).is_err(), "it is a member");
        let again = apply(&mut state, &come(7, 70, 70));
        assert_eq!(again, Ok(Outcome::Member { incarnation, raft_id }), "asked twice");
        let other = apply(&mut state, &come(7, 71, 71));
        assert_eq!(other, Ok(Outcome::Member { incarnation, raft_id }), "another life is told of this one");
    }

    #[test]
    fn an_invitation_may_be_one_lifes() {
        let mut state = formed(1);
        apply(&mut state, &invite_life(7, "a", 70)).expect("invited");
        assert!(apply(&mut state, &come(7, 71, 71)).is_err(), "another life");
        apply(&mut state, &invite_life(7, "a", 71)).expect("corrected");
        assert!(matches!(apply(&mut state, &come(7, 71, 71)), Ok(Outcome::Member { .. })));
    }

    #[test]
    fn what_could_not_be_a_member_is_not_invited() {
        let mut state = formed(1);
        assert!(apply(&mut state, &invite(u32::MAX, "a")).is_err(), "it has no broker id");
        assert!(apply(&mut MetaState::default(), &invite(7, "a")).is_err());
        for node in 100..100 + FORMATION_MEMBERS_MAX as u32 - 1 {
            apply(&mut state, &invite(node, "a")).expect("invited");
        }
        assert!(apply(&mut state, &invite(99, "a")).is_err());
        apply(&mut state, &invite(100, "b")).expect("it is one of them");
    }
}
