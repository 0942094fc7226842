//! The table of health: facts on the left, what is told on the right.

use super::super::finding::OpenTooLong;
use super::super::known::{NodeFacts, ReplicaFacts};
use super::*;
use crate::clock::Now;
use crate::ids::{Index, Offset, PartitionId, ProducerId};

const SECOND_NS: u64 = 1_000_000_000;
/// The moment of all tests, of both clocks.
const NOW: Now = Now { mono_ns: 100 * SECOND_NS, wall_ms: 1_000_000 };

/// What is told: the finding, of which node, of which journal, since how many milliseconds.
type Told = (What, Option<u32>, Option<u64>, i64);

fn ago(ms: u64) -> u64 {
    NOW.mono_ns - ms * 1_000_000
}

/// Node 1 of three, all well: journal 4 is led elsewhere.
fn well() -> Known {
    let node = |node| NodeFacts { node: NodeId(node), heard_ns: ago(60) };
    Known {
        now: NOW,
        node: NodeId(1),
        nodes: vec![node(2), node(3)],
        tells_of_nodes: true,
        journals: vec![journal()],
        disk: Some(DiskFacts { free_bytes: 10 << 30, total_bytes: 20 << 30, segment_bytes: 1 << 30 }),
        clock_drift_ms: None,
    }
}

fn journal() -> JournalFacts {
    JournalFacts {
        journal: JournalId(4),
        replicas: vec![NodeId(1), NodeId(2), NodeId(3)],
        is_needed: true,
        leaderless_ns: None,
        own: ReplicaState::Well,
        followers: Vec::new(),
        strangers: Vec::new(),
        open_too_long: None,
        awaits_compaction: false,
    }
}

/// The facts of a follower on node 3.
fn follower(state: ReplicaState, since_ns: Option<u64>) -> Vec<ReplicaFacts> {
    vec![ReplicaFacts { node: NodeId(3), state, since_ns }]
}

fn told(known: &Known) -> Vec<Told> {
    let row = |finding: &Finding| {
        let (node, journal) = (finding.node.map(|node| node.0), finding.journal.map(|journal| journal.0));
        (finding.what, node, journal, NOW.wall_ms - finding.since_ms)
    };
    judge(known).iter().map(row).collect()
}

fn open_too_long() -> OpenTooLong {
    OpenTooLong {
        partition: PartitionId(11),
        number: 2,
        first: Offset(40),
        producer: ProducerId(7),
        silent_since_ms: NOW.wall_ms - 400_000,
        partitions: 3,
    }
}

