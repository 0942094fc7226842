//! Links of whole nodes over loopback, in one executor.

use super::*;
use crate::peer::frame;
use crate::process::address::Address;
use engine::ids::{Index, JournalId, RaftId, Term};
use engine::peer::{RaftKind, RaftMessage};
use glommio::LocalExecutor;

const LIMIT: Duration = Duration::from_secs(20);

/// A node's shard 0 with what its links brought.
struct Node {
    links: Rc<Links>,
    news: Rc<RefCell<Vec<News>>>,
    address: SocketAddr,
}

/// Takes a free port and lets it go again.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// The process that lives a life of this number here.
fn run(life: u128) -> Run {
    Run { start: 1, nonce: life as u64 + 100 }
}

fn identity(cluster: u128, incarnation: u128) -> Identity {
    Identity { cluster: ClusterId(cluster), incarnation: Incarnation(incarnation), run: run(incarnation) }
}

impl Node {
    /// Node `own` of these; it listens, and calls nobody yet.
    fn listening(own: u32, all: &[(u32, SocketAddr)], queue_bytes_max: usize) -> Self {
        let address = all.iter().find(|(node, _)| *node == own).expect("itself").1;
        let peers = all
            .iter()
            .map(|(node, at)| (NodeId(*node), Address { host: at.ip().to_string(), port: at.port() }));
        let addresses =
            Addresses::start(&peers.collect(), &BTreeMap::new(), NodeId(own)).expect("no names, no thread");
        let place = Place { node: NodeId(own), shard: ShardId(0), shards: 1 };
        let news = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&news);
        let register = Rc::new(RefCell::new(Register::default()));
        // Whom it meets is durable at once.
        let (kept, itself) = (Rc::clone(&register), Rc::new(RefCell::new(None::<Rc<Links>>)));
        let owner = Rc::clone(&itself);
        let deliver = move |one| match one {
            News::Met(met) => {
                kept.borrow_mut().remember(met);
                let links = owner.borrow().clone().expect("it links");
                links.learn_register(Arc::new(kept.borrow().clone()));
            }
            other => seen.borrow_mut().push(other),
        };
        let links = Links::new(place, None, addresses, BufferPool::new(1 << 20), queue_bytes_max, deliver);
        *itself.borrow_mut() = Some(Rc::clone(&links));
        links.learn_register(Arc::new(Register::default()));
        links.listen(address).expect("a free port");
        Self { links, news, address }
    }

    fn is_up(&self, node: u32) -> bool {
        let mut up = false;
        for one in self.news.borrow().iter() {
            match one {
                News::Link { node: NodeId(of), run, .. } if *of == node => up = run.is_some(),
                _ => {}
            }
        }
        up
    }

    fn stats(&self) -> LinkStats {
        self.links.stats()
    }
}

fn two(queue_bytes_max: usize) -> (Node, Node) {
    let all = [(1, free_address()), (2, free_address())];
    (Node::listening(1, &all, queue_bytes_max), Node::listening(2, &all, queue_bytes_max))
}

/// Waits for what a task of the same executor is about to do.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "{what}");
        glommio::timer::sleep(Duration::from_millis(1)).await;
    }
}

fn heartbeat(commit: u64) -> PeerMessage {
    let kind = RaftKind::Heartbeat { commit: Index(commit) };
    let message = RaftMessage { from: RaftId(1), to: RaftId(2), term: Term(3), kind };
    PeerMessage::Raft { journal: JournalId(7), message }
}

#[test]
fn one_link_joins_two_nodes_and_brings_messages_in_order() {
    LocalExecutor::default().run(async {
        let (one, two) = two(1 << 20);
        two.links.introduce(identity(5, 2));
        one.links.introduce(identity(5, 1));
        until("both are up", || one.is_up(2) && two.is_up(1)).await;
        let told = |node: &Node, other: u128| {
            let news = node.news.borrow();
            assert!(matches!(news[0], News::Link { run: Some(of), .. } if of == run(other)), "{:?}", news[0]);
        };
        told(&one, 2);
        told(&two, 1);
        for commit in 0..100 {
            one.links.send(NodeId(2), LaneId(0), &heartbeat(commit));
        }
        until("all came", || two.news.borrow().len() == 101).await;
        for (commit, one) in two.news.borrow()[1..].iter().enumerate() {
            let News::Message { from: NodeId(1), message: PeerMessage::Raft { message, .. } } = one else {
                panic!("{one:?}");
            };
            assert!(matches!(message.kind, RaftKind::Heartbeat { commit: Index(at) } if at == commit as u64));
        }
        assert_eq!((one.stats().open, two.stats().open, two.stats().refused), (1, 1, 0));
        assert_eq!(one.stats().sent_bytes, two.stats().received_bytes);
        // What has no link is lost, and no reason to panic.
        one.links.send(NodeId(9), LaneId(0), &heartbeat(0));
    });
}

