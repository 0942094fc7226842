//! Whole formations in one thread: reports delayed, lost and repeated, nodes restarted and wiped.

use super::*;

const NODES: u32 = 3;
const SEGMENT_BYTES: u64 = 24 << 20;

fn meta(node: u32, incarnation: u128) -> NodeMeta {
    NodeMeta {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        cluster: ClusterId(0),
        formation: Vec::new(),
        is_final: false,
        lanes: 1,
        segment_bytes: SEGMENT_BYTES,
    }
}

fn listed() -> BTreeSet<NodeId> {
    (1..=NODES).map(NodeId).collect()
}

/// Nodes, their folders and what is under way between them.
struct World {
    nodes: Vec<Formation>,
    /// By node: what is being written, and durable only when it is told.
    storing: Vec<Option<NodeMeta>>,
    mail: Vec<(NodeId, Report)>,
    /// Each set that was ever durable as final, by the life that stored it.
    finals: Vec<Members>,
    lives: u128,
    rng: Rng,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let nodes = (1..=NODES)
            .map(|node| Formation::new(meta(node, u128::from(node)), None, &listed(), true, rng.next_u64()))
            .collect();
        let storing = (0..NODES).map(|_| None).collect();
        Self { nodes, storing, mail: Vec::new(), finals: Vec::new(), lives: u128::from(NODES), rng }
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut out = Vec::new();
        self.nodes[at].step(input, &mut out);
        for output in out {
            match output {
                Output::Send { to, report } => {
                    assert_eq!(Report::decode(&report.encode()), Ok(report.clone()));
                    self.mail.push((to, report));
                }
                Output::Store(meta) => assert_eq!(self.storing[at].replace(meta), None),
                Output::Formed => self.finals.push(self.nodes[at].node().formation.clone()),
                Output::Refused(refused) => panic!("{refused}"),
            }
        }
    }

    fn deliver(&mut self, which: usize) {
        let (to, report) = self.mail.swap_remove(which);
        self.step(to.0 as usize - 1, Input::Received(report));
    }

    fn stored(&mut self, at: usize) {
        if self.storing[at].take().is_some() {
            self.step(at, Input::Stored);
        }
    }

    /// A restart from what is durable, or from an empty folder.
    fn restart(&mut self, at: usize, wiped: bool) {
        self.storing[at] = None;
        let mut folder = self.nodes[at].node().clone();
        if wiped {
            self.lives += 1;
            folder = meta(at as u32 + 1, self.lives);
        }
        self.nodes[at] = Formation::new(folder, None, &listed(), true, self.rng.next_u64());
    }

    fn random(&mut self) {
        let at = self.rng.below(u64::from(NODES)) as usize;
        match self.rng.below(40) {
            0 => self.restart(at, true),
            1 => self.restart(at, false),
            2..8 => self.step(at, Input::Tick),
            8..14 => self.stored(at),
            kind if !self.mail.is_empty() => {
                let which = self.rng.below(self.mail.len() as u64) as usize;
                match kind {
                    14 => drop(self.mail.swap_remove(which)),
                    15 => self.mail.push(self.mail[which].clone()),
                    _ => self.deliver(which),
                }
            }
            _ => {}
        }
    }

    /// Those that live and are final are of one cluster. (A set whose every final life was wiped
    /// is forgotten: those were all the nodes that could have voted.)
    fn agree(&self, seed: u64) {
        let mut finals = self.nodes.iter().filter(|node| node.is_formed());
        let Some(first) = finals.next() else { return };
        for other in finals {
            assert_eq!(other.node().formation, first.node().formation, "seed {seed}");
        }
    }

    fn calm(&mut self) {
        for _ in 0..20 {
            for at in 0..NODES as usize {
                self.step(at, Input::Tick);
                self.stored(at);
            }
            while !self.mail.is_empty() {
                self.deliver(0);
            }
        }
    }
}

#[test]
fn three_nodes_form_one_cluster() {
    let mut world = World::new(1);
    world.calm();
    let expected: Members = (1..=NODES).map(|node| (NodeId(node), Incarnation(u128::from(node)))).collect();
    assert_eq!(world.finals, vec![expected.clone(); NODES as usize]);
    for node in &world.nodes {
        assert!(node.is_founder());
        assert_eq!(node.node().cluster, cluster_of(&expected));
        assert_eq!(node.waiting(), Waiting::default());
    }
}

#[test]
fn no_two_nodes_ever_end_with_different_sets() {
    let mut newcomers = 0;
    for seed in 0..3000 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.random();
            world.agree(seed);
        }
        world.calm();
        world.agree(seed);
        assert!(world.nodes.iter().all(Formation::is_formed), "seed {seed}: calm is enough to form");
        newcomers += world.nodes.iter().filter(|node| !node.is_founder()).count();
    }
    assert!(newcomers > 100, "{newcomers} nodes joined after they were wiped");
}

