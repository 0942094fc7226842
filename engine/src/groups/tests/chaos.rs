//! Members that crash, stall and come back; coordinators that fail over with appends on their
//! way; appends that fail. Whatever happens: no committed offset is lost or moved back, each
//! partition of a generation has one owner, generations grow, and every rebalance ends.

use super::*;
use crate::groups::state::State;
use crate::rng::Rng;

const MEMBERS: u64 = 5;
const PARTITIONS: i32 = 7;
/// Faults for this long, and then none until all is well.
const FAULTS_MS: u64 = 90_000;
const CALM_MS: u64 = 120_000;

/// What was promised to anybody.
#[derive(Default)]
struct Promises {
    /// By partition: the highest commit that was answered.
    committed: BTreeMap<i32, i64>,
    /// By generation and partition.
    owners: BTreeMap<(i32, i32), String>,
    /// By partition: what was seen last.
    seen: BTreeMap<i32, i64>,
}

impl Promises {
    /// Whoever looks never sees an offset move back, nor one below what was promised.
    fn look(&mut self, world: &mut World) {
        let all = super::super::request::FetchOffsets { group: "g".to_owned(), ..Default::default() };
        let Answer::Offsets(Ok(offsets)) = world.now_answered(Request::FetchOffsets(all)) else { return };
        for found in offsets {
            let before = self.seen.insert(found.partition, found.offset);
            assert!(before.is_none_or(|before| before <= found.offset), "{found:?} after {before:?}");
        }
        for (partition, promised) in &self.committed {
            assert!(self.seen.get(partition) >= Some(promised), "partition {partition}: {promised}");
        }
    }
}

enum Phase {
    Out,
    Joining(u64),
    Syncing(u64),
    In,
}

struct Client {
    join: Join,
    phase: Phase,
    joined: Option<Joined>,
    owned: BTreeMap<i32, i64>,
    commit: Option<(u64, BTreeMap<i32, i64>)>,
    down_until_ns: u64,
    beat_ns: u64,
    synced_generation: i32,
}

impl Client {
    fn new(number: u64) -> Self {
        let name = format!("m{number}");
        // Every second one is static.
        let join = if number.is_multiple_of(2) { instance(&name) } else { consumer(&name) };
        Self {
            join: Join { requires_known_member: true, rebalance_timeout_ms: 15_000, ..join },
            phase: Phase::Out,
            joined: None,
            owned: BTreeMap::new(),
            commit: None,
            down_until_ns: 0,
            beat_ns: 0,
            synced_generation: 0,
        }
    }

    fn out(&mut self, error: Option<GroupError>) {
        if matches!(error, Some(GroupError::UnknownMemberId | GroupError::FencedInstanceId)) {
            self.join.member.clear();
        }
        self.phase = Phase::Out;
        self.commit = None;
    }

    /// The process dies and comes back knowing nothing, or hangs and knows all.
    fn fault(&mut self, rng: &mut Rng, now: Now) {
        self.down_until_ns = now.mono_ns + rng.below(25_000) * 1_000_000;
        if rng.one_in(2) {
            self.join.member.clear();
            self.out(None);
        }
    }

    fn step(&mut self, world: &mut World, promises: &mut Promises, rng: &mut Rng) {
        if world.now.mono_ns < self.down_until_ns {
            return;
        }
        match self.phase {
            Phase::Out => self.phase = Phase::Joining(world.join(self.join.clone())),
            Phase::Joining(request) => match world.answer(request) {
                None => {}
                Some(Answer::Joined(Ok(joined))) => self.was_joined(joined, world),
                Some(Answer::Joined(Err(JoinRefused { error, member }))) => {
                    if error == GroupError::MemberIdRequired {
                        self.join.member = member.to_string();
                    }
                    self.out(Some(error));
                }
                other => panic!("{other:?}"),
            },
            Phase::Syncing(request) => match world.answer(request) {
                None => {}
                Some(Answer::Synced(Ok(synced))) => self.was_synced(&synced, world, promises),
                Some(Answer::Synced(Err(error))) => self.out(Some(error)),
                other => panic!("{other:?}"),
            },
            Phase::In => self.work(world, promises, rng),
        }
    }

    fn was_joined(&mut self, joined: Joined, world: &mut World) {
        self.join.member = joined.member.to_string();
        let count = joined.members.len().max(1);
        let assignments: Vec<(String, Vec<u8>)> = (0..)
            .zip(&joined.members)
            .map(|(at, member): (usize, _)| {
                let own = (0..PARTITIONS as usize).filter(|partition| partition % count == at);
                (member.member.to_string(), own.map(|partition| partition as u8).collect())
            })
            .collect();
        let assignments: Vec<(&str, &[u8])> =
            assignments.iter().map(|(member, own)| (member.as_str(), own.as_slice())).collect();
        self.phase = Phase::Syncing(world.sync(&joined, &assignments));
        self.joined = Some(joined);
    }