#[test]
fn a_broken_link_is_told_and_made_again() {
    LocalExecutor::default().run(async {
        let (one, two) = two(1 << 20);
        two.links.introduce(identity(5, 2));
        one.links.introduce(identity(5, 1));
        until("up", || one.is_up(2) && two.is_up(1)).await;
        let link = Rc::clone(&one.links.open.borrow()[&(NodeId(2), ShardId(0))]);
        link.close(LinkError::Silent(0));
        until("down on both", || one.stats().closed == 1 && two.stats().closed == 1).await;
        until("up again", || one.is_up(2) && two.is_up(1) && one.stats().open == 1).await;
        let ups = |node: &Node| {
            node.news
                .borrow()
                .iter()
                .map(|one| matches!(one, News::Link { run: Some(_), .. }))
                .collect::<Vec<_>>()
        };
        assert_eq!((ups(&one), ups(&two)), (vec![true, false, true], vec![true, false, true]));
    });
}

#[test]
fn another_cluster_is_refused_on_both_ends_and_a_member_comes_in_later() {
    LocalExecutor::default().run(async {
        let (one, two) = two(1 << 20);
        two.links.introduce(identity(6, 2));
        one.links.introduce(identity(5, 1));
        until("refused", || one.stats().refused > 0 && two.stats().refused > 0).await;
        assert!(one.news.borrow().is_empty() && two.news.borrow().is_empty());
        assert!(one.links.complaints.borrow()[&(NodeId(2), ShardId(0))].contains("belongs to cluster"));
        two.links.introduce(identity(5, 2));
        until("up", || one.is_up(2) && two.is_up(1)).await;
        assert!(one.links.complaints.borrow().is_empty());
    });
}

#[test]
fn who_runs_on_an_older_copy_of_a_folder_is_told_so_and_not_let_in() {
    LocalExecutor::default().run(async {
        let (one, two) = two(1 << 20);
        let run = |start, nonce| Identity { run: Run { start, nonce }, ..identity(5, 1) };
        two.links.introduce(identity(5, 2));
        one.links.introduce(run(4, 44));
        until("up", || one.is_up(2) && two.is_up(1)).await;
        for older in [run(3, 33), run(4, 45)] {
            let copy = Node::listening(1, &[(1, free_address()), (2, two.address)], 1 << 20);
            copy.links.introduce(older);
            let is_told = |one: &News| matches!(one, News::OldCopy { by: NodeId(2), seen: 4 });
            until("it is told", || copy.news.borrow().iter().any(is_told)).await;
            assert!(!copy.is_up(2));
        }
        assert!(two.stats().refused >= 2 && two.is_up(1));
    });
}

#[test]
fn a_second_process_of_the_same_node_is_refused_while_the_first_lives() {
    LocalExecutor::default().run(async {
        let (one, two) = two(1 << 20);
        two.links.introduce(identity(5, 2));
        one.links.introduce(identity(5, 1));
        until("up", || one.is_up(2) && two.is_up(1)).await;
        let twin = Node::listening(1, &[(1, free_address()), (2, two.address)], 1 << 20);
        twin.links.introduce(identity(5, 77));
        until("the twin is told why", || {
            let complaints = twin.links.complaints.borrow();
            twin.stats().closed > 0 || complaints.values().any(|text| text.contains("another process"))
        })
        .await;
        assert!(two.stats().refused > 0);
        assert_eq!((one.stats().open, two.stats().open), (1, 1));
        assert!(two.is_up(1) && one.is_up(2));
    });
}

#[test]
fn a_queue_that_nobody_empties_closes_its_link_and_pins_no_more() {
    LocalExecutor::default().run(async {
        let all = [(1, free_address()), (2, free_address())];
        let one = Node::listening(1, &all, 64 << 10);
        let two = Node::listening(2, &all, 64 << 10);
        two.links.introduce(identity(5, 2));
        one.links.introduce(identity(5, 1));
        until("up", || one.is_up(2) && two.is_up(1)).await;
        // Within one turn nothing is written.
        for commit in 0..2000 {
            one.links.send(NodeId(2), LaneId(0), &heartbeat(commit));
        }
        assert!(one.stats().queued_bytes <= 64 << 10, "{:?}", one.stats());
        until("closed", || one.stats().closed == 1).await;
        until("up again", || one.is_up(2) && two.is_up(1) && one.stats().queued_bytes == 0).await;
    });
}

