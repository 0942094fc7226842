//! Reads partitions of the offsets topic back, one after the other, for the coordinator that
//! began to lead them.

use super::Groups;
use crate::shard_loop::{Question, TICK};
use engine::batch::BatchHeader;
use engine::groups::{Input, Tenure};
use engine::ids::{Offset, PartitionId};
use engine::shard::{Answer, Fetch, FetchPartition, QueryKind, Refusal};
use std::rc::Rc;
use std::time::Duration;

/// What is read at once; its records are in memory twice for a moment.
const READ_BYTES: u32 = 1 << 20;
/// A read that fails (damage that is being repaired, say) is tried again this often.
const RETRY: Duration = Duration::from_millis(500);

impl Groups {
    pub(super) async fn read_all_back(self: Rc<Self>) {
        loop {
            self.changed.until(|| !self.to_read.borrow().is_empty()).await;
            let next = self.to_read.borrow_mut().pop_front();
            let tenure = next.expect("it was there");
            if let Err(refusal) = self.read_back(tenure).await {
                tracing::debug!(tenure.partition, ?refusal, "groups are not read back yet");
                self.try_again(tenure, refusal).await;
            }
        }
    }

    /// Whatever the reason, the coordinator has to know its groups: it is tried until it works or
    /// the leadership ends. The others have their turn before.
    async fn try_again(self: &Rc<Self>, one: Tenure, refusal: Refusal) {
        // A journal that was made just now: soon.
        let soon = matches!(refusal, Refusal::NotReady | Refusal::OffsetNotAvailable | Refusal::NotLeader);
        let deadline_ns = self.shard.now().plus(if soon { TICK } else { RETRY });
        self.shard.changes.until(|| self.shard.now().mono_ns >= deadline_ns).await;
        self.to_read.borrow_mut().push_back(one);
    }

    async fn read_back(self: &Rc<Self>, tenure: Tenure) -> Result<(), Refusal> {
        if !self.coordinator.borrow().is_current(tenure) {
            return Ok(());
        }
        let id = self.partition_id(tenure.partition).ok_or(Refusal::UnknownPartition)?;
        let mut next = self.bound(id, QueryKind::Earliest).await?;
        let end = self.bound(id, QueryKind::Latest).await?;
        let mut read = Vec::new();
        while next < end {
            let (batches, behind) = self.read_some(id, next).await?;
            read.push(batches);
            next = behind;
        }
        // Given as a whole, so that a read that failed half way is not seen twice.
        for batches in read {
            self.step(Input::Read { tenure, batches: &batches });
        }
        self.step(Input::Loaded { tenure });
        Ok(())
    }

    async fn bound(&self, partition: PartitionId, kind: QueryKind) -> Result<Offset, Refusal> {
        let question = Question { partition, leader_epoch: -1, kind };
        match self.shard.query(&[question]).await.pop().expect("one question")? {
            Answer::Offset { offset, .. } => Ok(offset),
            other => panic!("an offset was asked for and {other:?} answered"),
        }
    }

    /// Whole batches from an offset on, and the offset behind them.
    async fn read_some(&self, partition: PartitionId, offset: Offset) -> Result<(Vec<u8>, Offset), Refusal> {
        let wanted = FetchPartition {
            partition,
            offset,
            max_bytes: READ_BYTES,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let deadline_ns = self.shard.now().plus(RETRY);
        let ticket = self.shard.fetch(|request| Fetch {
            request,
            partitions: vec![wanted],
            min_bytes: 1,
            max_bytes: READ_BYTES,
            deadline_ns,
        });
        let fetched = ticket.slots.wait().await.pop().and_then(|mut partitions| partitions.pop());
        let fetched = fetched.expect("one partition");
        if let Some(refusal) = fetched.error {
            return Err(refusal);
        }
        let batches: Vec<u8> = fetched.records.iter().flat_map(|slice| slice.iter().copied()).collect();
        let next = next_offset(&batches).ok_or(Refusal::Storage)?;
        Ok((batches, next))
    }
}

/// The offset behind the last of these batches; none where there are none.
fn next_offset(mut batches: &[u8]) -> Option<Offset> {
    let mut next = None;
    while let Some(header) = BatchHeader::of(batches) {
        let bytes = usize::try_from(header.declared_bytes()).ok()?;
        next = Some(Offset(header.base_offset.get()).plus(header.offsets()));
        batches = batches.get(bytes..)?;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::batch::{BatchBuilder, NewRecord};

    #[test]
    fn reading_goes_on_behind_the_last_batch() {
        let batch = |base: i64, records: usize| {
            let mut batch = BatchBuilder::new(1);
            batch.base_offset(base);
            for _ in 0..records {
                batch.push(NewRecord::value(b"v"));
            }
            batch.build()
        };
        assert_eq!(next_offset(&[]), None);
        assert_eq!(next_offset(&[batch(5, 2), batch(7, 3)].concat()), Some(Offset(10)));
    }
}
