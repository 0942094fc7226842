//! One partition, while this shard leads it: its machine, its timers, its log.

use super::append::{AppendError, InTransaction, Tenure};
use super::history;
use super::log::{Log, Pending};
use super::machine::{StateMachine, Unready};
use super::output::{Figures, LoadReport, Output};
use super::timers::Timers;
use super::turn::Turn;
use super::vocabulary::Vocabulary;
use crate::batch::records::{Record, Records};
use crate::batch::{BatchHeader, EndMarker};
use crate::clock::Now;
use crate::control::View;
use crate::ids::{Offset, Term};
use crate::port::RequestId;
use std::sync::Arc;

/// A batch of an internal topic is written here and never compressed; what others wrote may be.
const BATCH_BODY_BYTES_MAX: usize = 64 << 20;

/// What comes with each call: time, settings, where outputs go.
pub struct Stage<'a, V: Vocabulary> {
    pub now: Now,
    pub config: &'a V::Config,
    pub view: &'a Arc<View>,
    pub topics_version: u64,
    pub out: &'a mut Vec<Output<V>>,
}

/// See the head of this file.
pub struct Led<M: StateMachine> {
    machine: M,
    timers: Timers<<M::Words as Vocabulary>::Timer>,
    log: Log<M::Words>,
    /// In which this shard leads it.
    term: Term,
    /// While the log is read back.
    loading: Option<Loading<<M::Words as Vocabulary>::News>>,
}

/// What is not for the machine before all was read.
struct Loading<N> {
    records: u64,
    /// Records that nobody here can read; they are passed over.
    bad_records: u64,
    news: Vec<N>,
}

impl<M: StateMachine> Led<M> {
    /// Nothing is answered until [`Self::loaded`].
    pub fn new(tenure: Tenure, term: Term) -> Self {
        Self {
            machine: M::default(),
            timers: Timers::default(),
            log: Log::new(tenure),
            term,
            loading: Some(Loading { records: 0, bad_records: 0, news: Vec::new() }),
        }
    }

    pub fn term(&self) -> Term {
        self.term
    }

    pub fn tenure(&self) -> Tenure {
        self.log.tenure
    }

    fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// The machine, and whether it is being read back.
    pub fn machine(&self) -> (&M, bool) {
        (&self.machine, self.is_loading())
    }

    /// Takes in whole batches.
    pub fn load(&mut self, mut batches: &[u8], now: Now) {
        if self.loading.is_none() {
            return;
        }
        self.log.note_read(batches.len() as u64);
        while let Some(header) = BatchHeader::of(batches) {
            let bytes = usize::try_from(header.declared_bytes()).unwrap_or(usize::MAX);
            let Some((batch, rest)) = batches.split_at_checked(bytes) else { break };
            self.load_batch(header, batch, now);
            batches = rest;
        }
    }

    fn load_batch(&mut self, header: &BatchHeader, batch: &[u8], now: Now) {
        if header.is_control() {
            return EndMarker::decode(batch).into_iter().for_each(|marker| self.machine.load_end(marker));
        }
        let (producer, epoch) = (header.producer_id.get(), header.producer_epoch.get());
        let within = header.is_transactional().then_some(InTransaction { producer, epoch, guard: None });
        match Records::open(batch, BATCH_BODY_BYTES_MAX) {
            Ok(records) => records.iter().for_each(|record| self.load_record(record.ok(), within, now)),
            Err(_) => self.load_record(None, within, now),
        }
    }

    fn load_record(&mut self, record: Option<Record<'_>>, within: Option<InTransaction>, now: Now) {
        let loading = self.loading.as_mut().expect("only while it is read back");
        loading.records += u64::from(record.is_some());
        if record.is_none_or(|record| self.machine.load(&record, within, now).is_err()) {
            loading.bad_records += 1;
        }
    }

    pub fn loaded(&mut self, shard_bytes: u64, stage: &mut Stage<'_, M::Words>) -> LoadReport {
        let loading = self.loading.take().expect("a partition is loaded once");
        let (machine, mut turn) = self.turn(stage);
        machine.loaded(&mut turn);
        loading.news.iter().for_each(|news| machine.told(news, &mut turn));
        let (_, live_bytes) = history::live_batches(&self.machine);
        self.log.loaded(live_bytes, shard_bytes);
        let Loading { records, bad_records, .. } = loading;
        LoadReport { kept: self.machine.len(), records, bad_records }
    }

    fn turn<'a>(&'a mut self, stage: &'a mut Stage<'_, M::Words>) -> (&'a mut M, Turn<'a, M::Words>) {
        let turn = Turn {
            now: stage.now,
            config: stage.config,
            view: stage.view,
            topics_version: stage.topics_version,
            log: &mut self.log,
            timers: &mut self.timers,
            out: stage.out,
        };
        (&mut self.machine, turn)
    }

    pub fn request(
        &mut self,
        id: RequestId,
        request: <M::Words as Vocabulary>::Request,
        stage: &mut Stage<'_, M::Words>,
    ) {
        if self.is_loading() {
            let answer = M::unready(&request, Unready::Loading);
            return stage.out.push(Output::Answer { request: id, answer });
        }
        let (machine, mut turn) = self.turn(stage);
        machine.request(id, request, &mut turn);
    }

    pub fn count(&self, figures: &mut Figures<<M::Words as Vocabulary>::Figures>, now: Now) {
        self.machine.count(&mut figures.machine, now);
        figures.loading += u64::from(self.is_loading());
        figures.history_bytes += self.log.history_bytes();
    }

    /// When there is something to look at.
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.timers.next_ns()
    }

    /// Looks at what is due.
    pub fn tick(&mut self, stage: &mut Stage<'_, M::Words>) {
        while let Some(timer) = self.timers.due(stage.now.mono_ns) {
            let (machine, mut turn) = self.turn(stage);
            machine.tick(timer, &mut turn);
        }
    }

    pub fn told(&mut self, news: <M::Words as Vocabulary>::News, stage: &mut Stage<'_, M::Words>) {
        if let Some(loading) = &mut self.loading {
            return loading.news.push(news);
        }
        let (machine, mut turn) = self.turn(stage);
        machine.told(&news, &mut turn);
    }

    /// Writes the history again where it is long; called after everything else.
    pub fn bound_history(&mut self, shard_bytes: u64, stage: &mut Stage<'_, M::Words>) {
        if !self.is_loading() && self.log.must_rewrite(stage.config, shard_bytes, stage.now) {
            history::rewrite(&mut self.log, &mut self.machine, shard_bytes, stage.now, stage.out);
        }
    }

    /// An append has its outcome.
    pub fn appended(
        &mut self,
        number: u64,
        result: Result<Offset, AppendError>,
        stage: &mut Stage<'_, M::Words>,
    ) {
        match self.log.outcome(number) {
            Pending::Rewrite => {
                if let Some(done) = self.log.rewritten(result, stage.now) {
                    let partition = self.log.tenure.partition;
                    self.machine.end_rewrite(done.from);
                    let before = done.frees_before();
                    stage.out.extend(before.map(|before| Output::Trim { partition, before }));
                }
            }
            Pending::Machine(pending) => {
                let (machine, mut turn) = self.turn(stage);
                machine.appended(pending, result, &mut turn);
            }
        }
    }

    /// The leadership is over: all who wait are sent on.
    pub fn resign(mut self, out: &mut Vec<Output<M::Words>>) {
        self.machine.resign(self.log.give_up().collect(), out);
    }
}
