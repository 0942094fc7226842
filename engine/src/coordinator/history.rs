//! Bounded history: all that lives is written again at the tail of the log, and then the log
//! begins there. Without this a coordinator would read for ever longer when it starts.

use super::log::{Log, Pending};
use super::machine::StateMachine;
use super::output::Output;
use super::vocabulary::KeyValue;
use crate::clock::Now;

/// Bytes of records in one batch when a log is written again.
const REWRITE_BATCH_BYTES: usize = 256 << 10;

type Records = Vec<KeyValue>;

/// Key, value, and what a record has around them.
const RECORD_OVERHEAD_BYTES: usize = 16;

/// All live records, in batches, and their bytes.
pub fn live_batches<M: StateMachine>(machine: &M) -> (Vec<Records>, u64) {
    let mut batches: Vec<Records> = Vec::new();
    let (mut batch, mut bytes, mut all_bytes) = (Records::new(), 0, 0);
    for (key, value) in machine.live() {
        let record_bytes = key.len() + value.len() + RECORD_OVERHEAD_BYTES;
        if bytes + record_bytes > REWRITE_BATCH_BYTES && !batch.is_empty() {
            batches.push(core::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += record_bytes;
        all_bytes += record_bytes as u64;
        batch.push((key, Some(value)));
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    (batches, all_bytes)
}

/// Writes it all again. Without anything that lives, a record that says nothing marks the place
/// where the log may begin.
pub fn rewrite<M: StateMachine>(
    log: &mut Log<M::Words>,
    machine: &mut M,
    shard_bytes: u64,
    now: Now,
    out: &mut Vec<Output<M::Words>>,
) {
    let needed = machine.begin_rewrite();
    let (mut batches, live_bytes) = live_batches(machine);
    if batches.is_empty() {
        batches.push(vec![M::void()]);
    }
    log.begin_rewrite(batches.len(), live_bytes, shard_bytes, needed);
    for batch in batches {
        log.append(Pending::Rewrite, &batch, None, now, out);
    }
    log.release(out);
}
