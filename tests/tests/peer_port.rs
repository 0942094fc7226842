//! The port on which nodes talk to each other, spoken to by what is no node of the cluster: each
//! refusal names the difference, and nothing that comes there ends more than its own link.

use engine::codec::Write as _;
use engine::ids::{ClusterId, Incarnation, NodeId, RaftId, Run, ShardId, Term};
use engine::ids::{Index, JournalId};
use engine::peer::{PeerMessage, RaftKind, RaftMessage};
use engine::rng::Rng;
use net::peer::frame::{self, FrameKind, HEADER_BYTES};
use net::peer::handshake::{Hello, VERSIONS};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::{Load, read_all};
use tests::process::{Broker, BrokerOptions, Deadline};

const TOPIC: &str = "t";
const PATIENCE_SECONDS: u64 = 60;
/// Conversations of garbage, each with a form of its own.
const GARBAGE: u64 = 400;

/// A caller of a node's peer port.
struct Caller(TcpStream);

impl Caller {
    /// Connects and hears the node's own hello.
    fn call(node: &Broker) -> (Self, Hello) {
        let stream = TcpStream::connect(("127.0.0.1", node.ports.peer())).expect("accepted");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let mut caller = Self(stream);
        let (kind, body) = caller.read().expect("its hello");
        assert_eq!(kind, FrameKind::Hello);
        (caller, Hello::decode(&body).expect("a hello"))
    }

    fn read(&mut self) -> io::Result<(FrameKind, Vec<u8>)> {
        let mut header = [0; HEADER_BYTES];
        self.0.read_exact(&mut header)?;
        let coming = frame::read_header(&header).expect("a frame");
        let mut body = vec![0; coming.body_bytes];
        self.0.read_exact(&mut body)?;
        Ok((coming.kind, body))
    }

    fn send(&mut self, bytes: &[u8]) {
        // The other end may have hung up: that is what it is for.
        let _ = self.0.write_all(bytes);
    }

    /// Sends a hello; the text with which it is refused.
    fn refused(mut self, hello: &Hello) -> String {
        self.send(&frame::small(FrameKind::Hello, &hello.encode()));
        let (kind, body) = self.read().expect("a refusal");
        assert_eq!(kind, FrameKind::Refusal);
        assert_eq!(self.0.read(&mut [0; 1]).ok(), Some(0), "and the link is closed");
        String::from_utf8(body).expect("a text")
    }

    /// Waits until the node hung up.
    fn wait_let_go(mut self) {
        let mut rest = [0; 4096];
        loop {
            match self.0.read(&mut rest) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return,
                Err(error) => panic!("not closed: {error}"),
            }
        }
    }
}

/// What node 2 would say to the node whose hello this is.
fn answer_to(theirs: &Hello) -> Hello {
    Hello {
        versions: VERSIONS,
        cluster: theirs.cluster,
        node: NodeId(2),
        incarnation: Incarnation(7),
        shard: ShardId(0),
        shards: 1,
        lanes: theirs.lanes,
        to: Some((theirs.node, theirs.shard)),
        run: Run { start: 1, nonce: 7 },
    }
}