/// Sends bytes to a node after an honest hello, and waits until it hangs up.
async fn after_hello(node: &Node, bytes: &[u8]) {
    let stream = TcpStream::connect(node.address).await.expect("connected");
    let socket = AnySocket::Plain(Socket::new(stream));
    let hello = Hello {
        versions: VERSIONS,
        cluster: ClusterId(5),
        node: NodeId(1),
        incarnation: Incarnation(1),
        shard: ShardId(0),
        shards: 1,
        lanes: 0,
        to: Some((NodeId(2), ShardId(0))),
        run: run(1),
    };
    let pool = BufferPool::new(0);
    link::greet(&socket, &pool, &hello, |_| true).await.expect("greeted");
    socket.write_all(&[bytes], |_| ()).await.expect("written");
    let mut rest = [0; 64];
    while !matches!(socket.read(&mut rest, || ()).await, Ok(0) | Err(_)) {}
}

#[test]
fn whatever_comes_behind_a_handshake_ends_the_link_and_nothing_else() {
    LocalExecutor::default().run(async {
        let all = [(1, free_address()), (2, free_address())];
        let two = Node::listening(2, &all, 1 << 20);
        two.links.introduce(identity(5, 2));
        let good = frame::small(FrameKind::Message, &heartbeat(1).encode());
        let mut wrong_body = good.clone();
        *wrong_body.last_mut().expect("a body") ^= 1;
        let mut wrong_head = good.clone();
        wrong_head[9] ^= 1;
        let newer = [&[9, 0][..], &heartbeat(1).encode()[2..]].concat();
        let entry = [
            &frame::header(FrameKind::Message, &heartbeat(1).encode(), 4096)[..],
            &heartbeat(1).encode(),
            &[7; 4096],
        ]
        .concat();
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: duramen-and-nothing-else\r\n\r\n".to_vec(),
            wrong_body,
            wrong_head,
            frame::small(FrameKind::Message, &newer),
            frame::small(FrameKind::Message, b""),
            frame::small(FrameKind::Formation, b"no report"),
            frame::small(FrameKind::Hello, b""),
            frame::small(FrameKind::Refusal, b"go\naway"),
            entry,
        ] {
            let before = two.stats().closed;
            after_hello(&two, &bytes).await;
            until("closed", || two.stats().closed == before + 1).await;
        }
        assert_eq!(two.stats().open, 0);
        assert!(!two.news.borrow().iter().any(|one| matches!(one, News::Message { .. })));
        after_hello_silence(&two).await;
    });
}

/// A caller that says nothing is let go, by the tick.
async fn after_hello_silence(node: &Node) {
    let stream = TcpStream::connect(node.address).await.expect("connected");
    until("greeting", || node.links.greeting.borrow().len() == 1).await;
    node.links.greeting.borrow_mut()[0].1 = Instant::now().checked_sub(GREETING_MAX * 2).expect("uptime");
    node.links.tick();
    until("let go", || node.links.greeting.borrow().is_empty()).await;
    drop(stream);
}

#[test]
fn formation_reports_travel_between_shards_0() {
    LocalExecutor::default().run(async {
        let (one, two) = two(1 << 20);
        two.links.introduce(identity(0, 2));
        one.links.introduce(identity(0, 1));
        until("up", || one.is_up(2) && two.is_up(1)).await;
        let report = |node: u32| Report {
            node: NodeId(node),
            incarnation: Incarnation(u128::from(node)),
            challenge: 3,
            echo: 0,
            segment_bytes: 1 << 28,
            broker_ids: None,
            is_final: false,
            listed: vec![NodeId(1), NodeId(2)],
            stored: Vec::new(),
        };
        one.links.report(NodeId(2), &report(1));
        until("came", || two.news.borrow().len() == 2).await;
        assert!(matches!(&two.news.borrow()[1], News::Formation(came) if *came == report(1)));
        one.links.report(NodeId(2), &report(2));
        until("another node's report ends the link", || two.stats().closed == 1).await;
    });
}
