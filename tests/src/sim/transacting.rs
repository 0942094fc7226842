//! A scripted client of transactions, and its coordinator.

use super::cluster::{Cluster, SECOND};
use engine::batch::header::attribute;
use engine::batch::{BatchBuilder, Ending, NewRecord};
use engine::ids::{Offset, PartitionId, ProducerId};
use engine::port::{BatchWriter, Guard, Input, MarkerAnswer, Markers, Refusal, TransactionVersion};

/// A producer with its epoch, as the coordinator gave it.
#[derive(Clone, Copy, Debug)]
pub struct Transactor {
    pub producer: i64,
    pub epoch: i16,
    pub version: TransactionVersion,
}

impl Transactor {
    /// A batch of its transaction.
    pub fn batch(&self, base_sequence: i32, records: usize) -> Vec<u8> {
        self.built(base_sequence, records, attribute::TRANSACTIONAL)
    }

    /// One outside of transactions.
    pub fn plain(&self, base_sequence: i32) -> Vec<u8> {
        self.built(base_sequence, 1, 0)
    }

    fn built(&self, base_sequence: i32, records: usize, attributes: i16) -> Vec<u8> {
        let mut batch = BatchBuilder::new(1_000);
        batch.producer(self.producer, self.epoch, base_sequence).attributes(attributes);
        for _ in 0..records {
            batch.push(NewRecord::value(b"heartwood"));
        }
        batch.build()
    }

    /// The end of its transaction, by version 2 with the next epoch.
    pub fn end(&self, ending: Ending, partitions: &[PartitionId]) -> Markers {
        let bump = i16::from(self.version == TransactionVersion::Two);
        Markers {
            request: engine::port::RequestId(0),
            producer: ProducerId(self.producer),
            epoch: self.epoch + bump,
            version: self.version,
            coordinator_epoch: 1,
            ending,
            partitions: partitions.to_vec(),
        }
    }
}

impl Cluster {
    /// What the coordinator would have to confirm.
    pub fn guard(&self, partition: PartitionId, batch: &[u8]) -> Option<Guard> {
        let journal = self.journal_of(partition);
        let node = self.leader(journal).expect("somebody leads");
        let slot = &self.world.nodes[node].shards[self.shard_of(journal) as usize];
        slot.shard.guard_for(partition, batch, true)
    }

    /// Sends a batch to its leader and waits for the answer.
    pub fn send(
        &mut self,
        partition: PartitionId,
        batch: &[u8],
        writer: BatchWriter,
    ) -> Result<Offset, Refusal> {
        let node = self.leader(self.journal_of(partition)).expect("somebody leads");
        let request = self.send_to(node, partition, batch, writer).expect("there is room");
        self.expect("the batch is answered", 5 * SECOND, |cluster| cluster.produced.contains_key(&request));
        self.produced.remove(&request).expect("just seen")
    }

    /// Sends a batch of a transaction, of which the coordinator says that it is one.
    pub fn transact(
        &mut self,
        who: &Transactor,
        partition: PartitionId,
        batch: &[u8],
    ) -> Result<Offset, Refusal> {
        let guard = self.guard(partition, batch);
        self.send(partition, batch, BatchWriter::Transactional { version: who.version, guard })
    }

    /// Sends markers to the shard that leads all of their partitions; the answer of each.
    pub fn mark(&mut self, markers: Markers) -> Vec<MarkerAnswer> {
        let journal = self.journal_of(markers.partitions[0]);
        let node = self.leader(journal).expect("somebody leads");
        let request = self.request();
        let slots = 0..markers.partitions.len() as u32;
        self.input(node, self.shard_of(journal), Input::Markers(Markers { request, ..markers }));
        let all = slots.clone();
        self.expect("the markers are answered", 5 * SECOND, |cluster| {
            all.clone().all(|slot| cluster.marked.contains_key(&(request, slot)))
        });
        slots.map(|slot| self.marked.remove(&(request, slot)).expect("just seen")).collect()
    }

    /// Where the first record is that nobody decided, as its leader has it.
    pub fn first_unstable(&self, partition: PartitionId) -> Option<Offset> {
        let journal = self.journal_of(partition);
        let node = self.leader(journal).expect("somebody leads");
        let slot = &self.world.nodes[node].shards[self.shard_of(journal) as usize];
        slot.shard.journal(journal)?.fold().partition(partition)?.first_unstable()
    }
}
