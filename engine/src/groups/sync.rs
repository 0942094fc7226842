//! SyncGroup and Heartbeat: what a member of a generation does until the next one.

use super::config::GROUP_METADATA_BYTES_MAX;
use super::error::GroupError;
use super::group::Group;
use super::pending::Pending;
use super::request::{Answer, Heartbeat, Sync, Synced};
use super::state::State;
use super::words::Turn;
use crate::coordinator::AppendError;
use crate::port::RequestId;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Group {
    /// The answer comes at once, or when the leader's assignment is committed.
    pub fn sync(&mut self, request: RequestId, sync: Sync, turn: &mut Turn<'_>) {
        match self.try_sync(request, sync, turn) {
            Ok(None) => {}
            Ok(Some(synced)) => turn.answer(request, Answer::Synced(Ok(synced))),
            Err(error) => turn.answer(request, Answer::Synced(Err(error))),
        }
    }

    fn try_sync(
        &mut self,
        request: RequestId,
        sync: Sync,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Synced>, GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let id = self.check_identity(&sync.member)?;
        // KIP-559: a client that names them must mean the same.
        let differs = |given: &Option<String>, ours: &Option<String>| given.is_some() && given != ours;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty | State::Dead => return Err(GroupError::UnknownMemberId),
            State::PreparingRebalance => return Err(GroupError::RebalanceInProgress),
            State::Stable => {
                self.renew_session(&id, turn);
                return Ok(Some(self.synced(&id)));
            }
            State::CompletingRebalance => {}
        }
        let is_leader = self.is_leader(&id);
        let member = self.members.get_mut(&id).expect("checked");
        member.must_sync = false;
        if let Some(before) = member.syncing.replace(request) {
            turn.answer(before, Answer::Synced(Err(GroupError::RebalanceInProgress)));
        }
        self.renew_session(&id, turn);
        // A leader that did not hear the answer may assign otherwise when it asks again: what is
        // being written counts.
        if is_leader && self.assigning != Some(self.generation) {
            self.store_assignments(sync.assignments, turn);
        }
        Ok(None)
    }

    fn synced(&self, id: &str) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: Arc::clone(&self.members[id].assignment),
        }
    }

    /// Who is not assigned anything gets nothing, and says so.
    fn store_assignments(&mut self, given: Vec<(String, Arc<[u8]>)>, turn: &mut Turn<'_>) {
        let given: BTreeMap<Arc<str>, Arc<[u8]>> = given
            .into_iter()
            .filter_map(|(member, bytes)| {
                let (id, _) = self.members.get_key_value(member.as_str())?;
                Some((Arc::clone(id), bytes))
            })
            .collect();
        if given.values().map(|bytes| bytes.len()).sum::<usize>() > GROUP_METADATA_BYTES_MAX {
            return self.not_assigned(GroupError::GroupTooLarge, turn);
        }
        let value = self.value(&given).encode();
        let pending = Pending::Assignment {
            group: Arc::clone(&self.id),
            generation: self.generation,
            value: value.as_slice().into(),
            assignments: given,
        };
        self.assigning = Some(self.generation);
        self.store(value, pending, turn);
    }

    /// The assignment is committed, or could not be.
    pub fn assigned(
        &mut self,
        generation: i32,
        assignments: &BTreeMap<Arc<str>, Arc<[u8]>>,
        result: Result<(), AppendError>,
        turn: &mut Turn<'_>,
    ) {
        if self.assigning == Some(generation) {
            self.assigning = None;
        }
        // Another rebalance began meanwhile: those who waited were told.
        if self.state != State::CompletingRebalance || self.generation != generation {
            return;
        }
        if let Err(error) = result {
            return self.not_assigned(error.group_error(GroupError::GroupTooLarge), turn);
        }
        self.set_state(State::Stable, turn.now);
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in members {
            let member = self.members.get_mut(&id).expect("listed above");
            member.assignment = assignments.get(&id).cloned().unwrap_or_default();
            if let Some(request) = member.syncing.take() {
                let answer = Answer::Synced(Ok(self.synced(&id)));
                turn.answer(request, answer);
                self.renew_session(&id, turn);
            }
        }
    }

    fn not_assigned(&mut self, error: GroupError, turn: &mut Turn<'_>) {
        self.members.values_mut().for_each(|member| member.assignment = Arc::default());
        self.refuse_syncs(error, turn);
        self.begin_rebalance(turn);
    }

    pub fn heartbeat(&mut self, heartbeat: &Heartbeat, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let id = self.check_identity(&heartbeat.member)?;
        self.renew_session(&id, turn);
        match self.state {
            State::Empty | State::Dead => Err(GroupError::UnknownMemberId),
            State::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }
}
