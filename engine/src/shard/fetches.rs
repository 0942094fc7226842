//! Fetches: evaluated at once, read from the disk, or parked until enough is there.
//!
//! Invariants:
//! - A parked fetch has a deadline, and is found by each of its partitions; one that is woken is neither.
//! - A fetch is answered once: one that was cancelled while its entries were read, not at all.

use crate::clock::Now;
use crate::collections::{Map, Set};
use crate::ids::{JournalId, PartitionId};
use crate::journal::effects::Raised;
use crate::latency::Latency;
use crate::port::{Fetch, FetchedPartition, Isolation, RequestId};
use smallvec::SmallVec;
use std::collections::BTreeSet;

#[derive(Debug)]
struct Parked {
    pub(in crate::shard) fetch: Fetch,
    /// Bytes that must still come.
    pub(in crate::shard) missing: i64,
}

/// A fetch whose cold part is being read.
#[derive(Debug)]
pub(in crate::shard) struct Reading {
    pub(in crate::shard) since_ns: u64,
    pub(in crate::shard) partitions: Vec<PartitionId>,
    pub(in crate::shard) parts: Vec<FetchedPartition>,
}

/// All fetches that are not answered yet.
#[derive(Debug, Default)]
pub struct Fetches {
    parked: Map<RequestId, Parked>,
    by_partition: Map<PartitionId, SmallVec<[RequestId; 2]>>,
    deadlines: BTreeSet<(u64, RequestId)>,
    pub(in crate::shard) reading: Map<RequestId, Reading>,
    woken: Vec<RequestId>,
    pub(in crate::shard) cancelled: Set<RequestId>,
    pub(in crate::shard) read_latency: Latency,
}

impl Fetches {
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Fetches are being read from the disk.
    pub fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    pub(in crate::shard) fn park(&mut self, fetch: Fetch, missing: i64) {
        let request = fetch.request;
        for partition in &fetch.partitions {
            self.by_partition.entry(partition.partition).or_default().push(request);
        }
        self.deadlines.insert((fetch.deadline_ns, request));
        self.parked.insert(request, Parked { fetch, missing });
    }

    fn unpark(&mut self, request: RequestId) -> Option<Fetch> {
        let fetch = self.parked.remove(&request)?.fetch;
        self.deadlines.remove(&(fetch.deadline_ns, request));
        for partition in &fetch.partitions {
            if let Some(waiting) = self.by_partition.get_mut(&partition.partition) {
                waiting.retain(|waiting| *waiting != request);
                if waiting.is_empty() {
                    self.by_partition.remove(&partition.partition);
                }
            }
        }
        Some(fetch)
    }

    /// What is shown of a partition grew.
    pub fn raise(&mut self, raised: Raised) {
        let Some(waiting) = self.by_partition.get(&raised.partition) else { return };
        for request in waiting {
            let parked = self.parked.get_mut(request).expect("what waits is parked");
            if !raised.is_stable && parked.fetch.isolation == Isolation::ReadCommitted {
                continue;
            }
            let before = parked.missing;
            parked.missing = parked.missing.saturating_sub_unsigned(raised.bytes);
            if before > 0 && parked.missing <= 0 {
                self.woken.push(*request);
            }
        }
    }

    /// Wakes those whose time is up.
    pub fn expire(&mut self, now: Now) {
        let due = self.deadlines.range(..=(now.mono_ns, RequestId(u64::MAX)));
        self.woken.extend(due.map(|(_, request)| *request));
    }

    /// Wakes all: what they may see changed otherwise.
    pub fn wake_all(&mut self) {
        self.woken.extend(self.deadlines.iter().map(|(_, request)| *request));
    }

    /// The fetches to evaluate again.
    pub fn take_woken(&mut self) -> Vec<Fetch> {
        let woken = core::mem::take(&mut self.woken);
        woken.into_iter().filter_map(|request| self.unpark(request)).collect()
    }

