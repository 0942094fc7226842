//! One producer's batches: which records wait for which partition, what may be sent to which
//! broker now, and what happens to a batch that was not acked. No sockets, no clock.
//!
//! A partition's batches are sent in the order of their records, and are sent again in that order:
//! after a failure nothing of the partition is sent until all that is under way has its answer.

use super::partition::{Batch, Partition};
use crate::batch::spec::Shape;
use crate::cluster::directory::Identity;
use net::kafka::client::batch::BATCH_HEADER_BYTES;
use std::collections::VecDeque;

/// The bounds that a producer keeps.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub batch_records: u32,
    pub record_bytes_in_batch: usize,
    pub request_bytes: usize,
    pub buffer_bytes: usize,
    pub linger_ns: u64,
}

impl Bounds {
    pub fn new(shape: &Shape, request_bytes: usize, buffer_bytes: usize, linger_ns: u64) -> Self {
        let (batch_records, record_bytes_in_batch) =
            (shape.batch_records_max(), shape.record_bytes_in_batch());
        Self { batch_records, record_bytes_in_batch, request_bytes, buffer_bytes, linger_ns }
    }

    fn bytes(&self, records: u32) -> usize {
        BATCH_HEADER_BYTES + records as usize * self.record_bytes_in_batch
    }
}

/// What waits for one broker. Entries that no longer hold are passed over when they are met.
#[derive(Debug, Default)]
struct Queue {
    /// Partitions with whole batches, each once.
    ready: VecDeque<u32>,
    /// Partitions with a batch that still grows, and when its first record was to be sent.
    open: VecDeque<(u32, u64)>,
    /// Records of both kinds.
    records: u64,
}

#[derive(Debug)]
pub struct Book {
    bounds: Bounds,
    partitions: Vec<Partition>,
    queues: Vec<Queue>,
    /// Partitions of which nothing may be sent now.
    held: Vec<u32>,
    /// Records that wait to be sent, of all partitions.
    records: u64,
    in_flight: u64,
    requests: u64,
    /// Batches go as they are, however young.
    flushing: bool,
}

impl Book {
    pub fn new(partitions: u32, bounds: Bounds, identity: Identity) -> Self {
        let partitions = (0..partitions).map(|_| Partition::new(identity)).collect();
        Self {
            bounds,
            partitions,
            queues: Vec::new(),
            held: Vec::new(),
            records: 0,
            in_flight: 0,
            requests: 0,
            flushing: false,
        }
    }

    pub fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    pub fn partition(&self, number: u32) -> &Partition {
        &self.partitions[number as usize]
    }

    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// From now on nothing waits for more records.
    pub fn flush(&mut self) {
        self.flushing = true;
    }

    pub fn is_full(&self) -> bool {
        self.records as usize * self.bounds.record_bytes_in_batch >= self.bounds.buffer_bytes
    }

    /// Nothing waits and nothing is under way.
    pub fn is_drained(&self) -> bool {
        self.records == 0 && self.in_flight == 0
    }

    /// Bytes that wait for this broker.
    pub fn backlog_bytes(&self, link: usize) -> usize {
        self.queues[link].records as usize * self.bounds.record_bytes_in_batch
    }

    /// Records that the partition's growing batch still takes.
    pub fn room(&self, partition: u32) -> u32 {
        self.bounds.batch_records - self.partitions[partition as usize].open.count
    }

    /// Adds records to the partition's growing batch, which has room for them.
    pub fn add(&mut self, partition: u32, count: u32, first_ns: u64, last_ns: u64) {
        assert!(count <= self.room(partition), "{count} records, room for {}", self.room(partition));
        let one = &mut self.partitions[partition as usize];
        self.records += u64::from(count);
        let begun = one.open.count == 0;
        if begun {
            one.open.first_ns = first_ns;
        }
        one.open.count += count;
        one.open.last_ns = last_ns;
        let full = one.open.count == self.bounds.batch_records;
        if full {
            one.seal();
        }
        let Some(link) = one.link else { return };
        self.queues[link].records += u64::from(count);
        if !one.is_held() {
            if full {
                one.list(partition, &mut self.queues[link].ready);
            } else if begun {
                self.queues[link].open.push_back((partition, one.open.first_ns));
            }
        }
    }

    /// Something may be sent to this broker now.
    pub fn has_work(&self, link: usize, now_ns: u64) -> bool {
        let queue = &self.queues[link];
        let due = |(_, first_ns): &(u32, u64)| self.is_due(*first_ns, now_ns);
        !queue.ready.is_empty() || queue.open.front().is_some_and(due)
    }

