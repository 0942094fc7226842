//! A node loses its whole disk: it comes back empty under a new raft id, catches up as a learner
//! and takes its old place, whatever happens meanwhile.

use engine::folder::journal_dir;
use engine::ids::{Index, JournalId, META_JOURNAL, PartitionId, RaftId};
use engine::port::Event;
use engine::raft::Change;
use tests::sim::cluster::{Cluster, MS, SECOND};

const SEGMENT_BYTES: u64 = 1 << 20;

fn cluster_of(seed: u64, nodes: usize) -> Cluster {
    let mut cluster = Cluster::new(seed, nodes, 2, SEGMENT_BYTES);
    cluster.start_all();
    cluster
}

/// A cluster with a topic on all nodes, and batches in it.
fn with_topic(seed: u64, nodes: usize, partitions: i32, batches: usize) -> (Cluster, Vec<PartitionId>) {
    let mut cluster = cluster_of(seed, nodes);
    let partitions = cluster.create_topic(0, "t", partitions, nodes as i16);
    produce(&mut cluster, &partitions, batches);
    (cluster, partitions)
}

fn produce(cluster: &mut Cluster, partitions: &[PartitionId], batches: usize) {
    for number in 0..batches {
        cluster.produce(partitions[number % partitions.len()]);
        cluster.run_for(MS / 3);
    }
}

fn lose_disk(cluster: &mut Cluster, node: usize) {
    cluster.kill(node, true);
    cluster.world.wipe(node);
}

/// Every journal has exactly the replicas that the nodes now have, and nothing is half changed.
fn is_whole(cluster: &Cluster) -> bool {
    let nodes = &cluster.world.nodes;
    nodes.iter().all(|node| {
        let view = node.view();
        node.is_ready()
            && view.journals.values().filter(|journal| journal.replicas.len() > 1).all(|journal| {
                let mut wanted: Vec<RaftId> =
                    journal.replicas.iter().map(|node| journal.raft_id_of(&view.nodes[node])).collect();
                wanted.sort_unstable();
                let mut here = node.shards.iter().filter_map(|slot| slot.shard.journal(journal.id));
                here.all(|replica| {
                    let members = replica.membership();
                    members.voters == wanted && !members.is_joint() && members.learners.is_empty()
                })
            })
    })
}

fn expect_whole(cluster: &mut Cluster) {
    cluster.expect("every journal has its replicas again", 60 * SECOND, is_whole);
}

#[test]
fn a_node_that_lost_its_disk_takes_its_place_again_by_itself() {
    for seed in 0..6 {
        let (mut cluster, partitions) = with_topic(seed, 3, 4, 100);
        let node = seed as usize % 3;
        lose_disk(&mut cluster, node);
        produce(&mut cluster, &partitions, 60);
        cluster.world.start(node);
        produce(&mut cluster, &partitions, 60);
        cluster.expect("it was taken in", 20 * SECOND, |cluster| {
            cluster.count(|event| matches!(event, Event::Rejoined { .. })) == 1
        });
        expect_whole(&mut cluster);
        cluster.check(&partitions);
        let swapped = |event: &Event| matches!(event, Event::MembersChanged { change: Change::Swap { into, .. }, .. } if into.0 == 4);
        assert!(cluster.count(swapped) >= 2, "the meta journal's replica and those of the topic");
    }
}

#[test]
fn the_leader_of_everything_loses_its_disk() {
    for seed in 10..14 {
        let (mut cluster, partitions) = with_topic(seed, 3, 2, 60);
        let node = cluster.leader(META_JOURNAL).expect("somebody leads");
        lose_disk(&mut cluster, node);
        cluster.world.start(node);
        cluster.run_for(SECOND);
        produce(&mut cluster, &partitions, 60);
        expect_whole(&mut cluster);
        cluster.check(&partitions);
    }
}

