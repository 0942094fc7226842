//! Scenes of disks that lie about what they synced last, acted step by step: each shows a way in which
//! what was acknowledged could be voted away. Tests act them, and so do the bugs that are planted.

use super::cluster::{Cluster, MS, SECOND};
use engine::folder;
use engine::ids::{JournalId, PartitionId};
use engine::journal::asking::Settled;
use engine::journal::report::{Cutting, Torn};
use engine::shard::Event;

const SEGMENT_BYTES: u64 = 1 << 18;

/// Three nodes of which one was stopped before the last entries were acknowledged by the other two, the
/// leader and another; all are down then.
pub struct Room {
    pub cluster: Cluster,
    pub partition: PartitionId,
    pub journal: JournalId,
    pub leader: usize,
    pub other: usize,
    pub stopped: usize,
}

impl Room {
    pub fn new(seed: u64) -> Self {
        let mut room = Self::running(seed);
        room.cluster.kill(room.stopped, true);
        room.cluster.run_for(50 * MS);
        room.produce(3);
        (0..3).for_each(|node| room.cluster.kill(node, true));
        room
    }

    /// All three run and have the same.
    pub fn running(seed: u64) -> Self {
        Self::of(seed, 3)
    }

    fn of(seed: u64, nodes: usize) -> Self {
        let mut cluster = Cluster::new(seed, nodes, 1, SEGMENT_BYTES);
        cluster.start_all();
        let partition = cluster.create_topic(0, "t", 1, nodes as i16)[0];
        let journal = cluster.journal_of(partition);
        let leader = cluster.leader(journal).expect("somebody leads");
        let (other, stopped) = ((leader + 1) % nodes, (leader + 2) % nodes);
        let mut room = Self { cluster, partition, journal, leader, other, stopped };
        room.produce(10);
        room.cluster.run_for(SECOND);
        room
    }

    /// Produces batches that are acknowledged one after the other, faster than bounds are written.
    pub fn produce(&mut self, batches: usize) {
        for _ in 0..batches {
            let acked = self.cluster.acked.len();
            while !self.cluster.produce_to(self.leader, self.partition) {
                self.cluster.run_for(MS);
            }
            self.cluster.expect("it is acknowledged", SECOND, |cluster| cluster.acked.len() > acked);
        }
    }

    pub fn flip_last(&mut self, node: usize, in_head: bool) {
        let last = self.cluster.entries(node, self.journal).pop().expect("there are some");
        self.cluster.flip(node, &last, in_head);
    }

    pub fn start(&mut self, nodes: &[usize]) {
        nodes.iter().for_each(|node| self.cluster.world.start(*node));
    }

    pub fn leads_within(&mut self, within_ns: u64) -> bool {
        let journal = self.journal;
        self.cluster.run_until(within_ns, |cluster| cluster.leader(journal).is_some())
    }

    pub fn settled(&self, node: usize) -> Vec<Settled> {
        let of = |(at, event): &(usize, Event)| match event {
            Event::DoubtSettled { journal, settled, .. } if *at == node && *journal == self.journal => {
                Some(*settled)
            }
            _ => None,
        };
        self.cluster.events.iter().filter_map(of).collect()
    }

    pub fn doubted(&self, node: usize) -> bool {
        self.cluster.events.iter().any(|(at, event)| match event {
            Event::Recovered(report) => {
                let is_kept = |torn: &Torn| torn.why == Cutting::PerhapsAcked && !torn.kept_as.is_empty();
                *at == node && report.journal == self.journal && report.torn.as_ref().is_some_and(is_kept)
            }
            _ => false,
        })
    }
}

/// Two acked, one of them cannot read it, and it is asked for its vote by the third, before and after
/// another crash.
pub fn voted_away(seed: u64, in_head: bool) {
    let mut room = Room::new(seed);
    room.flip_last(room.other, in_head);
    room.start(&[room.other, room.stopped]);
    assert!(!room.leads_within(5 * SECOND), "seed {seed}: they elected one that has not what was acked");
    assert!(room.doubted(room.other), "seed {seed}: it is remembered and kept aside");
    room.cluster.kill(room.other, true);
    room.start(&[room.other]);
    assert!(!room.leads_within(5 * SECOND), "seed {seed}: a crash made it forget");
    room.start(&[room.leader]);
    room.cluster.check(&[room.partition]);
    room.cluster.run_for(SECOND);
    assert_eq!(room.settled(room.other), [Settled::Healed], "seed {seed}");
}

