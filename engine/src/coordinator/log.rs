//! The log side of one led partition: what was appended and is not committed,
//! what follows when it is, and how much history there is.

use super::append::{AppendError, AppendId, InTransaction, Tenure};
use super::output::Output;
use super::vocabulary::{KeyValue, Vocabulary};
use crate::batch::header::attribute;
use crate::batch::{BatchBuilder, NewRecord};
use crate::clock::Now;
use crate::ids::Offset;
use crate::planted::{Bug, is_planted};
use crate::port::Guard;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// A quiet partition's records keep the segments of the journal that all internal partitions of
/// the shard share: they are written again when this much was appended to the others.
const QUIET_BYTES_MAX: u64 = 128 << 20;

/// What follows when an append is committed, or is not.
#[derive(Debug)]
pub enum Pending<P> {
    Machine(P),
    /// A part of the history, written again.
    Rewrite,
}

/// After a rewrite that failed (a full disk, say) the next one waits this long.
const RETRY: Duration = Duration::from_secs(10);

/// See the head of this file.
pub struct Log<V: Vocabulary> {
    pub tenure: Tenure,
    next: u64,
    /// Without outcome, by number: in the order of the log.
    pending: BTreeMap<u64, Pending<V::Pending>>,
    /// Those of `pending` that were not sent: they wait until the history is written again.
    held: VecDeque<(u64, Vec<u8>, Option<Guard>)>,
    draining: bool,
    /// Bytes of batches from the log start on.
    history_bytes: u64,
    /// Bytes of records that lived when the history was last written again or read.
    pub live_bytes: u64,
    /// Bytes that all partitions of the shard had appended then.
    quiet_mark: u64,
    rewrite: Option<Rewrite>,
    retry_ns: u64,
}

/// The history is being written again.
struct Rewrite {
    /// Batches without outcome.
    left: usize,
    /// Where the first of them begins.
    from: Option<Offset>,
    failed: bool,
    /// What the log start frees.
    history_bytes: u64,
    /// The first record that is needed beside them.
    needed: Option<Offset>,
}

/// What became of a rewrite.
pub struct Rewritten {
    /// Where the first of its batches begins, if all of them are in the log.
    pub from: Option<Offset>,
    needed: Option<Offset>,
}

impl Rewritten {
    /// What is before it can go; the rest is freed with a later rewrite.
    pub fn frees_before(&self) -> Option<Offset> {
        let is_trimmed = is_planted(Bug::PendingTrimmed);
        let needed = self.needed.filter(|_| !is_trimmed);
        self.from.map(|from| needed.map_or(from, |needed| from.min(needed)))
    }
}

impl<V: Vocabulary> Log<V> {
    pub fn new(tenure: Tenure) -> Self {
        Self {
            tenure,
            next: 0,
            pending: BTreeMap::new(),
            held: VecDeque::new(),
            draining: false,
            history_bytes: 0,
            live_bytes: 0,
            quiet_mark: 0,
            rewrite: None,
            retry_ns: 0,
        }
    }

    /// Appends one batch of these keys and values.
    pub fn append(
        &mut self,
        pending: Pending<V::Pending>,
        records: &[KeyValue],
        within: Option<InTransaction>,
        now: Now,
        out: &mut Vec<Output<V>>,
    ) {
        assert!(!records.is_empty(), "a batch has records");
        let mut batch = BatchBuilder::new(now.wall_ms);
        for (key, value) in records {
            batch.push(NewRecord { key: Some(key), value: value.as_deref(), ..NewRecord::default() });
        }
        if let Some(within) = within {
            // Sequences do not count here: the coordinator keeps its own order. 0 and not −1, as Kafka's coordinators
            // write: its readers refuse a negative one in a batch of a transaction.
            batch.producer(within.producer, within.epoch, 0).attributes(attribute::TRANSACTIONAL);
        }
        let guard = within.and_then(|within| within.guard);
        let number = self.next;
        self.next += 1;
        self.pending.insert(number, pending);
        if self.draining {
            self.held.push_back((number, batch.build(), guard));
        } else {
            self.send(number, batch.build(), guard, out);
        }
    }

