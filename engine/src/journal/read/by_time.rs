//! Reads by time: the first record at or after a time, and the highest time there is. Times of
//! records are not in order, and what lies below the log start does not count, also where it
//! shares an entry or a batch with what does.

use super::cold::{ITEMS_AT_ONCE, Places, load};
use super::container::{Container, Sealed};
use super::fence::Leg;
use super::index::Item;
use super::run::{CHUNKS_AT_ONCE, OpenRun, RunBatch};
use super::want::{Located, ReadFault};
use crate::batch::places::{RecordPlaces, Step};
use crate::batch::records::RecordPlace;
use crate::entry::EntryBytes;
use crate::entry::layout::BatchDescriptor;
use crate::ids::{Index, LeaderEpoch, Offset, PartitionId};
use crate::journal::context::Context;
use core::cell::Cell;
use std::io::Cursor;

/// A batch may grow to this when ListOffsets decompresses it.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// Read at a time of a run.
const READ_BYTES: usize = 256 << 10;

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
    let mut walk = places.finder.alive_from(partition);
    for at in 0.. {
        let Some((number, container)) = places.finder.next(partition, walk, timestamp) else { break };
        walk = number + 1;
        rest_now_and_then(context, at).await?;
        let sealed = match container {
            Container::Segment(sealed) => sealed,
            Container::Run(run) => match find_in_run(context, &run, partition, timestamp, log_start).await? {
                None => continue,
                found => return Ok(found),
            },
        };
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

/// The first record of a run at or behind `log_start` whose time is at or after `timestamp`.
async fn find_in_run(
    context: &Context,
    run: &OpenRun,
    partition: PartitionId,
    timestamp: i64,
    log_start: Offset,
) -> Result<Option<Found>, ReadFault> {
    let Some(first) = run.first_at_time(partition, timestamp).await? else { return Ok(None) };
    let mut from = first.first_offset.max(log_start);
    loop {
        let chunks = run.chunks_from(partition, from, CHUNKS_AT_ONCE).await?;
        let Some(last) = chunks.last().map(|last| last.next_offset) else { return Ok(None) };
        let mut left = &chunks[..];
        while !left.is_empty() {
            let (count, batches) = run.read(left, READ_BYTES).await?;
            left = &left[count..];
            for batch in batches {
                if batch.max_timestamp < timestamp || batch.next_offset() <= log_start {
                    continue;
                }
                let is_it =
                    |place: &RecordPlace| place.timestamp_ms >= timestamp && place.offset >= log_start.0;
                if let Some(place) = first_record_of_run(context, &batch, is_it).await? {
                    return Ok(Some(Found {
                        offset: Offset(place.offset),
                        timestamp_ms: place.timestamp_ms,
                        leader_epoch: LeaderEpoch(batch.header.leader_epoch.get()),
                    }));
                }
            }
        }
        from = last;
    }
}

/// As [`first_record`], of a batch in a run. A record without a time has that of its batch.
async fn first_record_of_run(
    context: &Context,
    batch: &RunBatch,
    is_it: impl Fn(&RecordPlace) -> bool,
) -> Result<Option<RecordPlace>, ReadFault> {
    if batch.header.record_count.get() == 0 {
        return Ok(None);
    }
    let bytes: Vec<u8> = batch.slices.iter().flat_map(|slice| slice.iter().copied()).collect();
    let undecodable = |error| ReadFault::Batch { entry: Index::NONE, offset: batch.base_offset(), error };
    let mut places = RecordPlaces::open(Cursor::new(bytes), DECOMPRESSED_BYTES_MAX).map_err(undecodable)?;
    loop {
        match places.step().map_err(undecodable)? {
            Step::Record(place) => {
                let own = place.timestamp_ms;
                let place =
                    RecordPlace { timestamp_ms: if own >= 0 { own } else { batch.max_timestamp }, ..place };
                if is_it(&place) {
                    return Ok(Some(place));
                }
            }
            Step::Pause => context.io.rest().await?,
            Step::End => return Ok(None),
        }
    }
}

/// The highest time of a run's records at or behind `log_start`, which lies within what it has of the partition. Chunks
/// carry the running maximum, dead ones included: one that rises behind the log start is right.
async fn max_in_run(
    context: &Context,
    run: &OpenRun,
    partition: PartitionId,
    (log_start, newest_ms): (Offset, i64),
) -> Result<Option<i64>, ReadFault> {
    let mut from = log_start;
    let mut newest = None;
    loop {
        let chunks = run.chunks_from(partition, from, CHUNKS_AT_ONCE).await?;
        let Some(first) = chunks.first().filter(|first| first.max_timestamp >= newest_ms) else {
            return Ok(if chunks.is_empty() { newest } else { Some(newest_ms) });
        };
        let (count, batches) = run.read(&chunks, READ_BYTES).await?;
        assert!(count > 0, "chunk {first:?} was not read");
        for batch in &batches {
            let highest = Cell::new(None);
            let look = |place: &RecordPlace| {
                if place.offset >= log_start.0 {
                    highest.set(highest.get().max(Some(place.timestamp_ms)));
                }
                false
            };
            first_record_of_run(context, batch, look).await?;
            newest = newest.max(highest.get());
        }
        from = chunks[count - 1].next_offset;
    }
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
            let is_it = |place: &RecordPlace| place.timestamp_ms >= timestamp && place.offset >= log_start.0;
            if let Some(place) = first_record(context, located, &entry, batch, is_it).await? {
                return Ok(Some(Found {
                    offset: Offset(place.offset),
                    timestamp_ms: place.timestamp_ms,
                    leader_epoch: batch.leader_epoch(),
                }));
            }
        }
    }
    Ok(None)
}