/// The third has a longer log of an older term.
pub fn voted_away_for_a_longer_log(seed: u64) {
    let mut room = Room::running(seed);
    let (old, journal) = (room.leader, room.journal);
    let others: Vec<usize> = (0..3).filter(|node| *node != old).collect();
    others.iter().for_each(|other| room.cluster.world.part(old, *other));
    for _ in 0..12 {
        room.cluster.produce_to(old, room.partition);
        room.cluster.run_for(3 * MS);
    }
    room.cluster.expect("another leads", 5 * SECOND, |cluster| {
        cluster.leader(journal).is_some_and(|leader| leader != old)
    });
    room.leader = room.cluster.leader(journal).expect("just seen");
    (room.other, room.stopped) = (3 - old - room.leader, old);
    room.cluster.run_for(SECOND);
    room.produce(2);
    (0..3).for_each(|node| room.cluster.kill(node, true));
    let last = |room: &Room, node: usize| room.cluster.entries(node, journal).last().map(|entry| entry.index);
    assert!(last(&room, old) > last(&room, room.other), "seed {seed}: the older log is longer");
    room.flip_last(room.other, false);
    others.iter().for_each(|other| room.cluster.world.heal(old, *other));
    room.start(&[room.other, old]);
    assert!(!room.leads_within(5 * SECOND), "seed {seed}: the longer log of the older term won");
    room.start(&[room.leader]);
    room.cluster.check(&[room.partition]);
}

/// A follower alone lost what it acked, the leader lives, and nobody produces.
pub fn sent_again(seed: u64, in_head: bool) {
    let mut room = Room::running(seed);
    room.cluster.kill(room.stopped, true);
    room.produce(2);
    room.start(&[room.stopped]);
    room.cluster.kill(room.other, true);
    room.flip_last(room.other, in_head);
    room.start(&[room.other]);
    let last = room.cluster.entries(room.leader, room.journal).pop().expect("some").index;
    let (other, journal) = (room.other, room.journal);
    room.cluster.expect("it has all again", 5 * SECOND, |cluster| {
        cluster.entries(other, journal).last().is_some_and(|entry| entry.index == last)
    });
    room.cluster.check(&[room.partition]);
    room.cluster.run_for(SECOND);
    assert_eq!(room.settled(other), [Settled::Healed], "seed {seed}");
}

/// Of five three acked: one is down, one cannot read it, and one lost its votes besides.
pub fn an_amnesiac_is_asked(seed: u64) {
    let mut room = Room::of(seed, 5);
    let amnesiac = (room.leader + 3) % 5;
    let without = [room.stopped, (room.leader + 4) % 5];
    without.iter().for_each(|node| room.cluster.kill(*node, true));
    room.cluster.run_for(50 * MS);
    room.produce(2);
    (0..5).for_each(|node| room.cluster.kill(node, true));
    room.flip_last(room.other, false);
    room.flip_last(amnesiac, false);
    let path = folder::hard_state_path(room.journal);
    let file = room.cluster.world.nodes[amnesiac].disk.file_mut(&path).expect("it is there");
    (0..4).for_each(|block| file.flip(block * 4096 + 40, 1));
    room.start(&[room.other, amnesiac, without[0], without[1]]);
    assert!(!room.leads_within(5 * SECOND), "seed {seed}: who forgot its votes was believed");
    room.start(&[room.leader]);
    assert!(room.leads_within(10 * SECOND), "seed {seed}: whoever has it is elected");
    let found = room.cluster.read(room.partition);
    let acked = room.cluster.acked.iter().filter(|((of, _), _)| *of == room.partition);
    acked.for_each(|((_, offset), crc)| assert_eq!(found.get(offset), Some(crc), "{offset}: acknowledged"));
}
