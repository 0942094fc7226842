//! Batches of few keys, and where they go.

use super::super::apart::COMPACTED;
use super::super::{Ctx, Place};
use crate::check::compaction::{Fate, KeyedBatch};
use engine::batch::{BatchBuilder, Codec, NewRecord};
use engine::ids::PartitionId;

/// Keys of a partition; those with low numbers come often.
const KEYS: u64 = 40;
const RECORDS_MAX: u64 = 6;
const VALUE_BYTES_MAX: u64 = 1_600;

/// A producer with its epoch, and the sequence of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    pub producer: i64,
    pub epoch: i16,
    pub sequence: i32,
    pub attributes: i16,
}

/// A new batch for this partition, known to the model.
pub fn new_batch(
    ctx: &mut Ctx<'_>,
    partition: PartitionId,
    fate: Fate,
    numbered: Option<Numbered>,
) -> KeyedBatch {
    let wall_ms = ctx.world.true_wall_ms();
    let name = ctx.model.compaction.next_batch().0.to_be_bytes();
    let mut builder = BatchBuilder::new(wall_ms);
    if let Some(Numbered { producer, epoch, sequence, attributes }) = numbered {
        builder.producer(producer, epoch, sequence).attributes(attributes);
    }
    if ctx.rng.one_in(4) {
        builder.codec(Codec::ALL[ctx.rng.below(Codec::ALL.len() as u64) as usize]);
    }
    let headers: [(&str, Option<&[u8]>); 1] = [("n", Some(&name))];
    for _ in 0..1 + ctx.rng.below(RECORDS_MAX) {
        let among = 1 + ctx.rng.below(KEYS);
        let key = (ctx.rng.below(among) as u16).to_be_bytes();
        let fill = ctx.rng.next_u64().to_le_bytes();
        let bytes = ctx.rng.below(VALUE_BYTES_MAX) as usize;
        let value: Vec<u8> = fill.iter().copied().cycle().take(8 + bytes).collect();
        let value = (!ctx.rng.one_in(4)).then_some(&value[..]);
        let timestamp_ms = wall_ms + ctx.rng.below(200) as i64 - 100;
        builder.push(NewRecord { timestamp_ms, key: Some(&key), value, headers: &headers });
    }
    let bytes = builder.build();
    ctx.model.compaction.add(partition, fate, bytes)
}

/// Any partition of the compacted topics.
pub fn any_partition(ctx: &mut Ctx<'_>) -> Option<PartitionId> {
    let all = partitions(ctx);
    (!all.is_empty()).then(|| all[ctx.rng.below(all.len() as u64) as usize])
}

/// All of them, once all topics are there.
pub fn partitions(ctx: &Ctx<'_>) -> Vec<PartitionId> {
    let Some(view) = ctx.view() else { return Vec::new() };
    let topics: Vec<_> = COMPACTED.iter().filter_map(|name| view.topics.get(*name)).collect();
    if topics.len() < COMPACTED.len() {
        return Vec::new();
    }
    topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| partition.id)).collect()
}

/// Whoever leads it, when there is room for so many bytes.
pub fn place_for(ctx: &Ctx<'_>, partition: PartitionId, bytes: usize) -> Option<Place> {
    let place = ctx.leader(partition)?;
    let shard = &ctx.world.nodes[place.node].shards[place.shard as usize].shard;
    shard.room_for(partition, bytes).then_some(place)
}
