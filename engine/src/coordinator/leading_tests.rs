//! The runtime with a machine that keeps counts: "add" is a record, "sum" is read, "later" is a
//! timer, "shout" an effect.

use crate::batch::BatchHeader;
use crate::batch::records::{Record, Records};
use crate::clock::Now;
use crate::coordinator::append::{AppendError, AppendId, InTransaction, Tenure};
use crate::coordinator::fields::BadRecord;
use crate::coordinator::leading::{Coordinator, Input};
use crate::coordinator::machine::{StateMachine, Unready};
use crate::coordinator::output::Output;
use crate::coordinator::turn::Turn;
use crate::coordinator::vocabulary::{KeyValue, Vocabulary};
use crate::ids::{Offset, Term};
use crate::port::RequestId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zerocopy::FromBytes;

#[derive(Debug)]
enum CountWords {}

#[derive(Clone, Debug)]
enum Ask {
    Add { name: String, by: i64 },
    Sum { name: String },
    Later { name: String, ms: u64 },
    Shout { name: String },
    All,
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Sum(i64),
    All { names: usize, loading: usize },
    Unready(Unready),
    Failed(AppendError),
}

impl Vocabulary for CountWords {
    type Config = u64;
    type Request = Ask;
    type Answer = Told;
    type Pending = (Option<RequestId>, String, i64);
    type Timer = String;
    type News = String;
    type Effect = String;
    type Figures = u64;

    fn history_bytes_min(config: &u64) -> u64 {
        *config
    }
}

#[derive(Default)]
struct Counts(BTreeMap<String, i64>);

impl Counts {
    fn add(&mut self, request: Option<RequestId>, name: &str, by: i64, turn: &mut Turn<'_, CountWords>) {
        let record = (name.as_bytes().to_vec(), Some(by.to_be_bytes().to_vec()));
        turn.append((request, name.to_owned(), by), &[record]);
    }
}

impl StateMachine for Counts {
    type Words = CountWords;

    const TOPIC: &'static str = "__counts";

    fn name_in(request: &Ask) -> Option<&str> {
        match request {
            Ask::Add { name, .. } | Ask::Sum { name } | Ask::Later { name, .. } | Ask::Shout { name } => {
                Some(name)
            }
            Ask::All => None,
        }
    }

    fn unready(_: &Ask, why: Unready) -> Told {
        Told::Unready(why)
    }

    fn over_all<'a>(_: &Ask, led: impl Iterator<Item = (&'a Self, bool)>, _: Now) -> Told {
        let (mut names, mut loading) = (0, 0);
        led.for_each(|(machine, is_loading)| {
            names += machine.0.len();
            loading += usize::from(is_loading);
        });
        Told::All { names, loading }
    }

    fn topic_deleted(topic: &Arc<str>) -> Option<String> {
        Some(topic.to_string())
    }

    fn load(&mut self, record: &Record<'_>, _: Option<InTransaction>, _: Now) -> Result<(), BadRecord> {
        let name = core::str::from_utf8(record.key.unwrap_or_default()).map_err(|_| BadRecord::Text)?;
        let by = record.value.unwrap_or_default().try_into().map_err(|_| BadRecord::Short)?;
        *self.0.entry(name.to_owned()).or_default() += i64::from_be_bytes(by);
        Ok(())
    }

    fn loaded(&mut self, _: &mut Turn<'_, CountWords>) {
        self.0.retain(|_, sum| *sum != 0);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn request(&mut self, id: RequestId, request: Ask, turn: &mut Turn<'_, CountWords>) {
        match request {
            Ask::Add { name, by } => self.add(Some(id), &name, by, turn),
            Ask::Sum { name } => turn.answer(id, Told::Sum(self.0.get(&name).copied().unwrap_or_default())),
            Ask::Later { name, ms } => {
                let at_ns = turn.after_ms(ms);
                turn.timers.set(at_ns, name);
            }
            Ask::Shout { name } => turn.effect(name),
            Ask::All => unreachable!("it has no name"),
        }
    }

    fn appended(
        &mut self,
        (request, name, by): (Option<RequestId>, String, i64),
        result: Result<Offset, AppendError>,
        turn: &mut Turn<'_, CountWords>,
    ) {
        if result.is_ok() {
            *self.0.entry(name.clone()).or_default() += by;
        }
        if let Some(request) = request {
            turn.answer(request, result.map_or_else(Told::Failed, |_| Told::Sum(self.0[&name])));
        }
    }

    fn tick(&mut self, name: String, turn: &mut Turn<'_, CountWords>) {
        self.add(None, &name, 100, turn);
    }

    fn told(&mut self, name: &String, turn: &mut Turn<'_, CountWords>) {
        self.add(None, name, 1000, turn);
    }

    fn resign(&mut self, pending: Vec<(Option<RequestId>, String, i64)>, out: &mut Vec<Output<CountWords>>) {
        let answer = Told::Failed(AppendError::NotLeader);
        for request in pending.into_iter().filter_map(|(request, ..)| request) {
            out.push(Output::Answer { request, answer: answer.clone() });
        }
    }

    fn live(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
        self.0.iter().map(|(name, sum)| (name.as_bytes().to_vec(), sum.to_be_bytes().to_vec()))
    }

    fn void() -> KeyValue {
        (Vec::new(), Some(0i64.to_be_bytes().to_vec()))
    }

    fn count(&self, figures: &mut u64, _: Now) {
        *figures += self.0.len() as u64;
    }
}