type Row = (&'static str, Box<dyn Fn(&mut Known)>, Vec<Told>);

fn one(what: What, node: u32) -> Vec<Told> {
    vec![(what, Some(node), Some(4), 0)]
}

fn nodes_and_quorums() -> Vec<Row> {
    let quorum = |heard, ms| vec![(What::NoQuorum { heard, replicas: 3 }, None, Some(4), ms)];
    vec![
        ("all is well", Box::new(|_| {}), vec![]),
        ("a node was heard just now", Box::new(|known| known.nodes[1].heard_ns = ago(999)), vec![]),
        (
            "a node was not heard for a second",
            Box::new(|known| known.nodes[1].heard_ns = ago(1000)),
            vec![(What::NodeDown, Some(3), None, 1000)],
        ),
        (
            "a shard that does not tell of nodes",
            Box::new(|known| {
                known.nodes[1].heard_ns = ago(5000);
                known.tells_of_nodes = false;
            }),
            vec![],
        ),
        (
            "a follower on a node that is down is not told",
            Box::new(|known| {
                known.nodes[1].heard_ns = ago(1500);
                known.journals[0].followers = follower(ReplicaState::Silent, Some(ago(1500)));
            }),
            vec![(What::NodeDown, Some(3), None, 1500)],
        ),
        ("an election", Box::new(|known| known.journals[0].leaderless_ns = Some(ago(999))), vec![]),
        (
            "no leader, all nodes heard",
            Box::new(|known| known.journals[0].leaderless_ns = Some(ago(1000))),
            quorum(3, 1000),
        ),
        (
            "two of three are gone",
            Box::new(|known| {
                known.nodes.iter_mut().for_each(|node| node.heard_ns = ago(1700));
                known.journals[0].leaderless_ns = Some(ago(1200));
            }),
            [(2, 1700), (3, 1700)]
                .map(|(node, ms)| (What::NodeDown, Some(node), None, ms))
                .into_iter()
                .chain(quorum(1, 1200))
                .collect(),
        ),
        (
            "a quarantined replica does not know who leads",
            Box::new(|known| {
                known.journals[0].leaderless_ns = Some(ago(9000));
                known.journals[0].own = ReplicaState::Quarantined;
            }),
            one(What::ReplicaQuarantined, 1),
        ),
    ]
}

fn replicas() -> Vec<Row> {
    let own = |state| move |known: &mut Known| known.journals[0].own = state;
    let of_follower =
        |state, ms| move |known: &mut Known| known.journals[0].followers = follower(state, Some(ago(ms)));
    vec![
        (
            "in doubt",
            Box::new(own(ReplicaState::InDoubt { first: Index(13), last: Index(14) })),
            one(What::ReplicaInDoubt { first: Index(13), last: Index(14) }, 1),
        ),
        ("quarantined", Box::new(own(ReplicaState::Quarantined)), one(What::ReplicaQuarantined, 1)),
        ("an old folder", Box::new(own(ReplicaState::NotMember)), one(What::ReplicaNotMember, 1)),
        (
            "damaged",
            Box::new(own(ReplicaState::Damaged { ranges: 2 })),
            one(What::ReplicaDamaged { ranges: 2 }, 1),
        ),
        (
            "damaged, and alone",
            Box::new(own(ReplicaState::Refusing { ranges: 1 })),
            one(What::ReplicaRefusing { ranges: 1 }, 1),
        ),
        ("full", Box::new(own(ReplicaState::Full)), one(What::ReplicaFull, 1)),
        (
            "catching up",
            Box::new(own(ReplicaState::CatchingUp { entries: 0 })),
            one(What::ReplicaCatchingUp { entries: 0 }, 1),
        ),
        (
            "runs are fetched",
            Box::new(own(ReplicaState::LacksRuns { runs: 2, bytes: 9 << 20 })),
            one(What::ReplicaLacksRuns { runs: 2, bytes: 9 << 20 }, 1),
        ),
        ("a follower that is well", Box::new(of_follower(ReplicaState::Well, 0)), vec![]),
        (
            "a follower behind",
            Box::new(of_follower(ReplicaState::Behind { entries: 9 }, 11_000)),
            vec![(What::ReplicaBehind { entries: 9 }, Some(3), Some(4), 11_000)],
        ),
        (
            "a follower catching up",
            Box::new(of_follower(ReplicaState::CatchingUp { entries: 70 }, 300)),
            vec![(What::ReplicaCatchingUp { entries: 70 }, Some(3), Some(4), 300)],
        ),
        (
            "a follower that is silent",
            Box::new(of_follower(ReplicaState::Silent, 2500)),
            vec![(What::ReplicaSilent, Some(3), Some(4), 2500)],
        ),
        (
            "a follower that is full",
            Box::new(of_follower(ReplicaState::Full, 0)),
            vec![(What::ReplicaFull, Some(3), Some(4), 0)],
        ),
        (
            "a node that is no member, and so is silent, too",
            Box::new(|known| {
                known.journals[0].followers = follower(ReplicaState::Silent, None);
                known.journals[0].strangers = vec![NodeId(3)];
            }),
            one(What::ReplicaNotMember, 3),
        ),
    ]
}

fn machines() -> Vec<Row> {
    vec![
        (
            "two segments and a tenth are free",
            Box::new(|known| {
                let disk = known.disk.as_mut().expect("known");
                disk.free_bytes = 2 * disk.segment_bytes + disk.segment_bytes / 10;
            }),
            vec![],
        ),
        (
            "less than that is free",
            Box::new(|known| {
                known.disk = Some(DiskFacts { free_bytes: 209, total_bytes: 900, segment_bytes: 100 });
            }),
            vec![(What::DiskNearlyFull { free_bytes: 209, total_bytes: 900 }, Some(1), None, 0)],
        ),
        ("the disk is not known yet", Box::new(|known| known.disk = None), vec![]),
        (
            "the clock jumped",
            Box::new(|known| known.clock_drift_ms = Some(-700_000)),
            vec![(What::ClockDistrusted { drift_ms: -700_000 }, Some(1), None, 0)],
        ),
        (
            "a transaction is open for too long",
            Box::new(|known| known.journals[0].open_too_long = Some(open_too_long())),
            vec![(What::StableOffsetStuck(open_too_long()), None, Some(4), 400_000)],
        ),
        (
            "a topic was made without compaction and asks for it",
            Box::new(|known| known.journals[0].awaits_compaction = true),
            vec![(What::NotCompacted, None, Some(4), 0)],
        ),
    ]
}

#[test]
fn the_table_of_health() {
    for (name, change, expected) in nodes_and_quorums().into_iter().chain(replicas()).chain(machines()) {
        let mut known = well();
        change(&mut known);
        assert_eq!(told(&known), expected, "{name}");
    }
}

#[test]
fn a_node_is_unready_without_quorum_for_what_it_needs_and_for_nothing_else() {
    let mut known = well();
    known.journals[0].leaderless_ns = Some(ago(2000));
    assert_eq!(judge(&known).iter().map(|finding| finding.unready).collect::<Vec<_>>(), [true]);
    known.journals[0].is_needed = false;
    assert_eq!(judge(&known).iter().map(|finding| finding.unready).collect::<Vec<_>>(), [false]);
    let mut known = well();
    known.nodes[1].heard_ns = ago(5000);
    assert!(!judge(&known)[0].unready, "the others go on");
}

#[test]
fn each_finding_says_what_it_is_what_it_means_and_what_to_do() {
    let all = [
        What::NodeDown,
        What::NoQuorum { heard: 1, replicas: 3 },
        What::NoQuorum { heard: 2, replicas: 3 },
        What::ReplicaCatchingUp { entries: 5 },
        What::ReplicaLacksRuns { runs: 2, bytes: 0 },
        What::ReplicaBehind { entries: 5 },
        What::ReplicaSilent,
        What::ReplicaFull,
        What::ReplicaDamaged { ranges: 1 },
        What::ReplicaRefusing { ranges: 1 },
        What::ReplicaQuarantined,
        What::ReplicaInDoubt { first: Index(1), last: Index(2) },
        What::ReplicaNotMember,
        What::DiskNearlyFull { free_bytes: 5 << 20, total_bytes: 9 << 20 },
        What::StableOffsetStuck(open_too_long()),
        What::StableOffsetStuck(OpenTooLong { partitions: 1, ..open_too_long() }),
        What::NotCompacted,
        What::ClockDistrusted { drift_ms: 1500 },
    ];
    let mut texts = BTreeSet::new();
    for what in all {
        let finding = finding(&well(), what, Some(NodeId(3)), None, None);
        assert!(texts.insert(finding.to_string()), "{finding}");
        assert!(!finding.meaning().is_empty() && !finding.remedy().is_empty());
    }
    let topics = Topics { names: vec!["a".into(), "b".into()], more: 4 };
    let behind = What::ReplicaBehind { entries: 5 };
    let named = Finding { topics, ..finding(&well(), behind, Some(NodeId(3)), Some(JournalId(7)), None) };
    assert_eq!(
        named.to_string(),
        "journal 7 (a, b and 4 more): the replica of node 3 is behind: it lacks 5 entries"
    );
}
