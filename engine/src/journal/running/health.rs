//! How the replicas of the journal are: what [`crate::health`] judges by.

use super::Journal;
use super::members::META_VOTERS_MAX;
use crate::clock::Now;
use crate::health::{OpenTooLong, ReplicaFacts, ReplicaState};
use crate::ids::{META_JOURNAL, NodeId, RaftId};
use crate::journal::phase::Phase;
use crate::journal::quorum::lead::Caught;
use crate::partition::silent::Silent;
use std::collections::BTreeSet;

/// With fewer voters of the metadata no node may be lost.
const META_VOTERS_MIN: usize = 3;

impl Journal {
    /// How this node's replica is, by its own knowledge. Whoever finds another state that a replica can
    /// be in says so here and in [`ReplicaState`].
    pub fn replica_state(&self) -> ReplicaState {
        let ranges = self.heal.damage.len() as u64;
        match self.phase {
            Phase::Refusing => return ReplicaState::Refusing { ranges },
            Phase::Quarantined => return ReplicaState::Quarantined,
            Phase::Installing => return ReplicaState::CatchingUp { entries: 0 },
            Phase::Starting | Phase::Running | Phase::Stopping => {}
        }
        if self.quorum.refusals.is_superseded {
            ReplicaState::NotMember
        } else if let Some(doubt) = self.heal.doubt {
            ReplicaState::InDoubt { first: doubt.good.index.next(), last: doubt.end.index }
        } else if ranges > 0 {
            ReplicaState::Damaged { ranges }
        } else if self.upkeep.reported_full {
            ReplicaState::Full
        } else if self.lacks_runs() > 0 {
            let (_, bytes) = self.runs_left();
            ReplicaState::LacksRuns { runs: self.lacks_runs(), bytes }
        } else if !self.is_alone() && !self.counts_for_good() && !self.is_standby() {
            ReplicaState::CatchingUp { entries: 0 }
        } else {
            ReplicaState::Well
        }
    }

    /// How the others are; nobody while this replica does not lead.
    pub fn follower_facts(&self, now: Now) -> Vec<ReplicaFacts> {
        let Some(lead) = &self.quorum.lead else { return Vec::new() };
        let last = self.log.last().0;
        let facts = |id, caught: &Caught| {
            let node = self.node_of(id)?;
            let (state, since_ns) = caught.state(last, now);
            let state = match state {
                ReplicaState::CatchingUp { entries: 0 } if self.stands_by(id) => ReplicaState::Well,
                state => state,
            };
            Some(ReplicaFacts { node, state, since_ns })
        };
        lead.current().filter_map(|(id, caught)| facts(id, caught)).collect()
    }

    /// The nodes whose replicas vote, as far as this one knows; none while that changes, or where one is not known.
    pub fn voter_nodes(&self) -> Option<Vec<NodeId>> {
        let members = &self.ledger.state.members;
        if members.is_joint() {
            return None;
        }
        members.voters.iter().map(|id| self.node_of(*id)).collect()
    }

    /// Whether this replica is meant to learn and no more.
    pub fn is_standby(&self) -> bool {
        self.stands_by(self.quorum.replica.id())
    }

    /// A replica of the metadata that learns because there are voters enough, or no other one to become a voter with. One
    /// that is to take the place of its node's former replica is on its way.
    fn stands_by(&self, id: RaftId) -> bool {
        let members = &self.ledger.state.members;
        if self.id != META_JOURNAL || members.is_joint() || !members.learners.contains(&id) {
            return false;
        }
        assert!(!members.voters.contains(&id), "replica {id} votes and learns");
        let node = self.node_of(id);
        let replaces = members.voters.iter().any(|voter| self.node_of(*voter) == node);
        let (voters, learners) = (members.voters.len(), members.learners.len());
        !replaces && (voters >= META_VOTERS_MAX || voters >= META_VOTERS_MIN && learners == 1)
    }

    /// By how much the wall clock left the monotonic one, when it is not trusted.
    pub fn clock_drift_ms(&self, now: Now) -> Option<i64> {
        (!self.upkeep.trusts_clock).then(|| self.upkeep.drift_ms(now))
    }

    /// Of what this replica leads: a transaction whose producer wrote nothing for so long, the one that is silent for longest.
    /// Its partition's number is the caller's to say.
    pub fn open_too_long(&self, longer_ms: i64, now: Now) -> Option<OpenTooLong> {
        let before_ms = self.leader_wall_ms(now).saturating_sub(longer_ms);
        let (silent, partitions) = self.fold().silent(before_ms).filter(|_| self.is_leader())?;
        let Silent { partition, first, producer, since_ms: silent_since_ms } = silent;
        Some(OpenTooLong { partition, number: -1, first, producer, silent_since_ms, partitions })
    }

    /// Nodes whose replica is no member and says things all the same.
    pub fn strangers(&self, now: Now) -> Vec<NodeId> {
        self.quorum.refusals.strangers(now)
    }

    /// The nodes that have a replica, as far as it knows.
    pub fn nodes(&self) -> Vec<NodeId> {
        let members = self.quorum.replica.members();
        let nodes: BTreeSet<NodeId> = members.voters.iter().filter_map(|id| self.node_of(*id)).collect();
        nodes.into_iter().collect()
    }

    /// The length of its segments.
    pub fn segment_bytes(&self) -> u64 {
        self.log.limits.bytes
    }
}
