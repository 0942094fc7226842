//! What nodes find wrong while others stop, are killed, or come back with an old disk: who is told of what,
//! how soon, and that it ends.

use engine::health::{Finding, Kind, Subject, merge};
use engine::ids::{META_JOURNAL, NodeId};
use engine::port::Event;
use tests::sim::cluster::{Cluster, MS, SECOND};
use tests::sim::disk::SimDisk;

const SEGMENT_BYTES: u64 = 1 << 20;
/// A node is down after a second, nobody leads for a second after that; a look every 200 ms.
const SOON: u64 = 2 * SECOND + 500 * MS;

fn three(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(seed, 3, 2, SEGMENT_BYTES);
    cluster.start_all();
    let partitions = cluster.create_topic(0, "orders", 3, 3);
    partitions.iter().for_each(|partition| assert!(cluster.produce(*partition)));
    well(&mut cluster, 0..3);
    cluster
}

/// What a node says, all its shards together.
fn findings(cluster: &Cluster, node: usize) -> Vec<Finding> {
    let shards = cluster.world.nodes[node].shards.iter();
    merge(shards.flat_map(|slot| slot.shard.findings()), Subject::of)
}

fn kinds(cluster: &Cluster, node: usize) -> Vec<(Kind, Option<NodeId>)> {
    findings(cluster, node).iter().map(|finding| (finding.what.kind(), finding.node)).collect()
}

/// Nothing is wrong any more as these nodes see it, and stays so.
fn well(cluster: &mut Cluster, nodes: core::ops::Range<usize>) {
    cluster.expect("all is well", 60 * SECOND, |cluster| {
        nodes.clone().all(|node| cluster.world.nodes[node].is_ready() && findings(cluster, node).is_empty())
    });
    cluster.run_for(3 * SECOND);
    nodes.for_each(|node| assert_eq!(kinds(cluster, node), [], "node {node}"));
}

fn begun(cluster: &Cluster, at: usize, kind: Kind) -> usize {
    let of_node = cluster.events.iter().filter(|(node, _)| *node == at);
    let begun = of_node.filter_map(|(_, event)| match event {
        Event::HealthBegan(findings) => Some(findings.iter().filter(|one| one.what.kind() == kind).count()),
        _ => None,
    });
    begun.sum()
}

#[test]
fn a_node_that_stopped_or_was_killed_is_down_within_two_seconds_and_once() {
    for (seed, cleanly) in (200..208).zip([true, false].into_iter().cycle()) {
        let mut cluster = three(seed);
        let down = seed as usize % 3;
        if cleanly {
            cluster.stop(down);
            cluster.expect("it stops", 20 * SECOND, |cluster| !cluster.world.nodes[down].is_running());
        } else {
            cluster.kill(down, false);
        }
        cluster.run_for(SOON);
        let others: Vec<usize> = (0..3).filter(|node| *node != down).collect();
        let told = [(Kind::NodeDown, Some(NodeId(down as u32)))];
        others.iter().for_each(|node| assert_eq!(kinds(&cluster, *node), told, "seed {seed}, node {node}"));
        assert!(others.iter().all(|node| !findings(&cluster, *node)[0].unready), "the others go on");
        // For ever, on a quiet cluster; and not again and again.
        cluster.run_for(20 * SECOND);
        for node in others {
            assert_eq!(kinds(&cluster, node), told, "seed {seed}, node {node}");
            assert_eq!(begun(&cluster, node, Kind::NodeDown), 1);
        }
        cluster.world.start(down);
        well(&mut cluster, 0..3);
    }
}

#[test]
fn who_is_left_of_three_has_no_quorum_names_nobody_and_is_not_ready() {
    for seed in 210..216 {
        let mut cluster = three(seed);
        let left = seed as usize % 3;
        (0..3).filter(|node| *node != left).for_each(|node| cluster.kill(node, false));
        cluster.run_for(SOON);
        let found = findings(&cluster, left);
        let down = found.iter().filter(|finding| finding.what.kind() == Kind::NodeDown);
        assert_eq!(down.count(), 2, "seed {seed}: {found:?}");
        let without = found.iter().filter(|finding| finding.what.kind() == Kind::NoQuorum);
        let here = cluster.world.nodes[left].view().journals.len();
        assert_eq!(without.clone().count(), here, "seed {seed}: {found:?}");
        let meta =
            without.clone().find(|finding| finding.journal == Some(META_JOURNAL)).expect("one of them");
        assert!(meta.unready, "nothing can be changed");
        assert!(without.clone().any(|finding| finding.topics.names.iter().any(|name| &**name == "orders")));
        let view = cluster.world.nodes[left].view();
        let leaders = &cluster.world.nodes[left].leaders;
        let named =
            view.journals.keys().filter(|id| leaders.get(id).is_some_and(|(_, leader)| leader.is_some()));
        assert_eq!(named.count(), 0, "it leads nothing, and knows nothing of the others");
        (0..3).filter(|node| *node != left).for_each(|node| cluster.world.start(node));
        well(&mut cluster, 0..3);
    }
}

#[test]
fn a_node_that_is_down_leaves_the_in_sync_sets_also_when_nobody_writes() {
    let mut cluster = three(220);
    cluster.kill(2, false);
    cluster.run_for(12 * SECOND);
    let in_sync = |cluster: &Cluster| -> Vec<Vec<NodeId>> {
        let mut all = Vec::new();
        for node in 0..2 {
            let now = cluster.world.clock(node);
            let shards = cluster.world.nodes[node].shards.iter();
            let journals = shards.flat_map(|slot| {
                cluster.world.nodes[node]
                    .view()
                    .journals
                    .keys()
                    .filter_map(|id| slot.shard.journal(*id))
                    .map(|journal| journal.in_sync(now))
                    .collect::<Vec<_>>()
            });
            all.extend(journals.filter(|nodes| !nodes.is_empty()));
        }
        all
    };
    let sets = in_sync(&cluster);
    assert!(sets.len() >= 2 && sets.iter().all(|nodes| !nodes.contains(&NodeId(2))), "{sets:?}");
    cluster.world.start(2);
    well(&mut cluster, 0..3);
    let sets = in_sync(&cluster);
    assert!(sets.len() >= 2 && sets.iter().all(|nodes| nodes.len() == 3), "{sets:?}");
}

#[test]
fn an_old_disk_that_is_put_back_is_named_on_both_sides_and_told_once() {
    let mut cluster = three(230);
    cluster.kill(2, true);
    let old = cluster.world.swap_disk(2, SimDisk::new());
    cluster.world.start(2);
    well(&mut cluster, 0..3);
    cluster.kill(2, true);
    cluster.world.swap_disk(2, old);
    let before = cluster.count(|event| matches!(event, Event::MessageRefused { .. }));
    cluster.world.start(2);
    let of_it = (Kind::ReplicaNotMember, Some(NodeId(2)));
    cluster.expect("its own word", 20 * SECOND, |cluster| kinds(cluster, 2).contains(&of_it));
    cluster.expect("the others' word", 20 * SECOND, |cluster| {
        kinds(cluster, 0).contains(&of_it) || kinds(cluster, 1).contains(&of_it)
    });
    cluster.run_for(30 * SECOND);
    let refused = cluster.count(|event| matches!(event, Event::MessageRefused { .. })) - before;
    let journals = cluster.world.nodes[0].view().journals.len();
    assert!(refused <= 4 * journals, "{refused} lines for {journals} journals, in half a minute");
}
