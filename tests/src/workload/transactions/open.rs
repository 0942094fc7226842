//! A loop's open transaction: what it writes where, and how far that is.

use super::super::apart::TOPICS;
use super::names::partitions;
use crate::check::Uid;
use crate::check::transactions::{Read, TransactionId};
use crate::workload::Ctx;
use engine::batch::header::attribute;
use engine::batch::{BatchBuilder, Ending, NewRecord};
use engine::ids::{Offset, PartitionId};
use engine::port::RequestId;
use engine::transactions::ProducerEpoch;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Open {
    pub id: TransactionId,
    /// The partition of its input, and where that is read when this counts.
    pub input: i32,
    pub to: Offset,
    pub ending: Ending,
    pub batches: Vec<OpenBatch>,
    /// Its offsets go with it.
    pub has_offsets: bool,
}

pub struct OpenBatch {
    pub uid: Uid,
    pub number: i32,
    pub partition: PartitionId,
    /// Under way as this request.
    pub request: Option<RequestId>,
    pub is_acked: bool,
}

impl Open {
    /// Makes the batches of a transaction that copies what was read: one to three, each with a part of it.
    pub fn begin(
        ctx: &mut Ctx<'_>,
        of: usize,
        (input, from, to): (i32, Offset, Offset),
        reads: &[Read],
        producer: ProducerEpoch,
        sequences: &mut BTreeMap<PartitionId, i32>,
    ) -> Option<Self> {
        let outputs = partitions(ctx, of + 1)?;
        let id = ctx.model.transactions.begin(of, input, from, to);
        let ending = if ctx.rng.one_in(4) { Ending::Abort } else { Ending::Commit };
        let has_offsets = ending == Ending::Commit || ctx.rng.one_in(2);
        let mut batches = Vec::new();
        let count = 1 + ctx.rng.below(3) as usize;
        for part in reads.chunks(reads.len().div_ceil(count).max(1)) {
            let number = ctx.rng.below(outputs.len() as u64) as i32;
            let partition = outputs[number as usize].id;
            let sequence = sequences.entry(partition).or_insert(0);
            let batch = copy(ctx, part, producer, *sequence);
            *sequence += part.len() as i32;
            let uid = ctx.model.attempts.add(partition, None, batch);
            ctx.model.transactions.add_batch(id, uid);
            batches.push(OpenBatch { uid, number, partition, request: None, is_acked: false });
        }
        Some(Self { id, input, to, ending, batches, has_offsets })
    }

    pub fn are_acked(&self) -> bool {
        self.batches.iter().all(|batch| batch.is_acked)
    }

    /// The next batch to be sent: of a partition one after the other.
    pub fn next_batch(&self) -> Option<usize> {
        let waits = |at: &usize| {
            let batch = &self.batches[*at];
            let mut before = self.batches[..*at].iter().filter(|other| other.partition == batch.partition);
            !batch.is_acked && batch.request.is_none() && before.all(|other| other.is_acked)
        };
        (0..self.batches.len()).find(waits)
    }

    /// Where it writes.
    pub fn places(&self, of: usize) -> Vec<(Arc<str>, i32)> {
        self.batches.iter().map(|batch| (TOPICS[of + 1].into(), batch.number)).collect()
    }
}

/// One record for each batch that was read.
fn copy(ctx: &mut Ctx<'_>, reads: &[Read], producer: ProducerEpoch, sequence: i32) -> Vec<u8> {
    let wall_ms = ctx.world.true_wall_ms();
    let mut batch = BatchBuilder::new(wall_ms);
    batch.producer(producer.id, producer.epoch, sequence).attributes(attribute::TRANSACTIONAL);
    let key = (ctx.model.attempts.next_uid().0 as u64).to_be_bytes();
    for read in reads {
        let value = format!("{:?} at {}", read.uid, read.base);
        let fill = vec![b'.'; ctx.rng.below(200) as usize];
        let value = [value.as_bytes(), &fill].concat();
        batch.push(NewRecord { timestamp_ms: wall_ms, key: Some(&key), value: Some(&value), headers: &[] });
    }
    batch.build()
}
