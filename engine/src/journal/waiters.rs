//! Requests that wait until their entry is durable or committed.

use crate::control::{CommandError, Outcome};
use crate::ids::{Index, Offset, PartitionId};
use crate::partition::Fold;
use crate::shard::{Acks, Answer, ControlRefusal, Output, Produced, Refusal, RequestId};
use std::collections::BTreeMap;

/// What a waiter is told.
#[derive(Clone, Copy, Debug)]
pub enum Waiting {
    Produce { base_offset: Offset, log_append_time_ms: i64 },
    LogStart,
}

/// One batch or one question of a request.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    pub request: RequestId,
    pub slot: u32,
    pub partition: PartitionId,
    pub acks: Acks,
    pub waiting: Waiting,
}

/// Who wants the outcome of a command; `None` for the shard's own.
pub type Command = Option<RequestId>;

/// By the entry that they wait for.
#[derive(Debug, Default)]
pub struct Waiters {
    durable: BTreeMap<Index, Vec<Waiter>>,
    committed: BTreeMap<Index, Vec<Waiter>>,
    commands: BTreeMap<Index, Vec<Command>>,
}

impl Waiters {
    pub fn add(&mut self, index: Index, waiter: Waiter) {
        let by_entry = match waiter.acks {
            Acks::All => &mut self.committed,
            Acks::Leader => &mut self.durable,
            Acks::None => return,
        };
        by_entry.entry(index).or_default().push(waiter);
    }

    pub fn add_commands(&mut self, index: Index, commands: Vec<Command>) {
        self.commands.insert(index, commands);
    }

    /// Answers all whose entry is durable or committed.
    pub fn release(&mut self, durable: Index, committed: Index, fold: &Fold, out: &mut Vec<Output>) {
        for (waiting, reached) in [(&mut self.durable, durable), (&mut self.committed, committed)] {
            while let Some(first) = waiting.first_entry() {
                if *first.key() > reached {
                    break;
                }
                out.extend(first.remove().into_iter().map(|waiter| waiter.answer(fold)));
            }
        }
    }

    /// Answers those who wait for the commands of an entry.
    pub fn commands_done(
        &mut self,
        index: Index,
        outcomes: Vec<Result<Outcome, CommandError>>,
        out: &mut Vec<Output>,
    ) {
        let Some(commands) = self.commands.remove(&index) else { return };
        assert_eq!(commands.len(), outcomes.len(), "each command has its outcome");
        for (request, outcome) in commands.into_iter().zip(outcomes) {
            if let Some(request) = request {
                let result = outcome.map_err(ControlRefusal::Command);
                out.push(Output::ControlDone { request, result });
            }
        }
    }

    /// Tells everybody no.
    pub fn fail(&mut self, refusal: Refusal, out: &mut Vec<Output>) {
        let all = core::mem::take(self);
        for waiter in all.durable.into_values().chain(all.committed.into_values()).flatten() {
            out.push(waiter.refuse(refusal));
        }
        for request in all.commands.into_values().flatten().flatten() {
            out.push(Output::ControlDone { request, result: Err(ControlRefusal::NotController) });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.durable.is_empty() && self.committed.is_empty() && self.commands.is_empty()
    }
}

impl Waiter {
    fn answer(self, fold: &Fold) -> Output {
        let partition = fold.partition(self.partition);
        let log_start = partition.map_or(Offset(-1), |partition| partition.log_start);
        let (request, slot) = (self.request, self.slot);
        match self.waiting {
            Waiting::Produce { base_offset, log_append_time_ms } => {
                let produced = Produced { base_offset, log_append_time_ms, log_start };
                Output::Produced { request, slot, result: Ok(produced) }
            }
            Waiting::LogStart if partition.is_none() => self.refuse(Refusal::UnknownPartition),
            Waiting::LogStart => Output::Answered { request, slot, result: Ok(Answer::LogStart(log_start)) },
        }
    }

    pub fn refuse(self, refusal: Refusal) -> Output {
        let (request, slot) = (self.request, self.slot);
        match self.waiting {
            Waiting::Produce { .. } => Output::Produced { request, slot, result: Err(refusal) },
            Waiting::LogStart => Output::Answered { request, slot, result: Err(refusal) },
        }
    }
}
