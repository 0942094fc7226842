//! Three nodes replicate: elections, failover, cuts, catching up and restarts, each written down
//! step by step over simulated disks and a simulated network.

use engine::ids::{META_JOURNAL, Offset, PartitionId};
use engine::port::{Event, Refusal};
use engine::rng::Rng;
use tests::sim::cluster::{Cluster, MS, SECOND};

const SEGMENT_BYTES: u64 = 1 << 20;

fn three(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(seed, 3, 2, SEGMENT_BYTES);
    cluster.start_all();
    cluster
}

/// Three nodes with a topic and batches in it, and who leads its first partition's journal.
fn with_leader(seed: u64, partitions: i32, batches: usize) -> (Cluster, Vec<PartitionId>, usize) {
    let mut cluster = three(seed);
    let partitions = cluster.create_topic(0, "t", partitions, 3);
    produce(&mut cluster, &partitions, batches);
    let leader = cluster.leader(cluster.journal_of(partitions[0])).expect("somebody leads");
    (cluster, partitions, leader)
}

/// Sends batches to whoever leads, one about every 300 µs.
fn produce(cluster: &mut Cluster, partitions: &[PartitionId], batches: usize) {
    for number in 0..batches {
        cluster.produce(partitions[number % partitions.len()]);
        cluster.run_for(MS / 3);
    }
    cluster.run_for(50 * MS);
}

#[test]
fn three_nodes_form_elect_and_replicate() {
    let mut cluster = three(1);
    assert!(cluster.leader(META_JOURNAL).is_some());
    let partitions = cluster.create_topic(1, "t", 4, 3);
    produce(&mut cluster, &partitions, 200);
    assert!(cluster.acked.len() > 150, "{} acknowledged, {:?}", cluster.acked.len(), cluster.refused);
    cluster.check(&partitions);
}

#[test]
fn a_leader_is_killed_and_another_goes_on() {
    for seed in 0..4 {
        let mut cluster = three(seed);
        let partitions = cluster.create_topic(0, "t", 3, 3);
        produce(&mut cluster, &partitions, 100);
        let journal = cluster.journal_of(partitions[0]);
        let leader = cluster.leader(journal).expect("somebody leads");
        cluster.kill(leader, seed % 2 == 0);
        let began_ns = cluster.world.now_ns;
        cluster.expect("another leads", 2 * SECOND, |cluster| {
            cluster.leader(journal).is_some_and(|new| new != leader)
        });
        let stall_ms = (cluster.world.now_ns - began_ns) / MS;
        assert!(stall_ms < 1000, "failover took {stall_ms} ms");
        produce(&mut cluster, &partitions, 100);
        cluster.world.start(leader);
        cluster.check(&partitions);
    }
}

#[test]
fn a_leader_that_stops_hands_over_first() {
    for seed in 0..4 {
        let mut cluster = three(50 + seed);
        let partitions = cluster.create_topic(0, "t", 3, 3);
        produce(&mut cluster, &partitions, 60);
        let journal = cluster.journal_of(partitions[0]);
        let leader = cluster.leader(journal).expect("somebody leads");
        let began_ns = cluster.world.now_ns;
        cluster.stop(leader);
        cluster.expect("another leads", SECOND, |cluster| {
            cluster.leader(journal).is_some_and(|new| new != leader)
        });
        let stall_ms = (cluster.world.now_ns - began_ns) / MS;
        assert!(stall_ms < 200, "handing over took {stall_ms} ms");
        cluster.expect("it stops", 5 * SECOND, |cluster| !cluster.world.nodes[leader].is_running());
        produce(&mut cluster, &partitions, 60);
        cluster.world.start(leader);
        cluster.check(&partitions);
    }
}

