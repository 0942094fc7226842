//! A member of a group: joins, is assigned partitions, reads where to begin, commits, beats; now
//! and then it hangs, crashes or leaves, and comes back.

use super::super::{Client, Ctx, Place};
use super::names::{TOPIC, coordinator, is_newest, name};
use crate::check::groups::PARTITIONS;
use engine::groups::request::{
    Commit, FetchOffsets, FetchedOffset, Heartbeat, Identity, Join, JoinRefused, Joined, Leave, NewOffset,
    Sync, Synced,
};
use engine::groups::{Answer, GroupError, Request};
use engine::port::RequestId;
use engine::rng::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

const MS: u64 = 1_000_000;
const BEAT_NS: u64 = 60 * MS;
/// Pauses between commits.
const COMMIT_NS: u64 = 20 * MS;
/// After a refusal it asks again within this time.
const RETRY_NS: u64 = 40 * MS;
/// It waits for an answer for this long; a rebalance takes less.
const PATIENCE_NS: u64 = 4_000 * MS;
/// Between its own faults, on average.
const CALM_NS: u64 = 600 * MS;
const DOWN_NS_MAX: u64 = 1_500 * MS;

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Out,
    Joining,
    Syncing,
    /// Asks where to begin.
    Fetching,
    In,
    Leaving,
}

/// What it asked last.
struct Asked {
    request: RequestId,
    /// The offsets of a commit.
    commit: BTreeMap<i32, i64>,
    patience_ns: u64,
}

pub struct Member {
    group: usize,
    name: Arc<str>,
    join: Join,
    phase: Phase,
    asked: Option<Asked>,
    joined: Option<Joined>,
    /// Partitions with the offset committed last; −1 is none.
    owned: BTreeMap<i32, i64>,
    beat_ns: u64,
    commit_ns: u64,
    /// Nothing is done before.
    next_ns: u64,
    fault_ns: u64,
    synced_generation: i32,
    /// Who answered its last commit.
    committed_at: Option<Place>,
}

