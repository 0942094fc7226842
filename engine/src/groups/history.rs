//! Bounded history: all that lives is written again at the tail of the log, and then the log
//! begins there. Without this a coordinator would read for ever longer when it starts.

use super::config::REWRITE_BATCH_BYTES;
use super::group::Group;
use super::log::{Log, Pending};
use super::output::Output;
use super::record::{group_key, offset_key};
use crate::clock::Now;
use std::collections::BTreeMap;
use std::sync::Arc;

type Records = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Key, value, and what a record has around them.
const RECORD_OVERHEAD_BYTES: usize = 16;

/// All live records, in batches. They are what is committed: appends on their way are not there.
pub fn live_batches(groups: &BTreeMap<Arc<str>, Group>) -> (Vec<Records>, u64) {
    let mut batches: Vec<Records> = Vec::new();
    let (mut batch, mut bytes, mut all_bytes) = (Records::new(), 0, 0);
    for (key, value) in groups.values().flat_map(live_records) {
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

fn live_records(group: &Group) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    let own = group.stored.iter().map(|value| (group_key(&group.id), value.to_vec()));
    let offsets = group.offsets.iter().map(|(topic, partition, committed)| {
        (offset_key(&group.id, topic, partition), committed.value.encode())
    });
    own.chain(offsets)
}

/// Writes it all again. Without anything that lives, a record that says nothing (the tombstone
/// of a group that cannot be) marks the place where the log may begin.
pub fn rewrite(
    log: &mut Log,
    groups: &BTreeMap<Arc<str>, Group>,
    shard_bytes: u64,
    now: Now,
    out: &mut Vec<Output>,
) {
    let (mut batches, live_bytes) = live_batches(groups);
    if batches.is_empty() {
        batches.push(vec![(group_key(""), None)]);
    }
    log.begin_rewrite(batches.len(), live_bytes, shard_bytes);
    for batch in batches {
        log.append(Pending::Rewrite, &batch, now, out);
    }
    log.release(out);
}
