//! What is done to both journals, each operation with what its steps cost.

use super::node::{Cost, Node, processor_time};
use engine::batch::{BatchBuilder, NewRecord};
use engine::control::Command;
use engine::control::life::Life;
use engine::ids::{Offset, PartitionId, TopicId};
use engine::port::Input;
use engine::port::{
    Acks, Answer, BatchWriter, Event, Fetch, FetchPartition, Isolation, Output, Produce, Query, QueryKind,
    RequestId,
};
use std::time::Duration;

const PER_ENTRY: usize = 16;
const ALL_AT_ONCE: Duration = Duration::from_secs(3600);

/// How much a journal holds.
#[derive(Clone, Copy)]
pub struct Size {
    pub segments: u64,
    pub partitions: u32,
    pub producers: u64,
}

/// A node with that, and what comes next.
pub struct Grown {
    pub node: Node,
    pub partitions: Vec<PartitionId>,
    next_offsets: Vec<i64>,
    requests: u64,
    batches: u64,
    producers: u64,
    sealed: u64,
    /// The newest records' time when it was as large as it was to be.
    grown_ms: i64,
    grown_segments: u64,
}

impl Grown {
    pub fn new(mut node: Node, size: Size) -> Self {
        node.start();
        let partitions = create(&mut node, "all", size.partitions);
        let next_offsets = vec![0; partitions.len()];
        let mut grown = Self {
            node,
            partitions,
            next_offsets,
            requests: 1 << 32,
            batches: 0,
            producers: 0,
            sealed: 0,
            grown_ms: 0,
            grown_segments: size.segments,
        };
        let without = size.segments - size.segments / 8;
        while grown.sealed < without {
            grown.entry(false);
        }
        while grown.sealed < size.segments || grown.producers < size.producers {
            grown.entry(grown.producers < size.producers);
        }
        grown.grown_ms = grown.node.now.wall_ms;
        grown
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// One entry of small batches, one in each of the partitions whose turn it is, and whatever follows from it.
    pub fn entry(&mut self, with_producers: bool) {
        for _ in 0..PER_ENTRY {
            self.batch(with_producers);
        }
        self.node.settle();
        self.node.now.mono_ns += 1_000_000;
        self.node.now.wall_ms += 1;
        self.take_said();
        if self.batches.is_multiple_of(64 * PER_ENTRY as u64) {
            self.node.tick();
            self.take_said();
        }
    }

    fn take_said(&mut self) {
        for said in self.node.said.drain(..) {
            match said {
                Output::Produced { result, .. } => drop(result.expect("appended")),
                Output::Event(Event::SegmentSealed { .. }) => self.sealed += 1,
                _ => {}
            }
        }
    }

    fn batch(&mut self, with_producers: bool) {
        let at = (self.batches % self.partitions.len() as u64) as usize;
        self.batches += 1;
        let mut builder = BatchBuilder::new(self.node.now.wall_ms);
        if with_producers {
            self.producers += 1;
            builder.producer(self.producers as i64, 0, 0);
        }
        builder.push(NewRecord::value(&[b'x'; 128]));
        let records = builder.build();
        let partition = self.partitions[at];
        while !self.node.shard.room_for(partition, records.len()) {
            self.node.settle();
            self.node.tick();
        }
        let (request, acks) = (self.request(), Acks::All);
        let writer = BatchWriter::Client;
        self.next_offsets[at] += 1;
        let records = &records;
        self.node.step(Input::Produce(Produce {
            request,
            slot: 0,
            partition,
            acks,
            records,
            checked: None,
            writer,
        }));
    }

    /// One segment: written, rolled, sealed and entered into the catalog.
    pub fn segment(&mut self) {
        let before = self.sealed;
        while self.sealed == before {
            self.entry(false);
        }
    }

    /// A fetch of these partitions, until it is answered; gives the bytes that came.
    pub fn fetch(&mut self, asked: &[(PartitionId, i64)]) -> usize {
        let ask = |(partition, offset): &(PartitionId, i64)| FetchPartition {
            partition: *partition,
            offset: Offset(*offset),
            max_bytes: 1 << 16,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let request = self.request();
        self.node.step(Input::Fetch(Fetch {
            request,
            partitions: asked.iter().map(ask).collect(),
            isolation: Isolation::ReadUncommitted,
            min_bytes: 0,
            max_bytes: 1 << 20,
            deadline_ns: 0,
        }));
        self.node.settle();
        let answers = self.node.said.drain(..).filter_map(|said| match said {
            Output::Fetched { partitions, .. } => Some(partitions),
            _ => None,
        });
        let parts: Vec<_> = answers.flatten().collect();
        assert_eq!(parts.len(), asked.len());
        assert!(parts.iter().all(|part| part.error.is_none()), "{parts:?}");
        parts.iter().map(|part| part.bytes).sum()
    }

    /// The partition whose oldest record is in the first segment, from there.
    pub fn read_cold(&mut self, at: usize) {
        let bytes = self.fetch(&[(self.partitions[at % self.partitions.len()], 0)]);
        assert!(bytes > 0, "there are records");
    }

    /// As many partitions as the small journal has, each from its newest record.
    pub fn fetch_many(&mut self, offset_back: i64) {
        let count = self.partitions.len();
        let first = (self.batches as usize) % count;
        let asked: Vec<_> = (0..100)
            .map(|back| (first + count - 1 - back) % count)
            .map(|at| (self.partitions[at], self.next_offsets[at] - offset_back))
            .collect();
        let bytes = self.fetch(&asked);
        assert_eq!(bytes > 0, offset_back > 0);
    }

    fn middle_ms(&self) -> i64 {
        let begun = Node::begin().wall_ms;
        begun + (self.grown_ms - begun) / 2
    }

    /// The first record at or after a time in the middle of all.
    pub fn find_time(&mut self, at: usize) {
        let kind = QueryKind::AtTime(self.middle_ms());
        let (request, partition) = (self.request(), self.partitions[at % self.partitions.len()]);
        self.node.step(Input::Query(Query { request, slot: 0, partition, leader_epoch: -1, kind }));
        self.node.settle();
        let is_found = self.node.said.drain(..).any(
            |said| matches!(said, Output::Answered { result: Ok(Answer::Offset { offset, .. }), .. } if offset.0 >= 0),
        );
        assert!(is_found);
    }

    /// Time for a pass of retention, which finds nothing to delete, and ticks until it is over.
    pub fn retention_pass(&mut self) {
        self.node.now.mono_ns += 300_000_000_000;
        self.node.now.wall_ms += 300_000;
        (0..self.partitions.len() / 64 + 2).for_each(|_| self.node.tick());
    }

    pub fn metrics(&mut self) {
        assert_eq!(self.node.shard.metrics().journals.len(), 2);
    }

    /// A topic of one partition more: the command, the view of it, and the partition opened.
    pub fn publish(&mut self) {
        let name = format!("another-{}", self.request().0);
        create(&mut self.node, &name, 1);
        self.node.said.clear();
    }

    /// All that is older than half of the time goes.
    pub fn expire(&mut self) {
        let ahead_ms = self.middle_ms() + RETENTION_MS - self.node.now.wall_ms;
        self.node.now.wall_ms += ahead_ms;
        self.node.now.mono_ns += ahead_ms as u64 * 1_000_000;
        let mut deleted = 0;
        for _ in 0..20_000 {
            self.node.tick();
            let is_deleted = |said: &Output| matches!(said, Output::Event(Event::SegmentDeleted { .. }));
            deleted += self.node.said.drain(..).filter(|said| is_deleted(said)).count() as u64;
            if deleted * 3 > self.grown_segments {
                return;
            }
        }
        panic!("{deleted} of {} segments went", self.sealed);
    }
}

/// A week, as Kafka has it.
const RETENTION_MS: i64 = 7 * 24 * 3600 * 1000;

/// A topic, and its partitions once the shard has opened them.
fn create(node: &mut Node, name: &str, partitions: u32) -> Vec<PartitionId> {
    let id = name.bytes().fold(7u128, |id, byte| id.wrapping_mul(257) + u128::from(byte));
    let command = Command::CreateTopic {
        name: name.into(),
        topic_id: TopicId(id),
        partitions,
        replication_factor: 1,
        configs: Vec::new(),
        life: Life::Finite,
        entropy: 9,
        by_hand: Vec::new(),
    };
    node.step(Input::Control { request: RequestId(1), command });
    let is_done = |said: &Output| matches!(said, Output::ControlDone { result: Ok(_), .. });
    node.until(is_done);
    let of = |node: &Node| -> Vec<PartitionId> {
        let topic = node.view.topics.get(name);
        topic.map(|topic| topic.partitions.iter().map(|one| one.id).collect()).unwrap_or_default()
    };
    for _ in 0..10_000 {
        let ids = of(node);
        if let Some(last) = ids.last()
            && node
                .view
                .partition(*last)
                .and_then(|(_, one)| one.spans.last().map(|span| span.journal))
                .is_some_and(|journal| {
                    node.shard
                        .journal(journal)
                        .is_some_and(|journal| journal.fold().partition(*last).is_some())
                })
        {
            return ids;
        }
        node.tick();
    }
    panic!("{name} is not opened");
}

/// Does it so often; gives what one time costs at the median, and the longest step of all.
pub fn measure(grown: &mut Grown, times: usize, mut operation: impl FnMut(&mut Grown, usize)) -> Cost {
    let mut all: Vec<Cost> = (0..times)
        .map(|time| {
            grown.node.cost = Cost::default();
            let began = processor_time();
            operation(grown, time);
            let mut cost = grown.node.cost;
            if cost.steps == 0 {
                // It is a call, and no step.
                cost.total = (processor_time() - began).min(ALL_AT_ONCE);
                (cost.longest, cost.input, cost.steps) = (cost.total, "call", 1);
            }
            cost
        })
        .collect();
    let longest = *all.iter().max_by_key(|cost| cost.longest).expect("it was done");
    all.sort_by_key(|cost| cost.total);
    Cost { longest: longest.longest, input: longest.input, ..all[times / 2] }
}
