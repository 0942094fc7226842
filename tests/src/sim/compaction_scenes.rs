//! Scenes of compacted journals, acted step by step, that chance hardly meets.

use super::cluster::{Cluster, MS, SECOND};
use engine::batch::header::batch_crc;
use engine::batch::{BatchBuilder, NewRecord};
use engine::folder;
use engine::ids::{JournalId, Offset, PartitionId, RunId};
use engine::port::{BatchWriter, Event, Rewrote};
use std::collections::BTreeMap;

const SEGMENT_BYTES: u64 = 1 << 17;
const KEYS: u64 = 7;

/// Three nodes, a compacted partition, and the newest acked record of each key.
struct Keyed {
    cluster: Cluster,
    partition: PartitionId,
    journal: JournalId,
    number: u64,
    newest: BTreeMap<u64, (Offset, u32)>,
}

impl Keyed {
    fn new(seed: u64) -> Self {
        let mut cluster = Cluster::new(seed, 3, 1, SEGMENT_BYTES);
        cluster.start_all();
        let configs = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0")];
        let partition = cluster.create_topic_with(0, "kv", (1, 3), &configs)[0];
        let journal = cluster.journal_of(partition);
        Self { cluster, partition, journal, number: 0, newest: BTreeMap::new() }
    }

    /// One more record, acked by whoever leads; ends early when `is_so`.
    fn write(&mut self, is_so: &impl Fn(&Self) -> bool) {
        let key = self.number % KEYS;
        let value = [&self.number.to_be_bytes()[..], &[7; 3_000]].concat();
        let (key_bytes, wall_ms) = (key.to_be_bytes(), self.cluster.world.true_wall_ms());
        let record = NewRecord { key: Some(&key_bytes), value: Some(&value), ..NewRecord::default() };
        let batch = BatchBuilder::new(wall_ms).push(record).build();
        let journal = self.journal;
        self.cluster.expect("somebody leads", 20 * SECOND, |cluster| cluster.is_settled(journal));
        let node = self.cluster.leader(self.journal).expect("it was waited for");
        let Some(request) = self.cluster.send_to(node, self.partition, &batch, BatchWriter::Client) else {
            return self.cluster.run_for(MS);
        };
        while !self.cluster.produced.contains_key(&request) && !is_so(self) {
            self.cluster.step();
        }
        if let Some(Ok(offset)) = self.cluster.produced.remove(&request) {
            self.newest.insert(key, (offset, batch_crc(&batch)));
            self.number += 1;
        }
    }

    fn told(&self, is_it: impl Fn(&Rewrote) -> bool) -> Option<(usize, Rewrote)> {
        let told = self.cluster.events.iter().rev().filter_map(|(node, event)| match event {
            Event::Rewriting { what, .. } => Some((*node, what.clone())),
            _ => None,
        });
        told.into_iter().find(|(_, what)| is_it(what))
    }

    fn write_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until_ns = self.cluster.world.now_ns + 60 * SECOND;
        while !is_so(self) {
            self.write(&is_so);
            assert!(
                self.cluster.world.now_ns < until_ns,
                "{what} did not come, after {} records",
                self.number
            );
        }
    }

    fn named(&self, node: usize) -> (Option<RunId>, Option<RunId>) {
        let slots = &self.cluster.world.nodes[node].shards;
        let journal = slots.iter().find_map(|slot| slot.shard.journal(self.journal));
        journal.map_or((None, None), |journal| {
            let runs = journal.fold().runs();
            (runs.made().map(|made| made.run), runs.settled().last().map(|made| made.run))
        })
    }

    fn has_file(&self, node: usize, run: RunId) -> bool {
        let path = folder::run_path(self.journal, run);
        self.cluster.world.nodes[node].disk.files().any(|(name, _)| name == path)
    }

    /// Of each key the newest record is there, as it was written.
    fn check(&mut self) {
        let found = self.cluster.read(self.partition);
        for (key, (offset, crc)) in &self.newest {
            assert_eq!(found.get(offset), Some(crc), "the newest record of key {key} at {offset}");
        }
    }
}

/// Whoever made a run is gone before anybody else had it: after a while the others say that it is void, and go on with
/// what it was made of.
pub fn a_run_that_nobody_gives(seed: u64) {
    let mut keyed = Keyed::new(seed);
    let is_made = |what: &Rewrote| matches!(what, Rewrote::Made { .. });
    keyed.write_until("a run", |keyed| keyed.told(is_made).is_some());
    let Some((maker, Rewrote::Made { run, .. })) = keyed.told(is_made) else { panic!("it was told") };
    let others: Vec<usize> = (0..3).filter(|node| *node != maker).collect();
    let named = |keyed: &Keyed| others.iter().any(|node| keyed.named(*node).0 == Some(run));
    while !named(&keyed) {
        keyed.cluster.step();
    }
    keyed.cluster.kill(maker, true);
    keyed.cluster.expect("it is void", 60 * SECOND, |cluster| {
        cluster.count(|event| matches!(event, Event::Rewriting { what: Rewrote::Lost { .. }, .. })) > 0
    });
    assert!(others.iter().all(|node| !keyed.has_file(*node, run)), "nobody could give it");
    keyed.check();
    keyed.cluster.world.start(maker);
    keyed.write_until("another run on all three", |keyed| {
        let settled = keyed.named(maker).1;
        let is_new = settled.is_some_and(|other| other != run);
        is_new
            && (0..3)
                .all(|node| keyed.named(node).1 == settled && keyed.has_file(node, settled.expect("new")))
    });
    keyed.cluster.run_for(200 * MS);
    assert!(!keyed.has_file(maker, run), "nothing names it any more");
    keyed.check();
    keyed.cluster.check(&[]);
}