impl Member {
    pub fn new(group: usize, number: u64, rng: &mut Rng) -> Self {
        let member = format!("m{number}");
        let metadata = [&[0, 1, 0, 0, 0, 1, 0, 4][..], TOPIC.as_bytes(), &[0; 4]].concat();
        let join = Join {
            group: name(group),
            client_id: member.clone(),
            client_host: "/127.0.0.1".to_owned(),
            // Every second one is static.
            instance: number.is_multiple_of(2).then(|| member.clone()),
            session_timeout_ms: 200 + rng.below(400) as i32,
            rebalance_timeout_ms: 300 + rng.below(700) as i32,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), metadata.into())],
            requires_known_member: true,
            ..Join::default()
        };
        Self {
            group,
            name: member.into(),
            join,
            phase: Phase::Out,
            asked: None,
            joined: None,
            owned: BTreeMap::new(),
            beat_ns: 0,
            commit_ns: 0,
            next_ns: 0,
            fault_ns: CALM_NS / 2,
            synced_generation: 0,
            committed_at: None,
        }
    }

    fn set_phase(&mut self, ctx: &mut Ctx<'_>, phase: Phase) {
        let generation = (phase == Phase::In).then_some(self.synced_generation);
        ctx.model.groups.group(self.group).member(ctx.client, generation);
        self.phase = phase;
    }

    /// It is out, or believes so, and joins again a little later.
    fn out(&mut self, ctx: &mut Ctx<'_>, error: Option<GroupError>) {
        if let Some(error) = error {
            ctx.world.counts.add(&format!("groups: refused: {error:?}"));
            if self.phase == Phase::In && error == GroupError::UnknownMemberId {
                ctx.world.counts.add("groups: member expired");
            }
            if matches!(error, GroupError::UnknownMemberId | GroupError::FencedInstanceId) {
                self.join.member.clear();
            }
        }
        self.asked = None;
        self.next_ns = ctx.world.now_ns + ctx.rng.below(RETRY_NS);
        self.set_phase(ctx, Phase::Out);
    }

    fn ask(&mut self, ctx: &mut Ctx<'_>, body: Request, commit: BTreeMap<i32, i64>) -> bool {
        let Some(place) = coordinator(ctx, self.group) else {
            self.next_ns = ctx.world.now_ns + ctx.rng.below(RETRY_NS);
            return false;
        };
        let request = ctx.ask_group(place, body);
        self.asked = Some(Asked { request, commit, patience_ns: ctx.world.now_ns + PATIENCE_NS });
        true
    }

    fn identity(&self) -> Identity {
        let joined = self.joined.as_ref().expect("it joined");
        Identity {
            group: name(self.group),
            member: joined.member.to_string(),
            instance: self.join.instance.clone(),
            generation: joined.generation,
        }
    }

    /// It hangs and knows all, or its process dies and comes back knowing nothing, or it goes.
    fn fault(&mut self, ctx: &mut Ctx<'_>) {
        self.fault_ns = ctx.world.now_ns + ctx.rng.below(2 * CALM_NS);
        let down_ns = ctx.rng.below(DOWN_NS_MAX);
        match ctx.rng.below(4) {
            0 => ctx.world.counts.add("groups: member stalled"),
            1 if self.phase == Phase::In && self.join.instance.is_none() => {
                let member = (self.join.member.clone(), None);
                let leave = Leave { group: name(self.group), members: vec![member] };
                if self.ask(ctx, Request::Leave(leave), BTreeMap::new()) {
                    self.set_phase(ctx, Phase::Leaving);
                }
                return;
            }
            _ => {
                ctx.world.counts.add("groups: member crashed");
                self.join.member.clear();
                self.out(ctx, None);
            }
        }
        self.next_ns = ctx.world.now_ns + down_ns;
    }

    fn work(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if now_ns >= self.beat_ns {
            self.beat_ns = now_ns + BEAT_NS;
            let beat = Heartbeat { member: self.identity() };
            self.ask(ctx, Request::Heartbeat(beat), BTreeMap::new());
        } else if now_ns >= self.commit_ns && !self.owned.is_empty() && !ctx.desk.is_settling {
            self.commit_ns = now_ns + ctx.rng.below(COMMIT_NS);
            self.owned.values_mut().for_each(|offset| *offset += 1);
            let new = |(partition, offset): (&i32, &i64)| NewOffset {
                topic: TOPIC.into(),
                partition: *partition,
                offset: *offset,
                leader_epoch: 0,
                metadata: String::new(),
            };
            let offsets = self.owned.iter().map(new).collect();
            let commit = Commit { member: self.identity(), offsets, retention_ms: None, knows_epochs: true };
            self.ask(ctx, Request::Commit(commit), self.owned.clone());
        }
    }

    fn was_joined(&mut self, ctx: &mut Ctx<'_>, joined: Joined) {
        self.join.member = joined.member.to_string();
        let count = joined.members.len().max(1);
        let share = |at: usize| -> Vec<u8> {
            let own = (0..PARTITIONS as usize).filter(|partition| partition % count == at);
            own.map(|partition| partition as u8).collect()
        };
        let assignments = joined.members.iter().enumerate();
        let assignments =
            assignments.map(|(at, member)| (member.member.to_string(), Arc::from(share(at)))).collect();
        self.joined = Some(joined);
        let member = self.identity();
        let sync = Sync { member, protocol_type: None, protocol: None, assignments };
        match self.ask(ctx, Request::Sync(sync), BTreeMap::new()) {
            true => self.set_phase(ctx, Phase::Syncing),
            false => self.out(ctx, None),
        }
    }

    fn was_synced(&mut self, ctx: &mut Ctx<'_>, from: Place, synced: &Synced) {
        let generation = self.joined.as_ref().expect("it joined").generation;
        let partitions: Vec<i32> = synced.assignment.iter().map(|number| i32::from(*number)).collect();
        ctx.model.groups.group(self.group).assigned(&self.name, generation, &partitions);
        if !is_newest(ctx, self.group, from) {
            ctx.world.counts.add("groups: a deposed coordinator answered");
            return self.out(ctx, None);
        }
        let before = self.synced_generation;
        assert!(generation >= before, "{}: generation {generation} after {before}", self.name);
        if generation > before {
            ctx.world.counts.add("groups: rebalance ended");
        }
        self.synced_generation = generation;
        self.owned = partitions.iter().map(|partition| (*partition, -1)).collect();
        let wanted = partitions.iter().map(|partition| (Arc::from(TOPIC), *partition)).collect();
        let fetch = FetchOffsets {
            group: name(self.group),
            wanted: Some(wanted),
            require_stable: true,
            ..Default::default()
        };
        match self.ask(ctx, Request::FetchOffsets(fetch), BTreeMap::new()) {
            true => self.set_phase(ctx, Phase::Fetching),
            false => self.out(ctx, None),
        }
    }

    fn was_told(&mut self, ctx: &mut Ctx<'_>, from: Place, offsets: &[FetchedOffset]) {
        if !is_newest(ctx, self.group, from) || offsets.iter().any(|one| one.error.is_some()) {
            // Clients ask again; here the whole way is gone again.
            return self.out(ctx, None);
        }
        for one in offsets {
            ctx.model.groups.group(self.group).saw(one.partition, one.offset);
            self.owned.insert(one.partition, one.offset);
        }
        self.set_phase(ctx, Phase::In);
    }

    fn was_committed(&mut self, ctx: &mut Ctx<'_>, from: Place, offsets: BTreeMap<i32, i64>) {
        for (partition, offset) in offsets {
            ctx.model.groups.group(self.group).committed(partition, offset);
        }
        ctx.world.counts.add("groups: offsets committed");
        if self.committed_at.replace(from).is_some_and(|before| before.node != from.node) {
            ctx.world.counts.add("groups: offsets committed after a failover");
        }
    }
}