/// One partition and its log.
struct World {
    coordinator: Coordinator<Counts>,
    now: Now,
    tenure: Tenure,
    term: Term,
    last: u64,
    answers: BTreeMap<u64, Told>,
    appends: VecDeque<(AppendId, Vec<u8>)>,
    log: Vec<(i64, Vec<u8>)>,
    next_offset: i64,
    effects: Vec<(Tenure, String)>,
}

impl World {
    fn new(history_bytes_min: u64) -> Self {
        let mut world = Self {
            coordinator: Coordinator::new(history_bytes_min),
            now: Now { mono_ns: 1, wall_ms: 1 },
            tenure: Tenure::default(),
            term: Term(0),
            last: 0,
            answers: BTreeMap::new(),
            appends: VecDeque::new(),
            log: Vec::new(),
            next_offset: 0,
            effects: Vec::new(),
        };
        world.step(Input::Partitions(1));
        world.fail_over();
        world
    }

    fn step(&mut self, input: Input<'_, CountWords>) {
        let mut outputs = Vec::new();
        self.coordinator.step(self.now, input, &mut outputs);
        for output in outputs {
            match output {
                Output::Answer { request, answer } => {
                    assert!(self.answers.insert(request.0, answer).is_none(), "{request:?} answered twice");
                }
                Output::Append { append, batch, .. } => self.appends.push_back((append, batch)),
                Output::Trim { before, .. } => self.log.retain(|(base, _)| *base >= before.0),
                Output::Read { tenure } => self.tenure = tenure,
                Output::Loaded { .. } => {}
                Output::Effect { tenure, effect } => self.effects.push((tenure, effect)),
            }
        }
    }

    fn begin_to_lead(&mut self) {
        self.term = Term(self.term.0 + 1);
        self.appends.clear();
        self.step(Input::Lead { partition: 0, term: self.term });
    }

    fn read_back(&mut self) {
        for (_, batch) in core::mem::take(&mut self.log) {
            self.step(Input::Read { tenure: self.tenure, batches: &batch });
            self.log.push((BatchHeader::of(&batch).expect("a batch").base_offset.get(), batch));
        }
        self.step(Input::Loaded { tenure: self.tenure });
    }

    fn fail_over(&mut self) {
        self.begin_to_lead();
        self.read_back();
    }

    fn commit_all(&mut self) {
        while let Some((append, mut batch)) = self.appends.pop_front() {
            let header = BatchHeader::mut_from_prefix(&mut batch).expect("a batch").0;
            let base = self.next_offset;
            header.base_offset.set(base);
            self.next_offset += i64::from(header.offsets());
            self.log.push((base, batch));
            self.step(Input::Appended { append, result: Ok(Offset(base)) });
        }
    }

    fn ask(&mut self, body: Ask) -> u64 {
        self.last += 1;
        self.step(Input::Request { request: RequestId(self.last), body });
        self.last
    }

    fn add(&mut self, name: &str, by: i64) -> u64 {
        self.ask(Ask::Add { name: name.to_owned(), by })
    }

