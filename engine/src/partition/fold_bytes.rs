//! A fold's bytes: a checkpoint's body, taken at once or in steps.
//!
//! ```text
//! a segment ends ─▶ Forgetting (silent producers go) ─▶ Writing (partition by partition) ─▶ Taken
//! ```
//! A step takes a bounded number of partitions, so that a journal of many does not hold up its shard; meanwhile nothing
//! is folded.

use super::fold::{Fold, Partition};
use super::producers::Producer;
use super::runs::Runs;
use super::transactions::Transactions;
use crate::codec::{Reader, Short, Write};
use crate::collections::Map;
use crate::entry::run_made::RunMadeError;
use crate::ids::{Index, LeaderEpoch, Offset, PartitionId, ProducerId, SpanNumber, Term};
use core::ops::Bound;

/// Layout of a checkpoint's body: 4 where a run was made, else 3 where there ever was a transaction, else 2 where a
/// partition is in another span than its first, else 1.
pub const FOLD_VERSION: u16 = 4;
pub(super) const FOLD_VERSION_TRANSACTIONS: u16 = 3;
pub(super) const FOLD_VERSION_SPANS: u16 = 2;
pub(super) const FOLD_VERSION_FIRST_SPANS: u16 = 1;
/// Partitions and producers that a step takes: about half a millisecond.
const STEP: usize = 1_024;