    fn is_due(&self, first_ns: u64, now_ns: u64) -> bool {
        self.flushing || now_ns >= first_ns + self.bounds.linger_ns || self.is_full()
    }

    /// When a growing batch is next old enough to be sent.
    pub fn next_due_ns(&self) -> Option<u64> {
        let fronts = self.queues.iter().filter_map(|queue| queue.open.front());
        fronts.map(|(_, first_ns)| first_ns + self.bounds.linger_ns).min()
    }

    /// The batches of the next request to a broker, at most one of each partition.
    pub fn take_request(&mut self, link: usize, now_ns: u64) -> Vec<Batch> {
        self.requests += 1;
        let mut batches = Vec::new();
        let mut bytes = 0;
        self.take_ready(link, &mut batches, &mut bytes);
        self.take_open(link, now_ns, &mut batches, &mut bytes);
        for batch in &mut batches {
            self.records -= u64::from(batch.count);
            self.queues[link].records -= u64::from(batch.count);
            self.in_flight += 1;
            self.partitions[batch.partition as usize].in_flight += 1;
            if batch.first_sent_ns == 0 {
                batch.first_sent_ns = now_ns;
            }
        }
        batches
    }

    fn take_ready(&mut self, link: usize, batches: &mut Vec<Batch>, bytes: &mut usize) {
        for _ in 0..self.queues[link].ready.len() {
            let number = self.queues[link].ready.pop_front().expect("as many as were counted");
            let one = &mut self.partitions[number as usize];
            if one.link != Some(link) || one.is_held() || one.ready.is_empty() || one.waits_for_first() {
                one.listed = false;
                continue;
            }
            let next_bytes = self.bounds.bytes(one.ready[0].count);
            let fits = batches.is_empty() || *bytes + next_bytes <= self.bounds.request_bytes;
            if !fits || one.last_request == self.requests {
                self.queues[link].ready.push_front(number);
                return;
            }
            *bytes += next_bytes;
            batches.push(one.take_first(number, self.requests));
            if !one.ready.is_empty() {
                self.queues[link].ready.push_back(number);
                continue;
            }
            one.listed = false;
            if one.open.count > 0 {
                // It was passed over while whole batches were before it.
                self.queues[link].open.push_front((number, one.open.first_ns));
            }
        }
    }

    fn take_open(&mut self, link: usize, now_ns: u64, batches: &mut Vec<Batch>, bytes: &mut usize) {
        // Of partitions that are in this request already: they grow until the next one.
        let mut later = Vec::new();
        while let Some(&(number, first_ns)) = self.queues[link].open.front() {
            if !self.is_due(first_ns, now_ns) {
                break;
            }
            let one = &mut self.partitions[number as usize];
            let stale = one.open.count == 0 || one.open.first_ns != first_ns;
            // Whole batches go first; the last one of them brings this entry back.
            let waits = one.is_held() || !one.ready.is_empty() || one.waits_for_first();
            if stale || waits || one.link != Some(link) {
                self.queues[link].open.pop_front();
                continue;
            }
            if one.last_request == self.requests {
                self.queues[link].open.pop_front();
                later.push((number, first_ns));
                continue;
            }
            let next_bytes = self.bounds.bytes(one.open.count);
            if !batches.is_empty() && *bytes + next_bytes > self.bounds.request_bytes {
                break;
            }
            self.queues[link].open.pop_front();
            one.seal();
            *bytes += next_bytes;
            batches.push(one.take_first(number, self.requests));
        }
        later.into_iter().rev().for_each(|entry| self.queues[link].open.push_front(entry));
    }

    pub fn acked(&mut self, batch: &Batch) {
        self.in_flight -= 1;
        let one = &mut self.partitions[batch.partition as usize];
        one.in_flight -= 1;
        one.troubled_since_ns = 0;
        if !one.is_known {
            one.is_known = true;
            // What had to wait for it.
            if !one.is_held() {
                self.requeue(batch.partition);
            }
        }
    }

    /// The batch is to be sent again, not before `until_ns`.
    pub fn again(&mut self, mut batch: Batch, now_ns: u64, until_ns: u64) {
        batch.tries += 1;
        self.in_flight -= 1;
        self.records += u64::from(batch.count);
        let number = batch.partition;
        let one = &mut self.partitions[number as usize];
        one.in_flight -= 1;
        if let Some(link) = one.link {
            self.queues[link].records += u64::from(batch.count);
        }
        one.put_back(batch);
        self.hold(number, now_ns, until_ns);
    }

