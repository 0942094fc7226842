//! The coordinator against a log in memory: requests in, answers out, time by hand.

mod chaos;
mod commits;
mod consumer;
mod consumer_chaos;
mod consumer_classic;
mod history;
mod members;
mod rebalances;
mod statics;
mod transactions;

use super::request::{
    Answer, Commit, Heartbeat, Identity, Join, JoinRefused, Joined, NewOffset, Request, Sync, Synced,
};
use super::{GroupConfig, GroupError, GroupWords, Groups};
use crate::batch::BatchHeader;
use crate::clock::Now;
use crate::control::View;
use crate::control::view::{PartitionView, TopicView};
use crate::coordinator::{AppendError, AppendId, Coordinator, Input, Output, Tenure};
use crate::ids::{Offset, PartitionId, Term, TopicId};
use crate::port::RequestId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zerocopy::FromBytes;

const START_MS: i64 = 1_700_000_000_000;

/// One partition of the offsets topic and its coordinator.
struct World {
    coordinator: Coordinator<Groups>,
    now: Now,
    term: Term,
    tenure: Tenure,
    last: u64,
    answers: BTreeMap<u64, Answer>,
    /// Appended, with outcome to come.
    appends: VecDeque<(AppendId, Vec<u8>)>,
    /// Batches with their base offsets: the log.
    log: Vec<(i64, Vec<u8>)>,
    next_offset: i64,
    /// Outcomes come at once.
    commits_at_once: bool,
    committing: bool,
    view: View,
}

