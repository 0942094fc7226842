//! The coordinator of transactions against a log in memory: requests in, answers and markers out,
//! time by hand.

mod bounds;
mod chaos;
mod ends;
mod failover;
mod fencing;

use super::record;
use super::request::{AddPartitions, EndTransaction, InitProducer, TopicPartition};
use super::{
    Answer, ProducerEpoch, Request, SendMarkers, TransactionConfig, TransactionError, TransactionNews,
    TransactionWords, TransactionalIds,
};
use crate::batch::records::Records;
use crate::batch::{BatchHeader, Ending};
use crate::clock::Now;
use crate::coordinator::{AppendError, AppendId, Coordinator, Input, Output, Tenure};
use crate::ids::{Offset, Term};
use crate::port::{RequestId, TransactionVersion};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zerocopy::FromBytes;

use Ending::{Abort, Commit};
use TransactionVersion::{One, Two};

const START_MS: i64 = 1_700_000_000_000;
const TIMEOUT_MS: i32 = 10_000;

/// One partition of `__transaction_state` and its coordinator.
struct World {
    coordinator: Coordinator<TransactionalIds>,
    now: Now,
    term: Term,
    tenure: Tenure,
    last: u64,
    fresh: i64,
    answers: BTreeMap<u64, Answer>,
    /// Appended, with outcome to come.
    appends: VecDeque<(AppendId, Vec<u8>)>,
    log: Vec<(i64, Vec<u8>)>,
    next_offset: i64,
    /// Asked for and not told yet.
    markers: VecDeque<(Tenure, SendMarkers)>,
    /// Outcomes come at once.
    commits_at_once: bool,
    committing: bool,
}

impl World {
    fn new() -> Self {
        Self::with(TransactionConfig::default())
    }

    fn with(config: TransactionConfig) -> Self {
        let mut world = Self {
            coordinator: Coordinator::new(config),
            now: Now { mono_ns: 1, wall_ms: START_MS },
            term: Term(0),
            tenure: Tenure::default(),
            last: 0,
            fresh: 100,
            answers: BTreeMap::new(),
            appends: VecDeque::new(),
            log: Vec::new(),
            next_offset: 0,
            markers: VecDeque::new(),
            commits_at_once: true,
            committing: false,
        };
        world.step(Input::Partitions(1));
        world.fail_over();
        world
    }