    fn was_synced(&mut self, synced: &Synced, world: &mut World, promises: &mut Promises) {
        let generation = self.joined.as_ref().expect("it joined").generation;
        // One that nobody was assigned anything in may come again after a fail-over.
        assert!(generation >= self.synced_generation, "generations grow");
        self.synced_generation = generation;
        self.owned.clear();
        for partition in synced.assignment.iter().map(|partition| i32::from(*partition)) {
            let owner = promises.owners.entry((generation, partition)).or_insert(self.join.client_id.clone());
            assert_eq!(*owner, self.join.client_id, "partition {partition} of generation {generation}");
            let wanted = Some(vec![(Arc::from("t"), partition)]);
            let group = "g".to_owned();
            let fetch = super::super::request::FetchOffsets {
                group,
                wanted,
                require_stable: true,
                ..Default::default()
            };
            let offset = match world.now_answered(Request::FetchOffsets(fetch)) {
                Answer::Offsets(Ok(offsets)) if offsets[0].error.is_none() => offsets[0].offset,
                // Clients ask again; here the whole way is gone again.
                Answer::Offsets(_) => return self.out(None),
                other => panic!("{other:?}"),
            };
            let promised = promises.committed.get(&partition).copied().unwrap_or(-1);
            assert!(offset >= promised, "partition {partition}: {offset}, and {promised} was promised");
            self.owned.insert(partition, offset);
        }
        self.phase = Phase::In;
    }

    fn work(&mut self, world: &mut World, promises: &mut Promises, rng: &mut Rng) {
        let joined = self.joined.clone().expect("it is in");
        if let Some((request, offsets)) = self.commit.take() {
            match world.answer(request) {
                None => self.commit = Some((request, offsets)),
                Some(Answer::Committed(Ok(results))) if results.iter().all(Result::is_ok) => {
                    for (partition, offset) in offsets {
                        // It may have slept since: others may have been told more.
                        let promised = promises.committed.entry(partition).or_insert(offset);
                        *promised = offset.max(*promised);
                    }
                }
                Some(Answer::Committed(Ok(results))) => self.out(results[0].err()),
                Some(Answer::Committed(Err(error))) => self.out(Some(error)),
                other => panic!("{other:?}"),
            }
        } else if rng.one_in(8) && !self.owned.is_empty() {
            self.owned.values_mut().for_each(|offset| *offset += 1);
            let offsets = self.owned.iter().map(|(partition, offset)| new_offset("t", *partition, *offset));
            let offsets = offsets.collect();
            let commit =
                Commit { member: identity(&joined), offsets, retention_ms: None, knows_epochs: true };
            self.commit = Some((world.ask(Request::Commit(commit)), self.owned.clone()));
        }
        if world.now.mono_ns >= self.beat_ns && matches!(self.phase, Phase::In) {
            self.beat_ns = world.now.mono_ns + 500_000_000;
            if let Err(error) = world.heartbeat(&joined) {
                self.out(Some(error));
            }
        }
    }
}

/// Another coordinator: of what was on its way some is in the log, and nobody was told.
fn fail_over(world: &mut World, rng: &mut Rng) {
    let kept = rng.below(world.appends.len() as u64 + 1);
    for _ in 0..kept {
        let (_, batch) = world.appends.pop_front().expect("counted");
        world.put(batch);
    }
    world.fail_over();
}

fn fault(world: &mut World, clients: &mut [Client], rng: &mut Rng) {
    match rng.below(10) {
        0 | 1 => fail_over(world, rng),
        2 if !world.appends.is_empty() => {
            // It fails, and may be in the log all the same.
            let (append, batch) = world.appends.pop_front().expect("not empty");
            if rng.one_in(2) {
                world.put(batch);
            }
            world.step(Input::Appended { append, result: Err(AppendError::Unavailable) });
        }
        _ => {
            let at = rng.below(clients.len() as u64) as usize;
            clients[at].fault(rng, world.now);
        }
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = World::with(GroupConfig {
        initial_rebalance_delay_ms: rng.below(3) * 500,
        history_bytes_min: 4 << 10,
        ..GroupConfig::default()
    });
    world.commits_at_once = false;
    let mut promises = Promises::default();
    let mut clients: Vec<Client> = (0..MEMBERS).map(Client::new).collect();
    for at_ms in (0..FAULTS_MS + CALM_MS).step_by(10) {
        if at_ms < FAULTS_MS && rng.one_in(150) {
            fault(&mut world, &mut clients, &mut rng);
        }
        for client in &mut clients {
            client.step(&mut world, &mut promises, &mut rng);
        }
        for _ in 0..rng.below(4).min(world.appends.len() as u64) {
            world.commit_first();
        }
        world.pass_ms(10);
        if at_ms % 100 == 0 {
            promises.look(&mut world);
        }
    }
    assert_eq!(world.state_of("g"), Some(State::Stable), "seed {seed}: every rebalance ends");
    let owned: usize = clients.iter().map(|client| client.owned.len()).sum();
    assert_eq!(owned, PARTITIONS as usize, "seed {seed}");
    assert!(clients.iter().all(|client| matches!(client.phase, Phase::In)), "seed {seed}: all are in");
    let bytes: usize = world.log.iter().map(|(_, batch)| batch.len()).sum();
    assert!(bytes < 64 << 10, "seed {seed}: history of {bytes} bytes");
}

#[test]
fn nothing_promised_is_lost_whatever_fails() {
    for seed in 0..60 {
        run(seed);
    }
}