impl World {
    fn new() -> Self {
        Self::with(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() })
    }

    fn with(config: GroupConfig) -> Self {
        let mut world = Self {
            coordinator: Coordinator::new(config),
            now: Now { mono_ns: 1, wall_ms: START_MS },
            term: Term(1),
            tenure: Tenure::default(),
            last: 0,
            answers: BTreeMap::new(),
            appends: VecDeque::new(),
            log: Vec::new(),
            next_offset: 0,
            commits_at_once: true,
            committing: false,
            view: View::default(),
        };
        world.step(Input::Partitions(1));
        world.step(Input::Lead { partition: 0, term: Term(1) });
        world.step(Input::Loaded { tenure: world.tenure });
        world
    }

    fn step(&mut self, input: Input<'_, GroupWords>) {
        let mut outputs = Vec::new();
        self.coordinator.step(self.now, input, &mut outputs);
        for output in outputs {
            match output {
                Output::Answer { request, answer } => {
                    let before = self.answers.insert(request.0, answer);
                    assert!(before.is_none(), "{request:?} was answered twice");
                }
                Output::Append { append, batch, .. } => self.appends.push_back((append, batch)),
                Output::Trim { before, .. } => self.log.retain(|(base, _)| *base >= before.0),
                Output::Read { tenure } => self.tenure = tenure,
                Output::Loaded { .. } => {}
                Output::Effect { effect, .. } => match effect {},
            }
        }
        // Outcomes have outcomes of their own: those come in the same loop.
        if self.commits_at_once && !self.committing {
            self.commit_all();
        }
    }

    /// There is a topic of so many partitions; none: it is deleted. Its id is its name's bytes.
    fn topic(&mut self, name: &str, partitions: u64) {
        let id = topic_id(name);
        let partition = |number| PartitionView { id: PartitionId(number), spans: Vec::new() };
        let topic = TopicView {
            name: name.into(),
            id,
            replication_factor: 1,
            partitions: (0..partitions).map(partition).collect(),
            configs: BTreeMap::new(),
            settings: crate::control::life::TopicSettings::effective(
                &Default::default(),
                &Default::default(),
                &Default::default(),
            ),
        };
        self.view.topics.remove(name);
        self.view.topic_ids.remove(&id);
        if partitions > 0 {
            self.view.topic_ids.insert(id, topic.name.clone());
            self.view.topics.insert(topic.name.clone(), Arc::new(topic));
        }
        self.step(Input::Metadata(Arc::new(self.view.clone())));
    }

    fn commit_all(&mut self) {
        self.committing = true;
        while !self.appends.is_empty() {
            self.commit_first();
        }
        self.committing = false;
    }

    /// The outcome of what is first, and nothing more.
    fn commit_first(&mut self) {
        let (append, batch) = self.appends.pop_front().expect("an append");
        let base = self.put(batch);
        self.step(Input::Appended { append, result: Ok(base) });
    }

    /// Into the log.
    fn put(&mut self, mut batch: Vec<u8>) -> Offset {
        let base = self.next_offset;
        let header = BatchHeader::mut_from_prefix(&mut batch).expect("a batch").0;
        header.base_offset.set(base);
        self.next_offset += i64::from(header.offsets());
        self.log.push((base, batch));
        Offset(base)
    }

    fn fail_next(&mut self, error: AppendError) {
        let (append, _) = self.appends.pop_front().expect("an append");
        self.step(Input::Appended { append, result: Err(error) });
    }

    /// Time goes on in steps of a tick.
    fn pass_ms(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.now.mono_ns += 10_000_000;
            self.now.wall_ms += 10;
            self.step(Input::Tick);
        }
    }

    fn ask(&mut self, body: Request) -> u64 {
        self.last += 1;
        self.step(Input::Request { request: RequestId(self.last), body });
        self.last
    }

    fn answer(&mut self, request: u64) -> Option<Answer> {
        self.answers.remove(&request)
    }

    fn now_answered(&mut self, body: Request) -> Answer {
        let request = self.ask(body);
        self.answer(request).expect("answered at once")
    }

    /// Another coordinator reads the log.
    fn fail_over(&mut self) {
        self.term = Term(self.term.0 + 1);
        self.appends.clear();
        self.step(Input::Lead { partition: 0, term: self.term });
        let log = core::mem::take(&mut self.log);
        for (_, batch) in &log {
            self.step(Input::Read { tenure: self.tenure, batches: batch });
        }
        self.log = log;
        self.step(Input::Loaded { tenure: self.tenure });
    }

    fn join(&mut self, join: Join) -> u64 {
        self.last += 1;
        let join = Join { entropy: self.last.into(), ..join };
        self.step(Input::Request { request: RequestId(self.last), body: Request::Join(join) });
        self.last
    }

    /// The id that a new dynamic member is given.
    fn new_member(&mut self, join: &Join) -> String {
        let request = self.join(Join { requires_known_member: true, ..join.clone() });
        let JoinRefused { error, member } = self.refused(request);
        assert_eq!(error, GroupError::MemberIdRequired);
        member.to_string()
    }

    fn joined(&mut self, request: u64) -> Joined {
        match self.answer(request) {
            Some(Answer::Joined(Ok(joined))) => joined,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, request: u64) -> JoinRefused {
        match self.answer(request) {
            Some(Answer::Joined(Err(refused))) => refused,
            other => panic!("{other:?}"),
        }
    }

    fn synced(&mut self, request: u64) -> Result<Synced, GroupError> {
        match self.answer(request) {
            Some(Answer::Synced(synced)) => synced,
            other => panic!("{other:?}"),
        }
    }

    fn sync(&mut self, member: &Joined, assignments: &[(&str, &[u8])]) -> u64 {
        let assignments =
            assignments.iter().map(|(member, bytes)| (member.to_string(), Arc::from(*bytes))).collect();
        self.ask(Request::Sync(Sync { member: identity(member), assignments, ..Sync::default() }))
    }

    fn heartbeat(&mut self, member: &Joined) -> Result<(), GroupError> {
        match self.now_answered(Request::Heartbeat(Heartbeat { member: identity(member) })) {
            Answer::Heartbeat(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// A stable group of one.
    fn lone_member(&mut self, name: &str) -> Joined {
        let request = self.join(consumer(name));
        self.pass_ms(10);
        let joined = self.joined(request);
        let request = self.sync(&joined, &[(&joined.member, b"all")]);
        assert_eq!(&*self.synced(request).expect("synced").assignment, b"all");
        joined
    }

    fn commit(&mut self, member: Identity, offset: i64) -> u64 {
        let offsets = vec![new_offset("t", 0, offset)];
        self.ask(Request::Commit(Commit { member, offsets, retention_ms: None, knows_epochs: true }))
    }

    fn committed(&mut self, request: u64) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        match self.answer(request) {
            Some(Answer::Committed(committed)) => committed,
            other => panic!("{other:?}"),
        }
    }

    /// The committed offset of partition 0 of "t".
    fn offset_of(&mut self, group: &str) -> i64 {
        let wanted = Some(vec![(Arc::from("t"), 0)]);
        let fetch = super::request::FetchOffsets { group: group.to_owned(), wanted, ..Default::default() };
        match self.now_answered(Request::FetchOffsets(fetch)) {
            Answer::Offsets(Ok(offsets)) => offsets[0].offset,
            other => panic!("{other:?}"),
        }
    }

    fn state_of(&mut self, group: &str) -> Option<super::state::State> {
        match self.now_answered(Request::Describe { group: group.to_owned() }) {
            Answer::Described(Ok(described)) => Some(described.state),
            Answer::Described(Err(GroupError::GroupIdNotFound)) => None,
            other => panic!("{other:?}"),
        }
    }
}

fn topic_id(name: &str) -> TopicId {
    TopicId(name.bytes().fold(0, |id, byte| id << 8 | u128::from(byte)))
}

/// A dynamic member of group "g" for topic "t", named by its client id.
fn consumer(name: &str) -> Join {
    let metadata = [&[0, 1, 0, 0, 0, 1, 0, 1, b't'][..], name.as_bytes()].concat();
    Join {
        group: "g".to_owned(),
        client_id: name.to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), metadata.into())],
        ..Join::default()
    }
}

fn instance(name: &str) -> Join {
    Join { instance: Some(name.to_owned()), ..consumer(name) }
}

fn identity(joined: &Joined) -> Identity {
    Identity {
        group: "g".to_owned(),
        member: joined.member.to_string(),
        instance: None,
        generation: joined.generation,
    }
}

/// Somebody without a membership.
fn nobody(group: &str) -> Identity {
    Identity { group: group.to_owned(), generation: -1, ..Identity::default() }
}

fn new_offset(topic: &str, partition: i32, offset: i64) -> NewOffset {
    NewOffset { topic: topic.into(), partition, offset, leader_epoch: 3, metadata: "m".to_owned() }
}