/// A checkpoint's body that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("checkpoint body {0}")]
    Short(#[from] Short),
    #[error("checkpoint body: a run {0}")]
    Run(#[from] RunMadeError),
    #[error("checkpoint body has {0} bytes left over")]
    Long(usize),
    #[error("checkpoint body has {0:?} twice")]
    Twice(PartitionId),
    #[error("checkpoint body has version {0}, newer than {FOLD_VERSION}")]
    Newer(u16),
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Forgetting { known: usize, has_spans: bool, has_transactions: bool },
    Writing { version: u16 },
    Taken,
}

/// A checkpoint's body that is taken in steps, at a segment's last entry.
///
/// Invariant: the fold stays where it is from the first step to the last.
#[derive(Debug)]
pub struct Taking {
    applied: Index,
    stage: Stage,
    /// The last partition of this stage that is done.
    behind: Option<PartitionId>,
    to: Vec<u8>,
}

impl Taking {
    /// Behind what `to` has already.
    pub fn new(fold: &mut Fold, to: Vec<u8>) -> Self {
        fold.forget_as_planted();
        let stage = Stage::Forgetting { known: 0, has_spans: false, has_transactions: false };
        Self { applied: fold.applied, stage, behind: None, to }
    }

    /// One step further; true once it is taken.
    pub fn step(&mut self, fold: &mut Fold) -> bool {
        assert_eq!(fold.applied, self.applied, "nothing is folded while a checkpoint is taken");
        let mut left = STEP;
        while self.stage != Stage::Taken {
            let Some(id) = next_behind(fold, self.behind) else {
                self.next_stage(fold);
                continue;
            };
            if left == 0 {
                return false;
            }
            self.behind = Some(id);
            left = left.saturating_sub(1 + self.take(fold, id));
        }
        true
    }

    /// What one partition needs at this stage; gives the number of its producers.
    fn take(&mut self, fold: &mut Fold, id: PartitionId) -> usize {
        match &mut self.stage {
            Stage::Forgetting { known, has_spans, has_transactions } => {
                let there = fold.expire_producers_of(id);
                let partition = &fold.partitions[&id];
                *known += there;
                *has_spans |= partition.span > SpanNumber(0);
                *has_transactions = *has_transactions || partition.has_transactions();
                there
            }
            Stage::Writing { version } => {
                let partition = &fold.partitions[&id];
                self.to.put_u64(id.0);
                partition.encode(&mut self.to, *version);
                partition.producers.len()
            }
            Stage::Taken => unreachable!("it ended"),
        }
    }

    fn next_stage(&mut self, fold: &mut Fold) {
        self.behind = None;
        self.stage = match self.stage {
            Stage::Forgetting { known, has_spans, has_transactions } => {
                fold.bound_producers(known);
                let version = version(&fold.runs, has_spans, has_transactions);
                // At once: a long body that grows is copied again and again.
                self.to.reserve(64 + 64 * fold.len() + 64 * known);
                fold.encode_head(version, &mut self.to);
                Stage::Writing { version }
            }
            Stage::Writing { version } => {
                fold.encode_tail(version, &mut self.to);
                Stage::Taken
            }
            Stage::Taken => Stage::Taken,
        };
    }

    pub fn finish(self) -> Vec<u8> {
        assert_eq!(self.stage, Stage::Taken, "it is taken in steps");
        self.to
    }
}

fn next_behind(fold: &Fold, behind: Option<PartitionId>) -> Option<PartitionId> {
    let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
    fold.order.range((from, Bound::Unbounded)).next().copied()
}

/// The same entries give the same bytes, whichever version of the program folds them.
fn version(runs: &Runs, has_spans: bool, has_transactions: bool) -> u16 {
    match (has_transactions, has_spans) {
        _ if !runs.is_empty() => FOLD_VERSION,
        (true, _) => FOLD_VERSION_TRANSACTIONS,
        (false, true) => FOLD_VERSION_SPANS,
        (false, false) => FOLD_VERSION_FIRST_SPANS,
    }
}

impl Fold {
    /// The checkpoint's body: everything, in sorted order.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(64 + self.len() * 64);
        let has_spans = self.partitions.values().any(|partition| partition.span > SpanNumber(0));
        let has_transactions = self.partitions.values().any(Partition::has_transactions);
        let version = version(&self.runs, has_spans, has_transactions);
        self.encode_head(version, &mut to);
        for id in &self.order {
            to.put_u64(id.0);
            self.partitions[id].encode(&mut to, version);
        }
        self.encode_tail(version, &mut to);
        to
    }

    /// What stands behind the partitions.
    fn encode_tail(&self, version: u16, to: &mut Vec<u8>) {
        if version >= FOLD_VERSION {
            self.runs.encode(to);
        }
    }

    /// What stands before the partitions.
    fn encode_head(&self, version: u16, to: &mut Vec<u8>) {
        assert_eq!(self.order.len(), self.partitions.len());
        to.put_u16(version);
        to.put_u64(self.applied.0);
        to.put_i64(self.wall_ms);
        to.put_count(self.terms.len());
        for (first, term) in &self.terms {
            to.put_u64(first.0);
            to.put_u64(term.0);
        }
        to.put_count(self.accepted.len());
        for (first, last) in &self.accepted {
            to.put_u64(first.0);
            to.put_u64(last.0);
        }
        to.put_count(self.order.len());
    }

    /// Reads a checkpoint's body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader(bytes);
        let version = from.u16()?;
        if !(FOLD_VERSION_FIRST_SPANS..=FOLD_VERSION).contains(&version) {
            return Err(DecodeError::Newer(version));
        }
        let mut fold = Self { applied: Index(from.u64()?), wall_ms: from.i64()?, ..Self::default() };
        for _ in 0..from.count(16)? {
            fold.terms.push((Index(from.u64()?), Term(from.u64()?)));
        }
        for _ in 0..from.count(16)? {
            fold.accepted.push((Index(from.u64()?), Index(from.u64()?)));
        }
        for _ in 0..from.count(8)? {
            let id = PartitionId(from.u64()?);
            let partition = Partition::decode(&mut from, version)?;
            if fold.order.contains(&id) {
                return Err(DecodeError::Twice(id));
            }
            fold.insert(id, partition);
        }
        if version >= FOLD_VERSION {
            fold.runs = Runs::decode(&mut from)?;
        }
        if from.is_empty() { Ok(fold) } else { Err(DecodeError::Long(from.0.len())) }
    }
}

impl Partition {
    fn has_transactions(&self) -> bool {
        !self.transactions.are_unknown() || !self.producers.values().all(Producer::is_plain)
    }

