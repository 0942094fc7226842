//! A lone node whose entries are damaged: what is not is served, and after `--accept-loss` the damage is over.

use engine::ids::{JournalId, META_JOURNAL, PartitionId};
use engine::shard::JournalMetrics;
use tests::sim::cluster::{Cluster, MS, SECOND};

const SEGMENT_BYTES: u64 = 1 << 20;

fn lone(seed: u64) -> (Cluster, PartitionId, JournalId) {
    let mut cluster = Cluster::new(seed, 1, 1, SEGMENT_BYTES);
    cluster.start_all();
    let partition = cluster.create_topic(0, "t", 1, 1)[0];
    for _ in 0..60 {
        cluster.produce(partition);
        cluster.run_for(MS);
    }
    cluster.run_for(500 * MS);
    let journal = cluster.journal_of(partition);
    (cluster, partition, journal)
}

/// Turns a bit over in the head of an entry, so many before the last, while the node is down. The checkpoint
/// of its stop would cover the entry.
fn rot_a_head(cluster: &mut Cluster, journal: JournalId, before_last: usize) {
    cluster.kill(0, true);
    let entries = cluster.entries(0, journal);
    cluster.flip(0, &entries[entries.len() - 1 - before_last], true);
}

fn metrics(cluster: &Cluster, journal: JournalId) -> JournalMetrics {
    let all = cluster.world.nodes[0].shards[0].shard.metrics().journals;
    all.into_iter().find(|one| one.journal == journal).expect("it is open")
}

fn start(cluster: &mut Cluster) {
    cluster.world.start(0);
    cluster.expect("it is ready", 20 * SECOND, |cluster| cluster.world.nodes[0].is_ready());
}

#[test]
fn what_is_not_damaged_is_served_and_an_accepted_loss_is_over() {
    for seed in 0..4 {
        let (mut cluster, partition, journal) = lone(seed);
        rot_a_head(&mut cluster, journal, 20);
        start(&mut cluster);
        let shard = &cluster.world.nodes[0].shards[0].shard;
        let leader = shard.journal(journal).expect("open").leader().1;
        let own = shard.node().map(|node| node.node);
        assert!(leader.is_some() && leader == own, "clients are told whom to read from: {leader:?}");
        let told = cluster.world.nodes[0].leaders.get(&journal).and_then(|(_, leader)| *leader);
        assert_eq!(told, own, "and what serves clients knows");
        assert_eq!(metrics(&cluster, journal).damaged_ranges, 1);
        assert!(cluster.latest(0, partition).is_ok());
        assert!(!cluster.produce(partition), "no offset is given twice");
        cluster.kill(0, false);
        cluster.world.nodes[0].accept_loss = vec![journal];
        start(&mut cluster);
        cluster.expect("it is over", 5 * SECOND, |cluster| metrics(cluster, journal).damaged_ranges == 0);
        cluster.run_for(SECOND);
        cluster.kill(0, false);
        cluster.world.nodes[0].accept_loss = Vec::new();
        start(&mut cluster);
        assert_eq!(metrics(&cluster, journal).damaged_ranges, 0, "and stays so");
    }
}

#[test]
fn a_hole_in_the_metadata_hides_nothing_else_and_deletes_nothing() {
    for seed in 10..14 {
        let (mut cluster, partition, journal) = lone(seed);
        let other = cluster.create_topic(0, "u", 1, 1)[0];
        cluster.run_for(SECOND);
        // The entry that made the second topic.
        cluster.kill(0, true);
        let entries = cluster.entries(0, META_JOURNAL);
        let at = entries.iter().rposition(|entry| entry.kind == engine::entry::EntryKind::Meta);
        let entry = &entries[at.expect("commands were written")];
        cluster.flip(0, entry, true);
        // It is damage only where something says that it was durable.
        if entries.last().is_some_and(|last| last.index == entry.index) {
            continue;
        }
        start(&mut cluster);
        assert_eq!(metrics(&cluster, META_JOURNAL).damaged_ranges, 1);
        assert!(cluster.latest(0, partition).is_ok(), "the first topic is known");
        cluster.run_for(5 * SECOND);
        let shard = &cluster.world.nodes[0].shards[0].shard;
        let kept = shard.journal(journal).expect("open").fold().partition(other).is_some();
        assert!(kept, "what nobody knows any more is not taken for deleted");
    }
}