fn metric(node: &Broker, name: &str) -> u64 {
    let page = node.metrics();
    let of = |line: &&str| line.starts_with(name) && !line.starts_with('#');
    page.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn serves(cluster: &Cluster, numbers: std::ops::Range<u64>) {
    let load = Load::new(&cluster.bootstrap(), &PATIENT);
    for number in numbers.clone() {
        assert!(load.send(TOPIC, 0, number, 500));
    }
    load.flush(PATIENCE_SECONDS);
    assert!(load.reports.take().iter().all(|report| report.offset == Ok(report.number as i64)));
    let read = read_all(&cluster.bootstrap(), TOPIC, 0, PATIENCE_SECONDS);
    assert_eq!(read.len() as u64, numbers.end);
}

#[test]
fn every_foreigner_is_told_what_differs_and_the_log_and_a_counter_say_so_too() {
    let mut cluster = Cluster::start(&[1, 1, 1]);
    cluster.create(TOPIC, 1);
    let node = &cluster.nodes[2];
    let refused_before = metric(node, "duramen_peer_links_refused");
    type Change = fn(&mut Hello);
    let changes: [(Change, &str); 8] = [
        (
            |hello| hello.cluster = ClusterId(0xABCD),
            "belongs to cluster 0000000000000000000000000000abcd, this one to",
        ),
        (|hello| hello.node = NodeId(3), "two nodes are called 3; give each its own --node-id"),
        (|hello| hello.node = NodeId(9), "node 9 is neither a member nor invited"),
        (|hello| hello.versions = (7, 8), "protocol versions differ: node 2 speaks 7 to 8, this one 1 to 1"),
        (|hello| hello.lanes += 1, "node 2 counts 2 lanes, this one 1"),
        (
            |hello| hello.to = Some((NodeId(1), ShardId(0))),
            "node 1 shard 0 was called, node 3 shard 0 answers",
        ),
        (
            |hello| hello.to = Some((NodeId(3), ShardId(4))),
            "node 3 shard 4 was called, node 3 shard 0 answers",
        ),
        (|_| (), "another process says to be node 2, and its link is alive"),
    ];
    for (change, expected) in changes {
        let (caller, theirs) = Caller::call(node);
        let mut hello = answer_to(&theirs);
        change(&mut hello);
        let text = caller.refused(&hello);
        assert!(text.contains(expected), "{text}");
    }
    // The page is made once a second.
    let refused = || metric(node, "duramen_peer_links_refused") - refused_before;
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for("every refusal is counted", || (refused() >= changes.len() as u64).then_some(()));
    assert!(
        node.log().contains("a caller was refused: refused: node 2 belongs to cluster"),
        "{}",
        node.log()
    );
    serves(&cluster, 0..50);

    // A whole process: the number of a node that lives, an empty folder.
    let peers = cluster.nodes[0].options.arguments[1].clone();
    let mut twin = Broker::prepare(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let listen = format!("127.0.0.1:{}", twin.ports.peer());
    twin.options.arguments =
        ["--peers", &peers, "--node-id", "2", "--peer-listen", &listen].map(str::to_owned).to_vec();
    twin.spawn();
    Deadline::seconds(PATIENCE_SECONDS).wait_for("the twin is told", || {
        twin.log().contains("another process says to be node 2").then_some(())
    });
    twin.kill();
    serves(&cluster, 50..100);
    cluster.stop();
    cluster.assert_identical();
}

/// Frames of node 2 that mean little: what is random is their damage.
fn messages() -> Vec<Vec<u8>> {
    let raft = |kind| {
        let message = RaftMessage { from: RaftId(2), to: RaftId(3), term: Term(1), kind };
        PeerMessage::Raft { journal: JournalId(1), message }
    };
    let messages = [
        raft(RaftKind::Heartbeat { commit: Index(1) }),
        raft(RaftKind::Heartbeat { commit: Index(u64::MAX) }),
        raft(RaftKind::Append { previous: Index(5), previous_term: Term(1), commit: Index(9), entry: None }),
        PeerMessage::Control { id: 1, command: vec![9; 40] },
        PeerMessage::Read { journal: JournalId(1), index: Index(1), checksum: 0 },
        PeerMessage::Read { journal: JournalId(99), index: Index(u64::MAX), checksum: 1 },
    ];
    messages.iter().map(PeerMessage::encode).collect()
}

/// What is said after an honest hello: cut short, flipped, of random bytes, with honest checksums
/// around a body that is none, with an entry that is none.
fn garbage(rng: &mut Rng) -> Vec<u8> {
    let messages = messages();
    let body = messages[rng.below(messages.len() as u64) as usize].clone();
    let mut good = frame::small(FrameKind::Message, &body);
    match rng.below(6) {
        0 => {
            let at = rng.below(good.len() as u64) as usize;
            good[at] ^= 1 << rng.below(8);
            good
        }
        1 => good[..rng.below(good.len() as u64) as usize].to_vec(),
        2 => {
            let mut random = Vec::new();
            (0..=rng.below(200)).for_each(|_| random.put_u64(rng.next_u64()));
            random
        }
        3 => {
            let random: Vec<u8> = (0..rng.below(300)).map(|_| rng.next_u64() as u8).collect();
            let kinds = [FrameKind::Message, FrameKind::Formation, FrameKind::Hello, FrameKind::Refusal];
            frame::small(kinds[rng.below(4) as usize], &random)
        }
        4 => {
            let cut = &body[..rng.below(body.len() as u64) as usize];
            frame::small(FrameKind::Message, cut)
        }
        _ => {
            let entry: Vec<u8> = (0..4096).map(|_| rng.next_u64() as u8).collect();
            let header = frame::header(FrameKind::Message, &body, entry.len());
            [&header[..], &body, &entry].concat()
        }
    }
}

#[test]
fn garbage_ends_its_own_link_and_neither_the_node_nor_the_cluster() {
    let mut cluster = Cluster::start(&[1, 1, 1]);
    cluster.create(TOPIC, 1);
    serves(&cluster, 0..50);
    // Node 2 is away, so that its name is free for what is said here.
    cluster.nodes[1].kill();
    let mut rng = Rng::new(5);
    let node = &cluster.nodes[2];
    // What comes before the end of node 2 was noticed is refused as a duplicate.
    let ended = || metric(node, "duramen_peer_links_closed") + metric(node, "duramen_peer_links_refused");
    let ended_before = ended();
    for _ in 0..GARBAGE {
        let (mut caller, theirs) = Caller::call(node);
        caller.send(&frame::small(FrameKind::Hello, &answer_to(&theirs).encode()));
        caller.send(&garbage(&mut rng));
        caller.0.shutdown(std::net::Shutdown::Write).ok();
        caller.wait_let_go();
    }
    for _ in 0..GARBAGE / 4 {
        // Before any hello.
        let (mut caller, _) = Caller::call(node);
        caller.send(&garbage(&mut rng));
        caller.0.shutdown(std::net::Shutdown::Write).ok();
        caller.wait_let_go();
    }
    Deadline::seconds(PATIENCE_SECONDS).wait_for("every link is counted", || {
        (ended() - ended_before >= GARBAGE + GARBAGE / 4).then_some(())
    });
    assert!(node.log().contains("link closed: "), "{}", node.log());
    serves(&cluster, 50..100);
    cluster.nodes[1].run();
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    serves(&cluster, 100..150);
    cluster.stop();
    cluster.assert_identical();
    assert!(cluster.nodes.iter().all(|node| !node.log().contains("panicked")));
}