    fn encode(&self, to: &mut Vec<u8>, version: u16) {
        let with_transactions = version >= FOLD_VERSION_TRANSACTIONS;
        if version >= FOLD_VERSION_SPANS {
            to.put_u32(self.span.0);
        }
        to.put_i64(self.next_offset.0);
        to.put_i64(self.log_start.0);
        to.put_i32(self.epoch_base);
        to.put_u64(self.kept_bytes);
        to.put_u8(u8::from(self.sealed));
        to.put_i64(self.skipped_below.0);
        to.put_count(self.epochs.len());
        for (epoch, start) in &self.epochs {
            to.put_i32(epoch.0);
            to.put_i64(start.0);
        }
        let mut ids: Vec<_> = self.producers.keys().copied().collect();
        ids.sort_unstable();
        to.put_count(ids.len());
        for id in ids {
            to.put_i64(id.0);
            self.producers[&id].encode(to, with_transactions);
        }
        if with_transactions {
            self.transactions.encode(to);
        }
    }

    fn decode(from: &mut Reader<'_>, version: u16) -> Result<Self, Short> {
        let with_transactions = version >= FOLD_VERSION_TRANSACTIONS;
        let span = if version >= FOLD_VERSION_SPANS { SpanNumber(from.u32()?) } else { SpanNumber(0) };
        let mut partition = Self {
            span,
            next_offset: Offset(from.i64()?),
            log_start: Offset(from.i64()?),
            epoch_base: from.i32()?,
            kept_bytes: from.u64()?,
            sealed: from.u8()? != 0,
            skipped_below: Offset(from.i64()?),
            epochs: Vec::new(),
            producers: Map::default(),
            transactions: Transactions::default(),
        };
        for _ in 0..from.count(12)? {
            partition.epochs.push((LeaderEpoch(from.i32()?), Offset(from.i64()?)));
        }
        for _ in 0..from.count(8)? {
            let id = ProducerId(from.i64()?);
            partition.producers.insert(id, Producer::decode(from, with_transactions)?);
        }
        if with_transactions {
            partition.transactions = Transactions::decode(from)?;
        }
        for (id, producer) in &partition.producers {
            if let Some(first) = producer.open_since {
                partition.transactions.begin(first, *id);
            }
        }
        Ok(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Partitions of which every other has a producer, heard at the time of its id.
    fn fold(partitions: u64) -> Fold {
        let mut fold = Fold { applied: Index(7), wall_ms: i64::MAX / 2, ..Fold::default() };
        for id in (0..partitions).rev() {
            let mut partition = Partition::opened(SpanNumber(0), Offset(0), 0);
            let mut producer = Producer::new(0);
            producer.last_wall_ms = if id % 4 == 0 { 0 } else { fold.wall_ms };
            if id % 2 == 0 {
                partition.producers.insert(ProducerId(id as i64), producer);
            }
            fold.insert(PartitionId(id), partition);
        }
        fold
    }

    #[test]
    fn in_steps_the_same_producers_go_and_the_same_bytes_come() {
        for partitions in [0, 1, 300, 5_000] {
            let (mut at_once, mut in_steps) = (fold(partitions), fold(partitions));
            at_once.expire_producers();
            let mut taking = Taking::new(&mut in_steps, vec![9]);
            let mut steps = 1;
            while !taking.step(&mut in_steps) {
                steps += 1;
            }
            assert_eq!(taking.finish()[1..], at_once.encode());
            assert_eq!(in_steps.encode(), at_once.encode());
            let producers =
                |fold: &Fold| fold.partitions().map(|(_, one)| one.producers.len()).sum::<usize>();
            assert_eq!(producers(&in_steps) as u64, partitions / 4, "every fourth was heard of lately");
            assert_eq!(steps > 1, partitions > 300, "{partitions} in {steps} steps");
        }
    }

    #[test]
    #[should_panic(expected = "nothing is folded while")]
    fn a_fold_that_moves_meanwhile_is_noticed() {
        let mut fold = fold(5_000);
        let mut taking = Taking::new(&mut fold, Vec::new());
        assert!(!taking.step(&mut fold));
        fold.applied = fold.applied.next();
        taking.step(&mut fold);
    }

    #[test]
    fn a_partition_that_stands_twice_is_no_fold() {
        let mut bytes = fold(1).encode();
        let (head, partition) = bytes.split_at(2 + 8 + 8 + 4 + 4 + 4);
        bytes = [&head[..head.len() - 4], &2u32.to_le_bytes(), partition, partition].concat();
        assert_eq!(Fold::decode(&bytes).map(|_| ()), Err(DecodeError::Twice(PartitionId(0))));
    }
}
