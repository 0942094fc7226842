//! Scenes of disks that lie about what they synced last, acted step by step: each shows a way in which
//! what was acknowledged could be voted away. Tests act them, and so do the bugs that are planted.

use super::cluster::{Cluster, MS, SECOND};
use super::survey::{Found, content};
use engine::disk::BLOCK;
use engine::health::Kind;
use engine::ids::{JournalId, PartitionId, RaftId};
use engine::port::{Cutting, Event, Settled, Torn};
use engine::raft::Change;

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
            let is_sent = (0..5 * SECOND / MS).any(|_| {
                let is_taken = self.cluster.produce_to(self.leader, self.partition);
                if !is_taken {
                    self.cluster.run_for(MS);
                }
                is_taken
            });
            assert!(is_sent, "the leader takes none for 5 s");
            self.cluster.expect("it is acknowledged", SECOND, |cluster| cluster.acked.len() > acked);
        }
    }

    /// The leader is cut off from the others, appends alone, and another leads; it is `stopped` then.
    fn depose(&mut self) {
        let (old, journal) = (self.leader, self.journal);
        let others: Vec<usize> = (0..3).filter(|node| *node != old).collect();
        others.iter().for_each(|other| self.cluster.world.part(old, *other));
        for _ in 0..12 {
            self.cluster.produce_to(old, self.partition);
            self.cluster.run_for(3 * MS);
        }
        self.cluster.expect("another leads", 5 * SECOND, |cluster| {
            cluster.newest_leader(journal).is_some_and(|leader| leader != old)
        });
        self.leader = self.cluster.newest_leader(journal).expect("just seen");
        (self.other, self.stopped) = (3 - old - self.leader, old);
    }

    fn heal(&mut self, node: usize) {
        (0..3).filter(|other| *other != node).for_each(|other| self.cluster.world.heal(node, other));
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

    /// Whoever leads now is its leader.
    fn leads(&mut self) {
        assert!(self.leads_within(10 * SECOND), "nobody leads");
        self.leader = self.cluster.leader(self.journal).expect("just seen");
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
    let is_told = |event: &Event| match event {
        Event::HealthBegan(findings) => {
            findings.iter().any(|finding| finding.what.kind() == Kind::ReplicaInDoubt)
        }
        _ => false,
    };
    assert!(room.cluster.count(is_told) > 0, "seed {seed}: an operator sees nothing of it");
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
    room.depose();
    room.produce(1);
    (0..3).for_each(|node| room.cluster.kill(node, true));
    let (older, newer) = (room.cluster.entries(old, journal), room.cluster.entries(room.other, journal));
    assert!(
        older.last().map(|entry| entry.index) > newer.last().map(|entry| entry.index),
        "seed {seed}: the older log is longer"
    );
    let is_common = |entry: &Found| older.iter().any(|of| of.checksum == entry.checksum);
    for entry in newer.iter().filter(|entry| !is_common(entry)) {
        room.cluster.flip(room.other, entry, true);
    }
    room.heal(old);
    room.start(&[room.other, old]);
    assert!(!room.leads_within(5 * SECOND), "seed {seed}: the longer log of the older term won");
    room.start(&[room.leader]);
    room.cluster.check(&[room.partition]);
}

/// The tail of a deposed leader was cut, but its disk only said that the place is as new: after a crash the log
/// ends where its chain does.
pub fn a_former_tail(seed: u64) {
    let mut room = Room::running(seed);
    let (old, journal) = (room.leader, room.journal);
    room.cluster.only_small = true;
    room.depose();
    let bytes_of = |room: &Room, entry: &Found| {
        let mut files = room.cluster.world.nodes[old].disk.files();
        let (_, file) = files.find(|(path, _)| *path == entry.path).expect("surveyed");
        let from = entry.position as usize;
        content(file)[from..from + entry.entry_bytes].to_vec()
    };
    let former = room.cluster.entries(old, journal);
    let former: Vec<_> = former.into_iter().map(|entry| (bytes_of(&room, &entry), entry)).collect();
    room.heal(old);
    room.produce(2);
    let newest = |cluster: &Cluster, node: usize| {
        cluster.entries(node, journal).pop().map(|entry| (entry.index, entry.checksum))
    };
    let leader = room.leader;
    room.cluster.expect("it follows", 10 * SECOND, |cluster| newest(cluster, old) == newest(cluster, leader));
    (0..3).for_each(|node| room.cluster.kill(node, true));
    let last = room.cluster.entries(old, journal).pop().expect("there are some");
    let is_next = |entry: &Found| {
        entry.index == last.index + 1 && entry.position == last.position + last.entry_bytes as u64
    };
    let (bytes, entry) =
        former.iter().find(|(_, entry)| is_next(entry)).expect("it lay where the next one will");
    let file = room.cluster.world.nodes[old].disk.file_mut(&entry.path).expect("surveyed");
    file.overwrite(entry.position / BLOCK as u64, bytes);
    room.cluster.events.clear();
    room.start(&[0, 1, 2]);
    room.cluster.check(&[room.partition]);
    let recovered = room.cluster.events.iter().find_map(|(at, event)| match event {
        Event::Recovered(report) if *at == old && report.journal == journal => Some(report.last.0),
        _ => None,
    });
    assert_eq!(recovered, Some(last.index), "seed {seed}: what raft had cut is taken for the log's end");
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

/// Of five three acked: one is down, one cannot read it, and one lost it and its votes, too.
pub fn an_amnesiac_is_asked(seed: u64) {
    let mut room = Room::of(seed, 5);
    let amnesiac = (room.leader + 3) % 5;
    let without = [room.stopped, (room.leader + 4) % 5];
    without.iter().for_each(|node| room.cluster.kill(*node, true));
    room.cluster.run_for(50 * MS);
    room.produce(2);
    (0..5).for_each(|node| room.cluster.kill(node, true));
    room.flip_last(room.other, false);
    // It looks as if it had never been written.
    let last = room.cluster.entries(amnesiac, room.journal).pop().expect("there are some");
    room.cluster.erase(amnesiac, &last);
    room.cluster.forget_votes(amnesiac, room.journal);
    room.start(&[room.other, amnesiac, without[0], without[1]]);
    assert!(!room.leads_within(5 * SECOND), "seed {seed}: who forgot its votes was believed");
    room.start(&[room.leader]);
    assert!(room.leads_within(10 * SECOND), "seed {seed}: whoever has it is elected");
    let found = room.cluster.read(room.partition);
    let acked = room.cluster.acked.iter().filter(|((of, _), _)| *of == room.partition);
    acked.for_each(|((_, offset), crc)| assert_eq!(found.get(offset), Some(crc), "{offset}: acknowledged"));
}

/// What one of two that acked has on its disk is an old copy, and the third never had what they acked.
pub fn an_old_copy(seed: u64) {
    let mut room = Room::running(seed);
    room.cluster.may_end = true;
    let (other, stopped) = (room.other, room.stopped);
    room.cluster.kill(other, true);
    let old = room.cluster.world.nodes[other].disk.copy_of("");
    room.start(&[other]);
    room.cluster.check(&[room.partition]);
    room.cluster.expect("the third met the later start", 10 * SECOND, |cluster| {
        cluster.world.nodes[stopped].has_met(&cluster.world.nodes[other])
    });
    room.cluster.kill(stopped, true);
    room.leads();
    room.produce(3);
    (0..3).for_each(|node| room.cluster.kill(node, true));
    room.cluster.world.nodes[other].disk.replace_all("", &old);
    room.cluster.world.forget_promises(other);
    room.start(&[other, stopped]);
    assert!(!room.leads_within(5 * SECOND), "seed {seed}: an old copy was believed");
    let is_refused = |event: &Event| matches!(event, Event::OldCopy { .. });
    assert!(room.cluster.count(is_refused) > 0, "seed {seed}: nobody says so");
    room.start(&[room.leader]);
    for _ in 0..3 {
        room.cluster.run_for(5 * SECOND);
        room.cluster.start_ended();
    }
    room.cluster.check(&[room.partition]);
}

/// A journal that was founded alone has just let a second replica in, and its disk forgets its votes: nobody but the
/// last entry of its log says that they count by now.
pub fn a_lone_founder_that_grew(seed: u64) {
    for has_grown in [false, true] {
        let mut room = Room::of(seed, 1);
        room.cluster.may_end = true;
        room.cluster.kill(0, true);
        if has_grown {
            room.cluster.append_change(0, room.journal, Change::AddLearner(RaftId(900)));
        }
        room.cluster.forget_votes(0, room.journal);
        room.start(&[0]);
        let journal = room.journal;
        let leads = |cluster: &Cluster| cluster.leader(journal).is_some();
        room.cluster.run_until(5 * SECOND, |cluster| leads(cluster) || !cluster.ended.is_empty());
        assert_eq!(leads(&room.cluster), !has_grown, "seed {seed}: it has grown: {has_grown}");
        assert_eq!(room.cluster.ended.len(), usize::from(has_grown), "seed {seed}: an operator is told");
    }
}

/// Of five two have an entry that nobody acknowledged, and neither can read it.
pub fn several_bad_tails(seed: u64) {
    let mut room = Room::of(seed, 5);
    let pair = [room.leader, room.other];
    (0..5).filter(|node| !pair.contains(node)).for_each(|node| room.cluster.kill(node, true));
    let (leader, journal) = (room.leader, room.journal);
    let before = room.cluster.entries(leader, journal).pop().expect("some").index;
    assert!(
        room.cluster.produce_to(leader, room.partition),
        "seed {seed}: it does not know yet that it is alone"
    );
    room.cluster.expect("both have it", SECOND, |cluster| {
        let has =
            |node: &usize| cluster.entries(*node, journal).last().is_some_and(|last| last.index > before);
        pair.iter().all(has)
    });
    pair.iter().for_each(|node| room.cluster.kill(*node, true));
    pair.iter().for_each(|node| room.flip_last(*node, false));
    room.start(&[0, 1, 2, 3, 4]);
    room.cluster.check(&[room.partition]);
    room.cluster.run_for(SECOND);
    for node in pair {
        assert!(room.doubted(node), "seed {seed}: node {node} cut what it could not read");
        let settled = room.settled(node);
        assert!(!settled.is_empty(), "seed {seed}: node {node} waits");
        assert!(
            !settled.contains(&Settled::Healed),
            "seed {seed}: nobody has it, and node {node}: {settled:?}"
        );
    }
}
