//! Reads by time: the first record at or after a time, and the highest time there is. Times of
//! records are not in order, and what lies below the log start does not count, also where it
//! shares an entry or a batch with what does.

use super::index::Item;
use super::read::{ITEMS_AT_ONCE, Located, Places, ReadFault, load};
use super::recovery::Context;
use super::segment::Sealed;
use crate::batch::records::{Records, RecordsError};
use crate::entry::EntryBytes;
use crate::entry::layout::BatchDescriptor;
use crate::ids::{LeaderEpoch, Offset, PartitionId};

/// A batch may grow to this when ListOffsets decompresses it.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// A record that ListOffsets found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub leader_epoch: LeaderEpoch,
}

/// The first record at or behind `log_start` whose time is at or after `timestamp`.
pub async fn find_by_time(
    context: &Context,
    places: &Places,
    partition: PartitionId,
    timestamp: i64,
    log_start: Offset,
) -> Result<Option<Found>, ReadFault> {
    for sealed in &places.sealed {
        let Some(item) = sealed.index.first_at_time(partition, timestamp).await? else { continue };
        let mut from = item.first_offset.max(log_start);
        loop {
            let items = sealed.index.items_from(partition, from, ITEMS_AT_ONCE).await?;
            let located: Vec<_> = items
                .iter()
                .map(|item| Located { file: sealed.file, base: sealed.base, item: *item })
                .collect();
            let Some(last) = located.last() else { break };
            if let Some(found) = find_in(context, places, &located, timestamp, log_start).await? {
                return Ok(Some(found));
            }
            if last.item.first_offset < from || located.len() < ITEMS_AT_ONCE {
                break;
            }
            from = Offset(last.item.first_offset.0 + 1);
        }
    }
    let recent =
        |located: &&Located| located.item.partition == partition && located.item.max_timestamp >= timestamp;
    let memory: Vec<_> = places.memory.iter().filter(recent).copied().collect();
    find_in(context, places, &memory, timestamp, log_start).await
}

async fn find_in(
    context: &Context,
    places: &Places,
    located: &[Located],
    timestamp: i64,
    log_start: Offset,
) -> Result<Option<Found>, ReadFault> {
    for located in located {
        let entry = entry_of(context, places, located).await?;
        let batches = entry.descriptors().iter().filter(|batch| {
            batch.partition() == located.item.partition
                && batch.max_timestamp.get() >= timestamp
                && batch.next_offset() > log_start
        });
        for batch in batches {
            let found = first_record(&bytes_of(&entry, batch), timestamp, log_start);
            let found = found.map_err(|error| undecodable(located, batch, error))?;
            if let Some((offset, timestamp_ms)) = found {
                return Ok(Some(Found { offset, timestamp_ms, leader_epoch: batch.leader_epoch() }));
            }
        }
    }
    Ok(None)
}

/// What a quorum holds may be served before the leader's own disk has it: then it is in memory alone.
async fn entry_of(context: &Context, places: &Places, located: &Located) -> Result<EntryBytes, ReadFault> {
    let index = located.item.entry;
    match places.not_durable.iter().find(|entry| entry.header().index() == index) {
        Some(entry) => Ok(entry.clone()),
        None => load(context, &places.identity, located).await,
    }
}

fn bytes_of(entry: &EntryBytes, batch: &BatchDescriptor) -> Vec<u8> {
    let start = batch.position.get() as usize;
    entry.copy(start..start + batch.bytes.get() as usize)
}

/// What a fetch gives as it is, and no client can read, is no answer to a question either.
fn undecodable(located: &Located, batch: &BatchDescriptor, error: RecordsError) -> ReadFault {
    ReadFault::Batch { entry: located.item.entry, offset: batch.base_offset(), error }
}

/// The first record of a batch at or behind `log_start` that is not older than `timestamp`.
fn first_record(
    batch: &[u8],
    timestamp: i64,
    log_start: Offset,
) -> Result<Option<(Offset, i64)>, RecordsError> {
    for record in Records::open(batch, DECOMPRESSED_BYTES_MAX)?.iter() {
        let record = record?;
        if record.timestamp_ms >= timestamp && record.offset >= log_start.0 {
            return Ok(Some((Offset(record.offset), record.timestamp_ms)));
        }
    }
    Ok(None)
}

/// The highest time of a batch's records from `log_start` on.
fn max_record(batch: &[u8], log_start: Offset) -> Result<Option<i64>, RecordsError> {
    let mut newest = None;
    for record in Records::open(batch, DECOMPRESSED_BYTES_MAX)?.iter() {
        let record = record?;
        if record.offset >= log_start.0 {
            newest = newest.max(Some(record.timestamp_ms));
        }
    }
    Ok(newest)
}

