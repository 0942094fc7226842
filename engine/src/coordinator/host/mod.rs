//! A shard's coordinator within its surroundings: tells it which partitions of the topic
//! the shard leads, brings its batches into the log and the log back to it, and moves log starts.
//!
//! `follow` looks at metadata and leaders, `append` keeps the order of batches and outcomes,
//! `read_back` reads partitions whole. It asks the shard for everything by [`Output`] and is told
//! by [`Input`]; like the coordinator it knows no clock, no socket and no disk.

mod append;
mod appends;
mod follow;
mod read_back;
mod reading;
mod seam;

pub use seam::{Append, Input, Output, Ticket};

use super::leading::{self, Coordinator};
use super::machine::StateMachine;
use super::output::{Figures, Output as Asked};
use crate::clock::Now;
use crate::control::View;
use crate::coordinator::Tenure;
use crate::coordinator::vocabulary::Vocabulary;
use crate::ids::{Offset, PartitionId, Term};
use crate::port::QueryKind;
use appends::Appends;
use read_back::ReadBack;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the head of this file.
pub struct Host<M: StateMachine> {
    coordinator: Coordinator<M>,
    /// By which it last told the coordinator.
    view: Arc<View>,
    stopped: bool,
    last_ticket: u64,
    appends: Appends,
    reading: ReadBack,
    /// Log starts on their way.
    trims: BTreeMap<Ticket, (i32, Offset)>,
}

impl<M: StateMachine> Host<M> {
    pub fn new(config: <M::Words as Vocabulary>::Config) -> Self {
        Self {
            coordinator: Coordinator::new(config),
            view: Arc::default(),
            stopped: false,
            last_ticket: 0,
            appends: Appends::default(),
            reading: ReadBack::default(),
            trims: BTreeMap::new(),
        }
    }

    /// For the metrics page.
    pub fn figures(&self, now: Now) -> Figures<<M::Words as Vocabulary>::Figures> {
        self.coordinator.figures(now)
    }

    /// In which term this stay leads its partition, while it lasts.
    pub fn term_of(&self, tenure: Tenure) -> Option<Term> {
        let is_current = self.coordinator.is_current(tenure);
        let mut led = self.coordinator.led().filter(|(partition, _)| *partition == tenure.partition);
        led.next().filter(|_| is_current).map(|(_, term)| term)
    }

    /// When a tick is wanted at the latest.
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.coordinator.next_timer_ns()
    }

    /// Takes one input and appends what follows from it; ask [`Host::next_append`] afterwards.
    pub fn step(&mut self, now: Now, input: Input<M::Words>, out: &mut Vec<Output<M::Words>>) {
        match input {
            Input::Request { request, body } => {
                self.coordinate(now, leading::Input::Request { request, body }, out);
            }
            Input::Produced { ticket, result } => {
                self.appends.outcome(ticket, result);
                self.tell_outcomes(now, out);
            }
            Input::Fetched { ticket, partition } => self.read(ticket, &partition, now, out),
            Input::Answered { ticket, result } => match self.trims.remove(&ticket) {
                Some((partition, before)) => {
                    out.push(Output::Trimmed { partition, before, refusal: result.err() });
                }
                None => self.read_bound(ticket, result, now, out),
            },
            Input::Told { tenure, news } => {
                self.coordinate(now, leading::Input::Told { tenure, news }, out);
            }
            Input::Heard { partition, news } => {
                self.coordinate(now, leading::Input::Heard { partition, news }, out);
            }
            Input::Stop => self.stop(now, out),
            Input::Tick => self.coordinate(now, leading::Input::Tick, out),
        }
        self.read_next(now, out);
    }

    fn coordinate(&mut self, now: Now, input: leading::Input<'_, M::Words>, out: &mut Vec<Output<M::Words>>) {
        let mut outputs = Vec::new();
        self.coordinator.step(now, input, &mut outputs);
        for output in outputs {
            match output {
                Asked::Answer { request, answer } => {
                    out.push(Output::Answer { request, answer });
                }
                Asked::Append { append, batch, guard } => self.appends.push(append, (batch, guard)),
                Asked::Trim { partition, before } => self.trim(partition, before, out),
                Asked::Read { tenure } => self.reading.add(tenure, now),
                Asked::Loaded { partition, report } => {
                    out.push(Output::Loaded { partition, report });
                }
                Asked::Effect { tenure, effect } => out.push(Output::Effect { tenure, effect }),
            }
        }
    }

    /// Frees what was written again.
    fn trim(&mut self, partition: i32, before: Offset, out: &mut Vec<Output<M::Words>>) {
        let Some(id) = self.partition_id(partition) else { return };
        let ticket = self.ticket();
        self.trims.insert(ticket, (partition, before));
        out.push(Output::Query { ticket, partition: id, kind: QueryKind::DeleteBefore(before.0) });
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// What the shard knows a partition of the topic by.
    fn partition_id(&self, partition: i32) -> Option<PartitionId> {
        let topic = self.view.topics.get(M::TOPIC)?;
        Some(topic.partitions.get(usize::try_from(partition).ok()?)?.id)
    }
}
