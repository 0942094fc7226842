//! One partition as one producer sees it.

use crate::cluster::directory::Identity;
use std::collections::VecDeque;

/// Records that are sent together. Their bytes follow from this and are made when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub partition: u32,
    pub count: u32,
    /// The number of the first record among this producer's in this partition.
    pub record: u64,
    pub first_ns: u64,
    pub last_ns: u64,
    /// 0: not sent yet.
    pub first_sent_ns: u64,
    /// How often it was sent and not acked.
    pub tries: u32,
}

/// A batch that still grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub count: u32,
    pub first_ns: u64,
    pub last_ns: u64,
}

#[derive(Debug)]
pub struct Partition {
    /// Who leads it, if anybody does.
    pub link: Option<usize>,
    /// Whole batches in the order of their records.
    pub ready: VecDeque<Batch>,
    pub open: Open,
    /// Of the next batch that becomes whole.
    pub next_record: u64,
    pub identity: Identity,
    /// The record that had this identity's sequence number 0.
    pub sequence_base: u64,
    /// Something was acked under this identity: the broker knows its sequence.
    pub is_known: bool,
    /// The identity is to be replaced.
    pub renewing: bool,
    /// Batches under way.
    pub in_flight: u32,
    /// Nothing is sent before; 0: it is not held.
    pub held_until_ns: u64,
    /// Since when nothing was acked though something failed; 0: all is well.
    pub troubled_since_ns: u64,
    /// It stands in its link's list of partitions with whole batches.
    pub listed: bool,
    /// The last request that has a batch of it.
    pub last_request: u64,
}

impl Partition {
    pub fn new(identity: Identity) -> Self {
        Self {
            link: None,
            ready: VecDeque::new(),
            open: Open::default(),
            next_record: 0,
            identity,
            sequence_base: 0,
            is_known: false,
            renewing: false,
            in_flight: 0,
            held_until_ns: 0,
            troubled_since_ns: 0,
            listed: false,
            last_request: 0,
        }
    }

    pub fn is_held(&self) -> bool {
        self.held_until_ns > 0
    }

    /// A broker takes whatever sequence number it meets first: were the first batch refused (no
    /// leader yet) and the next one taken, the first one would be out of order for good. So an
    /// identity's first batch goes alone.
    pub fn waits_for_first(&self) -> bool {
        !self.is_known && self.in_flight > 0 && self.identity != Identity::NONE
    }

    pub fn waiting_records(&self) -> u64 {
        let ready: u64 = self.ready.iter().map(|batch| u64::from(batch.count)).sum();
        ready + u64::from(self.open.count)
    }

    /// The growing batch becomes a whole one. Its partition's number is not known here;
    /// [`Partition::take_first`] writes it.
    pub fn seal(&mut self) {
        let Open { count, first_ns, last_ns } = std::mem::take(&mut self.open);
        let record = self.next_record;
        self.next_record += u64::from(count);
        let batch = Batch { partition: 0, count, record, first_ns, last_ns, first_sent_ns: 0, tries: 0 };
        self.ready.push_back(batch);
    }

    pub fn take_first(&mut self, number: u32, request: u64) -> Batch {
        self.last_request = request;
        let mut batch = self.ready.pop_front().expect("the caller looked");
        batch.partition = number;
        batch
    }

    /// Back to its place in the order of records.
    pub fn put_back(&mut self, batch: Batch) {
        let place = self.ready.partition_point(|other| other.record < batch.record);
        self.ready.insert(place, batch);
    }

    pub fn list(&mut self, number: u32, ready: &mut VecDeque<u32>) {
        if !self.listed {
            self.listed = true;
            ready.push_back(number);
        }
    }

    /// The sequence number of a record; it begins anew behind 2^31 − 1.
    pub fn sequence(&self, record: u64) -> i32 {
        if self.identity == Identity::NONE {
            return -1;
        }
        ((record - self.sequence_base) % (1 << 31)) as i32
    }
}