#[test]
fn all_disks_are_lost_one_after_the_other_and_all_restart_on_the_new_ones() {
    let (mut cluster, partitions) = with_topic(20, 3, 3, 60);
    for node in [0, 1, 2, 0] {
        lose_disk(&mut cluster, node);
        produce(&mut cluster, &partitions, 30);
        cluster.world.start(node);
        expect_whole(&mut cluster);
        produce(&mut cluster, &partitions, 30);
        cluster.check(&partitions);
    }
    // None of the founders' disks is left: numbers are found in the folders, without a quorum.
    (0..3).for_each(|node| cluster.kill(node, true));
    (0..3).for_each(|node| cluster.world.start(node));
    expect_whole(&mut cluster);
    produce(&mut cluster, &partitions, 30);
    cluster.check(&partitions);
}

#[test]
fn members_that_changed_outlast_a_crash_and_the_loss_of_who_changed_them() {
    for seed in 21..25 {
        let (mut cluster, partitions) = with_topic(seed, 3, 1, 30);
        let journal = cluster.journal_of(partitions[0]);
        let leader = cluster.leader(journal).expect("somebody leads");
        lose_disk(&mut cluster, (leader + 1) % 3);
        cluster.world.start((leader + 1) % 3);
        expect_whole(&mut cluster);
        cluster.expect("nobody forgets that", 30 * MS, |cluster| {
            let shards = cluster.world.nodes.iter().flat_map(|node| &node.shards);
            let mut replicas = shards.filter_map(|slot| slot.shard.journal(journal));
            replicas.all(|replica| replica.keeps_members())
        });
        let leader = cluster.leader(journal).expect("somebody leads");
        (0..3).for_each(|node| cluster.kill(node, true));
        cluster.world.wipe(leader);
        (0..3).for_each(|node| cluster.world.start(node));
        expect_whole(&mut cluster);
        cluster.check(&partitions);
    }
}

#[test]
fn a_disk_is_lost_again_at_any_moment_of_the_way_back() {
    for seed in 30..50 {
        let (mut cluster, partitions) = with_topic(seed, 3, 3, 60);
        lose_disk(&mut cluster, 1);
        for _ in 0..3 {
            cluster.world.start(1);
            let pause_ns = (seed * 7919 + cluster.world.now_ns) % (900 * MS);
            cluster.run_for(pause_ns);
            cluster.produce(partitions[0]);
            lose_disk(&mut cluster, 1);
        }
        cluster.world.start(1);
        produce(&mut cluster, &partitions, 30);
        expect_whole(&mut cluster);
        cluster.check(&partitions);
    }
}

#[test]
fn leaders_change_at_every_step_of_a_swap() {
    for seed in 60..80 {
        let (mut cluster, partitions) = with_topic(seed, 3, 3, 60);
        lose_disk(&mut cluster, 2);
        cluster.world.start(2);
        let steps = |cluster: &Cluster| {
            cluster.count(|event| matches!(event, Event::MembersChanged { .. } | Event::Rejoined { .. }))
        };
        for _ in 0..6 {
            let before = steps(&cluster);
            cluster.run_until(3 * SECOND, |cluster| steps(cluster) > before);
            let extra_ns = (seed * 31 + cluster.world.now_ns) % (40 * MS);
            cluster.run_for(extra_ns);
            let journal = cluster.journal_of(partitions[0]);
            let journal = if seed % 2 == 0 { journal } else { META_JOURNAL };
            let Some(leader) = cluster.leader(journal) else { continue };
            cluster.kill(leader, seed % 3 == 0);
            cluster.world.start(leader);
            produce(&mut cluster, &partitions, 10);
        }
        expect_whole(&mut cluster);
        cluster.check(&partitions);
    }
}

#[test]
fn of_five_nodes_two_lose_their_disks_at_once() {
    let (mut cluster, partitions) = with_topic(90, 5, 3, 60);
    lose_disk(&mut cluster, 3);
    lose_disk(&mut cluster, 1);
    produce(&mut cluster, &partitions, 30);
    cluster.world.start(3);
    cluster.world.start(1);
    expect_whole(&mut cluster);
    produce(&mut cluster, &partitions, 30);
    cluster.check(&partitions);
}

const SMALL_SEGMENT_BYTES: u64 = 64 << 10;

