//! How the shard answers fetches: at once, from the disk, or once enough is there.

use super::Shard;
use crate::clock::Now;
use crate::collections::Map;
use crate::ids::JournalId;
use crate::journal::effects::{ColdPart, Done, Effects};
use crate::journal::read::cold::{Shelf, gather_cold};
use crate::journal::running::serve::{Part, refused};
use crate::port::{Fetch, FetchedPartition, Output, Refusal, RequestId};
use crate::shard::fetches::{Cold, Reading};

/// Partitions that one fetch reads from the disk. For each a list of places is made, and an entry
/// may be read of which nothing fits the answer.
const COLD_MAX: usize = 128;

impl Shard {
    /// Evaluates a fetch: answers it, begins to read, or parks it.
    pub(super) fn fetch(&mut self, fetch: Fetch, now: Now, fx: &mut Effects) {
        let mut parts = Vec::with_capacity(fetch.partitions.len());
        let mut cold = Vec::new();
        let mut left = fetch.max_bytes as usize;
        let mut found = 0;
        for (slot, wanted) in fetch.partitions.iter().enumerate() {
            let bytes_max = left.min(wanted.max_bytes as usize);
            let at_least_one = found == 0;
            // The others are told without records: the client asks for them again.
            let bytes_max = if cold.len() < COLD_MAX { bytes_max } else { 0 };
            let part = match self.route(wanted.partition) {
                Ok(journal) => match journal.fetch(wanted, fetch.isolation, bytes_max, at_least_one) {
                    Part::Done(part) => part,
                    Part::Cold(part, want) => {
                        let places = journal.places_for(&want);
                        cold.push((slot, journal.id, journal.context(), places, want));
                        // What it will take is known only when it is read.
                        found += 1;
                        left = left.saturating_sub(bytes_max);
                        part
                    }
                },
                Err(refusal) => refused(refusal),
            };
            left = left.saturating_sub(part.bytes);
            found += part.bytes;
            parts.push(part);
        }
        if found > 0 {
            self.pace.used(now);
        }
        if !cold.is_empty() {
            count_together(&mut cold);
            self.read(&fetch, parts, cold, now, fx);
            return;
        }
        let is_told = |part: &FetchedPartition| part.error.is_some() || part.diverging.is_some();
        let is_due = found >= fetch.min_bytes as usize || now.mono_ns >= fetch.deadline_ns;
        if is_due || parts.iter().any(is_told) || self.lifecycle.stopping {
            fx.out.push(Output::Fetched { request: fetch.request, partitions: parts });
        } else {
            let missing = i64::from(fetch.min_bytes) - found as i64;
            self.fetches.park(fetch, missing);
        }
    }

    fn read(
        &mut self,
        fetch: &Fetch,
        parts: Vec<FetchedPartition>,
        cold: Vec<Cold>,
        now: Now,
        fx: &mut Effects,
    ) {
        let request = fetch.request;
        let partitions = fetch.partitions.iter().map(|wanted| wanted.partition).collect();
        self.fetches.reading.insert(request, Reading { since_ns: now.mono_ns, partitions, parts });
        fx.start(async move {
            let mut read = Vec::with_capacity(cold.len());
            let mut shelf = Shelf::default();
            for (slot, journal, context, places, want) in cold {
                read.push((slot, journal, gather_cold(&context, &places, want, &mut shelf).await));
            }
            Done::Read { request, parts: read }
        });
    }

    /// A cold read is done: the fetch is answered with what it gave.
    pub(super) fn read_done(&mut self, request: RequestId, read: Vec<ColdPart>, now: Now, fx: &mut Effects) {
        let mut reading = self.fetches.reading.remove(&request).expect("it was begun");
        self.fetches.read_latency.record(now.mono_ns.saturating_sub(reading.since_ns));
        for (slot, journal, gathered) in read {
            let (id, part) = (reading.partitions[slot], &mut reading.parts[slot]);
            match self.journals.get_mut(&journal).and_then(|slot| slot.journal_mut()) {
                Some(journal) => journal.take_read(id, part, gathered, fx),
                None => part.error = Some(Refusal::NotLeader),
            }
        }
        for (id, part) in reading.partitions.iter().zip(&mut reading.parts) {
            if let Ok(journal) = self.route(*id) {
                journal.refresh_bounds(*id, part);
            }
        }
        if !self.fetches.cancelled.remove(&request) {
            fx.out.push(Output::Fetched { request, partitions: reading.parts });
        }
    }
}

/// Notes how many partitions are read from the same journal: together they may want most of an
/// entry of which each wants little.
fn count_together(cold: &mut [Cold]) {
    let mut partitions: Map<JournalId, u64> = Map::default();
    for (_, journal, ..) in cold.iter() {
        *partitions.entry(*journal).or_default() += 1;
    }
    for (_, journal, _, _, want) in cold {
        want.together = partitions[journal];
    }
}
