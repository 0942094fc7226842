//! Requests that wait until their entry is durable or committed.
//!
//! Invariants:
//! - Each waiter is answered once: as durable as it asked, or refused.
//! - One that asks for a quorum is never answered before its entry is committed.

use crate::control::{CommandError, ControlRefusal, Outcome};
use crate::ids::{Index, Offset, PartitionId};
use crate::journal::effects::Effects;
use crate::journal::ledger::asker::Asker;
use crate::partition::Fold;
use crate::peer::Committed;
use crate::port::{Acks, Answer, MarkerAnswer, Output, Produced, Refusal, RequestId};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// What a waiter is told.
#[derive(Clone, Copy, Debug)]
pub enum Waiting {
    Produce { base_offset: Offset, log_append_time_ms: i64 },
    LogStart,
    Marker,
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

/// Replicas of a journal beyond which a list of them is allocated.
pub const REPLICAS_INLINE: usize = 8;

/// How far a journal's entries are.
#[derive(Clone, Debug)]
pub struct Reached {
    pub durable: Index,
    pub committed: Index,
    /// What is durable on each replica, this one among them, descending.
    pub copies: SmallVec<[Index; REPLICAS_INLINE]>,
}

impl Reached {
    /// Committed, and durable on this many replicas.
    fn on(&self, copies: u16) -> Index {
        let at = usize::from(copies).saturating_sub(1);
        self.copies.get(at).map_or(Index::NONE, |copied| self.committed.min(*copied))
    }
}

/// By the entry that they wait for.
#[derive(Debug, Default)]
pub struct Waiters {
    durable: BTreeMap<Index, Vec<Waiter>>,
    /// First by how many copies there must be; 0 is a quorum, whatever that is.
    committed: BTreeMap<u16, BTreeMap<Index, Vec<Waiter>>>,
    commands: BTreeMap<Index, Vec<Asker>>,
}

impl Waiters {
    /// `copies` are the replicas that must have it, where that is more than a quorum; else 0.
    pub fn add(&mut self, index: Index, waiter: Waiter, copies: u16) {
        let by_entry = match waiter.acks {
            Acks::All => self.committed.entry(copies).or_default(),
            Acks::Leader => &mut self.durable,
            Acks::None => return,
        };
        by_entry.entry(index).or_default().push(waiter);
    }

    pub fn add_commands(&mut self, index: Index, commands: Vec<Asker>) {
        self.commands.insert(index, commands);
    }

    /// Answers all whose entry is as durable as they ask.
    pub fn release(&mut self, reached: &Reached, fold: &Fold, out: &mut Vec<Output>) {
        answer_up_to(&mut self.durable, reached.durable, fold, out);
        for (copies, waiting) in &mut self.committed {
            let index = if *copies == 0 { reached.committed } else { reached.on(*copies) };
            answer_up_to(waiting, index, fold, out);
        }
    }

    /// Refuses those whose entry is there but for whom there are no longer enough replicas.
    pub fn refuse_short(&mut self, in_sync: u16, out: &mut Vec<Output>) {
        for (_, waiting) in self.committed.range_mut(in_sync + 1..) {
            let waiting = core::mem::take(waiting).into_values().flatten();
            out.extend(waiting.map(|waiter| waiter.refuse(Refusal::NotEnoughReplicasAfterAppend)));
        }
    }

    /// Tells those who wait for the commands of an entry.
    pub fn commands_done(
        &mut self,
        index: Index,
        outcomes: Vec<Result<Outcome, CommandError>>,
        fx: &mut Effects,
    ) {
        let Some(commands) = self.commands.remove(&index) else { return };
        assert_eq!(commands.len(), outcomes.len(), "each command has its outcome");
        for (asker, outcome) in commands.into_iter().zip(outcomes) {
            let committed = outcome.map(|outcome| Committed { index, outcome });
            fx.commands.push((asker, committed.map_err(ControlRefusal::Command)));
        }
    }

    /// Tells everybody no.
    pub fn fail(&mut self, refusal: Refusal, fx: &mut Effects) {
        let all = core::mem::take(self);
        let committed = all.committed.into_values().flat_map(BTreeMap::into_values);
        for waiter in all.durable.into_values().chain(committed).flatten() {
            fx.out.push(waiter.refuse(refusal));
        }
        for asker in all.commands.into_values().flatten() {
            fx.commands.push((asker, Err(ControlRefusal::NotController)));
        }
    }

    pub fn is_empty(&self) -> bool {
        let nobody = self.committed.values().all(BTreeMap::is_empty);
        self.durable.is_empty() && nobody && self.commands.is_empty()
    }
}

fn answer_up_to(
    waiting: &mut BTreeMap<Index, Vec<Waiter>>,
    reached: Index,
    fold: &Fold,
    out: &mut Vec<Output>,
) {
    while let Some(first) = waiting.first_entry() {
        if *first.key() > reached {
            break;
        }
        out.extend(first.remove().into_iter().map(|waiter| waiter.answer(fold)));
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
            Waiting::Marker => Output::Marked { request, slot, answer: MarkerAnswer::Done },
        }
    }