    fn send(&mut self, number: u64, batch: Vec<u8>, guard: Option<Guard>, out: &mut Vec<Output<V>>) {
        self.history_bytes += batch.len() as u64;
        let append = AppendId { tenure: self.tenure, number };
        out.push(Output::Append { append, batch, guard });
    }

    /// An append has its outcome: what was to follow.
    pub fn outcome(&mut self, number: u64) -> Pending<V::Pending> {
        self.pending.remove(&number).expect("an append has one outcome")
    }

    /// All that waits, in order: the leadership is over.
    pub fn give_up(&mut self) -> impl Iterator<Item = V::Pending> + use<V> {
        core::mem::take(&mut self.pending).into_values().filter_map(|pending| match pending {
            Pending::Machine(pending) => Some(pending),
            Pending::Rewrite => None,
        })
    }

    pub fn history_bytes(&self) -> u64 {
        self.history_bytes
    }

    /// Bytes of batches that were read back.
    pub fn note_read(&mut self, bytes: u64) {
        self.history_bytes += bytes;
    }

    /// Whether all that lives should be written again now, so that what is before it can go.
    /// While it should and appends are on their way, new ones are held: what is written again is
    /// the sum of the log only when nothing is behind it.
    pub fn must_rewrite(&mut self, config: &V::Config, shard_bytes: u64, now: Now) -> bool {
        let is_long = self.history_bytes > V::history_bytes_min(config).max(2 * self.live_bytes);
        let pins_others = self.history_bytes > 0 && shard_bytes - self.quiet_mark > QUIET_BYTES_MAX;
        let is_due = (is_long || pins_others) && self.rewrite.is_none() && now.mono_ns >= self.retry_ns;
        self.draining = is_due && self.pending.len() > self.held.len();
        is_due && !self.draining
    }

    /// So many batches follow that hold all that lives.
    pub fn begin_rewrite(
        &mut self,
        batches: usize,
        live_bytes: u64,
        shard_bytes: u64,
        needed: Option<Offset>,
    ) {
        assert!(self.pending.len() == self.held.len() && self.rewrite.is_none());
        let history_bytes = core::mem::take(&mut self.history_bytes);
        self.rewrite = Some(Rewrite { left: batches, from: None, failed: false, history_bytes, needed });
        self.live_bytes = live_bytes;
        self.quiet_mark = shard_bytes;
    }

    /// The batches were sent: what was held follows them.
    pub fn release(&mut self, out: &mut Vec<Output<V>>) {
        while let Some((number, batch, guard)) = self.held.pop_front() {
            self.send(number, batch, guard, out);
        }
    }

    /// One of the batches is in the log, or is not. Gives what became of all, once that is known.
    pub fn rewritten(&mut self, result: Result<Offset, AppendError>, now: Now) -> Option<Rewritten> {
        let rewrite = self.rewrite.as_mut().expect("it was begun");
        rewrite.left -= 1;
        match result {
            Ok(at) => {
                rewrite.from.get_or_insert(at);
            }
            Err(_) => rewrite.failed = true,
        }
        if rewrite.left > 0 {
            return None;
        }
        let done = self.rewrite.take().expect("it is here");
        if done.failed {
            self.history_bytes += done.history_bytes;
            self.retry_ns = now.plus(RETRY);
        }
        Some(Rewritten { from: done.from.filter(|_| !done.failed), needed: done.needed })
    }

    /// What was read back is all there is: it is not looked at as long before it has grown.
    pub fn loaded(&mut self, live_bytes: u64, shard_bytes: u64) {
        self.live_bytes = live_bytes;
        self.quiet_mark = shard_bytes;
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