    /// The batch is given up, and with an idempotent producer the partition needs another identity.
    pub fn given_up(&mut self, batch: &Batch, now_ns: u64) {
        self.in_flight -= 1;
        let one = &mut self.partitions[batch.partition as usize];
        one.in_flight -= 1;
        if one.identity != Identity::NONE {
            one.renewing = true;
            self.hold(batch.partition, now_ns, now_ns);
        }
    }

    fn hold(&mut self, number: u32, now_ns: u64, until_ns: u64) {
        let one = &mut self.partitions[number as usize];
        if one.troubled_since_ns == 0 {
            one.troubled_since_ns = now_ns;
        }
        if !one.is_held() {
            self.held.push(number);
        }
        one.held_until_ns = one.held_until_ns.max(until_ns).max(1);
    }

    /// Lets go of partitions that were held long enough.
    pub fn release(&mut self, now_ns: u64) {
        let mut held = std::mem::take(&mut self.held);
        held.retain(|&number| {
            let one = &mut self.partitions[number as usize];
            let free = one.in_flight == 0 && now_ns >= one.held_until_ns && !one.renewing;
            if !free || one.link.is_none() {
                return true;
            }
            one.held_until_ns = 0;
            self.requeue(number);
            false
        });
        self.held.append(&mut held);
    }

    /// Partitions that need another identity and have nothing under way.
    pub fn renewing(&self) -> impl Iterator<Item = u32> + '_ {
        let ripe = |number: &u32| {
            let one = self.partition(*number);
            one.renewing && one.in_flight == 0
        };
        self.held.iter().copied().filter(ripe)
    }

    /// Gives a partition a new identity, whose sequence begins anew. What was sent before may or
    /// may not be there and must not be sent again under another name: it is given up.
    pub fn renew(&mut self, number: u32, identity: Identity) -> Vec<Batch> {
        let one = &mut self.partitions[number as usize];
        let (unknown, rest): (Vec<Batch>, _) =
            std::mem::take(&mut one.ready).into_iter().partition(|batch| batch.tries > 0);
        one.ready = VecDeque::from(rest);
        one.identity = identity;
        one.is_known = false;
        one.renewing = false;
        one.sequence_base = one.ready.front().map_or(one.next_record, |batch| batch.record);
        let records: u64 = unknown.iter().map(|batch| u64::from(batch.count)).sum();
        self.records -= records;
        if let Some(link) = one.link {
            self.queues[link].records -= records;
        }
        unknown
    }

    /// Some partition waits for something else than records.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The oldest trouble of a partition that is held now.
    pub fn troubled_since_ns(&self) -> Option<u64> {
        let since = self.held.iter().map(|number| self.partition(*number).troubled_since_ns);
        since.filter(|since_ns| *since_ns > 0).min()
    }

    /// The number of links that partitions may be given to.
    pub fn set_links(&mut self, links: usize) {
        assert!(links >= self.queues.len(), "links are never taken away");
        self.queues.resize_with(links, Queue::default);
    }

    /// Gives a partition to another link, or to none for now.
    pub fn route(&mut self, number: u32, link: Option<usize>, now_ns: u64) {
        let one = &mut self.partitions[number as usize];
        if one.link == link {
            return;
        }
        let waiting = one.waiting_records();
        if let Some(before) = one.link {
            self.queues[before].records -= waiting;
        }
        if let Some(after) = link {
            self.queues[after].records += waiting;
        }
        one.link = link;
        one.listed = false;
        if one.in_flight > 0 || link.is_none() {
            self.hold(number, now_ns, now_ns);
        } else if !one.is_held() {
            self.requeue(number);
        }
    }

    /// Forgets what the queues still have of partitions that went elsewhere, so that nobody takes
    /// it for work.
    pub fn prune(&mut self) {
        let partitions = &self.partitions;
        for (link, queue) in self.queues.iter_mut().enumerate() {
            let stays = |number: u32| partitions[number as usize].link == Some(link);
            queue.ready.retain(|number| stays(*number));
            queue.open.retain(|(number, _)| stays(*number));
        }
    }

    fn requeue(&mut self, number: u32) {
        let one = &mut self.partitions[number as usize];
        let Some(link) = one.link else { return };
        if !one.ready.is_empty() {
            one.list(number, &mut self.queues[link].ready);
        }
        if one.open.count > 0 {
            self.queues[link].open.push_back((number, one.open.first_ns));
        }
    }
}