#[test]
fn an_operator_has_the_preferred_leader_back_at_once_and_under_load() {
    for seed in 0..4 {
        let mut cluster = three(150 + seed);
        let partitions = cluster.create_topic(0, "t", 3, 3);
        let journal = cluster.journal_of(partitions[0]);
        let preferred = cluster.preferred(journal);
        cluster.expect("it leads, or leaders have drifted", 10 * SECOND, |cluster| {
            cluster.leader(journal) == Some(preferred)
        });
        cluster.kill(preferred, true);
        cluster.expect("another leads", 2 * SECOND, |cluster| {
            cluster.leader(journal).is_some_and(|new| new != preferred)
        });
        cluster.world.start(preferred);
        cluster.run_for(600 * MS);
        // Asked of a node that neither leads nor is wanted: it tells the leader.
        let leader = cluster.leader(journal).expect("somebody leads");
        assert_ne!(leader, preferred, "leaders drift back later");
        let asked = 3 - leader - preferred;
        let begun_ns = cluster.world.now_ns;
        while cluster.leader(journal) != Some(preferred) {
            cluster.elect(asked, journal);
            produce(&mut cluster, &partitions, 50);
            let waited_ms = (cluster.world.now_ns - begun_ns) / MS;
            assert!(waited_ms < 500, "not there after {waited_ms} ms");
        }
        cluster.check(&partitions);
    }
}

#[test]
fn a_new_leader_says_that_it_does_not_know_yet_where_the_log_ends() {
    for seed in 0..4 {
        let mut cluster = three(210 + seed);
        let partitions = cluster.create_topic(0, "t", 2, 3);
        produce(&mut cluster, &partitions, 40);
        let partition = partitions[0];
        let journal = cluster.journal_of(partition);
        let old = cluster.leader(journal).expect("somebody leads");
        let end = cluster.latest(old, partition).expect("a leader knows");
        cluster.kill(old, true);
        cluster.expect("another is elected", 2 * SECOND, |cluster| {
            cluster.newest_leader(journal).is_some_and(|new| new != old)
        });
        let new = cluster.newest_leader(journal).expect("just seen");
        assert_eq!(cluster.latest(new, partition), Err(Refusal::OffsetNotAvailable));
        let beyond = Offset(end.0 + 1_000);
        assert_eq!(cluster.fetch_at(new, partition, beyond), Err(Refusal::NotLeader), "not out of range");
        cluster.expect("it commits an entry of its term", 2 * SECOND, |cluster| {
            cluster.leader(journal) == Some(new)
        });
        assert!(cluster.latest(new, partition).expect("it knows now") >= end);
        assert_eq!(cluster.fetch_at(new, partition, beyond), Err(Refusal::OffsetOutOfRange));
        cluster.world.start(old);
        cluster.check(&partitions);
    }
}

#[test]
fn a_leader_that_slept_wakes_without_a_stale_acknowledgement() {
    for seed in 0..4 {
        let (mut cluster, partitions, old) = with_leader(70 + seed, 2, 40);
        let journal = cluster.journal_of(partitions[0]);
        cluster.world.nodes[old].paused_until_ns = cluster.world.now_ns + 3 * SECOND;
        cluster.expect("the others elect", 2 * SECOND, |cluster| {
            cluster.newest_leader(journal).is_some_and(|new| new != old)
        });
        produce(&mut cluster, &partitions, 40);
        cluster.run_for(2 * SECOND);
        // The first thing it is given after its sleep is a batch.
        cluster.produce_to(old, partitions[0]);
        cluster.check(&partitions);
        assert!(cluster.refusals(Refusal::NotLeader) > 0 || cluster.leader(journal) == Some(old));
    }
}

#[test]
fn a_leader_that_was_parted_cuts_what_it_could_not_commit() {
    let mut cuts = 0;
    for seed in 0..6 {
        let (mut cluster, partitions, old) = with_leader(100 + seed, 2, 60);
        let journal = cluster.journal_of(partitions[0]);
        let others: Vec<usize> = (0..3).filter(|node| *node != old).collect();
        others.iter().for_each(|other| cluster.world.part(old, *other));
        for _ in 0..40 {
            cluster.produce_to(old, partitions[0]);
            cluster.run_for(MS);
        }
        cluster.expect("the others elect", 3 * SECOND, |cluster| {
            cluster.leader(journal).is_some_and(|new| new != old)
        });
        produce(&mut cluster, &partitions, 60);
        others.iter().for_each(|other| cluster.world.heal(old, *other));
        cluster.check(&partitions);
        cuts += cluster.count(|event| matches!(event, Event::LogCut { .. }));
    }
    assert!(cuts > 0, "no diverged tail was cut");
}