    pub fn refuse(self, refusal: Refusal) -> Output {
        let (request, slot) = (self.request, self.slot);
        match self.waiting {
            Waiting::Produce { .. } => Output::Produced { request, slot, result: Err(refusal) },
            Waiting::LogStart => Output::Answered { request, slot, result: Err(refusal) },
            // Whoever leads now has it, or is asked for it.
            Waiting::Marker => Output::Marked { request, slot, answer: MarkerAnswer::Moved },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    fn waiter(slot: u32, acks: Acks) -> Waiter {
        let waiting = Waiting::Produce { base_offset: Offset(0), log_append_time_ms: -1 };
        Waiter { request: RequestId(1), slot, partition: PartitionId(3), acks, waiting }
    }

    fn reached(durable: u64, committed: u64, copies: &[u64]) -> Reached {
        let copies = copies.iter().map(|index| Index(*index)).collect();
        Reached { durable: Index(durable), committed: Index(committed), copies }
    }

    /// Slots that were answered, and whether with a yes.
    fn told(out: &[Output]) -> Vec<(u32, bool)> {
        let told = |output: &Output| match output {
            Output::Produced { slot, result, .. } => (*slot, result.is_ok()),
            other => panic!("{other:?}"),
        };
        out.iter().map(told).collect()
    }

    #[test]
    fn each_waits_for_what_it_asked() {
        let (mut waiters, mut out) = (Waiters::default(), Vec::new());
        waiters.add(Index(5), waiter(0, Acks::None), 0);
        waiters.add(Index(5), waiter(1, Acks::Leader), 0);
        waiters.add(Index(5), waiter(2, Acks::All), 0);
        waiters.add(Index(5), waiter(3, Acks::All), 3);
        waiters.release(&reached(4, 4, &[4, 4, 4]), &Fold::default(), &mut out);
        assert_eq!(told(&out), []);
        waiters.release(&reached(5, 4, &[5, 4, 4]), &Fold::default(), &mut out);
        assert_eq!(told(&out), [(1, true)]);
        waiters.release(&reached(5, 5, &[5, 5, 4]), &Fold::default(), &mut out);
        assert_eq!(told(&out), [(1, true), (2, true)]);
        waiters.release(&reached(5, 5, &[5, 5, 5]), &Fold::default(), &mut out);
        assert_eq!(told(&out), [(1, true), (2, true), (3, true)]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn copies_that_are_not_committed_do_not_count() {
        let (mut waiters, mut out) = (Waiters::default(), Vec::new());
        waiters.add(Index(5), waiter(1, Acks::All), 2);
        waiters.release(&reached(5, 4, &[5, 5, 5]), &Fold::default(), &mut out);
        assert_eq!(told(&out), []);
    }

    #[test]
    fn who_needs_more_copies_than_there_can_be_is_refused() {
        let (mut waiters, mut out) = (Waiters::default(), Vec::new());
        waiters.add(Index(5), waiter(1, Acks::All), 2);
        waiters.add(Index(5), waiter(2, Acks::All), 3);
        waiters.add(Index(5), waiter(3, Acks::All), 0);
        waiters.refuse_short(2, &mut out);
        assert_eq!(told(&out), [(2, false)]);
        waiters.release(&reached(5, 5, &[5, 5]), &Fold::default(), &mut out);
        assert_eq!(told(&out), [(2, false), (3, true), (1, true)]);
    }

    #[test]
    fn who_waits_when_the_leadership_ends_is_refused_once() {
        let (mut waiters, mut fx) = (Waiters::default(), Effects::default());
        waiters.add(Index(5), waiter(1, Acks::Leader), 0);
        waiters.add(Index(6), waiter(2, Acks::All), 0);
        waiters.add_commands(Index(7), vec![Asker::Client(RequestId(9)), Asker::Shard]);
        waiters.fail(Refusal::NotLeader, &mut fx);
        assert_eq!(told(&fx.out), [(1, false), (2, false)]);
        assert_eq!(fx.commands.len(), 2);
        assert!(waiters.is_empty());
        waiters.fail(Refusal::NotLeader, &mut fx);
        assert_eq!((fx.out.len(), fx.commands.len()), (2, 2));
    }

    #[test]
    fn commands_are_told_their_own_outcomes() {
        let (mut waiters, mut fx) = (Waiters::default(), Effects::default());
        waiters.add_commands(Index(7), vec![Asker::Client(RequestId(9)), Asker::Shard]);
        waiters.commands_done(Index(6), vec![Ok(Outcome::Done)], &mut fx);
        assert!(fx.commands.is_empty(), "nobody waits for another entry");
        waiters.commands_done(
            Index(7),
            vec![Ok(Outcome::Done), Err(CommandError::TopicExists("t".into()))],
            &mut fx,
        );
        let told: Vec<_> = fx.commands.iter().map(|(asker, result)| (*asker, result.is_ok())).collect();
        assert_eq!(told, [(Asker::Client(RequestId(9)), true), (Asker::Shard, false)]);
    }

    #[test]
    fn copies_beyond_those_that_fit_inline_are_looked_at_too() {
        let copies: SmallVec<[Index; REPLICAS_INLINE]> = smallvec![Index(5); REPLICAS_INLINE + 1];
        let reached = Reached { durable: Index(5), committed: Index(5), copies };
        assert_eq!(reached.on(REPLICAS_INLINE as u16 + 1), Index(5));
        assert_eq!(reached.on(REPLICAS_INLINE as u16 + 2), Index::NONE);
    }
}