impl Client for Member {
    fn wake(&mut self, ctx: &mut Ctx<'_>) {
        let now_ns = ctx.world.now_ns;
        if ctx.model.groups.group(self.group).is_new(ctx.client) {
            self.set_phase(ctx, Phase::Out);
        }
        if now_ns < self.next_ns {
            return;
        }
        if now_ns >= self.fault_ns && !ctx.desk.is_settling {
            return self.fault(ctx);
        }
        match &self.asked {
            Some(asked) if now_ns < asked.patience_ns => {}
            Some(_) => {
                ctx.world.counts.add("groups: member lost its patience");
                self.out(ctx, None);
            }
            None if self.phase == Phase::In => self.work(ctx),
            None => {
                let join = Join {
                    entropy: u128::from(ctx.rng.next_u64()) << 64 | u128::from(ctx.rng.next_u64()),
                    ..self.join.clone()
                };
                if self.ask(ctx, Request::Join(join), BTreeMap::new()) {
                    self.set_phase(ctx, Phase::Joining);
                }
            }
        }
    }

    fn answer(&mut self, _: &mut Ctx<'_>, output: engine::port::Output) {
        panic!("a member was answered {output:?}")
    }

    fn group_answer(&mut self, ctx: &mut Ctx<'_>, from: Place, request: RequestId, answer: Answer) {
        // What it does not wait for any more is of no use.
        let Some(asked) = self.asked.take_if(|asked| asked.request == request) else { return };
        match answer {
            Answer::Joined(Ok(joined)) => self.was_joined(ctx, joined),
            Answer::Joined(Err(JoinRefused { error, member })) => {
                if error == GroupError::MemberIdRequired {
                    self.join.member = member.to_string();
                }
                self.out(ctx, Some(error));
            }
            Answer::Synced(Ok(synced)) => self.was_synced(ctx, from, &synced),
            Answer::Offsets(Ok(offsets)) => self.was_told(ctx, from, &offsets),
            Answer::Heartbeat(Ok(())) => {}
            Answer::Committed(Ok(results)) => match results.iter().find_map(|result| result.err()) {
                None => self.was_committed(ctx, from, asked.commit),
                error => self.out(ctx, error),
            },
            Answer::Left(Ok(_)) => {
                ctx.world.counts.add("groups: member left");
                self.join.member.clear();
                self.out(ctx, None);
                self.next_ns = ctx.world.now_ns + ctx.rng.below(DOWN_NS_MAX);
            }
            Answer::Synced(Err(error))
            | Answer::Offsets(Err(error))
            | Answer::Heartbeat(Err(error))
            | Answer::Committed(Err(error))
            | Answer::Left(Err(error)) => self.out(ctx, Some(error)),
            other => panic!("a member was answered {other:?}"),
        }
    }

    fn lost(&mut self, ctx: &mut Ctx<'_>) {
        if self.asked.is_some() {
            self.out(ctx, None);
        }
    }

    fn may_rest(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        self.phase == Phase::In
    }
}
