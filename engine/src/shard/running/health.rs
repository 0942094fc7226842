//! The shard's part of health: it gathers the facts, has them judged, and tells what changed.

use super::Shard;
use crate::clock::Now;
use crate::health::{
    DiskFacts, Finding, JournalFacts, Known, NodeFacts, OpenTooLong, ReplicaState, What, judge,
};
use crate::ids::{JournalId, LaneId, META_JOURNAL, NodeId, ShardId};
use crate::journal::Journal;
use crate::journal::effects::Effects;
use crate::peer::PeerMessage;
use crate::port::{Event, Output};
use crate::shard::identity::registry::Registry;
use crate::shard::slot::Slot;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Facts are gathered and judged so often.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Transactions are looked at so often: it goes over all partitions of a journal that has any.
const LOOK_AT_OPEN: Duration = Duration::from_secs(5);

/// By then a coordinator has ended what it may end, and said so.
const OPEN_SLACK: Duration = Duration::from_secs(60);

/// A shard that did not look for so long was not running.
const PAUSED: Duration = Duration::from_millis(700);

/// Every other node hears of this one at least so often, whatever else there is to say.
const SIGN_OF_LIFE: Duration = Duration::from_millis(250);

impl Shard {
    /// All that is wrong as far as this shard knows, for those who look on.
    pub fn findings(&self) -> Vec<Finding> {
        self.health.watch.findings()
    }

    pub(super) fn tick_health(&mut self, now: Now, fx: &mut Effects) {
        if self.has_peers() && now.mono_ns - self.health.signed_ns >= SIGN_OF_LIFE.as_nanos() as u64 {
            self.health.signed_ns = now.mono_ns;
            self.give_sign_of_life(fx);
        }
        let since_ns = now.mono_ns - self.health.looked_ns;
        if self.health.looked_ns > 0 && since_ns >= PAUSED.as_nanos() as u64 {
            // This process was stopped: what came meanwhile is still to be read.
            self.health.heard_ns.values_mut().for_each(|heard_ns| *heard_ns += since_ns);
            self.health.leaderless_ns.clear();
        }
        let is_due = since_ns >= LOOK_AGAIN.as_nanos() as u64;
        if is_due && !self.lifecycle.stopping {
            self.health.looked_ns = now.mono_ns;
            self.look(now, fx);
        }
    }

    /// Followers have nothing to say to each other: an empty list of heartbeats on every lane.
    fn give_sign_of_life(&self, fx: &mut Effects) {
        let (shard, shards) = (self.config.shard, self.config.shards);
        for lane in (0..self.view.lanes.max(1)).map(LaneId).filter(|lane| lane.shard(shards) == shard) {
            for to in self.others() {
                fx.out.push(Output::Peer { to, lane, message: PeerMessage::Heartbeats(Vec::new()) });
            }
        }
    }

    fn look(&mut self, now: Now, fx: &mut Effects) {
        if self.has_peers() {
            self.forget_leaders(now, fx);
        }
        self.look_at_open(now);
        if self.health.awaiting_compaction.0 != self.view.version {
            self.health.awaiting_compaction = (self.view.version, self.view.awaiting_compaction());
        }
        let known = self.known(now);
        let view = std::sync::Arc::clone(&self.view);
        let awaiting = self.health.awaiting_compaction.1.clone();
        let topics_waiting = |journal: Option<JournalId>| awaiting.get(&journal?).cloned();
        let name_topics = |finding: &mut Finding| {
            let of_journal = || finding.journal.map(|journal| view.topics_of(journal));
            finding.topics = match finding.what {
                What::StableOffsetStuck(open) => view.topic_of(open.partition),
                What::NotCompacted => topics_waiting(finding.journal).unwrap_or_default(),
                _ => of_journal().unwrap_or_default(),
            };
        };
        let changed = self.health.watch.see(judge(&known), now, name_topics);
        if changed.differs {
            fx.out.push(Output::Health(self.health.watch.findings()));
        }
        if !changed.began.is_empty() {
            fx.out.push(Output::Event(Event::HealthBegan(changed.began)));
        }
        if !changed.ended.is_empty() {
            fx.out.push(Output::Event(Event::HealthEnded(changed.ended)));
        }
    }

    /// Where a transaction is open for longer than its coordinator would let it be.
    fn look_at_open(&mut self, now: Now) {
        let since_ns = now.mono_ns - self.health.open_looked_ns;
        if since_ns < LOOK_AT_OPEN.as_nanos() as u64 {
            return;
        }
        self.health.open_looked_ns = now.mono_ns;
        let longer_ms = self.transaction_timeout_max_ms + OPEN_SLACK.as_millis() as i64;
        let running = self.journals.iter().filter_map(|(id, slot)| Some((*id, slot.journal()?)));
        let view = &self.view;
        let found = running.filter_map(|(id, journal)| {
            let open = journal.open_too_long(longer_ms, now)?;
            Some((id, OpenTooLong { number: view.number_of(open.partition), ..open }))
        });
        let found = found.collect();
        self.health.open_too_long = found;
    }