/// Three nodes with one partition, whose segments are soon full.
fn small(seed: u64) -> (Cluster, Vec<PartitionId>) {
    let mut cluster = Cluster::new(seed, 3, 1, SMALL_SEGMENT_BYTES);
    cluster.start_all();
    let partitions = cluster.create_topic(0, "t", 1, 3);
    (cluster, partitions)
}

/// A cluster whose logs begin with a later segment than the first, on all nodes but those that are
/// down.
fn deleted(cluster: &mut Cluster, partitions: &[PartitionId]) {
    let up: Vec<_> = (0..cluster.nodes()).filter(|node| cluster.world.nodes[*node].is_running()).collect();
    for _ in 0..6 {
        produce(cluster, partitions, 60);
    }
    partitions.iter().for_each(|partition| cluster.delete_all(*partition));
    let is_deleted = |event: &Event| matches!(event, Event::SegmentDeleted { .. });
    let before = cluster.events.len();
    produce(cluster, partitions, 20);
    cluster.expect("segments are deleted", 30 * SECOND, |cluster| {
        let has_deleted =
            |up| cluster.events[before..].iter().any(|(node, event)| node == up && is_deleted(event));
        up.iter().all(has_deleted)
    });
    if up.len() < cluster.nodes() {
        // Who is down pins what it lacks for a while only.
        cluster.run_for(15 * SECOND);
    }
}

fn installed(cluster: &Cluster, node: usize) -> usize {
    let is_it = |(at, event): &&(usize, Event)| *at == node && matches!(event, Event::Installed { .. });
    cluster.events.iter().filter(is_it).count()
}

#[test]
fn an_empty_replica_gets_the_start_of_a_log_whose_begin_is_gone() {
    for seed in 100..106 {
        let (mut cluster, partitions) = small(seed);
        deleted(&mut cluster, &partitions);
        let node = seed as usize % 3;
        lose_disk(&mut cluster, node);
        cluster.world.start(node);
        produce(&mut cluster, &partitions, 60);
        expect_whole(&mut cluster);
        assert!(installed(&cluster, node) > 0, "its log cannot begin at 1");
        cluster.check(&partitions);
    }
}

#[test]
fn who_is_away_for_long_pins_nothing_and_gets_the_start_of_the_log_too() {
    for seed in 110..114 {
        let (mut cluster, partitions) = small(seed);
        produce(&mut cluster, &partitions, 60);
        cluster.kill(1, true);
        deleted(&mut cluster, &partitions);
        cluster.world.start(1);
        produce(&mut cluster, &partitions, 30);
        cluster.check(&partitions);
        assert!(installed(&cluster, 1) > 0, "what it had ends before the others begin");
        // From what it installed it starts again like any other.
        cluster.kill(1, true);
        cluster.world.start(1);
        cluster.check(&partitions);
    }
}

/// Turns a bit over in the head of an entry, so many before the last.
fn rot_a_head(cluster: &mut Cluster, node: usize, journal: JournalId, before_last: usize) {
    let entries = cluster.entries(node, journal);
    // How many entries so many batches make is the disk's to say: then it is the first one.
    cluster.flip(node, &entries[entries.len().saturating_sub(1 + before_last)], true);
}

/// No checkpoint of the journal is good any more: recovery reads its whole log.
fn rot_checkpoints(cluster: &mut Cluster, node: usize, journal: JournalId) {
    let disk = &mut cluster.world.nodes[node].disk;
    let is_one = |path: &&str| path.starts_with(&journal_dir(journal)) && path.ends_with(".ckpt");
    let paths: Vec<String> = disk.files().map(|(path, _)| path).filter(is_one).map(str::to_owned).collect();
    assert!(!paths.is_empty());
    paths.iter().for_each(|path| disk.file_mut(path).expect("listed").flip(100, 3));
}

fn was_quarantined(cluster: &Cluster, node: usize) -> bool {
    cluster.events.iter().any(|(at, event)| *at == node && matches!(event, Event::Quarantined { .. }))
}