    fn step(&mut self, input: Input<'_, TransactionWords>) {
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
                Output::Loaded { report, .. } => assert_eq!(report.bad_records, 0),
                Output::Effect { tenure, effect } => self.markers.push_back((tenure, effect)),
            }
        }
        if self.commits_at_once && !self.committing {
            self.commit_all();
        }
    }

    fn commit_all(&mut self) {
        self.committing = true;
        while !self.appends.is_empty() {
            self.commit_first();
        }
        self.committing = false;
    }

    fn commit_first(&mut self) {
        let (append, mut batch) = self.appends.pop_front().expect("an append");
        let base = self.next_offset;
        let header = BatchHeader::mut_from_prefix(&mut batch).expect("a batch").0;
        header.base_offset.set(base);
        self.next_offset += i64::from(header.offsets());
        self.log.push((base, batch));
        self.step(Input::Appended { append, result: Ok(Offset(base)) });
    }

    fn fail_first(&mut self, error: AppendError) {
        let (append, _) = self.appends.pop_front().expect("an append");
        self.step(Input::Appended { append, result: Err(error) });
    }

    /// Another coordinator reads the log; what was on its way is lost.
    fn fail_over(&mut self) {
        self.term = Term(self.term.0 + 1);
        self.appends.clear();
        self.markers.clear();
        self.step(Input::Lead { partition: 0, term: self.term });
        for (_, batch) in &core::mem::take(&mut self.log) {
            self.step(Input::Read { tenure: self.tenure, batches: batch });
            let base = BatchHeader::of(batch).expect("a batch").base_offset.get();
            self.log.push((base, batch.clone()));
        }
        self.step(Input::Loaded { tenure: self.tenure });
    }

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

    fn init_with(&mut self, id: &str, expected: Option<ProducerEpoch>) -> u64 {
        let mut init =
            InitProducer { transactional_id: id.into(), timeout_ms: TIMEOUT_MS, expected, fresh: None };
        let request = self.ask(Request::Init(init.clone()));
        if self.answers.get(&request) != Some(&Answer::NeedsProducerId) {
            return request;
        }
        self.fresh += 1;
        init.fresh = Some(self.fresh);
        self.ask(Request::Init(init))
    }

    fn initialised(&mut self, request: u64) -> Result<ProducerEpoch, TransactionError> {
        match self.answer(request) {
            Some(Answer::Initialised(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    fn init(&mut self, id: &str) -> Result<ProducerEpoch, TransactionError> {
        let request = self.init_with(id, None);
        self.initialised(request)
    }

    fn go_on_from(&mut self, id: &str, expected: ProducerEpoch) -> Result<ProducerEpoch, TransactionError> {
        let request = self.init_with(id, Some(expected));
        self.initialised(request)
    }

    fn ask_add(&mut self, id: &str, producer: ProducerEpoch, partitions: &[i32]) -> u64 {
        self.ask(Request::Add(adding(id, producer, partitions)))
    }

    fn added(&mut self, request: u64) -> Result<(), TransactionError> {
        match self.answer(request) {
            Some(Answer::Added(result)) => result.and_then(|results| results.into_iter().collect()),
            other => panic!("{other:?}"),
        }
    }

    fn add(&mut self, id: &str, producer: ProducerEpoch, partitions: &[i32]) -> Result<(), TransactionError> {
        let request = self.ask_add(id, producer, partitions);
        self.added(request)
    }

    fn verify(&mut self, id: &str, producer: ProducerEpoch, partition: i32) -> Result<(), TransactionError> {
        let add = AddPartitions { verify_only: true, ..adding(id, producer, &[partition]) };
        let request = self.ask(Request::Add(add));
        self.added(request)
    }

    fn ask_end(
        &mut self,
        id: &str,
        producer: ProducerEpoch,
        ending: Ending,
        version: TransactionVersion,
    ) -> u64 {
        let mut end = EndTransaction { transactional_id: id.into(), producer, ending, version, fresh: None };
        let request = self.ask(Request::End(end.clone()));
        if self.answers.get(&request) != Some(&Answer::NeedsProducerId) {
            return request;
        }
        self.fresh += 1;
        end.fresh = Some(self.fresh);
        self.ask(Request::End(end))
    }

    fn ended(&mut self, request: u64) -> Result<ProducerEpoch, TransactionError> {
        match self.answer(request) {
            Some(Answer::Ended(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    fn end(
        &mut self,
        id: &str,
        producer: ProducerEpoch,
        ending: Ending,
        version: TransactionVersion,
    ) -> Result<ProducerEpoch, TransactionError> {
        let request = self.ask_end(id, producer, ending, version);
        self.ended(request)
    }

    /// The next markers asked for; they are written.
    fn mark(&mut self) -> SendMarkers {
        let (tenure, markers) = self.markers.pop_front().expect("markers were asked for");
        let news = TransactionNews::Marked {
            transactional_id: Arc::clone(&markers.transactional_id),
            producer: markers.producer,
        };
        self.step(Input::Told { tenure, news });
        markers
    }

    /// Names of the states that the log has of an id, in order; "-" is a tombstone.
    fn written(&self, id: &str) -> Vec<&'static str> {
        let mut states = Vec::new();
        for (_, batch) in &self.log {
            for record in Records::open(batch, 0).expect("our own").iter() {
                let record = record.expect("our own");
                if record.key == Some(&record::key(id)) {
                    let name = |value| record::decode_value(value).expect("our own").state.name();
                    states.push(record.value.map_or("-", name));
                }
            }
        }
        states
    }

    fn state_of(&mut self, id: &str) -> Option<&'static str> {
        let request = self.ask(Request::Describe { transactional_id: id.into() });
        match self.answer(request) {
            Some(Answer::Described(Ok(described))) => Some(described.state.name()),
            Some(Answer::Described(Err(TransactionError::TransactionalIdNotFound))) => None,
            other => panic!("{other:?}"),
        }
    }
}

fn topic(number: i32) -> TopicPartition {
    ("t".into(), number)
}

fn adding(id: &str, producer: ProducerEpoch, partitions: &[i32]) -> AddPartitions {
    AddPartitions {
        transactional_id: id.into(),
        producer,
        partitions: partitions.iter().map(|number| topic(*number)).collect(),
        verify_only: false,
        version: One,
    }
}

fn epoch(producer: ProducerEpoch, epoch: i16) -> ProducerEpoch {
    ProducerEpoch { epoch, ..producer }
}