#[test]
fn it_says_whom_it_waits_for_and_does_not_vote_before() {
    let mut world = World::new(2);
    for _ in 0..3 {
        world.step(0, Input::Tick);
        world.step(1, Input::Tick);
        // Node 3 is not there: what is sent to it is lost.
        world.mail.retain(|(to, _)| *to != NodeId(3));
        while !world.mail.is_empty() {
            world.deliver(0);
        }
    }
    assert_eq!(world.nodes[0].waiting().unheard, [NodeId(3)]);
    assert!(!world.nodes[0].is_formed());
    assert_eq!(world.storing, [None, None, None]);
}

#[test]
fn a_node_wiped_before_the_end_makes_the_others_build_a_new_set() {
    let mut world = World::new(3);
    for round in 0..6 {
        for at in 0..3 {
            world.step(at, Input::Tick);
            // Node 3's disk hangs: no set becomes final.
            if at < 2 || round == 0 {
                world.stored(at);
            }
        }
        while !world.mail.is_empty() {
            world.deliver(0);
        }
    }
    assert_eq!(world.nodes[0].node().formation.len(), 3);
    assert!(!world.nodes[0].is_formed());
    world.restart(2, true);
    world.calm();
    let last = (NodeId(3), Incarnation(world.lives));
    assert!(world.nodes.iter().all(|node| node.is_founder() && node.node().formation[2] == last));
}

#[test]
fn what_cannot_belong_is_refused_with_the_difference() {
    let mut world = World::new(4);
    world.step(1, Input::Tick);
    let (_, good) = world.mail.pop().expect("a report");
    let refused = |report: Report| {
        let mut node = Formation::new(meta(1, 1), None, &listed(), true, 7);
        let mut out = Vec::new();
        node.step(Input::Received(report), &mut out);
        match out.pop() {
            Some(Output::Refused(refused)) => refused.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(Report { node: NodeId(1), ..good.clone() }).contains("--node-id"));
    assert!(refused(Report { node: NodeId(9), ..good.clone() }).contains("node 9 is not among"));
    let other = Report { listed: vec![NodeId(2), NodeId(3)], ..good.clone() };
    assert!(refused(other).contains("lists the nodes 2, 3, this one 1, 2, 3"));
    assert!(refused(Report { segment_bytes: 4096, ..good.clone() }).contains("--segment-bytes 4096"));
    let other = Report { broker_ids: BrokerIds::new(1), ..good };
    assert!(refused(other).contains("with --broker-id-stride 1, this one without --broker-id-stride;"));
}

#[test]
fn bytes_that_are_no_report_are_an_error() {
    let mut world = World::new(5);
    world.calm();
    world.restart(0, true);
    world.step(0, Input::Tick);
    world.deliver(0);
    let report = world.mail.pop().expect("the final set is told").1;
    assert!(report.is_final);
    let bytes = report.encode();
    for length in 0..bytes.len() {
        assert!(Report::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    for position in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[position] ^= 0x41;
        assert_ne!(Report::decode(&bad), Ok(report.clone()));
    }
}

#[test]
fn the_bytes_of_a_report_stay_as_they_are() {
    let report = Report {
        node: NodeId(2),
        incarnation: Incarnation(0x55),
        challenge: 0x1122_3344_5566_7788,
        echo: 9,
        segment_bytes: SEGMENT_BYTES,
        broker_ids: None,
        is_final: true,
        listed: vec![NodeId(1), NodeId(2)],
        stored: vec![(NodeId(2), Incarnation(0x55))],
    };
    let expected = [
        &b"\x01\0\x01\0"[..],
        b"\x02\0\0\0",
        b"\x55\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x88\x77\x66\x55\x44\x33\x22\x11",
        b"\x09\0\0\0\0\0\0\0",
        b"\0\0\x80\x01\0\0\0\0",
        b"\x02\0\0\0\x01\0\0\0\x02\0\0\0",
        b"\x01\0\0\0\x02\0\0\0\x55\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ];
    assert_eq!(report.encode(), expected.concat());
    assert_eq!(Report::decode(&expected.concat()), Ok(report.clone()));
    let asked = Report { broker_ids: BrokerIds::new(7), is_final: false, ..report };
    let mut expected = expected.concat();
    expected[0] = 2;
    expected[2] = 0;
    expected.splice(48..48, [7, 0]);
    assert_eq!(asked.encode(), expected);
    assert_eq!(Report::decode(&expected), Ok(asked));
    expected[48] = 0;
    assert_eq!(Report::decode(&expected), Err(report::ReportError::Value));
}