#[test]
fn who_lost_an_entry_that_all_others_have_deleted_gets_the_start_of_the_log() {
    for seed in 160..166 {
        let (mut cluster, partitions) = small(seed);
        produce(&mut cluster, &partitions, 60);
        let journal = cluster.journal_of(partitions[0]);
        cluster.run_for(500 * MS);
        cluster.kill(1, true);
        rot_a_head(&mut cluster, 1, journal, 1);
        deleted(&mut cluster, &partitions);
        cluster.world.start(1);
        produce(&mut cluster, &partitions, 30);
        cluster.check(&partitions);
        assert!(was_quarantined(&cluster, 1), "it lost an entry that it had acknowledged");
        assert!(installed(&cluster, 1) > 0, "nobody has that entry any more");
        cluster.kill(1, true);
        cluster.world.start(1);
        cluster.check(&partitions);
    }
}

/// Node 1 is down, and lost an entry that the others have deleted; their logs begin with its last segment.
fn goes_beyond(seed: u64) -> (Cluster, Vec<PartitionId>, JournalId) {
    let (mut cluster, partitions) = small(seed);
    produce(&mut cluster, &partitions, 100);
    let journal = cluster.journal_of(partitions[0]);
    cluster.run_for(500 * MS);
    cluster.kill(1, true);
    rot_checkpoints(&mut cluster, 1, journal);
    rot_a_head(&mut cluster, 1, journal, 60);
    cluster.expect("another leads", 10 * SECOND, |cluster| cluster.leader(journal).is_some());
    cluster.delete_all(partitions[0]);
    // Who is down pins what it lacks for a while only.
    cluster.run_for(30 * SECOND);
    (cluster, partitions, journal)
}

#[test]
fn who_goes_on_behind_what_is_deleted_everywhere_keeps_that() {
    let mut kept = 0;
    for seed in 170..186 {
        let (mut cluster, partitions, journal) = goes_beyond(seed);
        if seed >= 176 {
            cut_short(&mut cluster, seed);
        }
        cluster.world.start(1);
        cluster.check(&partitions);
        assert!(was_quarantined(&cluster, 1), "it lost an entry that it had acknowledged");
        let of_journal = |(node, event): &(usize, Event)| match event {
            Event::Recovered(report) if *node == 1 && report.journal == journal => Some(report.clone()),
            _ => None,
        };
        let report = cluster.events.iter().rev().find_map(of_journal).expect("it was opened anew");
        // One that is killed again and again may have gone on to a later checkpoint of its own.
        let is_later = seed >= 176 && report.checkpoint >= report.first;
        let is_installed = report.checkpoint == Index(report.first.0 - 1);
        assert!(report.first > Index(1) && (is_installed || is_later), "{report:?}");
        assert!(report.damage.is_empty(), "{report:?}");
        // Now and then the others went on to a segment that it has not.
        kept += u32::from(report.last > report.checkpoint);
        produce(&mut cluster, &partitions, 30);
        cluster.check(&partitions);
    }
    assert!(kept >= 10, "what follows the checkpoint was kept {kept} times of 16");
}

/// Node 1 is killed four times in the middle of an installation.
fn cut_short(cluster: &mut Cluster, seed: u64) {
    for _ in 0..4 {
        cluster.world.start(1);
        cluster.run_until(3 * SECOND, |cluster| {
            cluster.events.last().is_some_and(|(node, event)| {
                *node == 1 && matches!(event, Event::Installing { .. } | Event::Installed { .. })
            })
        });
        let pause_ns = (seed * 7919 + cluster.world.now_ns) % (6 * MS);
        cluster.run_for(pause_ns);
        cluster.kill(1, seed.is_multiple_of(2));
    }
}

#[test]
fn an_installation_is_cut_short_at_any_moment() {
    for seed in 120..150 {
        let (mut cluster, partitions) = small(seed);
        produce(&mut cluster, &partitions, 60);
        cluster.kill(1, true);
        deleted(&mut cluster, &partitions);
        cut_short(&mut cluster, seed);
        cluster.world.start(1);
        cluster.check(&partitions);
        // What is durable when the process dies is told by no event, and counts all the same.
        let is_begun =
            |(node, event): &(usize, Event)| *node == 1 && matches!(event, Event::Installing { .. });
        assert!(cluster.events.iter().any(is_begun));
    }
}
