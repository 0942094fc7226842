//! Bad checkpoints behind a front that was deleted: two cover it, so that one may rot; a replica whose
//! every one is bad gets a good one from another.

use engine::folder::{checkpoint_path, journal_dir, segment_path};
use engine::ids::{Index, JournalId, PartitionId};
use engine::port::Event;
use tests::sim::cluster::{Cluster, MS, SECOND};

/// As few bytes as a segment may have here.
const SEGMENT_BYTES: u64 = 1 << 18;

fn produce(cluster: &mut Cluster, partition: PartitionId, batches: usize) {
    for _ in 0..batches {
        cluster.produce(partition);
        cluster.run_for(MS);
    }
    cluster.run_for(500 * MS);
}

/// A cluster with one partition whose log begins with a later segment than the first, on all nodes that run.
fn deleted(seed: u64, nodes: usize) -> (Cluster, PartitionId, JournalId) {
    let mut cluster = Cluster::new(seed, nodes, 1, SEGMENT_BYTES);
    cluster.start_all();
    let partition = cluster.create_topic(0, "t", 1, nodes as i16)[0];
    let journal = cluster.journal_of(partition);
    delete_front(&mut cluster, partition, journal);
    // A removal that is seen is not durable yet: a power cut may bring the segment back.
    cluster.run_for(SECOND);
    (cluster, partition, journal)
}

fn delete_front(cluster: &mut Cluster, partition: PartitionId, journal: JournalId) {
    let begin = |cluster: &Cluster, node: usize| cluster.entries(node, journal)[0].index;
    let up: Vec<usize> =
        (0..cluster.nodes()).filter(|node| cluster.world.nodes[*node].is_running()).collect();
    produce(cluster, partition, 400);
    let before = begin(cluster, up[0]);
    cluster.delete_all(partition);
    produce(cluster, partition, 20);
    cluster.expect("the front is deleted", 60 * SECOND, |cluster| {
        up.iter().all(|node| begin(cluster, *node) > before.max(1))
    });
}

/// The checkpoints of a journal, oldest first; not the one of a stop.
fn checkpoints(cluster: &Cluster, node: usize, journal: JournalId) -> Vec<String> {
    let files = cluster.world.nodes[node].disk.files();
    let is_one = |path: &&str| path.starts_with(&journal_dir(journal)) && path.ends_with(".ckpt");
    let mut paths: Vec<String> =
        files.map(|(path, _)| path.to_owned()).filter(|path| is_one(&&path[..])).collect();
    paths.retain(|path| !path.ends_with("local.ckpt"));
    paths.sort();
    paths
}

fn rot(cluster: &mut Cluster, node: usize, path: &str) {
    cluster.world.nodes[node].disk.file_mut(path).expect("listed").flip(100, 3);
}

fn expect_whole(cluster: &mut Cluster, partition: PartitionId, journal: JournalId) {
    cluster.expect("all take part", 60 * SECOND, |cluster| {
        let shards = cluster.world.nodes.iter().flat_map(|node| &node.shards);
        let is_whole = |shard: &engine::shard::Shard| {
            let metrics = shard.metrics();
            let is_well = |one: &engine::shard::JournalMetrics| one.damaged_ranges == 0 && !one.quarantined;
            metrics.journals_closed == 0 && metrics.journals.iter().all(is_well)
        };
        let mut all = shards.map(|slot| is_whole(&slot.shard) && slot.shard.journal(journal).is_some());
        all.all(|is_so| is_so)
    });
    cluster.check(&[partition]);
}

#[test]
fn two_good_checkpoints_cover_what_was_deleted() {
    for seed in 0..6 {
        let (cluster, _, journal) = deleted(seed, if seed < 3 { 1 } else { 3 });
        for node in 0..cluster.nodes() {
            let first = Index(cluster.entries(node, journal)[0].index);
            let covers = |path: &&String| **path >= checkpoint_path(journal, Index(first.0 - 1));
            let paths = checkpoints(&cluster, node, journal);
            assert!(paths.iter().filter(covers).count() >= 2, "n{node} of seed {seed} at {first}: {paths:?}");
        }
    }
}

#[test]
fn a_lone_node_whose_newest_checkpoint_is_bad_begins_with_the_one_before() {
    for seed in 10..16 {
        let (mut cluster, partition, journal) = deleted(seed, 1);
        cluster.kill(0, seed % 2 == 0);
        let newest = checkpoints(&cluster, 0, journal).pop().expect("there are two");
        rot(&mut cluster, 0, &newest);
        cluster.world.start(0);
        expect_whole(&mut cluster, partition, journal);
        produce(&mut cluster, partition, 20);
        expect_whole(&mut cluster, partition, journal);
    }
}

#[test]
fn a_lone_node_with_no_good_checkpoint_serves_its_other_journals() {
    let (mut cluster, _, journal) = deleted(20, 1);
    cluster.kill(0, false);
    for path in checkpoints(&cluster, 0, journal) {
        rot(&mut cluster, 0, &path);
    }
    let before: Vec<String> = checkpoints(&cluster, 0, journal);
    cluster.world.start(0);
    cluster.expect("it is ready", 20 * SECOND, |cluster| cluster.world.nodes[0].is_ready());
    let is_told = |event: &Event| matches!(event, Event::NotOpened { fetches: false, .. });
    assert_eq!(cluster.count(is_told), 1);
    assert_eq!(cluster.world.nodes[0].shards[0].shard.metrics().journals_closed, 1);
    assert_eq!(checkpoints(&cluster, 0, journal), before, "nothing is removed on doubt");
    cluster.stop(0);
}

#[test]
fn a_replica_with_no_good_checkpoint_gets_one_from_another() {
    for seed in 30..38 {
        let (mut cluster, partition, journal) = deleted(seed, 3);
        let node = seed as usize % 3;
        cluster.kill(node, true);
        for path in checkpoints(&cluster, node, journal) {
            rot(&mut cluster, node, &path);
        }
        cluster.expect("somebody leads", 20 * SECOND, |cluster| cluster.leader(journal).is_some());
        produce(&mut cluster, partition, 10);
        if seed % 2 == 0 {
            // The others go on, and delete all that it has.
            delete_front(&mut cluster, partition, journal);
            delete_front(&mut cluster, partition, journal);
        }
        cluster.world.start(node);
        expect_whole(&mut cluster, partition, journal);
        let fetches = |event: &Event| matches!(event, Event::NotOpened { fetches: true, .. });
        assert!(cluster.events.iter().any(|(at, event)| *at == node && fetches(event)), "seed {seed}");
    }
}

#[test]
fn a_first_segment_that_nobody_deleted_is_missed_and_one_that_was_is_not() {
    for (seed, is_removed) in [(50, true), (51, false)] {
        let (mut cluster, partition, journal) = deleted(seed, 1);
        produce(&mut cluster, partition, 400);
        cluster.run_for(SECOND);
        cluster.kill(0, true);
        if is_removed {
            let base = Index(cluster.entries(0, journal)[0].index);
            cluster.world.nodes[0].disk.remove_all(&segment_path(journal, base));
        }
        cluster.world.start(0);
        cluster.expect("it is ready", 20 * SECOND, |cluster| cluster.world.nodes[0].is_ready());
        let ranges = |cluster: &Cluster| -> u64 {
            let all = cluster.world.nodes[0].shards[0].shard.metrics().journals;
            all.iter().filter(|one| one.journal == journal).map(|one| one.damaged_ranges).sum()
        };
        let is_missed = cluster.run_until(5 * SECOND, |cluster| ranges(cluster) == 1);
        assert_eq!(is_missed, is_removed, "seed {seed}");
    }
}