    fn sum(&mut self, name: &str) -> i64 {
        let request = self.ask(Ask::Sum { name: name.to_owned() });
        match self.answers.remove(&request) {
            Some(Told::Sum(sum)) => sum,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_answer_waits_for_the_commit_and_survives_a_fail_over() {
    let mut world = World::new(1 << 20);
    let request = world.add("a", 5);
    assert!(world.answers.is_empty(), "nothing is promised yet");
    world.commit_all();
    assert_eq!(world.answers[&request], Told::Sum(5));
    let lost = world.add("a", 7);
    world.fail_over();
    assert_eq!(world.answers[&lost], Told::Failed(AppendError::NotLeader), "who waits is sent on");
    assert_eq!(world.sum("a"), 5);
}

#[test]
fn while_it_is_read_back_nothing_is_answered_and_news_wait() {
    let mut world = World::new(1 << 20);
    world.begin_to_lead();
    let request = world.ask(Ask::Sum { name: "a".to_owned() });
    assert_eq!(world.answers[&request], Told::Unready(Unready::Loading));
    world.step(Input::TopicDeleted { topic: "gone".into() });
    assert!(world.appends.is_empty());
    let all = world.ask(Ask::All);
    assert_eq!(world.answers[&all], Told::All { names: 0, loading: 1 });
    assert_eq!(world.coordinator.figures(world.now).loading, 1);
    world.read_back();
    world.commit_all();
    assert_eq!(world.sum("gone"), 1000);
}

#[test]
fn who_does_not_lead_says_so() {
    let mut world = World::new(1 << 20);
    world.step(Input::Resign { partition: 0 });
    let request = world.add("a", 1);
    assert_eq!(world.answers[&request], Told::Unready(Unready::NotCoordinator));
    // What an append was told ends a leadership, and that one does not come back.
    world.fail_over();
    world.add("a", 1);
    let (append, _) = world.appends.pop_front().expect("appended");
    world.step(Input::Appended { append, result: Err(AppendError::NotLeader) });
    world.step(Input::Lead { partition: 0, term: world.term });
    assert_eq!(world.coordinator.led().count(), 0);
    world.fail_over();
    assert_eq!(world.coordinator.led().count(), 1);
}

#[test]
fn timers_go_off_in_their_time() {
    let mut world = World::new(1 << 20);
    world.ask(Ask::Later { name: "a".to_owned(), ms: 10 });
    assert_eq!(world.coordinator.next_timer_ns(), Some(10_000_001));
    world.now.mono_ns = 10_000_000;
    world.step(Input::Tick);
    assert!(world.appends.is_empty());
    world.now.mono_ns += 1;
    world.step(Input::Tick);
    world.commit_all();
    assert_eq!((world.sum("a"), world.coordinator.next_timer_ns()), (100, None));
}

#[test]
fn what_comes_of_an_effect_is_for_its_tenure_alone() {
    let mut world = World::new(1 << 20);
    world.ask(Ask::Shout { name: "a".to_owned() });
    let (tenure, news) = world.effects.pop().expect("an effect");
    world.step(Input::Told { tenure, news: news.clone() });
    world.commit_all();
    assert_eq!(world.sum("a"), 1000);
    world.fail_over();
    world.step(Input::Told { tenure, news });
    assert!(world.appends.is_empty(), "an earlier stay's is nobody's");
}

#[test]
fn the_log_is_written_again_when_it_is_long_and_only_what_lives() {
    let mut world = World::new(8 << 10);
    for round in 0..2_000 {
        world.add(["a", "b"][round % 2], 1);
        // Some are on their way when the log is long: what follows is held until they are there.
        if round % 7 == 0 {
            world.commit_all();
        }
        let bytes: usize = world.log.iter().map(|(_, batch)| batch.len()).sum();
        assert!(bytes < 12 << 10, "{bytes} bytes");
    }
    world.commit_all();
    world.fail_over();
    assert_eq!((world.sum("a"), world.sum("b")), (1_000, 1_000));
    assert!(world.coordinator.figures(world.now).history_bytes < 12 << 10);
}

#[test]
fn a_log_where_nothing_lives_keeps_one_record() {
    let mut world = World::new(1 << 10);
    world.log.push((0, vec![0; 100]));
    for _ in 0..40 {
        world.add("a", 0);
        world.commit_all();
    }
    world.fail_over();
    let records = Records::open(&world.log[0].1, 0).expect("a batch");
    assert!(records.iter().next().is_some());
    assert!(world.log.len() < 20, "{} batches", world.log.len());
}
