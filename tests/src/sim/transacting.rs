//! A scripted client of transactions, and its coordinator.

use super::cluster::{Cluster, SECOND};
use engine::batch::header::attribute;
use engine::batch::{BatchBuilder, BatchHeader, EndMarker, Ending, NewRecord};
use engine::ids::{Offset, PartitionId, ProducerId};
use engine::port::{
    BatchWriter, Fetch, FetchedPartition, Guard, Input, Isolation, MarkerAnswer, Markers, Output, Refusal,
    RequestId, TransactionVersion,
};
use std::collections::BTreeSet;

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
            request: RequestId(0),
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
        let shard = self.shard_of(self.journal_of(partition));
        self.expect("there is room", 5 * SECOND, |cluster| {
            cluster.world.nodes[node].shards[shard as usize].shard.room_for(partition, batch.len())
        });
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

/// What a reader of committed records gets from one fetch.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadCommitted {
    /// Base offsets of the batches that it shows, as Kafka's clients tell them.
    pub shown: Vec<Offset>,
    pub next: Offset,
    pub last_stable: Offset,
}

impl Cluster {
    /// Reads what is committed from `offset` on, without waiting for more.
    pub fn read_committed(&mut self, partition: PartitionId, offset: Offset) -> ReadCommitted {
        let node = self.leader(self.journal_of(partition)).expect("somebody leads");
        let request = self.request();
        let isolation = Isolation::ReadCommitted;
        let fetch = Fetch { isolation, max_bytes: 4000, ..self.fetch(request, node, partition, offset) };
        let shard = self.shard_of(self.journal_of(partition));
        let Output::Fetched { partitions, .. } = self.asked(node, shard, request, Input::Fetch(fetch)) else {
            panic!("a fetch is answered by what was fetched")
        };
        assert_eq!(partitions[0].error, None, "{partition} at {offset}");
        shown(&partitions[0], offset)
    }

    /// Waits for what is committed behind `offset`, for an hour.
    pub fn park_committed(&mut self, partition: PartitionId, offset: Offset) -> RequestId {
        let node = self.leader(self.journal_of(partition)).expect("somebody leads");
        let request = self.request();
        let (isolation, deadline_ns) =
            (Isolation::ReadCommitted, self.world.clock(node).mono_ns + 3600 * SECOND);
        let fetch = Fetch { isolation, deadline_ns, ..self.fetch(request, node, partition, offset) };
        self.input(node, self.shard_of(self.journal_of(partition)), Input::Fetch(fetch));
        request
    }

    /// All that is committed, from `offset` on, over as many fetches as it takes.
    pub fn all_committed(&mut self, partition: PartitionId, mut offset: Offset) -> Vec<Offset> {
        let mut all = Vec::new();
        loop {
            let read = self.read_committed(partition, offset);
            assert!(read.next <= read.last_stable, "{partition}: {read:?}");
            if read.next == offset {
                assert_eq!(offset, read.last_stable, "{partition}: whatever is stable can be read");
                return all;
            }
            all.extend(read.shown);
            offset = read.next;
        }
    }
}

/// As Kafka's clients do it: a producer's batches are passed over from where its aborted transaction began to its marker.
fn shown(part: &FetchedPartition, offset: Offset) -> ReadCommitted {
    let bytes: Vec<u8> = part.records.iter().flat_map(|slice| slice.to_vec()).collect();
    let mut aborted = part.aborted.clone();
    aborted.sort_unstable_by_key(|one| one.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut passed_over = BTreeSet::new();
    let mut read = ReadCommitted { shown: Vec::new(), next: offset, last_stable: part.last_stable };
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let header = BatchHeader::of(rest).expect("a whole header");
        let (batch, behind) = rest.split_at(header.declared_bytes() as usize);
        let (base, producer) = (Offset(header.base_offset.get()), header.producer_id.get());
        let next = base.plus(header.offsets());
        while let Some(one) = aborted.next_if(|one| one.first_offset < next) {
            passed_over.insert(one.producer.0);
        }
        match EndMarker::decode(batch) {
            Some(marker) if marker.ending == Ending::Abort => drop(passed_over.remove(&producer)),
            Some(_) => {}
            None if header.is_transactional() && passed_over.contains(&producer) => {}
            None => read.shown.push(base),
        }
        (read.next, rest) = (next, behind);
    }
    read
}