/// Blocks of indexes that are in memory are read without a pause: after some segments there is one.
async fn rest_now_and_then(context: &Context, segments: usize) -> Result<(), ReadFault> {
    const SEGMENTS: usize = 32;
    if segments % SEGMENTS == SEGMENTS - 1 {
        context.io.rest().await?;
    }
    Ok(())
}

/// What a quorum holds may be served before the leader's own disk has it: then it is in memory alone.
async fn entry_of(context: &Context, places: &Places, located: &Located) -> Result<EntryBytes, ReadFault> {
    let index = located.item.entry;
    match places.not_durable.iter().find(|entry| entry.header().index() == index) {
        Some(entry) => Ok(entry.clone()),
        None => load(context, &places.identity, located).await,
    }
}

/// The first record of a batch that `is_it`. Between the steps others have their turn. A batch that cannot be
/// decoded is an error, as it is one for whoever fetches it.
async fn first_record(
    context: &Context,
    located: &Located,
    entry: &EntryBytes,
    batch: &BatchDescriptor,
    is_it: impl Fn(&RecordPlace) -> bool,
) -> Result<Option<RecordPlace>, ReadFault> {
    let start = batch.position.get() as usize;
    let bytes = entry.reader(start..start + batch.bytes.get() as usize);
    let undecodable =
        |error| ReadFault::Batch { entry: located.item.entry, offset: batch.base_offset(), error };
    let mut places = RecordPlaces::open(bytes, DECOMPRESSED_BYTES_MAX).map_err(undecodable)?;
    loop {
        match places.step().map_err(undecodable)? {
            Step::Record(place) => {
                let place =
                    RecordPlace { timestamp_ms: counted_ms(place.timestamp_ms, entry, batch), ..place };
                if is_it(&place) {
                    return Ok(Some(place));
                }
            }
            Step::Pause => context.io.rest().await?,
            Step::End => return Ok(None),
        }
    }
}

/// The time that a record counts with. One without a time has that of its append, which is in the
/// batch's descriptor, unless another record of the batch is later: then it is the entry's.
fn counted_ms(timestamp_ms: i64, entry: &EntryBytes, batch: &BatchDescriptor) -> i64 {
    let append_ms = || batch.max_timestamp.get().min(entry.header().wall_ms.get());
    if timestamp_ms >= 0 { timestamp_ms } else { append_ms() }
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
    let mut walk = places.finder.alive_from(partition);
    for at in 0.. {
        let number = match places.finder.leg(partition, walk, log_start) {
            Some(Leg::Whole { max_timestamp, next }) => {
                newest = newest.max(Some(max_timestamp));
                walk = next;
                continue;
            }
            Some(Leg::One(number)) => number,
            None => break,
        };
        walk = number + 1;
        rest_now_and_then(context, at).await?;
        let Some(container) = places.finder.container(number) else { continue };
        let Some(facts) = container.facts(partition).await? else { continue };
        if facts.first_offset >= log_start {
            newest = newest.max(Some(facts.max_timestamp));
        } else if facts.next_offset > log_start {
            let sealed = match container {
                Container::Segment(sealed) => sealed,
                Container::Run(run) => {
                    let bounds = (log_start, facts.max_timestamp);
                    newest = newest.max(max_in_run(context, &run, partition, bounds).await?);
                    continue;
                }
            };
            let segment = items_behind(&sealed, partition, log_start).await?;
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
        newest = newest.max(max_in_entry(context, &entry, located, log_start).await?);
    }
    Ok(newest)
}

/// In the entry that the log starts in.
async fn max_in_entry(
    context: &Context,
    entry: &EntryBytes,
    located: &Located,
    log_start: Offset,
) -> Result<Option<i64>, ReadFault> {
    let partition = located.item.partition;
    let batches = entry.descriptors().iter();
    let mut newest = None;
    for batch in batches.filter(|batch| batch.partition() == partition && batch.next_offset() > log_start) {
        if batch.base_offset() >= log_start {
            newest = newest.max(Some(batch.max_timestamp.get()));
            continue;
        }
        let in_batch = Cell::new(None);
        let look = |place: &RecordPlace| {
            if place.offset >= log_start.0 {
                in_batch.set(in_batch.get().max(Some(place.timestamp_ms)));
            }
            false
        };
        first_record(context, located, entry, batch, look).await?;
        newest = newest.max(in_batch.get());
    }
    Ok(newest)
}
