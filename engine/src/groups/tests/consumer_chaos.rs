//! Members of the consumer protocol that crash, stall and come back, in a group whose topics change;
//! coordinators that fail over with appends on their way; appends that fail. Whatever happens: no
//! partition is two members' at once, a member may commit, and afterwards everybody has its
//! share.

use super::consumer::Client;
use super::*;
use crate::groups::consumer::partitions::Partitions;
use crate::rng::Rng;

const MEMBERS: u64 = 6;
const FAULTS_MS: u64 = 300_000;
const CALM_MS: u64 = 240_000;
const SESSION_NS: u64 = 45_000_000_000;

struct Member {
    client: Client,
    asked: Option<u64>,
    beat_ns: u64,
    asked_ns: u64,
    down_until_ns: u64,
    /// When it last was told that it is a member.
    heard_ns: u64,
    lives: u64,
    committed: Option<u64>,
}

impl Member {
    fn new(number: u64, rng: &mut Rng) -> Self {
        let name = format!("m{number}-0");
        let mut client = match rng.below(3) {
            0 => Client::matching(&name, "t.*"),
            1 => Client::new(&name, &["t"]),
            _ => Client::new(&name, &["t", "t2"]),
        };
        if number.is_multiple_of(2) {
            client.beat.instance = Some(format!("i{number}"));
        }
        client.beat.assignor = Some(["uniform", "range"][rng.below(2) as usize].to_owned());
        let (asked, committed) = (None, None);
        Self { client, asked, beat_ns: 0, asked_ns: 0, down_until_ns: 0, heard_ns: 0, lives: 0, committed }
    }

    /// What it works on: nothing once it was not heard for so long that it must think itself out.
    fn owned(&self, now: Now) -> Partitions {
        let is_in = now.mono_ns < self.heard_ns + SESSION_NS && self.client.epoch > 0;
        if is_in { self.client.owned.clone() } else { Partitions::default() }
    }

    fn out(&mut self) {
        self.client.epoch = 0;
        self.client.owned = Partitions::default();
    }

    /// It hangs, or dies and comes back as another that knows nothing.
    fn fault(&mut self, number: u64, rng: &mut Rng, now: Now) {
        self.down_until_ns = now.mono_ns + rng.below(70_000) * 1_000_000;
        if rng.one_in(2) {
            self.asked = None;
            self.committed = None;
            self.out();
            self.lives += 1;
            self.client.beat.member = format!("m{number}-{}", self.lives);
        }
    }

    fn step(&mut self, world: &mut World, promised: &mut i64) {
        if world.now.mono_ns < self.down_until_ns {
            return;
        }
        if let Some(request) = self.committed
            && let Some(Answer::Committed(result)) = world.answer(request)
        {
            self.committed = None;
            *promised += i64::from(result == Ok(vec![Ok(())]));
        }
        if let Some(request) = self.asked {
            let Some(Answer::Beat(result)) = world.answer(request) else { return };
            self.asked = None;
            self.told(result);
        }
        if self.committed.is_none() && self.client.epoch > 0 {
            self.committed = Some(world.commit(self.client.identity(), *promised + 1));
        }
        if world.now.mono_ns >= self.beat_ns {
            self.asked = Some(world.ask(self.client.request()));
            self.asked_ns = world.now.mono_ns;
            self.beat_ns = world.now.mono_ns + 1_000_000_000;
        }
    }

    fn told(&mut self, result: Result<super::super::request::Beat, GroupError>) {
        match result {
            Ok(beat) => {
                self.client.told(&beat);
                // It counts from when it asked, as the coordinator does from a little later.
                self.heard_ns = self.asked_ns;
            }
            Err(
                GroupError::UnknownMemberId
                | GroupError::FencedMemberEpoch
                | GroupError::FencedInstanceId
                | GroupError::GroupIdNotFound,
            ) => self.out(),
            Err(GroupError::UnreleasedInstanceId | GroupError::CoordinatorNotAvailable) => {}
            Err(GroupError::NotCoordinator | GroupError::CoordinatorLoadInProgress) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn fault(world: &mut World, members: &mut [Member], rng: &mut Rng) {
    let now = world.now;
    match rng.below(8) {
        0 => world.fail_over(),
        1 if !world.appends.is_empty() => world.fail_next(AppendError::Unavailable),
        2 => world.topic("t", 1 + rng.below(9)),
        3 => world.topic("t2", rng.below(4)),
        _ => {
            let number = rng.below(MEMBERS);
            members[number as usize].fault(number, rng, now);
        }
    }
}

fn check_disjoint(members: &[Member], now: Now, seed: u64) {
    let mut owners = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        for one in member.owned(now).iter() {
            let before = owners.insert(one, number);
            assert!(before.is_none(), "seed {seed}: {one:?} is {before:?}'s and {number}'s");
        }
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = World::with(GroupConfig { history_bytes_min: 4 << 10, ..GroupConfig::default() });
    world.topic("t", 5);
    world.commits_at_once = false;
    let mut members: Vec<Member> = (0..MEMBERS).map(|number| Member::new(number, &mut rng)).collect();
    let mut promised = 0;
    for at_ms in (0..FAULTS_MS + CALM_MS).step_by(100) {
        if at_ms < FAULTS_MS && rng.one_in(30) {
            fault(&mut world, &mut members, &mut rng);
        }
        for member in &mut members {
            member.step(&mut world, &mut promised);
        }
        for _ in 0..rng.below(4).min(world.appends.len() as u64) {
            world.commit_first();
        }
        world.pass_ms(100);
        check_disjoint(&members, world.now, seed);
    }
    world.commits_at_once = true;
    world.commit_all();
    assert!(promised > 0, "seed {seed}: members commit");
    let described = world.described();
    assert_eq!(described.state, "Stable", "seed {seed}: {described:?}");
    assert_eq!(described.members.len(), MEMBERS as usize, "seed {seed}");
    let owned: usize = members.iter().map(|member| member.client.owned.len()).sum();
    let has_t2 = members.iter().any(|member| {
        member.client.beat.pattern.is_some()
            || member.client.beat.topics.iter().flatten().any(|name| name == "t2")
    });
    let count = |name: &str| world.view.topics.get(name).map_or(0, |topic| topic.partitions.len());
    let wanted = count("t") + if has_t2 { count("t2") } else { 0 };
    assert_eq!(owned, wanted, "seed {seed}: everybody has its share");
    let bytes: usize = world.log.iter().map(|(_, batch)| batch.len()).sum();
    assert!(bytes < 96 << 10, "seed {seed}: history of {bytes} bytes");
}

#[test]
fn no_partition_is_two_members_at_once_whatever_fails() {
    for seed in 0..20 {
        run(seed);
    }
}