/// The highest timestamp of a partition's records from `log_start` on, when there are any.
pub async fn max_timestamp(
    context: &Context,
    places: &Places,
    partition: PartitionId,
    log_start: Offset,
) -> Result<Option<i64>, ReadFault> {
    let of_it = |located: &&Located| located.item.partition == partition;
    let memory: Vec<_> = places.memory.iter().filter(of_it).copied().collect();
    let mut newest = None;
    for segment in memory.chunk_by(|one, next| one.base == next.base) {
        newest = newest.max(max_in(context, places, segment, log_start).await?);
    }
    for sealed in &places.sealed {
        let Some(summary) = sealed.index.partition(partition).await? else { continue };
        if summary.first_offset >= log_start {
            newest = newest.max(Some(summary.max_timestamp));
        } else if summary.next_offset > log_start {
            let segment = items_behind(sealed, partition, log_start).await?;
            newest = newest.max(max_in(context, places, &segment, log_start).await?);
        }
    }
    Ok(newest)
}

/// All items from the one that holds `log_start` on.
async fn items_behind(
    sealed: &Sealed,
    partition: PartitionId,
    log_start: Offset,
) -> Result<Vec<Located>, ReadFault> {
    let (mut all, mut from) = (Vec::new(), log_start);
    loop {
        let items = sealed.index.items_from(partition, from, ITEMS_AT_ONCE).await?;
        let known = |item: &Item| all.last().is_some_and(|last: &Located| last.item.entry >= item.entry);
        let new: Vec<_> = items.iter().filter(|item| !known(item)).copied().collect();
        let located = new.iter().map(|item| Located { file: sealed.file, base: sealed.base, item: *item });
        all.extend(located);
        match new.last() {
            Some(last) if items.len() == ITEMS_AT_ONCE => from = Offset(last.first_offset.0 + 1),
            _ => return Ok(all),
        }
    }
}

/// The highest live time among a partition's items of one segment, its last ones in any case.
/// Items carry the running maximum since the segment's first record, dead ones included: one that
/// rises behind the log start is right, and where it never does the entries tell.
async fn max_in(
    context: &Context,
    places: &Places,
    segment: &[Located],
    log_start: Offset,
) -> Result<Option<i64>, ReadFault> {
    let start = segment.iter().rposition(|located| located.item.first_offset <= log_start);
    let live = &segment[start.unwrap_or(0)..];
    let [first, .., last] = live else { return max_read(context, places, live, log_start).await };
    if start.is_none() || last.item.max_timestamp > first.item.max_timestamp {
        return Ok(Some(last.item.max_timestamp));
    }
    max_read(context, places, live, log_start).await
}

async fn max_read(
    context: &Context,
    places: &Places,
    live: &[Located],
    log_start: Offset,
) -> Result<Option<i64>, ReadFault> {
    let mut newest = None;
    for located in live {
        let entry = entry_of(context, places, located).await?;
        newest = newest.max(max_in_entry(&entry, located, log_start)?);
    }
    Ok(newest)
}

/// In the entry that the log starts in.
fn max_in_entry(entry: &EntryBytes, located: &Located, log_start: Offset) -> Result<Option<i64>, ReadFault> {
    let mut newest = None;
    for batch in entry.descriptors() {
        if batch.partition() != located.item.partition || batch.next_offset() <= log_start {
            continue;
        }
        let of_batch = match batch.base_offset() >= log_start {
            true => Some(batch.max_timestamp.get()),
            false => max_record(&bytes_of(entry, batch), log_start)
                .map_err(|error| undecodable(located, batch, error))?,
        };
        newest = newest.max(of_batch);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::build::{BatchBuilder, NewRecord};
    use crate::batch::header::BATCH_HEADER_BYTES;

    fn batch() -> Vec<u8> {
        let mut batch = BatchBuilder::new(100);
        for time in [100, 300, 200] {
            batch.push(NewRecord { timestamp_ms: time, ..NewRecord::value(b"v") });
        }
        batch.build()
    }

    #[test]
    fn the_first_record_at_a_time_and_the_highest_time() {
        let batch = batch();
        assert_eq!(first_record(&batch, 150, Offset(0)), Ok(Some((Offset(1), 300))));
        assert_eq!(first_record(&batch, 150, Offset(2)), Ok(Some((Offset(2), 200))));
        assert_eq!(first_record(&batch, 301, Offset(0)), Ok(None));
        assert_eq!(max_record(&batch, Offset(0)), Ok(Some(300)));
        assert_eq!(max_record(&batch, Offset(2)), Ok(Some(200)));
        assert_eq!(max_record(&batch, Offset(3)), Ok(None));
    }

    #[test]
    fn a_batch_that_cannot_be_decoded_is_an_error_and_not_passed_over() {
        let mut noise = batch();
        noise[BATCH_HEADER_BYTES] = 0xFF;
        assert!(first_record(&noise, 0, Offset(0)).is_err());
        assert!(max_record(&noise, Offset(0)).is_err());
        // What stands before the fault is found all the same.
        let mut cut = batch();
        // The last two records are as long as each other, the first one is a byte shorter.
        let last = cut.len() - (cut.len() - BATCH_HEADER_BYTES + 1) / 3;
        cut[last] = 0x7F;
        assert!(first_record(&cut, 0, Offset(0)).is_ok_and(|found| found.is_some()));
        assert!(first_record(&cut, 1000, Offset(0)).is_err());
    }
}