#[test]
fn a_node_that_was_away_for_long_catches_up_from_the_leaders_disk() {
    let (mut cluster, partitions, leader) = with_leader(7, 2, 50);
    let away = (leader + 1) % 3;
    cluster.kill(away, true);
    produce(&mut cluster, &partitions, 3_000);
    // The others start again: what they have is on their disks alone.
    for node in (0..3).filter(|node| *node != away) {
        cluster.kill(node, false);
        cluster.world.start(node);
    }
    cluster.world.start(away);
    cluster.check(&partitions);
}

#[test]
fn a_node_that_was_away_catches_up_with_what_raft_has_forgotten_and_the_cache_has_not() {
    let (mut cluster, partitions, leader) = with_leader(8, 1, 20);
    let away = (leader + 1) % 3;
    cluster.kill(away, true);
    // More entries than raft's window in the simulator, and far less than the cache holds.
    produce(&mut cluster, &partitions, 300);
    cluster.world.start(away);
    cluster.check(&partitions);
}

#[test]
fn nothing_acknowledged_is_lost_whatever_breaks_one_after_the_other() {
    let mut total = 0;
    for seed in 0..30 {
        let mut cluster = three(1_000 + seed);
        let mut rng = Rng::new(seed);
        let partitions = cluster.create_topic(0, "t", 3, 3);
        for _ in 0..12 {
            let batches = 20 + rng.below(60) as usize;
            produce(&mut cluster, &partitions, batches);
            break_something(&mut cluster, &mut rng);
            produce(&mut cluster, &partitions, batches);
            mend(&mut cluster, &mut rng);
        }
        cluster.check(&partitions);
        total += cluster.acked.len();
    }
    assert!(total > 20_000, "only {total} batches were acknowledged");
}

fn break_something(cluster: &mut Cluster, rng: &mut Rng) {
    let (node, other) = (rng.below(3) as usize, rng.below(3) as usize);
    match rng.below(4) {
        0 | 1 if cluster.world.nodes[node].is_running() => cluster.kill(node, rng.one_in(2)),
        2 if node != other => cluster.world.part(node, other),
        _ => {
            cluster.world.part(node, (node + 1) % 3);
            cluster.world.part(node, (node + 2) % 3);
        }
    }
    cluster.run_for(rng.below(2 * SECOND));
}

/// Mends all, or all but little: then the next breakage comes on top.
fn mend(cluster: &mut Cluster, rng: &mut Rng) {
    for node in 0..3 {
        if !cluster.world.nodes[node].is_running() {
            cluster.world.start(node);
        }
        cluster.world.heal(node, (node + 1) % 3);
    }
    cluster.run_for(rng.below(3 * SECOND));
}

#[test]
fn what_was_cut_before_it_was_durable_is_not_acknowledged() {
    for seed in 90..94 {
        let mut cluster = Cluster::new(seed, 5, 1, SEGMENT_BYTES);
        cluster.start_all();
        let partitions = cluster.create_topic(0, "t", 1, 5);
        produce(&mut cluster, &partitions, 20);
        let journal = cluster.journal_of(partitions[0]);
        let leader = cluster.leader(journal).expect("somebody leads");
        let follower = (leader + 1) % 5;
        let others: Vec<usize> = (0..5).filter(|node| ![leader, follower].contains(node)).collect();
        others.iter().for_each(|other| cluster.world.part(leader, *other));
        // Entries that only the leader has, and the follower's disk does not write for long.
        cluster.world.nodes[follower].stalled_until_ns = cluster.world.now_ns + 4 * SECOND;
        for _ in 0..3 {
            cluster.produce_to(leader, partitions[0]);
            cluster.run_for(MS);
        }
        cluster.expect("one of the others leads", 3 * SECOND, |cluster| {
            cluster.newest_leader(journal).is_some_and(|newest| others.contains(&newest))
        });
        // The simulator holds each acknowledgement against the disk.
        cluster.expect("the follower's tail is cut", SECOND, |cluster| {
            let cuts = |event: &Event| matches!(event, Event::LogCut { journal: of, .. } if *of == journal);
            cluster.events.iter().any(|(node, event)| *node == follower && cuts(event))
        });
        others.iter().for_each(|other| cluster.world.heal(leader, *other));
        cluster.check(&partitions);
    }
}