    pub fn cancel(&mut self, request: RequestId) {
        if self.unpark(request).is_none() && self.reading.contains_key(&request) {
            self.cancelled.insert(request);
        }
    }
}

pub(in crate::shard) type Cold = (
    usize,
    JournalId,
    crate::journal::context::Context,
    crate::journal::read::cold::Places,
    crate::journal::read::want::Want,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Offset;
    use crate::port::FetchPartition;

    fn fetch(request: u64, partitions: &[u64], deadline_ns: u64) -> Fetch {
        let partition = |id: &u64| FetchPartition {
            partition: PartitionId(*id),
            offset: Offset(0),
            max_bytes: 1 << 20,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        Fetch {
            request: RequestId(request),
            partitions: partitions.iter().map(partition).collect(),
            isolation: Isolation::ReadUncommitted,
            min_bytes: 1,
            max_bytes: 1 << 20,
            deadline_ns,
        }
    }

    fn raise(fetches: &mut Fetches, partition: u64, bytes: u64) {
        fetches.raise(Raised { partition: PartitionId(partition), bytes, is_stable: true });
    }

    fn woken(fetches: &mut Fetches) -> Vec<u64> {
        fetches.take_woken().iter().map(|fetch| fetch.request.0).collect()
    }

    fn is_clean(fetches: &Fetches) -> bool {
        fetches.parked() == 0 && fetches.by_partition.is_empty() && fetches.deadlines.is_empty()
    }

    #[test]
    fn a_fetch_wakes_once_enough_is_there() {
        let mut fetches = Fetches::default();
        fetches.park(fetch(1, &[7, 8], 1000), 300);
        raise(&mut fetches, 9, 1000);
        raise(&mut fetches, 7, 200);
        assert!(woken(&mut fetches).is_empty());
        raise(&mut fetches, 8, 100);
        raise(&mut fetches, 8, 100);
        assert_eq!(woken(&mut fetches), [1]);
        assert!(is_clean(&fetches));
    }

    #[test]
    fn who_reads_what_is_committed_wakes_with_the_marker() {
        let mut fetches = Fetches::default();
        fetches.park(Fetch { isolation: Isolation::ReadCommitted, ..fetch(1, &[7], 1000) }, 300);
        fetches.park(fetch(2, &[7], 1000), 300);
        fetches.raise(Raised { partition: PartitionId(7), bytes: 1000, is_stable: false });
        assert_eq!(woken(&mut fetches), [2]);
        raise(&mut fetches, 7, 100);
        assert!(woken(&mut fetches).is_empty());
        raise(&mut fetches, 7, u64::MAX);
        raise(&mut fetches, 7, u64::MAX);
        assert_eq!(woken(&mut fetches), [1]);
        assert!(is_clean(&fetches));
    }

    #[test]
    fn it_wakes_at_its_deadline_and_not_before() {
        let mut fetches = Fetches::default();
        fetches.park(fetch(1, &[7], 1000), 300);
        fetches.park(fetch(2, &[7], 2000), 300);
        fetches.expire(Now { mono_ns: 999, wall_ms: 0 });
        assert!(woken(&mut fetches).is_empty());
        fetches.expire(Now { mono_ns: 1000, wall_ms: 0 });
        assert_eq!(woken(&mut fetches), [1]);
        fetches.wake_all();
        // Woken twice, and given once.
        raise(&mut fetches, 7, 500);
        assert_eq!(woken(&mut fetches), [2]);
        assert!(is_clean(&fetches));
    }

    #[test]
    fn a_cancelled_fetch_is_forgotten() {
        let mut fetches = Fetches::default();
        fetches.park(fetch(1, &[7], 1000), 300);
        fetches.cancel(RequestId(1));
        assert!(is_clean(&fetches));
        raise(&mut fetches, 7, 500);
        assert!(woken(&mut fetches).is_empty());
        fetches.cancel(RequestId(2));
        assert!(fetches.cancelled.is_empty(), "who was never here leaves nothing");
    }
}