    /// What this shard knows, as far as health goes.
    fn known(&mut self, now: Now) -> Known {
        let mut journals = Vec::new();
        let ids: Vec<JournalId> = self.journals.keys().copied().collect();
        for id in ids {
            journals.push(self.journal_facts(id, now));
        }
        let is_first = self.config.shard == ShardId(0);
        if is_first && self.waits_for_room_to_begin() {
            journals.push(JournalFacts { own: ReplicaState::Full, ..facts_of(META_JOURNAL) });
        } else if is_first && self.lifecycle.joining.is_some() {
            journals.push(JournalFacts {
                own: ReplicaState::CatchingUp { entries: 0 },
                ..facts_of(META_JOURNAL)
            });
        }
        let running = || self.journals.values().filter_map(Slot::journal);
        let segment_bytes = running().map(Journal::segment_bytes).max().unwrap_or(self.config.segment_bytes);
        let space = self.health.space.filter(|_| is_first);
        Known {
            now,
            node: self.config.node,
            nodes: self.node_facts(),
            tells_of_nodes: is_first,
            journals,
            disk: space.map(|(free_bytes, total_bytes)| DiskFacts { free_bytes, total_bytes, segment_bytes }),
            clock_drift_ms: running().filter(|_| is_first).find_map(|journal| journal.clock_drift_ms(now)),
        }
    }

    /// Before there is a journal to say so.
    fn waits_for_room_to_begin(&self) -> bool {
        self.lifecycle.begin_again_ns.is_some()
            || self.registry.as_ref().is_some_and(Registry::waits_for_room)
    }

    fn node_facts(&self) -> Vec<NodeFacts> {
        if !self.has_peers() {
            return Vec::new();
        }
        let own = self.config.node;
        let listed: BTreeSet<NodeId> =
            self.others().into_iter().chain(self.view.nodes.keys().copied()).collect();
        // Who is invited may come or not.
        let invited = Arc::clone(&self.view.invited);
        let heard = |node| self.health.heard_ns.get(&node).copied().unwrap_or(self.started.mono_ns);
        listed
            .into_iter()
            .filter(|node| *node != own && !invited.contains_key(node))
            .map(|node| NodeFacts { node, heard_ns: heard(node) })
            .collect()
    }

    fn journal_facts(&mut self, id: JournalId, now: Now) -> JournalFacts {
        let own = self.config.node;
        let view = self.view.journals.get(&id);
        let replicas = view.map(|journal| journal.replicas.clone());
        let is_needed =
            id == META_JOURNAL || view.is_some_and(|journal| journal.replicas.first() == Some(&own));
        let journal = match &self.journals[&id] {
            Slot::Running(journal) => journal,
            // There is no room to open it.
            Slot::Opening { retry_ns: Some(_), .. } => {
                return JournalFacts { own: ReplicaState::Full, ..facts_of(id) };
            }
            Slot::Opening { .. } => return facts_of(id),
            Slot::Closed(closed) => return JournalFacts { own: closed.replica_state(), ..facts_of(id) },
            Slot::Lost { .. } => return JournalFacts { own: ReplicaState::Quarantined, ..facts_of(id) },
        };
        let has_peers = !journal.is_alone();
        let is_leaderless = has_peers && journal.leader().1.is_none();
        let leaderless_ns =
            is_leaderless.then(|| *self.health.leaderless_ns.entry(id).or_insert(now.mono_ns));
        if !is_leaderless {
            self.health.leaderless_ns.remove(&id);
        }
        // Others have a leader, as it says itself: this replica is not one of its own, or not yet.
        let is_led = self.leader_of(id).is_some_and(|leader| leader != own && self.health.hears(leader, now));
        JournalFacts {
            journal: id,
            replicas: replicas.unwrap_or_else(|| journal.nodes()),
            is_needed,
            leaderless_ns: leaderless_ns.filter(|_| !is_led),
            own: journal.replica_state(),
            followers: journal.follower_facts(now),
            strangers: journal.strangers(now),
            open_too_long: self.health.open_too_long.get(&id).copied(),
            awaits_compaction: journal.is_leader() && self.health.awaiting_compaction.1.contains_key(&id),
        }
    }
}

/// Of a journal that does not run.
fn facts_of(journal: JournalId) -> JournalFacts {
    JournalFacts {
        journal,
        replicas: Vec::new(),
        is_needed: false,
        leaderless_ns: None,
        own: ReplicaState::Well,
        followers: Vec::new(),
        strangers: Vec::new(),
        open_too_long: None,
        awaits_compaction: false,
    }
}
